"""The three pixel-level numbers with their bounds, and their exact form for arrays in memory.

In: operating points (from bins or from sorted scores). Out: `PixelReport`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from segood.evaluation import curves
from segood.evaluation.curves import OperatingPoints
from segood.evaluation.inputs import check_values, flat_arrays
from segood.types import IGNORE, OUT_OF_DISTRIBUTION

WARN_ABOVE = 1e-5


@dataclass(frozen=True)
class PixelReport:
    """The pixel-level numbers of one score.

    Attributes:
        auroc: area under the ROC curve, None where undefined.
        average_precision: area under the PR curve as recall steps times precision, or None.
        fpr95: smallest false positive rate among operating points with TPR ≥ 0.95, or None.
        error_bound: for each defined metric the largest possible distance to its value on the
            unbinned scores.
        num_in: counted in-distribution pixels.
        num_ood: counted OoD pixels.
        undefined: which metrics have no value and why, or None.
        warnings: one line per metric whose bound exceeds 1e-5 (many pixels share a bin).
    """

    auroc: float | None
    average_precision: float | None
    fpr95: float | None
    error_bound: dict[str, float]
    num_in: int
    num_ood: int
    undefined: str | None = None
    warnings: tuple[str, ...] = field(default=())


def pixel_report(score: Any, target: Any, name: str | None = None) -> PixelReport:
    """Compute the exact metrics of scores in memory, by sorting; meant for single frames.

    Args:
        score: any shape, array or tensor, finite at counted pixels; higher = more OoD.
        target: same shape: 0 in-distribution, 1 OoD, 255 ignore.
        name: what an error calls the frame.

    Returns:
        The metrics, with bounds that cover floating-point rounding only.

    Raises:
        UsageError: as `PixelMetrics.update`.

    Example:
        >>> pixel_report(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1])).auroc
        0.75
    """
    where = f"frame {name}: " if name else ""
    score, target = flat_arrays(score, target, where)
    check_values(score, target, (-np.inf, np.inf), where)
    counted = target != IGNORE
    values, index = np.unique(score[counted], return_inverse=True)
    is_ood = target[counted] == OUT_OF_DISTRIBUTION
    ood = np.bincount(index[is_ood], minlength=len(values))
    num = np.bincount(index, minlength=len(values))
    return report_on(OperatingPoints.from_counts(values.astype(np.float64), num - ood, ood), binned=False)


def report_on(points: OperatingPoints, *, binned: bool) -> PixelReport:
    """Compute the metrics from operating points; `binned` tells whether bins can have moved them."""
    undefined = points.undefined()
    if undefined:
        return PixelReport(None, None, None, {}, points.num_in, points.num_ood, undefined)
    bounds = curves.error_bounds(points)
    if not binned:
        bounds = dict.fromkeys(bounds, curves.ROUNDING)
    warnings = tuple(
        f"{metric} may be off by {bound:.1e}, since a bin holds many pixels; "
        "choose a range and spacing that fit the score"
        for metric, bound in bounds.items()
        if bound > WARN_ABOVE
    )
    return PixelReport(
        auroc=curves.auroc(points),
        average_precision=curves.average_precision(points),
        fpr95=curves.fpr95(points),
        error_bound=bounds,
        num_in=points.num_in,
        num_ood=points.num_ood,
        warnings=warnings,
    )
