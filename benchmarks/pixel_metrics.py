"""AUROC, average precision and FPR95 of 20 million pixels, against scikit-learn's three calls on the same."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from benchmarks.inputs import pixel_scores
from benchmarks.measure import as_bytes, as_time, compare
from benchmarks.memory import Work, cost
from benchmarks.results import Requirement
from segood.evaluation import PixelMetrics
from segood.evaluation.report import PixelReport

PIXELS, QUICK_PIXELS = 20_000_000, 20_000
LIMIT_MB = 64


def measure(quick: bool = False) -> list[Requirement]:
    """Measure time, difference and memory."""
    pixels = QUICK_PIXELS if quick else PIXELS
    score, target = pixel_scores(pixels)
    truth: list[tuple[float, float, float]] = []
    # scikit-learn takes so long that one run has to do, and is slow enough that one is precise.
    times = compare(
        lambda: report(score, target),
        lambda: truth.append(reference(score, target)),
        rounds=3 if quick else 15,
        peer_runs=1,
    )
    found = report(score, target)
    ours = (found.auroc, found.average_precision, found.fpr95)
    difference = max(abs(float(a or 0) - b) for a, b in zip(ours, truth[0], strict=True))
    low, high = times.spread
    return [
        Requirement(
            f"AUROC + AP + FPR95 of {pixels / 1e6:g} M pixels",
            as_time(times.our_median),
            f"scikit-learn's three calls: {as_time(times.peer_median)}",
            1 / times.ratio,
            200,
            "× faster",
            at_least=True,
            spread=(1 / high, 1 / low),
            note="scikit-learn runs once",
        ),
        Requirement(
            "pixel metrics: largest difference to scikit-learn",
            f"bound stated: {max(found.error_bound.values()):.1e}",
            "exact on all pixels",
            difference,
            1e-5,
        ),
        _memory(pixels, quick),
    ]


def report(score: np.ndarray, target: np.ndarray) -> PixelReport:
    """Return our numbers."""
    metrics = PixelMetrics()
    metrics.update(score, target)
    return metrics.compute()


def reference(score: np.ndarray, target: np.ndarray) -> tuple[float, float, float]:
    """Return scikit-learn's AUROC, average precision and FPR95."""
    auroc = float(roc_auc_score(target, score))
    precision = float(average_precision_score(target, score))
    false_positive_rate, true_positive_rate, _ = roc_curve(target, score, drop_intermediate=False)
    return auroc, precision, float(false_positive_rate[true_positive_rate >= 0.95].min())


def prepare(pixels: int) -> Work:
    """Make pixels and the call on them; the state is made inside the call, and counts."""
    score, target = pixel_scores(pixels)
    return Work(lambda: report(score, target), lambda: report(score[:1000], target[:1000]))


def prepare_peer(pixels: int) -> Work:
    """Make pixels and scikit-learn's calls on them."""
    score, target = pixel_scores(pixels)
    return Work(lambda: reference(score, target), lambda: reference(score[:1000], target[:1000]))


def _memory(pixels: int, quick: bool) -> Requirement:
    ours = cost(prepare, pixels, runs=0, reuse=quick).peak_bytes
    few = pixels // 10
    peer = cost(prepare_peer, few, runs=0, reuse=quick).peak_bytes
    return Requirement(
        f"pixel metrics: peak extra memory, {pixels / 1e6:g} M pixels",
        as_bytes(ours),
        f"scikit-learn, {few / 1e6:g} M pixels: {as_bytes(peer)}",
        ours / 1e6,
        LIMIT_MB,
        " MB",
        note="state and whatever else the call allocates",
    )
