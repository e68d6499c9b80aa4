"""Pixel counts per distinct score: the whole truth about the ranking, in bounded memory.

In: score maps and targets (0 in-distribution, 1 OoD, 255 ignore), or counts per code. Out: `ScoreCounts`,
of which AUROC, average precision, FPR95, curves, the best F1 threshold and the distribution are made.
Counts add up, in any order. float16 has 63,487 different numbers, so no set of maps has more.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64

from segood.errors import UndefinedMetricError, UsageError
from segood.evaluation import curves
from segood.evaluation.curves import OperatingPoints, PixelNumbers
from segood.evaluation.map_checks import checked_frame, raise_for_frame
from segood.evaluation.results import Distribution
from segood.evaluation.score_codes import HalfCodes, ScoreCodes, as_half
from segood.evaluation.score_levels import level_bounds
from segood.types import IGNORE, IN_DISTRIBUTION, OUT_OF_DISTRIBUTION

_HALF = np.dtype(np.float16)
_TAIL = 0.001
_FILLED = 0.1


@dataclass(frozen=True, eq=False)
class ScoreCounts:
    """Pixels per distinct score, or per level where `exact` is False.

    Attributes:
        scores: (K,) rising; the lowest of each level.
        num_in, num_ood: (K,) in-distribution and OoD pixels.
        exact: all pixels counted together have one score.
        single: (K,) bool, levels of one score only; None where all are.
        dtype: type of the scores before they were counted.

    Example:
        >>> counts = ScoreCounts.of(np.array([[0.5, 0.5, 2.0]], np.float16), np.array([[0, 1, 1]], np.uint8))
        >>> both = counts + counts
        >>> both.scores, both.num_in, both.num_ood, both.numbers().auroc
        (array([0.5, 2. ]), array([2, 0]), array([2, 2]), 0.75)
    """

    scores: Float64[np.ndarray, " k"]
    num_in: Int64[np.ndarray, " k"]
    num_ood: Int64[np.ndarray, " k"]
    exact: bool = True
    dtype: np.dtype = _HALF
    single: Bool[np.ndarray, " k"] | None = None

    @classmethod
    def of(cls, score: Any, target: Any, name: str | None = None) -> ScoreCounts:
        """Count the pixels of one frame.

        Args:
            score: (H,W) floating point, higher = more OoD, finite at counted pixels. float16 is counted in
                milliseconds; wider types that float16 cannot hold are sorted.
            target: same shape: 0 in-distribution, 1 OoD, 255 ignore.
            name: what an error calls the frame.

        Raises:
            UsageError: shapes differ, another target value, NaN or infinity at counted pixels.
        """
        score, target = checked_frame(score, target, name)
        half = as_half(score)
        if half is not None:
            codes = HalfCodes()
            counted = codes.count(half, target)
            if counted is None:
                raise_for_frame(score, target, name)
                raise AssertionError("counting and checking disagree")
            return cls.of_table(counted[1], codes, score.dtype)
        raise_for_frame(score, target, name)
        kept = target != IGNORE
        values, places = np.unique(score[kept], return_inverse=True)
        kinds = target[kept]
        num_in, num_ood = (
            np.bincount(places[kinds == kind], minlength=len(values))
            for kind in (IN_DISTRIBUTION, OUT_OF_DISTRIBUTION)
        )
        return cls(values.astype(np.float64), num_in, num_ood, True, score.dtype)

    @classmethod
    def of_table(
        cls, table: Int64[np.ndarray, "k 2"], codes: ScoreCodes, dtype: np.dtype | None = None
    ) -> ScoreCounts:
        """Take the counts per code of `ScoreCodes.count`, or a sum of such."""
        filled = np.flatnonzero(table[:, 0] + table[:, 1])
        counts = table[filled]
        single = None if codes.exact else codes.single[filled]
        return cls(
            codes.values[filled], counts[:, 0], counts[:, 1], codes.exact, dtype or codes.dtype, single
        )

    def __add__(self, other: ScoreCounts) -> ScoreCounts:
        """Return the counts of both.

        Raises:
            UsageError: one of both holds levels, which need not be those of the other.
        """
        if not (self.exact and other.exact):
            raise UsageError("only exact counts add up; count all frames with the same levels instead")
        scores = np.union1d(self.scores, other.scores)
        sums = np.zeros((2, len(scores)), np.int64)
        for part in (self, other):
            places = np.searchsorted(scores, part.scores)
            sums[0, places] += part.num_in
            sums[1, places] += part.num_ood
        dtype = np.result_type(self.dtype, other.dtype)
        return ScoreCounts(scores, sums[0], sums[1], True, dtype)

    def points(self) -> OperatingPoints:
        """Return all operating points, for `curves`."""
        return OperatingPoints.from_counts(self.scores, self.num_in, self.num_ood)

    def numbers(self) -> PixelNumbers:
        """Return AUROC, average precision and FPR95, with error bounds where the counts are not exact."""
        points = self.points()
        found = curves.numbers(points, binned=False)
        if self.exact or self.single is None or found.auroc is None:
            return found
        return dataclasses.replace(found, error_bound=level_bounds(points, self.single[::-1]))

    def best_f1_threshold(self) -> float:
        """Return the t for which `score > t` has the best pixel F1: the next score below the best cut.

        Of equally good cuts the highest is taken, as in `smiyc_segment_metrics`. With levels, only cuts
        between them are tried.

        Raises:
            UndefinedMetricError: no OoD pixel.
        """
        points = self.points()
        if not points.num_ood:
            raise UndefinedMetricError(
                "best pixel F1 is undefined: no frame has an OoD pixel; give `threshold`"
            )
        best = int(np.argmax(2 * points.tp / (points.tp + points.fp + points.num_ood)))
        if self.exact and best + 1 < len(points.thresholds):
            return float(points.thresholds[best + 1])
        return float(np.nextafter(self.dtype.type(points.thresholds[best]), self.dtype.type(-np.inf)))

    def default_range(self) -> tuple[float, float]:
        """Return the range that makes a readable picture of the distribution.

        It is (0, 1) for scores inside it, unless the highest stays below 0.1; otherwise it reaches from the
        lower of both kinds' 0.1 % quantiles to the higher of their 99.9 % quantiles.
        """
        if not len(self.scores):
            return 0.0, 1.0
        if self.scores[0] >= 0 and _FILLED <= self.scores[-1] <= 1:
            return 0.0, 1.0
        ends = []
        for counts in (self.num_in, self.num_ood):
            total = np.cumsum(counts)
            if total[-1]:
                places = np.searchsorted(total, [_TAIL * total[-1], (1 - _TAIL) * total[-1]])
                ends.append(self.scores[np.minimum(places, len(total) - 1)])
        low, high = float(np.min(ends)), float(np.max(ends))
        return (low, high) if low < high else (low - 0.5, high + 0.5)

    def distribution(self, num_bins: int = 100, range: tuple[float, float] | None = None) -> Distribution:
        """Return pixel counts in equally wide bins, for violin plots.

        Args:
            num_bins: at least 1.
            range: lowest and highest edge; what lies outside counts to the bin at the end. `default_range` if
                not given.

        Raises:
            UsageError: no bin, or an empty range.
        """
        low, high = range or self.default_range()
        if num_bins < 1 or not low < high:
            raise UsageError(
                f"`num_bins` must be at least 1 and `range` rise; got {num_bins} and ({low:g}, {high:g})"
            )
        edges = np.linspace(low, high, num_bins + 1)
        bins = (np.searchsorted(edges, self.scores, side="right") - 1).clip(0, num_bins - 1)
        counts = [np.bincount(bins, part, num_bins).astype(np.int64) for part in (self.num_in, self.num_ood)]
        return Distribution(edges.tolist(), counts[0].tolist(), counts[1].tolist())
