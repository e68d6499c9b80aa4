"""Pixel-level metrics over a whole data set, streamed in constant memory.

In: score maps and targets (0 in-distribution, 1 OoD, 255 ignore), frame by frame. Out: AUROC, average
precision and FPR at 95 % TPR over all counted pixels, each with a rigorous error bound; curves and
the distribution of the score; the same metrics per frame on request. No pixel is stored: only integer
counts per bin, so the order of frames and merges cannot change a result.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from segood.errors import UsageError
from segood.evaluation import curves
from segood.evaluation.binned import numbers_of_bins, points_of_bins
from segood.evaluation.bins import DEFAULT_NUM_BINS, BinLayout
from segood.evaluation.counts import BinCounts
from segood.evaluation.curves import BestF1, OperatingPoints
from segood.evaluation.exact import Frames, Resolved, resolve
from segood.evaluation.inputs import checked_arrays, raise_for_values
from segood.evaluation.per_image import ImageNumbers, mean_of
from segood.evaluation.pixel_state import check_state, images_of, resolved_of
from segood.evaluation.report import PixelReport, exact_numbers, report_on
from segood.evaluation.results import Curve, Distribution, PixelResult
from segood.types import IN_DISTRIBUTION, OUT_OF_DISTRIBUTION

FORMAT = 1


class PixelMetrics:
    """Stream score maps into pixel-level metrics.

    Args:
        range: lowest and highest possible score; every score recommends its own.
        spacing: "linear", or "log" for scores that crowd near the lower end (`evaluation.bins` has measured
            advice on spacing, range and number of bins).
        num_bins: number of bins; the state is 8 bytes each and 2 more per thread (21 to 34 MB by
            default), however many pixels follow.
        exact: `compute` and the curves wait for a second pass over the frames, `refine`, and give the
            metrics of the pixels themselves.
        per_image: keep the exact metrics of each frame, too; each `update` is then one frame.

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
        *,
        exact: bool = False,
        per_image: bool = False,
    ) -> None:
        self.layout = BinLayout(range, spacing, num_bins)
        self.exact, self.per_image = exact, per_image
        self._counts = BinCounts(self.layout)
        self._images: list[ImageNumbers] = []
        self._resolved: Resolved | None = None

    def update(self, score: Any, target: Any, name: str | None = None) -> None:
        """Count the pixels of one frame (or of several, without `per_image`).

        Args:
            score: any shape, array or tensor on any device; higher = more OoD; inside `range` (up
                to 1e-6 of its width is taken as rounding). Ignored pixels may hold anything.
            target: same shape, integer or bool: 0 in-distribution, 1 OoD, 255 ignore.
            name: what an error and the records per image call the frame, for example its sample id.

        Raises:
            UsageError: shapes differ, another target value, a NaN, a score outside the range; the
                counts are then as before.
        """
        where = f"frame {name}: " if name else ""
        score, target = checked_arrays(score, target, where)
        if not self._counts.add(score, target):
            raise_for_values(score, target, self.layout.range, where)
            raise UsageError(f"{where}`score` or `target` changed while it was counted")
        self._resolved = None
        if self.per_image:
            self._images.append(ImageNumbers.of(name, exact_numbers(score, target)))

    def refine(self, frames: Frames, *, memory: int = 2**28) -> None:
        """Look into the bins by reading all frames again; needed once before `compute` with `exact=True`.

        The metrics are then those of the pixels themselves, up to floating-point rounding. Any further
        `update`, `merge` or `load_state_dict` of bare counts asks for it anew.

        Args:
            frames: yields (score, target) or (score, target, name): the very pixels that were counted, in
                any order. A function without arguments that returns such an iterable, or something that can
                be iterated again and again, may be read several times; an iterator only once.
            memory: bytes for the scores inside the bins. One pass is enough where they hold all distinct
                scores of bins with both kinds of pixel (64 bytes each), two where they hold the OoD scores;
                more otherwise. The bins need 60 bytes each on top, for the time of the call.

        Raises:
            UsageError: not built with `exact=True`; the frames are not those that were counted; an
                iterator that one pass is too little for. The state is then as before.

        Example:
            >>> frames = [(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1]), "frame 1")]
            >>> metrics = PixelMetrics(num_bins=512, exact=True)
            >>> for frame in frames:
            ...     metrics.update(*frame)
            >>> metrics.refine(frames)
            >>> metrics.compute().auroc
            0.75
        """
        if not self.exact:
            raise UsageError("`refine` is for metrics built with `exact=True`")
        self._resolved = resolve(self._counts, frames, memory)

    def merge(self, other: PixelMetrics) -> PixelMetrics:
        """Add the counts of `other`, which stays as it is; return self.

        Counts do not depend on the order of merges; frames per image are listed in that order. To be
        exact, merge the first passes and `refine` with all frames.

        Raises:
            UsageError: the layouts differ, or only one of both keeps frames per image.
        """
        self._check_layout(other.layout)
        if other.per_image != self.per_image:
            raise UsageError("only metrics with equal `per_image` merge; build both with the same")
        self._counts.merge(other._counts)
        self._images += other._images
        self._resolved = None
        return self

    def state_dict(self) -> dict[str, Any]:
        """Return everything as plain data: format, layout, the counts as int64 arrays (copies), frames."""
        layout = self.layout
        num_in, num_ood = self._counts.totals()
        return {
            "format": FORMAT,
            "range": list(layout.range),
            "spacing": layout.spacing,
            "num_bins": layout.num_bins,
            "num_in": num_in,
            "num_ood": num_ood,
            "images": [dataclasses.asdict(image) for image in self._images] if self.per_image else None,
            "resolved": dataclasses.asdict(self._resolved) if self._resolved else None,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Replace the counts, and what else was kept, by what `state_dict` returned.

        Raises:
            UsageError: another format, a missing entry, another layout, counts that cannot be, no
                frames where `per_image` wants them.
        """
        check_state(state, FORMAT)
        self._check_layout(BinLayout(tuple(state["range"]), state["spacing"], int(state["num_bins"])))
        loaded = [np.array(state[key]) for key in ("num_in", "num_ood")]
        for counts in loaded:
            if counts.shape != (self.layout.num_bins,) or counts.dtype.kind not in "iu" or counts.min() < 0:
                raise UsageError(
                    f"`state` must hold {self.layout.num_bins} counts ≥ 0 for each kind of pixel"
                )
        images = images_of(state, self.per_image)
        resolved = resolved_of(state) if self.exact else None
        self._counts.replace(*loaded)
        self._images, self._resolved = images, resolved

    def compute(self) -> PixelReport:
        """Return the metrics; without OoD or without in-distribution pixels they are None (`undefined`).

        Raises:
            UsageError: `exact=True` and `refine` has not been called since the last change.
        """
        self._check_refined()
        report = report_on(self._resolved.numbers if self._resolved else numbers_of_bins(self._counts))
        if not self.per_image:
            return report
        images = tuple(self._images)
        return dataclasses.replace(report, per_image=images, per_image_mean=mean_of(images))

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
        """Return the operating point of the highest pixel F1.

        Its threshold is a bin's lower edge; after `refine` a score, where a bin was looked into.

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
        # Lower edges rise, so the fine bins of a coarse one are neighbours.
        starts = self.layout.first_bins(edges[:-1])
        totals = [self._counts.sums_between(starts, kind) for kind in (IN_DISTRIBUTION, OUT_OF_DISTRIBUTION)]
        return Distribution(edges.tolist(), totals[0].tolist(), totals[1].tolist())

    def to_result(self, *, model: str, dataset: str, score: str, max_points: int = 1000) -> PixelResult:
        """Return everything as the record that reports read; undefined metrics and curves are None."""
        report, points = self.compute(), self._points()
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

    def _points(self) -> OperatingPoints:
        self._check_refined()
        points = points_of_bins(self._counts)
        if self._resolved is None or self._resolved.numbers.auroc is None:
            return points
        return points.with_points([self._resolved.fpr95, self._resolved.best_f1])

    def _check_refined(self) -> None:
        if self.exact and self._resolved is None:
            raise UsageError(
                "`exact=True` needs a second pass: call `refine(frames)` with all frames once more, "
                "after the last `update`, `merge` or `load_state_dict`"
            )

    def _check_layout(self, other: BinLayout) -> None:
        if other != self.layout:
            raise UsageError(f"only equal bin layouts merge: this one is {self.layout}; got {other}")
