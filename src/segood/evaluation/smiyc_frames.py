"""One frame of SegmentMeIfYouCan's segment metrics: predicted segments against instances.

In: score map and target, or masks, and the two size limits. Out: `SmiycFrame`, sIoU per instance and PPV per
predicted segment, which `evaluation/smiyc.py` pools over frames.
Source: Chan et al., SegmentMeIfYouCan: A Benchmark for Anomaly Segmentation, NeurIPS 2021 Datasets and
Benchmarks, section 4.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64

from segood.errors import UsageError
from segood.evaluation.contingency import overlaps, sizes_of
from segood.segments.components import label_components
from segood.types import IGNORE, OUT_OF_DISTRIBUTION

TAUS = tuple(percent / 100 for percent in range(25, 80, 5))
"""0.25, 0.30 … 0.75."""


@dataclass(frozen=True)
class SmiycFrame:
    """One frame: sIoU of its instances and PPV of its predicted segments, those of fitting sizes.

    Attributes:
        siou: (I,) float64 in [0,1], in order of the instances' first pixels.
        ppv: (S,) float64 in [0,1], likewise.
    """

    siou: np.ndarray
    ppv: np.ndarray

    def counts(self) -> Int64[np.ndarray, "3 t"]:
        """Return TP, FN and FP (rows) per τ of `TAUS`."""
        tp = [int((self.siou >= tau).sum()) for tau in TAUS]
        fn = [len(self.siou) - hits for hits in tp]
        return np.array([tp, fn, [int((self.ppv < tau).sum()) for tau in TAUS]], np.int64)


def smiyc_frame(
    score: np.ndarray, target: np.ndarray, threshold: float, min_segment_size: int, min_instance_size: int
) -> SmiycFrame:
    """Match the predicted segments of one frame with its instances.

    Args:
        score: (H,W) floating point, higher = more OoD; ignored pixels may hold anything.
        target: (H,W) 0 = in-distribution, 1 = OoD, 255 = ignore; checked before.
        threshold: predicted is score > threshold, compared in the score's own precision.
        min_segment_size, min_instance_size: in pixels, as of `smiyc_segment_metrics`.

    Example:
        >>> score, target = np.array([[0.9, 0.9, 0.9, 0.1]]), np.array([[0, 1, 1, 1]], np.uint8)
        >>> smiyc_frame(score, target, 0.5, 1, 1)
        SmiycFrame(siou=array([0.5]), ppv=array([0.66666667]))
    """
    predicted = (score > score.dtype.type(threshold)) & (target != IGNORE)
    return match_masks(predicted, target == OUT_OF_DISTRIBUTION, min_segment_size, min_instance_size)


def match_masks(
    predicted: Bool[np.ndarray, "h w"],
    ood: Bool[np.ndarray, "h w"],
    min_segment_size: int,
    min_instance_size: int,
) -> SmiycFrame:
    """Match the segments of a prediction, already cut by the ignored pixels, with the true instances."""
    segments, num_segments = label_components(predicted)
    instances, num_instances = label_components(ood)
    area = sizes_of(instances, num_instances)
    large = area >= min_instance_size
    # Of the frame only predicted pixels are looked at again: (P,) segment and instance of each.
    where = np.flatnonzero(predicted)
    segment, instance = segments.ravel()[where], instances.ravel()[where]
    long = np.bincount(segment, minlength=num_segments + 1) >= min_segment_size
    kept = long[segment] & np.append(True, large)[instance]
    segment, instance = segment[kept], instance[kept]

    size = np.bincount(segment, minlength=num_segments + 1)[1:]
    shared = overlaps(segment[None], instance[None])
    on_instances = np.bincount(shared.first, shared.pixels, minlength=num_segments + 1)[1:]
    off_instances = size - on_instances
    covered = np.bincount(shared.second, shared.pixels, minlength=num_instances + 1)[1:]
    # K ∪ P without the other instances' pixels inside P is K itself and P's pixels on no instance.
    beside = np.bincount(shared.second, off_instances[shared.first - 1], minlength=num_instances + 1)[1:]
    left = size > 0
    return SmiycFrame(covered[large] / (area + beside)[large], on_instances[left] / size[left])


def mean_f1(counts: np.ndarray) -> np.ndarray:
    """Return F1 averaged over τ.

    Args:
        counts: (…, 3, T) TP, FN and FP per τ.

    Returns:
        (…) float64, NaN where there are neither instances nor predicted segments.
    """
    tp, fn, fp = (counts[..., row, :].astype(np.float64) for row in range(3))
    whole = 2 * tp + fn + fp
    f1 = np.divide(2 * tp, whole, out=np.full(whole.shape, np.nan), where=whole > 0)
    return f1.mean(axis=-1)  # type: ignore[no-any-return]


def check_sizes(min_segment_size: int, min_instance_size: int) -> None:
    """Raise `UsageError` where a size limit is negative."""
    for name, size in (("min_segment_size", min_segment_size), ("min_instance_size", min_instance_size)):
        if size < 0:
            raise UsageError(f"`{name}` must be a number of pixels, at least 0; got {size}")
