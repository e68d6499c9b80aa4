"""Predicted OoD segments against the ground truth: false positives, misses, IoU.

In: label image of a frame's predicted segments (H,W) and its target (H,W) with 0, 1, 255.
Out: `SegmentMatch`: one row per predicted and per ground-truth segment, and the paper's counts.
Source: Chan, Rottmann, Gottschalk, ICCV 2021, section 5: a predicted segment is a false positive if
it contains no OoD pixel; an OoD segment of the ground truth is missed if no OoD-predicted pixel lies on it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Int, Int32, UInt8

from segood.errors import UsageError
from segood.evaluation.adjusted_iou import adjusted_iou
from segood.evaluation.contingency import check_labels, overlaps, sizes_of
from segood.evaluation.results import SegmentErrors
from segood.segments.components import boundary_mask, label_components
from segood.types import IGNORE, OUT_OF_DISTRIBUTION


@dataclass(frozen=True)
class SegmentMatch:
    """What one frame's predicted segments have to do with its ground truth.

    Attributes:
        segments: a row per predicted segment (index `segment`, its id): `num_ood_pixels` int, `iou` with
            all ground-truth segments it meets, `adjusted_iou`, both in [0,1], `is_false_positive` bool.
            Segments that lie on ignored pixels only have no row.
        ground_truth: a row per OoD ground-truth segment (index `ground_truth`, 1..G in row-major order
            of first pixels): `area` int, `recall` (share of it that is predicted), `detected` bool.
        overlaps: a row per pair that shares pixels: `segment`, `ground_truth`, `num_pixels`.
    """

    segments: pd.DataFrame
    ground_truth: pd.DataFrame
    overlaps: pd.DataFrame

    @property
    def num_predicted(self) -> int:
        """Number of predicted segments."""
        return len(self.segments)

    @property
    def num_ground_truth(self) -> int:
        """Number of OoD segments in the ground truth."""
        return len(self.ground_truth)

    @property
    def num_false_positives(self) -> int:
        """Number of predicted segments without any OoD pixel."""
        return int(self.segments["is_false_positive"].sum())

    @property
    def num_false_negatives(self) -> int:
        """Number of OoD ground-truth segments without any predicted pixel."""
        return int((~self.ground_truth["detected"]).sum())

    @property
    def errors(self) -> SegmentErrors:
        """The counts of all predicted segments, none removed."""
        return errors_after_removal(self, np.zeros(self.num_predicted, bool))

    @property
    def touched(self) -> pd.Series:
        """For each predicted segment the list of ground-truth ids it shares pixels with."""
        lists = self.overlaps.groupby("segment")["ground_truth"].agg(list).to_dict()
        index = self.segments.index
        return pd.Series([lists.get(k, []) for k in index], index=index, dtype=object, name="ground_truth")


def match_segments(labels: Int32[np.ndarray, "h w"], target: UInt8[np.ndarray, "h w"]) -> SegmentMatch:
    """Match a frame's predicted segments with its OoD ground truth.

    Args:
        labels: (H,W) integer segment ids, 0 = none, as from `extract_segments`. Ignored pixels are cut
            from the prediction first (to let that also split segments, extract with `ignore=target == 255`).
        target: (H,W) with 0 = in-distribution, 1 = OoD, 255 = ignore.

    Returns:
        `SegmentMatch`. Without predicted or ground-truth segments its tables have no rows.

    Raises:
        UsageError: wrong shape or type, or another value in `target`.

    Example:
        >>> labels = np.array([[1, 1, 0, 2]], np.int32)
        >>> match = match_segments(labels, np.array([[0, 1, 1, 0]], np.uint8))
        >>> match.segments
                 num_ood_pixels       iou  adjusted_iou  is_false_positive
        segment
        1                     1  0.333333      0.333333              False
        2                     0  0.000000      0.000000               True
        >>> match.errors
        SegmentErrors(num_predicted=2, false_positives=1, false_negatives=0, errors=1)
    """
    predicted, truth, num_truth = _prepare(labels, target)
    ood = truth > 0
    count = int(predicted.max(initial=0))
    size, area = sizes_of(predicted, count), sizes_of(truth, num_truth)
    shared = overlaps(predicted, truth)

    hit = np.bincount(shared.first, shared.pixels, minlength=count + 1)[1:].astype(np.int64)
    area_met = np.bincount(shared.first, area[shared.second - 1], minlength=count + 1)[1:]
    covered = np.bincount(shared.second, shared.pixels, minlength=num_truth + 1)[1:]
    segments = pd.DataFrame(
        {
            "num_ood_pixels": hit,
            "iou": hit / np.maximum(size + area_met - hit, 1),
            "adjusted_iou": adjusted_iou(predicted, count, ood),
            "is_false_positive": hit == 0,
        },
        index=pd.RangeIndex(1, count + 1, name="segment"),
    )
    ground_truth = pd.DataFrame(
        {"area": area, "recall": covered / np.maximum(area, 1), "detected": covered > 0},
        index=pd.RangeIndex(1, num_truth + 1, name="ground_truth"),
    )
    pairs = pd.DataFrame(
        {"segment": shared.first, "ground_truth": shared.second, "num_pixels": shared.pixels}
    )
    return SegmentMatch(segments[size > 0], ground_truth, pairs)


def errors_after_removal(match: SegmentMatch, removed: Any) -> SegmentErrors:
    """Count false positives and misses once some predicted segments are removed.

    Args:
        match: of one frame.
        removed: one boolean per row of `match.segments`, True = removed (by a meta classifier).

    Returns:
        Counts over the remaining segments; a ground-truth segment whose last predicted pixel went with
        a removed segment is a false negative.

    Raises:
        UsageError: another number of entries, or not boolean.

    Example:
        >>> labels, target = np.array([[1, 1, 0, 2]], np.int32), np.array([[0, 1, 1, 0]], np.uint8)
        >>> errors_after_removal(match_segments(labels, target), [False, True]).errors
        0
    """
    gone = np.asarray(removed)
    if gone.shape != (match.num_predicted,) or (gone.dtype != np.bool_ and gone.size):
        raise UsageError(
            f"`removed` must hold one boolean for each of the {match.num_predicted} segments;"
            f" got {gone.dtype} of shape {gone.shape}"
        )
    rows = match.segments.assign(sample_id="", ground_truth=match.touched)
    return errors_of(rows[~gone.astype(bool)], match.num_ground_truth)


def errors_of(kept: pd.DataFrame, num_ground_truth: int) -> SegmentErrors:
    """Count false positives and misses of the segments that are kept, over one frame or many.

    Args:
        kept: rows of one model and data set with `sample_id`, `is_false_positive` and `ground_truth`
            (ids of the ground-truth segments of that frame that the segment touches).
        num_ground_truth: OoD segments in the ground truth of all frames; one is missed where no kept
            segment touches it.
    """
    found = {(s, g) for s, ids in zip(kept["sample_id"], kept["ground_truth"], strict=True) for g in ids}
    false_positives = int(kept["is_false_positive"].sum())
    false_negatives = num_ground_truth - len(found)
    return SegmentErrors(len(kept), false_positives, false_negatives, false_positives + false_negatives)


def sum_errors(parts: Iterable[SegmentErrors]) -> SegmentErrors:
    """Add up the counts of several frames.

    Example:
        >>> sum_errors([SegmentErrors(3, 1, 0, 1), SegmentErrors(1, 0, 2, 2)])
        SegmentErrors(num_predicted=4, false_positives=1, false_negatives=2, errors=3)
    """
    rows = [(p.num_predicted, p.false_positives, p.false_negatives, p.errors) for p in parts]
    return SegmentErrors(*np.sum(rows, axis=0).tolist()) if rows else SegmentErrors(0, 0, 0, 0)


def ground_truth_features(labels: Int32[np.ndarray, "h w"], target: UInt8[np.ndarray, "h w"]) -> pd.DataFrame:
    """Describe the OoD ground-truth segments of a frame: size, shape, how well each is covered.

    Args:
        labels: (H,W) integer segment ids of the prediction, 0 = none.
        target: (H,W) with 0, 1, 255.

    Returns:
        A row per ground-truth segment (index `ground_truth`, 1..G): `area`, `area_interior`,
        `area_boundary` in pixels; `recall`, and `adjusted_iou` with the roles of prediction and ground
        truth exchanged, in [0,1]; `detected` bool.

    Example:
        >>> labels, target = np.array([[1, 1, 0, 2]], np.int32), np.array([[0, 1, 1, 0]], np.uint8)
        >>> ground_truth_features(labels, target)[["area", "area_boundary", "recall", "adjusted_iou"]]
                      area  area_boundary  recall  adjusted_iou
        ground_truth
        1                2              2     0.5          0.25
    """
    predicted, truth, count = _prepare(labels, target)
    area = sizes_of(truth, count)
    rim = np.bincount(truth[boundary_mask(truth > 0)], minlength=count + 1)[1:]
    covered = np.bincount(truth[predicted > 0], minlength=count + 1)[1:]
    return pd.DataFrame(
        {
            "area": area,
            "area_interior": area - rim,
            "area_boundary": rim,
            "recall": covered / area,
            "adjusted_iou": adjusted_iou(truth, count, predicted > 0),
            "detected": covered > 0,
        },
        index=pd.RangeIndex(1, count + 1, name="ground_truth"),
    )


def _prepare(
    labels: Int[np.ndarray, "h w"], target: Int[np.ndarray, "h w"]
) -> tuple[Int[np.ndarray, "h w"], Int32[np.ndarray, "h w"], int]:
    """Return the prediction without ignored pixels, and the labelled ground truth with its count."""
    check_labels(labels, target)
    truth, count = label_components(target == OUT_OF_DISTRIBUTION)
    return np.where(target == IGNORE, 0, labels), truth, count
