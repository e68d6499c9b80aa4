"""Pixel metrics against hand-derived values, scikit-learn, and invariances."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from segood.errors import UndefinedMetricError, UsageError
from segood.evaluation.pixel import PixelMetrics
from segood.evaluation.report import PixelReport, pixel_report

SMALL = 2**12
METRICS = ("auroc", "average_precision", "fpr95")


def reference(score: np.ndarray, target: np.ndarray) -> dict[str, float]:
    score, target = score[target != 255], target[target != 255]
    # Without drop_intermediate=False scikit-learn leaves out operating points.
    fpr, tpr, _ = roc_curve(target, score, drop_intermediate=False)
    return {
        "auroc": roc_auc_score(target, score),
        "average_precision": average_precision_score(target, score),
        "fpr95": float(fpr[tpr >= 0.95].min()),
    }


def stream(score: np.ndarray, target: np.ndarray, **options: object) -> PixelMetrics:
    metrics = PixelMetrics(**options)
    metrics.update(score, target)
    return metrics


def agrees(report: PixelReport, expected: dict[str, float]) -> None:
    for metric in METRICS:
        assert abs(getattr(report, metric) - expected[metric]) <= report.error_bound[metric], metric


def crowded(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores like the entropy of a confident network: most of them within 1e-3 of 0."""
    target = (rng.random(size) < 0.05).astype(np.uint8)
    score = np.exp(-rng.gamma(np.where(target, 1.0, 6.0), 1.5, size))
    return score.astype(np.float32), target


CASES = {
    "random": lambda rng: (rng.random(3000), rng.integers(0, 2, 3000)),
    "tied": lambda rng: (rng.integers(0, 7, 3000) / 7, rng.integers(0, 2, 3000)),
    "constant": lambda rng: (np.full(500, 0.3), rng.integers(0, 2, 500)),
    "crowded": lambda rng: crowded(rng, 20_000),
    "perfect": lambda rng: (np.r_[np.linspace(0, 0.4, 50), np.linspace(0.6, 1, 50)], np.repeat([0, 1], 50)),
    "ignore": lambda rng: (rng.random(3000), rng.choice([0, 1, 255], 3000)),
}


def test_by_hand() -> None:
    # falling score   .9  .8  .7  .6  .5  .4        threshold .4 is the first with TPR ≥ .95
    # target           1   0   1   0   0   1
    # pairs won: 3 + 2 + 0 of 9; precision at the OoD pixels: 1/1, 2/3, 3/6
    report = stream(np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4]), np.array([1, 0, 1, 0, 0, 1])).compute()
    assert report.auroc == pytest.approx(5 / 9)
    assert report.average_precision == pytest.approx((1 + 2 / 3 + 1 / 2) / 3)
    assert report.fpr95 == 1.0
    assert (report.num_in, report.num_ood) == (3, 3)
    assert max(report.error_bound.values()) < 1e-11


def test_fpr95_counts_19_of_20_as_95_percent() -> None:
    score = np.r_[np.linspace(0.5, 0.9, 19), 0.1, 0.2, 0.6]
    target = np.r_[np.ones(20, int), 0, 0]
    assert stream(score, target).compute().fpr95 == 0.5


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("options", [{"spacing": "log"}, {"spacing": "linear"}], ids=str)
@pytest.mark.parametrize("num_bins", [2**10, 2**21])
def test_differs_from_scikit_learn_by_no_more_than_the_bound(case: str, options: dict, num_bins: int) -> None:
    score, target = CASES[case](np.random.default_rng(3))
    agrees(stream(score, target, num_bins=num_bins, **options).compute(), reference(score, target))
    agrees(pixel_report(score, target), reference(score, target))


def test_default_bins_are_within_1e_5_on_crowded_scores() -> None:
    score, target = crowded(np.random.default_rng(5), 300_000)
    report = stream(score, target).compute()
    expected = reference(score, target)
    assert all(abs(getattr(report, m) - expected[m]) < 1e-5 for m in METRICS)


