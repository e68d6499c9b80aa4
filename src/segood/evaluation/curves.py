"""Operating points of a detector, the three pixel metrics and how far binning can move them.

In: counts of in-distribution and OoD pixels per distinct score (or per bin), falling. Out: AUROC,
average precision, FPR at 95 % TPR, rigorous error bounds, thinned curves, the best F1.

A bin counts as one tie, exactly as scikit-learn counts equal scores. The bounds hold for every order
(ties included) that the pixels inside a bin can have. For a bin with `o` OoD and `i` in-distribution
pixels after T0 and F0 higher ones:

- AUROC: each of its i·o pairs counts 1/2 and truly counts 0, 1/2 or 1.
- FPR95: the true operating point lies in the same bin, hence at least F0 / num_in.
- AP: each OoD pixel's precision is at most (T0+o)/(T0+o+F0), and that of the j-th is at least
  (T0+j)/(T0+j+F0+i); since 1/x is convex, the sum of the latter over j is at least
  o - F·ln(1 + o/(T0+F+1/2)) with F = F0+i.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from segood.errors import UndefinedMetricError
from segood.evaluation.results import Curve

ROUNDING = 1e-12
"""Added to every bound for floating-point rounding, ours and the reference's."""

METRICS = ("auroc", "average_precision", "fpr95")


def _as_they_are(thresholds: np.ndarray) -> np.ndarray:
    return thresholds


@dataclass(frozen=True)
class OperatingPoints:
    """All distinct operating points, by falling threshold; a pixel is OoD if score ≥ threshold.

    Attributes:
        thresholds: (P,) strictly falling; scores, or whatever `to_score` makes scores of.
        tp: (P,) int64, OoD pixels at or above the threshold.
        fp: (P,) int64, in-distribution pixels at or above the threshold.
        to_score: thresholds -> float64 scores; only asked for the few that are shown.
    """

    thresholds: np.ndarray
    tp: np.ndarray
    fp: np.ndarray
    to_score: Callable[[np.ndarray], np.ndarray] = _as_they_are

    @classmethod
    def from_counts(
        cls,
        thresholds: np.ndarray,
        num_in: np.ndarray,
        num_ood: np.ndarray,
        to_score: Callable[[np.ndarray], np.ndarray] = _as_they_are,
    ) -> OperatingPoints:
        """Accumulate counts given by *rising* threshold."""
        return cls(thresholds[::-1], np.cumsum(num_ood[::-1]), np.cumsum(num_in[::-1]), to_score)

    def with_points(self, extra: list[tuple[float, int, int]]) -> OperatingPoints:
        """Return these points, whose thresholds are bins, and others on the same curve.

        Args:
            extra: score, tp and fp of each.
        """
        thresholds, tp, fp = self.thresholds.astype(np.int64), self.tp, self.fp
        for number, (_, hits, alarms) in enumerate(extra):
            at = int(np.searchsorted(tp + fp, hits + alarms))
            if tp[at] + fp[at] == hits + alarms:
                thresholds[at] = -1 - number
            else:
                thresholds, tp, fp = (
                    np.insert(array, at, value)
                    for array, value in ((thresholds, -1 - number), (tp, hits), (fp, alarms))
                )
        scores = np.array([threshold for threshold, _, _ in extra])

        def to_score(chosen: np.ndarray) -> np.ndarray:
            own = self.to_score(np.maximum(chosen, 0))
            return np.where(chosen < 0, scores[np.maximum(-1 - chosen, 0)], own)

        return OperatingPoints(thresholds, tp, fp, to_score)

    @property
    def num_in(self) -> int:
        """In-distribution pixels in all."""
        return int(self.fp[-1]) if len(self.fp) else 0

    @property
    def num_ood(self) -> int:
        """OoD pixels in all."""
        return int(self.tp[-1]) if len(self.tp) else 0

    def check_defined(self) -> None:
        """Raise `UndefinedMetricError` where `undefined` has something to say."""
        reason = undefined(self.num_in, self.num_ood)
        if reason:
            raise UndefinedMetricError(reason)


def undefined(num_in: int, num_ood: int) -> str | None:
    """Say why the metrics of so many pixels have no value, or return None where they have one."""
    missing = "OoD" if not num_ood else "in-distribution" if not num_in else None
    if missing is None:
        return None
    total = num_in + num_ood
    return f"auroc, average_precision and fpr95 are undefined: no {missing} pixel among {total} counted"


@dataclass(frozen=True)
class PixelNumbers:
    """The three metrics and their bounds, as in `PixelReport`; None where a kind of pixel is missing."""

    num_in: int
    num_ood: int
    auroc: float | None = None
    average_precision: float | None = None
    fpr95: float | None = None
    error_bound: dict[str, float] = field(default_factory=dict)


def numbers(points: OperatingPoints, *, binned: bool) -> PixelNumbers:
    """Return the metrics of operating points; `binned` tells whether bins can have moved them."""
    if not points.num_in or not points.num_ood:
        return PixelNumbers(points.num_in, points.num_ood)
    bounds = error_bounds(points) if binned else dict.fromkeys(METRICS, ROUNDING)
    values = (auroc(points), average_precision(points), fpr95(points))
    return PixelNumbers(points.num_in, points.num_ood, *values, error_bound=bounds)


