"""Bootstrap over images: known intervals, coverage, pairing, and draws that define nothing."""

from __future__ import annotations

import numpy as np
import pytest

from segood.errors import UsageError
from segood.evaluation import curves
from segood.evaluation.bootstrap import Bootstrap, share_better
from segood.evaluation.curves import OperatingPoints
from segood.evaluation.map_bootstrap import coarse_levels, draw_numbers


def drawn_slowly(bootstrap: Bootstrap, images: np.ndarray) -> dict[str, np.ndarray]:
    """Draw by draw with the metrics' own code."""
    values: dict[str, list[float]] = {name: [] for name in curves.METRICS}
    for weights in bootstrap.weights.astype(int):
        counts = np.einsum("n,nlk->lk", weights, images)
        points = OperatingPoints.from_counts(np.arange(len(counts)), counts[:, 0], counts[:, 1])
        found = curves.numbers(points, binned=False)
        for name in curves.METRICS:
            value = getattr(found, name)
            values[name].append(np.nan if value is None else value)
    return {name: np.array(part) for name, part in values.items()}


def test_draws_are_those_of_the_metrics() -> None:
    rng = np.random.default_rng(0)
    for levels in (1, 7, 600):  # more than a block, too
        images = rng.integers(0, 4, (5, levels, 2)).astype(np.uint32)
        images[0, :, 1] = images[1, :, 1] = images[2, :, 0] = 0
        bootstrap = Bootstrap(5, num_draws=60, seed=1)
        slow, fast = drawn_slowly(bootstrap, images), draw_numbers(bootstrap, images)
        for name in curves.METRICS:
            np.testing.assert_allclose(fast[name], slow[name], atol=1e-12)


def test_draws_with_one_kind_of_pixel_are_left_out_and_counted() -> None:
    # Image 0 has no OoD pixel; 1 of 4 draws of two images takes it twice.
    images = np.array([[[3, 0], [1, 0]], [[2, 1], [1, 2]]])
    bootstrap = Bootstrap(2, num_draws=400, seed=0)
    draws = draw_numbers(bootstrap, images)
    undefined = (bootstrap.weights[:, 0] == 2).sum()
    assert 60 < undefined < 140
    for values in draws.values():
        assert np.isnan(values).sum() == undefined
        assert bootstrap.number(0.5, values).num_draws == 400 - undefined
    nothing = draw_numbers(bootstrap, images * [1, 0])
    assert np.isnan(nothing["auroc"]).all()
    assert bootstrap.number(None, nothing["auroc"]).low is None
    assert bootstrap.number(0.5, nothing["auroc"]).low is None


def test_known_interval_and_coverage() -> None:
    # The mean of n numbers: the bootstrap's interval is the mean ± 1.96 standard errors.
    rng = np.random.default_rng(0)
    covered = 0
    for trial in range(200):
        values = rng.normal(5, 2, 60)
        bootstrap = Bootstrap(60, num_draws=400, seed=trial)
        number = bootstrap.number(float(values.mean()), bootstrap.sums(values[:, None])[:, 0] / 60)
        assert number.low is not None
        assert number.high is not None
        covered += number.low <= 5 <= number.high
        error = values.std() / np.sqrt(60)
        assert number.high - number.low == pytest.approx(2 * 1.96 * error, rel=0.25)
    assert 0.88 <= covered / 200 <= 0.99


def test_same_seed_same_draws() -> None:
    first, second = (Bootstrap(9, num_draws=50, seed=3).weights for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert (first.sum(axis=1) == 9).all()
    assert not np.array_equal(first, Bootstrap(9, num_draws=50, seed=4).weights)


def test_paired_draws_see_a_small_constant_difference() -> None:
    rng = np.random.default_rng(0)
    hard = rng.random((30, 1))  # images differ far more than methods
    bootstrap = Bootstrap(30, num_draws=500, seed=0)
    a, b = bootstrap.sums(hard + 0.01)[:, 0] / 30, bootstrap.sums(hard)[:, 0] / 30
    assert share_better(a, b, higher_is_better=True) == 1.0
    assert share_better(a, b, higher_is_better=False) == 0.0
    assert share_better(np.array([np.nan]), np.array([1.0]), higher_is_better=True) is None
    number = bootstrap.number(0.01, a - b)
    assert number.low == pytest.approx(0.01)
    assert bootstrap.number(0.5, a).high > number.high  # type: ignore[operator]


def test_coarse_levels() -> None:
    rng = np.random.default_rng(0)
    table = rng.poisson([[40, 2]], (30_000, 2))
    table[::7] = 0
    table[500] = [90_000, 0]  # a tie of its own
    levels = coarse_levels(table)
    assert levels[0] == 0
    assert len(levels) <= 2010
    sums = np.add.reduceat(table, levels, axis=0)
    np.testing.assert_array_equal(sums.sum(axis=0), table.sum(axis=0))
    light = np.delete(sums, np.flatnonzero(levels == 500), axis=0)
    assert (light <= 2 * sums.sum(axis=0) / 1000).all()
    assert sums[levels == 500][0, 0] <= 90_000 + sums[:, 0].sum() / 1000
    few = np.array([[1, 0], [0, 0], [2, 3]])
    assert coarse_levels(few).tolist() == [0, 1, 2]
    assert coarse_levels(np.zeros((4, 2), int)).tolist() == [0]


def test_bad_arguments() -> None:
    with pytest.raises(UsageError, match="`num_images` must be at least 1; got 0"):
        Bootstrap(0)
    with pytest.raises(UsageError, match="`num_draws` must be at least 1; got 0"):
        Bootstrap(1, num_draws=0)
    with pytest.raises(UsageError, match=r"one row for each of 3 images; got \(2, 1\)"):
        Bootstrap(3).sums(np.zeros((2, 1)))