@settings(max_examples=200)
@given(st.data(), st.sampled_from(["log", "linear"]), st.integers(2, 60))
def test_the_bound_holds_for_any_scores_in_heavy_bins(data: st.DataObject, spacing: str, size: int) -> None:
    # Few distinct values a hair apart: bins of 2^-8 hold several, in every order, with ties.
    value = st.integers(0, 12).map(lambda i: 0.5 + i / 2048)
    score = np.array(data.draw(st.lists(value, min_size=size, max_size=size)))
    target = np.array(data.draw(st.lists(st.integers(0, 1), min_size=size, max_size=size)))
    target[:2] = [0, 1]
    agrees(stream(score, target, spacing=spacing, num_bins=2**9).compute(), reference(score, target))


def test_the_average_precision_bound_is_reached() -> None:
    # Two OoD and two other pixels in one bin. Tied: 1/2. All OoD first and tied: 1, so the bound is 1/2.
    report = stream(np.full(4, 0.5), np.array([0, 0, 1, 1]), num_bins=2**9).compute()
    assert report.average_precision == 0.5
    assert report.error_bound["average_precision"] == pytest.approx(0.5)
    assert report.error_bound["auroc"] == pytest.approx(0.5)
    assert report.error_bound["fpr95"] == pytest.approx(1.0)
    assert [line.split()[0] for line in report.warnings] == list(METRICS)


def test_merging_in_any_order_and_any_split_gives_the_identical_state() -> None:
    score, target = crowded(np.random.default_rng(1), 9000)
    whole = stream(score, target, num_bins=SMALL)
    parts = [
        stream(s, t, num_bins=SMALL) for s, t in zip(np.split(score, 3), np.split(target, 3), strict=True)
    ]
    for order in itertools.permutations(parts):
        merged = PixelMetrics(num_bins=SMALL)
        for part in order:
            merged.merge(part)
        assert merged.compute() == whole.compute()
        np.testing.assert_array_equal(merged.state_dict()["num_in"], whole.state_dict()["num_in"])


def test_a_monotone_rescaling_keeps_the_metrics_within_the_bounds() -> None:
    score, target = crowded(np.random.default_rng(2), 20_000)
    plain = stream(score, target).compute()
    moved = stream(np.sqrt(score.astype(np.float64)), target).compute()
    for metric in METRICS:
        slack = plain.error_bound[metric] + moved.error_bound[metric]
        assert abs(getattr(plain, metric) - getattr(moved, metric)) <= slack