def auroc(points: OperatingPoints) -> float:
    """Return the area under the ROC curve (trapezoids, so a tie counts one half)."""
    _, o, tp0, i, _ = _steps(points)
    return float(np.sum(i * (tp0 + 0.5 * o)) / (float(points.num_in) * points.num_ood))


def average_precision(points: OperatingPoints) -> float:
    """Return the sum of recall steps times precision (scikit-learn's `average_precision_score`)."""
    tp, o, _, _, _ = _steps(points)
    return float(np.sum(o * tp / (tp + points.fp)) / points.num_ood)


def fpr95(points: OperatingPoints) -> float:
    """Return the smallest FPR among operating points with TPR ≥ 0.95."""
    return float(points.fp[_first_at_95(points)] / points.num_in)


def error_bounds(points: OperatingPoints) -> dict[str, float]:
    """Return by how much each metric of the pixels themselves can differ from that of the bins."""
    tp, o, tp0, i, fp0 = _steps(points)
    fp, at = points.fp.astype(np.float64), _first_at_95(points)
    highest = np.divide(o * tp, tp + fp0, out=np.zeros_like(o), where=o > 0)
    lowest = o - fp * np.log1p(o / (tp0 + fp + 0.5))
    lowest = np.where(o == 1, tp / (tp + fp), lowest)
    tied = o * tp / (tp + fp)
    ap = max(np.sum(highest - tied), np.sum(tied - lowest)) / points.num_ood
    bounds = {
        "auroc": 0.5 * np.sum(i * o) / (float(points.num_in) * points.num_ood),
        "average_precision": ap,
        "fpr95": i[at] / points.num_in,
    }
    return {name: float(bound) + ROUNDING for name, bound in bounds.items()}


def roc_curve(points: OperatingPoints, max_points: int) -> Curve:
    """Return at most `max_points` (FPR, TPR) points, among them (0, 0), (1, 1) and the one of FPR95."""
    points.check_defined()
    x = np.concatenate([[0.0], points.fp / points.num_in])
    y = np.concatenate([[0.0], points.tp / points.num_ood])
    chosen = _thinned(x, y, max_points, keep=_first_at_95(points) + 1)
    thresholds = points.to_score(points.thresholds[np.maximum(chosen - 1, 0)]).astype(np.float64)
    # A finite number above every score, because JSON has no infinity.
    thresholds[0] = np.nextafter(thresholds[0], np.inf)
    return Curve(x[chosen].tolist(), y[chosen].tolist(), thresholds.tolist())


def pr_curve(points: OperatingPoints, max_points: int) -> Curve:
    """Return at most `max_points` (recall, precision) points, among them the ends and that of the best F1."""
    points.check_defined()
    tp, fp = points.tp, points.fp
    x, y = tp / points.num_ood, tp / (tp + fp)
    chosen = _thinned(x, y, max_points, keep=_best_f1(points))
    thresholds = points.to_score(points.thresholds[chosen])
    return Curve(x[chosen].tolist(), y[chosen].tolist(), thresholds.tolist())


@dataclass(frozen=True)
class BestF1:
    """The operating point with the highest F1; a pixel is OoD if score ≥ `threshold`."""

    threshold: float
    f1: float
    precision: float
    recall: float


def best_f1(points: OperatingPoints) -> BestF1:
    """Return the operating point of the highest F1; of equals the one with the highest threshold."""
    points.check_defined()
    at = _best_f1(points)
    tp, fp, total = int(points.tp[at]), int(points.fp[at]), points.num_ood
    (threshold,) = points.to_score(points.thresholds[at : at + 1])
    return BestF1(float(threshold), 2 * tp / (tp + fp + total), tp / (tp + fp), tp / total)


def _best_f1(points: OperatingPoints) -> int:
    return int(np.argmax(2 * points.tp / (points.tp + points.fp + points.num_ood)))


def _steps(points: OperatingPoints) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return tp, its step, its value before the step; fp's step and value before; all float64."""
    tp, fp = points.tp, points.fp
    o, i = np.diff(tp, prepend=0), np.diff(fp, prepend=0)
    steps = [array.astype(np.float64) for array in (tp, o, tp - o, i, fp - i)]
    return steps[0], steps[1], steps[2], steps[3], steps[4]


def needed_at_95(num_ood: int) -> int:
    """Return from how many OoD pixels on TPR ≥ 95 %; in integers, because 0.95 is no binary fraction."""
    return -(-19 * num_ood // 20)


def _first_at_95(points: OperatingPoints) -> int:
    return int(np.searchsorted(points.tp, needed_at_95(points.num_ood)))


def _thinned(x: np.ndarray, y: np.ndarray, max_points: int, keep: int) -> np.ndarray:
    """Choose points evenly along the curve's length; return their indices, rising."""
    if len(x) <= max(max_points, 3):
        return np.arange(len(x))
    length = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))])
    marks = np.linspace(0.0, length[-1], max(max_points, 3) - 1)
    chosen = np.searchsorted(length, marks).clip(0, len(x) - 1)
    return np.unique(np.concatenate([[0], chosen[1:-1], [len(x) - 1, keep]]))
