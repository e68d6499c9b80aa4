"""Pixel-level metrics over a whole data set, streamed in constant memory.

In: score maps and targets (0 in-distribution, 1 OoD, 255 ignore), frame by frame. Out: AUROC, average
precision and FPR at 95 % TPR over all counted pixels, each with a rigorous error bound; curves and
the distribution of the score. No pixel is stored: only integer counts per bin, so the order of
frames and merges cannot change a result.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from segood.errors import UsageError
from segood.evaluation import curves
from segood.evaluation.bins import DEFAULT_NUM_BINS, BinLayout
from segood.evaluation.curves import BestF1, OperatingPoints
from segood.evaluation.inputs import check_values, chunks, flat_arrays
from segood.evaluation.report import PixelReport, report_on
from segood.evaluation.results import Curve, Distribution, PixelResult
from segood.types import IN_DISTRIBUTION, OUT_OF_DISTRIBUTION

FORMAT = 1


class PixelMetrics:
    """Stream score maps into pixel-level metrics.

    Args:
        range: lowest and highest possible score; every score recommends its own.
        spacing: "linear", or "log" for scores that crowd near the lower end (`evaluation.bins`).
        num_bins: number of bins; the state is 16 bytes each (33.5 MB by default), however many
            pixels follow.

    Raises:
        UsageError: a range, spacing or number of bins that cannot be.

    Example:
        >>> metrics = PixelMetrics(range=(0.0, 1.0), spacing="log")
        >>> metrics.update(np.array([[0.1, 0.4], [0.35, 0.8]]), np.array([[0, 0], [1, 1]]))
        >>> report = metrics.compute()
        >>> report.auroc, round(report.average_precision, 4), report.fpr95, report.num_ood
        (0.75, 0.8333, 0.5, 2)
    """

    def __init__(
        self,
        range: tuple[float, float] = (0.0, 1.0),
        spacing: str = "log",
        num_bins: int = DEFAULT_NUM_BINS,
    ) -> None:
        self.layout = BinLayout(range, spacing, num_bins)
        self._in = np.zeros(num_bins, np.int64)
        self._ood = np.zeros(num_bins, np.int64)

    def update(self, score: Any, target: Any, name: str | None = None) -> None:
        """Count the pixels of one or more frames.

        Args:
            score: any shape, array or tensor on any device; higher = more OoD; inside `range` (up
                to 1e-6 of its width is taken as rounding). Ignored pixels may hold anything.
            target: same shape, integer or bool: 0 in-distribution, 1 OoD, 255 ignore.
            name: what an error calls the frame, for example its sample id.

        Raises:
            UsageError: shapes differ, another target value, a NaN, a score outside the range; the
                counts are then as before.
        """
        where = f"frame {name}: " if name else ""
        score, target = flat_arrays(score, target, where)
        for scores, targets in chunks(score, target):
            check_values(scores, targets, self.layout.range, where)
        for scores, targets in chunks(score, target):
            self._count(self._in, scores[targets == IN_DISTRIBUTION])
            self._count(self._ood, scores[targets == OUT_OF_DISTRIBUTION])

    def merge(self, other: PixelMetrics) -> PixelMetrics:
        """Add the counts of `other`, which stays as it is; return self.

        Raises:
            UsageError: the layouts differ.
        """
        self._check_layout(other.layout)
        self._in += other._in
        self._ood += other._ood
        return self

    def state_dict(self) -> dict[str, Any]:
        """Return everything as plain data: format, layout, and the counts as int64 arrays (copies)."""
        layout = self.layout
        return {
            "format": FORMAT,
            "range": list(layout.range),
            "spacing": layout.spacing,
            "num_bins": layout.num_bins,
            "num_in": self._in.copy(),
            "num_ood": self._ood.copy(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Replace the counts by those that `state_dict` returned.

        Raises:
            UsageError: another format, a missing entry, another layout, counts that cannot be.
        """
        if state.get("format") != FORMAT:
            raise UsageError(
                f"`state` must be a pixel metric state of format {FORMAT}; got {state.get('format')!r}"
            )
        missing = [key for key in ("range", "spacing", "num_bins", "num_in", "num_ood") if key not in state]
        if missing:
            raise UsageError(f"`state` lacks {', '.join(missing)}; pass what `state_dict()` returned")
        self._check_layout(BinLayout(tuple(state["range"]), state["spacing"], int(state["num_bins"])))
        loaded = [np.array(state[key]) for key in ("num_in", "num_ood")]
        for counts in loaded:
            if counts.shape != self._in.shape or counts.dtype.kind not in "iu" or counts.min() < 0:
                raise UsageError(
                    f"`state` must hold {self.layout.num_bins} counts ≥ 0 for each kind of pixel"
                )
        self._in, self._ood = (counts.astype(np.int64) for counts in loaded)

    def compute(self) -> PixelReport:
        """Return the metrics; without OoD or without in-distribution pixels they are None (`undefined`)."""
        return report_on(self._points(), binned=True)

    def roc_curve(self, max_points: int = 1000) -> Curve:
        """Return the ROC curve, thinned: the points that stay lie exactly where they were.

        Raises:
            UndefinedMetricError: no OoD or no in-distribution pixel.
        """
        return curves.roc_curve(self._points(), max_points)

    def pr_curve(self, max_points: int = 1000) -> Curve:
        """Return the precision-recall curve, thinned likewise (no artificial point at recall 0).

        Raises:
            UndefinedMetricError: no OoD or no in-distribution pixel.
        """
        return curves.pr_curve(self._points(), max_points)

    def best_f1(self) -> BestF1:
        """Return the operating point of the highest pixel F1; its threshold is a bin's lower edge.

        Raises:
            UndefinedMetricError: no OoD or no in-distribution pixel.
        """
        return curves.best_f1(self._points())

    def distribution(self, num_bins: int = 100) -> Distribution:
        """Return pixel counts in `num_bins` equally wide bins over the range, for violin plots.

        A fine bin goes where its lower edge lies, so the edges are exact up to one fine bin.
        """
        low, high = self.layout.range
        edges = np.linspace(low, high, num_bins + 1)
        filled = self._filled()
        coarse = np.searchsorted(edges, self.layout.lower_edges(filled), side="right") - 1
        coarse = coarse.clip(0, num_bins - 1)
        # Integer sums: `bincount` with weights would go through float64.
        totals = np.zeros((2, num_bins), np.int64)
        np.add.at(totals[0], coarse, self._in[filled])
        np.add.at(totals[1], coarse, self._ood[filled])
        return Distribution(edges.tolist(), totals[0].tolist(), totals[1].tolist())

    def to_result(self, *, model: str, dataset: str, score: str, max_points: int = 1000) -> PixelResult:
        """Return everything as the record that reports read; undefined metrics and curves are None."""
        points = self._points()
        report = report_on(points, binned=True)
        defined = report.undefined is None
        return PixelResult(
            model=model,
            dataset=dataset,
            score=score,
            num_in=report.num_in,
            num_ood=report.num_ood,
            auroc=report.auroc,
            average_precision=report.average_precision,
            fpr95=report.fpr95,
            error_bound=report.error_bound,
            roc=curves.roc_curve(points, max_points) if defined else None,
            pr=curves.pr_curve(points, max_points) if defined else None,
            distribution=self.distribution(),
            undefined=report.undefined,
            warnings=list(report.warnings),
        )

    def _count(self, counts: np.ndarray, scores: np.ndarray) -> None:
        if not scores.size:
            return
        index = self.layout.index(scores)
        first = int(index.min())
        found = np.bincount(index - first)
        counts[first : first + len(found)] += found

    def _filled(self) -> np.ndarray:
        return np.flatnonzero((self._in > 0) | (self._ood > 0))

    def _points(self) -> OperatingPoints:
        filled = self._filled()
        edges = self.layout.lower_edges(filled)
        return OperatingPoints.from_counts(edges, self._in[filled], self._ood[filled])

    def _check_layout(self, other: BinLayout) -> None:
        if other != self.layout:
            raise UsageError(f"only equal bin layouts merge: this one is {self.layout}; got {other}")