def test_swapping_the_kinds_of_pixel_and_the_sign_keeps_auroc() -> None:
    score, target = CASES["tied"](np.random.default_rng(4))
    plain = stream(score, target, spacing="linear", num_bins=701).compute()
    swapped = stream(-score, 1 - target, range=(-1.0, 0.0), spacing="linear", num_bins=701).compute()
    assert plain.auroc == pytest.approx(swapped.auroc, abs=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_tensors_count_as_arrays(dtype: torch.dtype) -> None:
    rng = np.random.default_rng(0)
    score = torch.from_numpy(rng.random((2, 8, 9))).to(dtype)
    target = torch.from_numpy(rng.integers(0, 2, (2, 8, 9)))
    expected = stream(score.double().numpy(), target.numpy()).compute()
    assert stream(score, target).compute() == expected


def test_inputs_stay_as_they_were_and_state_is_a_copy() -> None:
    score, target = np.array([[0.2, 0.7]]), np.array([[0, 1]])
    kept = score.copy(), target.copy()
    metrics = stream(score, target, num_bins=SMALL)
    np.testing.assert_array_equal(score, kept[0])
    np.testing.assert_array_equal(target, kept[1])
    metrics.state_dict()["num_in"][:] = 9
    assert metrics.compute().num_in == 1


def test_state_survives_saving_and_loading() -> None:
    metrics = stream(*CASES["random"](np.random.default_rng(0)), num_bins=SMALL)
    other = PixelMetrics(num_bins=SMALL)
    other.load_state_dict(metrics.state_dict())
    assert other.compute() == metrics.compute()


@pytest.mark.parametrize(("label", "missing"), [(0, "OoD"), (1, "in-distribution"), (255, "OoD")])
def test_metrics_are_none_where_one_kind_of_pixel_is_missing(label: int, missing: str) -> None:
    metrics = stream(np.linspace(0, 1, 10), np.full(10, label))
    report = metrics.compute()
    assert (report.auroc, report.average_precision, report.fpr95) == (None, None, None)
    assert report.error_bound == {}
    assert f"no {missing} pixel" in str(report.undefined)
    assert report.num_in + report.num_ood == (0 if label == 255 else 10)
    assert metrics.to_result(model="m", dataset="d", score="entropy").roc is None
    assert pixel_report(np.linspace(0, 1, 10), np.full(10, label)).undefined == report.undefined
    for curve in (metrics.roc_curve, metrics.pr_curve, metrics.best_f1):
        with pytest.raises(UndefinedMetricError, match=f"no {missing} pixel"):
            curve()


def test_nothing_counted_yet_is_undefined_and_has_an_empty_distribution() -> None:
    metrics = PixelMetrics(num_bins=SMALL)
    metrics.update(np.zeros((0, 4)), np.zeros((0, 4), int))
    assert "among 0 counted" in str(metrics.compute().undefined)
    assert sum(metrics.distribution().ood) == 0


OK = np.array([[0.1, 0.2]])


@pytest.mark.parametrize(
    ("score", "target", "message"),
    [
        ([[0.1, np.nan]], [[0, 1]], "frame val/7: `score` holds NaN at 1 counted pixel"),
        ([[0.1, 1.5]], [[0, 1]], r"frame val/7: `score` must lie in the range \[0, 1\].*found 1.5"),
        ([[-0.1, 0.5]], [[0, 1]], "found -0.1: pass the `range=`"),
        ([[0.1, np.inf]], [[0, 1]], "found inf"),
        ([[0.1, 0.5]], [[0, 254]], "frame val/7: `target` must hold 0, 1 or 255.*found 254"),
        ([[0.1, 0.5]], [[0], [1]], r"frame val/7: `target` must have the shape of `score`, \(1, 2\)"),
        ([[0.1, 0.5]], [[0.0, 1.0]], "`target` must hold integers; got float64"),
        ([["a", "b"]], [[0, 1]], "`score` must be floating point"),
    ],
)
def test_bad_frames_are_named_and_leave_the_counts_alone(score: list, target: list, message: str) -> None:
    metrics = stream(OK, np.array([[0, 1]]), num_bins=SMALL)
    before = metrics.compute()
    with pytest.raises(UsageError, match=message):
        metrics.update(np.array(score), np.array(target), name="val/7")
    assert metrics.compute() == before


def test_a_bad_pixel_late_in_a_large_frame_leaves_the_counts_alone() -> None:
    score = np.linspace(0, 1, 600_000)
    score[-1] = np.nan
    metrics = PixelMetrics(num_bins=SMALL)
    with pytest.raises(UsageError, match="NaN"):
        metrics.update(score, np.zeros(600_000, np.uint8))
    assert metrics.compute().num_in == 0


def test_ignored_pixels_may_hold_anything_and_rounding_is_forgiven() -> None:
    metrics = stream(np.array([np.nan, 7.0, 1.0 + 1e-7, -1e-8]), np.array([255, 255, 1, 0]))
    assert metrics.compute().auroc == 1.0


def test_other_layouts_do_not_merge_or_load() -> None:
    metrics = PixelMetrics(num_bins=SMALL)
    for other in (PixelMetrics(num_bins=2**13), PixelMetrics(num_bins=SMALL, range=(0, 2))):
        with pytest.raises(UsageError, match="only equal bin layouts merge"):
            metrics.merge(other)
        with pytest.raises(UsageError, match="only equal bin layouts merge"):
            metrics.load_state_dict(other.state_dict())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 0}, "format 1; got 0"),
        ({"num_in": np.zeros(3, int)}, "must hold 4096 counts"),
        ({"num_ood": np.full(SMALL, -1)}, "must hold 4096 counts"),
    ],
)
def test_broken_states_are_refused(change: dict, message: str) -> None:
    metrics = PixelMetrics(num_bins=SMALL)
    with pytest.raises(UsageError, match=message):
        metrics.load_state_dict(metrics.state_dict() | change)
    with pytest.raises(UsageError, match="`state` lacks num_bins"):
        metrics.load_state_dict({k: v for k, v in metrics.state_dict().items() if k != "num_bins"})
