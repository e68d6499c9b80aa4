"""Segment metrics of the SegmentMeIfYouCan benchmark: sIoU, PPV, F1 averaged over thresholds τ.

In: score maps and targets of a data set, a threshold (or none: best pixel F1), the two size limits.
Out: `SmiycSegmentMetrics`, counts pooled over frames. `smiyc_frame` and `pool_frames` are its two halves,
for those who stream frames.
Source: Chan et al., SegmentMeIfYouCan: A Benchmark for Anomaly Segmentation, NeurIPS 2021 Datasets and
Benchmarks, section 4. Sizes there: anomaly track 500/100, obstacle track 50/10.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from segood.errors import UndefinedMetricError, UsageError
from segood.evaluation.contingency import check_ood_target
from segood.evaluation.smiyc_frames import TAUS as TAUS
from segood.evaluation.smiyc_frames import SmiycFrame as SmiycFrame
from segood.evaluation.smiyc_frames import check_sizes
from segood.evaluation.smiyc_frames import smiyc_frame as smiyc_frame
from segood.types import IN_DISTRIBUTION, OUT_OF_DISTRIBUTION


@dataclass(frozen=True)
class SmiycSegmentMetrics:
    """Pooled over frames; `None` where there is nothing to average.

    Attributes:
        siou: mean sIoU over instances, in [0,1]; None without instances.
        ppv: mean PPV over predicted segments, in [0,1]; None without predicted segments.
        f1_mean: mean of `f1`; None without both.
        taus, tp, fn, fp, f1: per τ = 0.25 … 0.75: the counts and F1 = 2·TP / (2·TP + FN + FP); `f1` is empty
            without instances and segments.
        siou_per_instance: (I,) in order of frames, then of first pixels.
        ppv_per_segment: (P,) likewise.
        threshold: a pixel is predicted where score > threshold.
        threshold_source: `given`, or `best pixel F1` (picked on these very frames).
        num_frames, num_instances, num_segments: what was counted.
    """

    siou: float | None
    ppv: float | None
    f1_mean: float | None
    taus: tuple[float, ...]
    tp: tuple[int, ...]
    fn: tuple[int, ...]
    fp: tuple[int, ...]
    f1: tuple[float, ...]
    siou_per_instance: np.ndarray
    ppv_per_segment: np.ndarray
    threshold: float
    threshold_source: str
    num_frames: int
    num_instances: int
    num_segments: int


def smiyc_segment_metrics(
    scores: Iterable[Any],
    targets: Iterable[Any],
    threshold: float | None = None,
    *,
    min_segment_size: int,
    min_instance_size: int,
) -> SmiycSegmentMetrics:
    """Compute sIoU, PPV and mean F1 over all frames.

    Args:
        scores: a map (H,W), maps (N,H,W), or a sequence of maps, higher = more OoD; finite.
        targets: of the same shapes, 0 = in-distribution, 1 = OoD, 255 = ignore.
        threshold: predicted is score > threshold (strictly); None picks the best pixel F1 on these frames,
            which holds one copy of all scores in memory.
        min_segment_size: predicted segments with fewer pixels are dropped.
        min_instance_size: pixels of smaller ground-truth instances are removed from both maps.

    Returns:
        `SmiycSegmentMetrics`.

    Raises:
        UsageError: wrong shapes, values or sizes, or not as many targets as scores.
        UndefinedMetricError: no threshold is given and no frame has an OoD pixel.

    Example:
        >>> scores = np.array([[0.9, 0.9, 0.9, 0.1, 0.1]])
        >>> targets = np.array([[0, 1, 1, 1, 0]], np.uint8)
        >>> result = smiyc_segment_metrics(scores, targets, 0.5, min_segment_size=1, min_instance_size=1)
        >>> result.siou, round(result.ppv, 2), result.tp[:6]
        (0.5, 0.67, (1, 1, 1, 1, 1, 1))
    """
    check_sizes(min_segment_size, min_instance_size)
    maps, truths = _frames(scores), _frames(targets)
    if len(maps) != len(truths):
        raise UsageError(
            f"`scores` and `targets` must have as many frames; got {len(maps)} and {len(truths)}"
        )
    source = "given"
    if threshold is None:
        threshold, source = _best_f1_threshold(maps, truths), "best pixel F1"
    elif not np.isfinite(threshold):
        raise UsageError(f"`threshold` must be a finite number; got {threshold}")

    frames = []
    for index, (given, wanted) in enumerate(zip(maps, truths, strict=True)):
        score, target = _check_frame(given, wanted, index)
        frames.append(smiyc_frame(score, target, threshold, min_segment_size, min_instance_size))
    return pool_frames(frames, float(threshold), source)


def pool_frames(frames: Sequence[SmiycFrame], threshold: float, source: str) -> SmiycSegmentMetrics:
    """Pool the counts of frames.

    Args:
        frames: of `smiyc_frame`, all at one threshold.
        threshold, source: as of `SmiycSegmentMetrics`.
    """
    siou = np.concatenate([np.empty(0), *(frame.siou for frame in frames)])
    ppv = np.concatenate([np.empty(0), *(frame.ppv for frame in frames)])
    tp, fn, fp = SmiycFrame(siou, ppv).counts().tolist()
    counted = len(siou) + len(ppv) > 0  # then every denominator below is at least 1
    f1 = [2 * t / (2 * t + n + p) for t, n, p in zip(tp, fn, fp, strict=True)] if counted else []
    return SmiycSegmentMetrics(
        siou=float(siou.mean()) if len(siou) else None,
        ppv=float(ppv.mean()) if len(ppv) else None,
        f1_mean=float(np.mean(f1)) if counted else None,
        taus=TAUS,
        tp=tuple(tp),
        fn=tuple(fn),
        fp=tuple(fp),
        f1=tuple(f1),
        siou_per_instance=siou,
        ppv_per_segment=ppv,
        threshold=threshold,
        threshold_source=source,
        num_frames=len(frames),
        num_instances=len(siou),
        num_segments=len(ppv),
    )


def _best_f1_threshold(maps: Sequence[Any], truths: Sequence[Any]) -> float:
    """Return the threshold t for which `score > t` has the best F1 over all pixels.

    The best cut lies just below an OoD pixel's score (going lower only adds false alarms), so only those
    are tried; t is the next score below it. Of equally good cuts the highest is taken.
    """
    inside, outside = [], []
    for index, (given, wanted) in enumerate(zip(maps, truths, strict=True)):
        score, target = _check_frame(given, wanted, index)
        inside.append(score[target == IN_DISTRIBUTION])
        outside.append(score[target == OUT_OF_DISTRIBUTION])
    if not any(map(len, outside)):
        raise UndefinedMetricError("best pixel F1 is undefined: no frame has an OoD pixel; give `threshold`")
    known, unknown = np.sort(np.concatenate(inside)), np.sort(np.concatenate(outside))
    cuts = np.unique(unknown)[::-1]
    hits = len(unknown) - np.searchsorted(unknown, cuts)
    alarms = len(known) - np.searchsorted(known, cuts)
    cut = cuts[np.argmax(2 * hits / (hits + alarms + len(unknown)))]
    below = [values[values < cut][-1:] for values in (known, unknown)]
    lower = np.concatenate(below)
    return float(lower.max() if len(lower) else np.nextafter(cut, -np.inf, dtype=cut.dtype))


def _frames(values: Iterable[Any]) -> Sequence[Any]:
    if getattr(values, "ndim", None) == 2:
        return [values]
    if isinstance(values, (Sequence, np.ndarray)):
        return values  # type: ignore[return-value]  # an array of maps is read frame by frame
    return list(values)


def _check_frame(score: Any, target: Any, index: int) -> tuple[np.ndarray, np.ndarray]:
    score, target = np.asarray(score), np.asarray(target)
    if score.ndim != 2 or score.dtype.kind != "f":
        raise UsageError(f"`scores` must be float maps (H,W); frame {index} is {score.dtype} {score.shape}")
    try:
        check_ood_target(target, score.shape, like="scores")
    except UsageError as error:
        raise UsageError(f"frame {index}: {error}") from None
    if not np.isfinite(score).all():
        raise UsageError(f"`scores` must be finite; frame {index} holds NaN or infinite values")
    return score, target
