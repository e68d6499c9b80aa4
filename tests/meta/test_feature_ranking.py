"""The LARS path: order by hand, its end against least squares, columns that cannot enter."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from segood.errors import UndefinedMetricError
from segood.meta import lars_path


def test_orthogonal_columns_enter_by_their_correlation() -> None:
    # All 8 combinations of ±1, twice. Covariance with the labels: a 3+2, b 1+2, c 1+0, each over 16.
    a, b, c = np.tile(np.array(np.meshgrid([1, -1], [1, -1], [1, -1], indexing="ij")).reshape(3, 8), 2)
    labels = np.array([1, 1, 1, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0], bool)
    ranking = lars_path(pd.DataFrame({"c": c, "b": b, "a": a}), labels)
    assert ranking.order == ("a", "b", "c")
    np.testing.assert_allclose(ranking.alphas[:3], [5 / 16, 3 / 16, 1 / 16])


def test_the_path_starts_at_zero_and_ends_at_least_squares() -> None:
    rng = np.random.default_rng(0)
    features = pd.DataFrame(rng.normal(size=(100, 4)), columns=list("abcd"))
    labels = features["a"] + 0.3 * features["c"] + rng.normal(size=100) > 0
    ranking = lars_path(features, labels)
    assert ranking.order[0] == "a"
    assert ranking.coefficients.shape == (4, 5)
    assert (ranking.coefficients[0] == 0).all()
    scaled = (features - features.mean()) / features.std(ddof=0)
    expected = np.linalg.lstsq(scaled.to_numpy(), (labels - labels.mean()).to_numpy(), rcond=None)[0]
    np.testing.assert_allclose(ranking.coefficients[4], expected)
    assert (ranking.num_segments, ranking.num_false_positives) == (100, labels.sum())


def test_rescaling_a_feature_keeps_the_path() -> None:
    rng = np.random.default_rng(1)
    features = pd.DataFrame(rng.normal(size=(60, 3)), columns=list("abc"))
    labels = rng.random(60) < 0.4
    plain, moved = lars_path(features, labels), lars_path(features * [1e6, 1, -1e-6] + 3, labels)
    assert plain.order == moved.order
    np.testing.assert_allclose(plain.coefficients.abs(), moved.coefficients.abs(), atol=1e-8)


def test_constant_and_collinear_columns_are_left_out_without_a_warning() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(2, 50))
    ranking = lars_path(pd.DataFrame({"a": a, "twice": 2 * a, "b": b, "flat": 1.0}), a + b > 0.2)
    assert "flat" in ranking.left_out
    assert len({"a", "twice"} & set(ranking.left_out)) == 1
    assert set(ranking.order) | set(ranking.left_out) == {"a", "twice", "b", "flat"}


def test_sums_of_other_columns_are_left_out() -> None:
    rng = np.random.default_rng(3)
    interior, boundary, noise = rng.normal(size=(3, 80))
    table = pd.DataFrame(
        {"size": interior + boundary, "interior": interior, "boundary": boundary, "noise": noise}
    )
    labels = interior + 0.5 * boundary + rng.normal(size=80) > 0
    ranking = lars_path(table, labels)
    assert set(ranking.order) | set(ranking.left_out) == set(table)
    assert len({"size", "interior", "boundary"} & set(ranking.order)) == 2
    assert ranking.coefficients.abs().to_numpy().max() < 1
    assert ranking.coefficients.shape == (4, len(ranking.order) + 1) == (4, len(ranking.alphas))


def test_one_kind_of_segment_has_no_ranking() -> None:
    with pytest.raises(UndefinedMetricError, match="all 3 segments have the same label"):
        lars_path(np.eye(3), [True, True, True])
