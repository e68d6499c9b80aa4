"""The three pixel-level numbers with their bounds, and their exact form for arrays in memory.

In: operating points (from bins or from sorted scores). Out: `PixelReport`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from segood.compiled import kernels_enabled
from segood.evaluation import curves
from segood.evaluation.curves import OperatingPoints, PixelNumbers
from segood.evaluation.inputs import blocks, checked_arrays, obeys_rules, raise_for_values
from segood.evaluation.per_image import ImageMean, ImageNumbers
from segood.types import IN_DISTRIBUTION, OUT_OF_DISTRIBUTION

WARN_ABOVE = 1e-5
ANY = (-np.inf, np.inf)


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
        per_image: the same metrics of each frame alone, in order of update, if they were asked for.
        per_image_mean: their means over the frames where they are defined.
    """

    auroc: float | None
    average_precision: float | None
    fpr95: float | None
    error_bound: dict[str, float]
    num_in: int
    num_ood: int
    undefined: str | None = None
    warnings: tuple[str, ...] = field(default=())
    per_image: tuple[ImageNumbers, ...] | None = None
    per_image_mean: ImageMean | None = None


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
    score, target = checked_arrays(score, target, where)
    if not all(obeys_rules(s, t, ANY) for s, t in blocks(score, target)):
        raise_for_values(score, target, ANY, where)
    return report_on(exact_numbers(score, target))


def exact_numbers(score: np.ndarray, target: np.ndarray) -> PixelNumbers:
    """Compute the exact metrics of checked arrays."""
    known, unknown = (score[target == kind] for kind in (IN_DISTRIBUTION, OUT_OF_DISTRIBUTION))
    return curves.numbers(points_of_scores(known, unknown), binned=False)


def points_of_scores(known: np.ndarray, unknown: np.ndarray) -> OperatingPoints:
    """Return the operating points of single scores, but for those inside a run of in-distribution scores.

    Such a run lies between two neighbouring OoD scores; all of it is one step of the ROC curve to the
    right, so leaving points out there moves no metric. Sorting each kind alone and looking the few up
    among the many is several times faster than sorting all with their kinds.

    Args:
        known: (I,) scores of in-distribution pixels, any number type; integers and long floats are taken
            as float64.
        unknown: (O,) scores of OoD pixels.
    """
    short = known.dtype.kind == "f" and known.dtype.itemsize <= 4
    known, unknown = (np.sort(s.astype(np.float32 if short else np.float64)) for s in (known, unknown))
    if not len(known) or not len(unknown):
        ends = np.concatenate([known[:1], unknown[:1]])  # one point tells the counts
        return OperatingPoints.from_counts(
            ends, np.array([len(known)] * len(ends)), np.array([len(unknown)] * len(ends))
        )
    cuts = unknown[np.concatenate([[True], unknown[1:] != unknown[:-1]])]
    ood = np.diff(np.searchsorted(unknown, cuts), append=len(unknown))
    below, upto = _ranks(known, cuts)
    # Per cut, rising: the in-distribution scores below it down to the next cut, then the cut itself.
    between = below - np.concatenate([[0], upto[:-1]])
    num_in = np.append(np.stack([between, upto - below], axis=1).ravel(), len(known) - upto[-1])
    num_ood = np.append(np.stack([np.zeros_like(ood), ood], axis=1).ravel(), 0)
    # Each run goes by its lowest score, which follows the cut below it.
    lowest = known[np.minimum(np.append([0], upto), len(known) - 1)]
    thresholds = np.append(np.stack([lowest[:-1], cuts], axis=1).ravel(), lowest[-1])
    filled = (num_in > 0) | (num_ood > 0)
    return OperatingPoints.from_counts(thresholds[filled].astype(np.float64), num_in[filled], num_ood[filled])


def _ranks(values: np.ndarray, cuts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return per cut how many values lie below it, and how many do not lie above it; both are sorted."""
    if 20 * len(cuts) < len(values) or not kernels_enabled():
        return np.searchsorted(values, cuts), np.searchsorted(values, cuts, side="right")
    from segood.evaluation import pixel_kernels as kernels

    below, upto = np.empty(len(cuts), np.int64), np.empty(len(cuts), np.int64)
    kernels.ranks(values, cuts, below, upto)
    return below, upto


def report_on(numbers: PixelNumbers) -> PixelReport:
    """Return the report of some numbers, with its warnings."""
    warnings = tuple(
        f"{metric} may be off by {bound:.1e}, since a bin holds many pixels; "
        "choose a range and spacing that fit the score"
        for metric, bound in numbers.error_bound.items()
        if bound > WARN_ABOVE
    )
    return PixelReport(
        auroc=numbers.auroc,
        average_precision=numbers.average_precision,
        fpr95=numbers.fpr95,
        error_bound=numbers.error_bound,
        num_in=numbers.num_in,
        num_ood=numbers.num_ood,
        undefined=curves.undefined(numbers.num_in, numbers.num_ood),
        warnings=warnings,
    )
