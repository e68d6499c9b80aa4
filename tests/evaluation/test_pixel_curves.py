"""Curves, best F1 and distribution: their points are operating points of the unthinned data."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_recall_curve, roc_curve

from segood.evaluation.pixel import PixelMetrics

RNG = np.random.default_rng(0)
TARGET = (RNG.random(20_000) < 0.1).astype(int)
# Multiples of 1/4096 lie on bin edges, so thresholds equal scores exactly.
SCORE = np.round(np.clip(RNG.normal(0.4 + 0.2 * TARGET, 0.15), 0, 0.999) * 4096) / 4096


@pytest.fixture(scope="module")
def metrics() -> PixelMetrics:
    metrics = PixelMetrics()
    metrics.update(SCORE, TARGET)
    return metrics


def test_full_curves_equal_scikit_learn(metrics: PixelMetrics) -> None:
    fpr, tpr, thresholds = roc_curve(TARGET, SCORE, drop_intermediate=False)
    curve = metrics.roc_curve(max_points=10**6)
    np.testing.assert_allclose(curve.x, fpr)
    np.testing.assert_allclose(curve.y, tpr)
    np.testing.assert_array_equal(curve.thresholds[1:], thresholds[1:])
    precision, recall, thresholds = precision_recall_curve(TARGET, SCORE)
    curve = metrics.pr_curve(max_points=10**6)
    np.testing.assert_allclose(curve.x[::-1], recall[:-1])
    np.testing.assert_allclose(curve.y[::-1], precision[:-1])
    np.testing.assert_array_equal(curve.thresholds[::-1], thresholds)


@pytest.mark.parametrize("kind", ["roc_curve", "pr_curve"])
@pytest.mark.parametrize("max_points", [3, 50, 500])
def test_thinning_keeps_ends_and_moves_no_point(metrics: PixelMetrics, kind: str, max_points: int) -> None:
    full = getattr(metrics, kind)(10**6)
    thin = getattr(metrics, kind)(max_points)
    everything = set(zip(full.thresholds, full.x, full.y, strict=True))
    kept = list(zip(thin.thresholds, thin.x, thin.y, strict=True))
    assert len(kept) <= max_points
    assert set(kept) <= everything
    assert (thin.x[0], thin.y[0], thin.x[-1], thin.y[-1]) == (full.x[0], full.y[0], full.x[-1], full.y[-1])
    assert (np.diff(thin.thresholds) < 0).all()


def test_thin_roc_curve_passes_through_fpr95_and_encloses_the_area(metrics: PixelMetrics) -> None:
    report, curve = metrics.compute(), metrics.roc_curve(200)
    assert report.fpr95 in curve.x
    assert curve.y[curve.x.index(report.fpr95)] >= 0.95
    area = np.sum(np.diff(curve.x) * (np.array(curve.y)[1:] + np.array(curve.y)[:-1])) / 2
    assert area == pytest.approx(report.auroc, abs=1e-4)


def test_best_f1_is_the_best_of_all_thresholds(metrics: PixelMetrics) -> None:
    best = metrics.best_f1()
    precision, recall, thresholds = precision_recall_curve(TARGET, SCORE)
    f1 = 2 * precision[:-1] * recall[:-1] / (precision[:-1] + recall[:-1])
    assert best.f1 == pytest.approx(f1.max())
    assert best.threshold == thresholds[np.argmax(f1)]
    assert f1_score(TARGET, best.threshold <= SCORE) == pytest.approx(best.f1)
    assert 2 / (1 / best.precision + 1 / best.recall) == pytest.approx(best.f1)


def test_distribution_equals_a_histogram_where_edges_are_bin_edges(metrics: PixelMetrics) -> None:
    found = metrics.distribution(num_bins=64)
    expected, edges = np.histogram(SCORE[TARGET == 0], bins=64, range=(0, 1))
    assert found.in_distribution == expected.tolist()
    assert found.ood == np.histogram(SCORE[TARGET == 1], bins=64, range=(0, 1))[0].tolist()
    np.testing.assert_allclose(found.edges, edges)
    assert sum(metrics.distribution(num_bins=7).ood) == TARGET.sum()


def test_to_result_carries_everything(metrics: PixelMetrics) -> None:
    result, report = (
        metrics.to_result(model="after", dataset="x", score="entropy", max_points=20),
        metrics.compute(),
    )
    assert (result.auroc, result.average_precision, result.fpr95) == (
        report.auroc,
        report.average_precision,
        report.fpr95,
    )
    assert result.roc == metrics.roc_curve(20)
    assert result.pr == metrics.pr_curve(20)
    assert result.undefined is None
