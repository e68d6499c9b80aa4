"""Stored score maps of one method on one data set -> every number of its row, with intervals.

In: score maps and labels, frame by frame, read once (twice where they do not fit into memory). Out:
`MapNumbers`: AUROC, average precision, FPR95, sIoU, PPV, mean F1, each with its bootstrap interval over
images; curves, distribution, the pixel metrics of each frame, and the draws for paired comparisons.
Sources: `evaluation/curves.py`, `evaluation/smiyc_frames.py`, `evaluation/bootstrap.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from segood.errors import UsageError
from segood.evaluation import curves
from segood.evaluation.bootstrap import Bootstrap
from segood.evaluation.comparison.results import ImageRecord, Number
from segood.evaluation.map_bootstrap import coarse_levels, draw_numbers
from segood.evaluation.map_counts import CountedFrame, CountedMaps, Frames, count_maps
from segood.evaluation.map_counts import MapFrame as MapFrame
from segood.evaluation.protocols import SegmentProtocol as SegmentProtocol
from segood.evaluation.results import Curve, Distribution
from segood.evaluation.score_codes import count_codes
from segood.evaluation.score_counts import ScoreCounts
from segood.evaluation.smiyc import pool_frames
from segood.evaluation.smiyc_frames import SmiycFrame, match_masks, mean_f1

BEST_F1 = "best pixel F1 on the same data"
MAX_POINTS = 300


@dataclass(frozen=True)
class MapNumbers:
    """All numbers of one method on one data set; fields as in `Row`.

    Attributes:
        num_in, num_ood: counted pixels.
        auroc, average_precision, fpr95: of all counted pixels pooled; exact where `error_bound` is empty.
        error_bound: how far levels can have moved them, where scores have more values than can be counted.
        siou, ppv, f1_mean: segment metrics where score > `smiyc_threshold`.
        smiyc_threshold: None where there is none to pick.
        smiyc_threshold_source: in words.
        roc, pr: at most 300 points; None where undefined.
        distribution: pixel counts of the score; None without any counted pixel.
        images: the exact metrics of each frame, in the order given.
        notes: frames with a constant score, named.
        draws: `auroc`, `average_precision`, `fpr95` of each draw (num_draws,), NaN where undefined. Images
            are drawn in the order of their ids: methods measured with one seed on the same frames are paired.
        undefined: why the pixel metrics have no value; else None.
    """

    num_in: int
    num_ood: int
    auroc: Number
    average_precision: Number
    fpr95: Number
    error_bound: dict[str, float]
    siou: Number
    ppv: Number
    f1_mean: Number
    smiyc_threshold: float | None
    smiyc_threshold_source: str
    roc: Curve | None
    pr: Curve | None
    distribution: Distribution | None
    images: list[ImageRecord]
    notes: list[str] = field(default_factory=list)
    draws: dict[str, np.ndarray] = field(default_factory=dict)
    undefined: str | None = None


def measure_maps(
    frames: Frames,
    protocol: SegmentProtocol,
    *,
    bootstrap_draws: int = 1000,
    seed: int = 0,
    memory: int = 2**29,
) -> MapNumbers:
    """Measure the score maps of a data set.

    Args:
        frames: yields `MapFrame(score, target, sample_id)`: (H,W) floating point, higher = more OoD, finite
            at counted pixels; (H,W) 0 in-distribution, 1 OoD, 255 ignore; unique id. A list, or a function
            that returns an iterable: it is read once where float16 holds all scores and `memory` all frames.
        protocol: sizes and threshold of the segment metrics; without a threshold that of the best pixel F1.
        bootstrap_draws: 0 for no intervals.
        seed: of the draws.
        memory: bytes, 2.1 per pixel, for what is kept between the steps.

    Raises:
        UsageError: no frames, an id given twice, a map that has not the size of its labels, NaN or infinity
            at counted pixels, other labels, every map constant, frames that change between two reads.

    Example:
        >>> score, target = np.array([[0.1, 0.4, 0.35, 0.8]], np.float16), np.array([[0, 0, 1, 1]], np.uint8)
        >>> found = measure_maps([MapFrame(score, target, "a")], SegmentProtocol(1, 1), bootstrap_draws=50)
        >>> found.auroc.value, found.fpr95.value, found.siou.value, round(found.smiyc_threshold, 2)
        (0.75, 0.5, 0.6666666666666666, 0.1)
    """
    if bootstrap_draws < 0:
        raise UsageError(f"`bootstrap_draws` must be a number of draws, 0 for none; got {bootstrap_draws}")
    counted = count_maps(frames, threshold=protocol.threshold, memory=memory)
    notes = _check_images(counted.images)
    counts = counted.counts()
    numbers = counts.numbers()
    undefined = curves.undefined(numbers.num_in, numbers.num_ood)
    threshold, source = _threshold(counts, protocol)
    levels = coarse_levels(counted.table)
    coarse, matched = _second_look(counted, protocol, threshold, levels if bootstrap_draws else levels[:0])

    order = np.argsort([image.sample_id for image in counted.images], kind="stable")
    bootstrap = Bootstrap(len(order), num_draws=bootstrap_draws, seed=seed) if bootstrap_draws else None
    draws = draw_numbers(bootstrap, coarse[order]) if bootstrap else {}
    pixel = {
        name: _number(getattr(numbers, name), bootstrap, draws.get(name), len(order))
        for name in curves.METRICS
    }
    segment = _segment_numbers([matched[i] for i in order] if matched else [], bootstrap, len(order))
    return MapNumbers(
        num_in=numbers.num_in,
        num_ood=numbers.num_ood,
        **pixel,
        error_bound={} if counts.exact else numbers.error_bound,
        **segment,
        smiyc_threshold=threshold,
        smiyc_threshold_source=source,
        roc=None if undefined else curves.roc_curve(counts.points(), MAX_POINTS),
        pr=None if undefined else curves.pr_curve(counts.points(), MAX_POINTS),
        distribution=counts.distribution() if len(counts.scores) else None,
        images=[_record(image) for image in counted.images],
        notes=notes,
        draws=draws,
        undefined=undefined,
    )


def _threshold(counts: ScoreCounts, protocol: SegmentProtocol) -> tuple[float | None, str]:
    if protocol.threshold is not None:
        return float(protocol.threshold), "given"
    if not counts.num_ood.sum():
        return None, f"undefined: {BEST_F1} needs an OoD pixel; give a threshold"
    return counts.best_f1_threshold(), BEST_F1


def _second_look(
    counted: CountedMaps, protocol: SegmentProtocol, threshold: float | None, levels: np.ndarray
) -> tuple[np.ndarray, list[SmiycFrame]]:
    """Return (N, L, 2) counts per frame and level, and what each frame's segments match."""
    coarse = np.zeros((len(counted.images), len(levels), 2), np.uint32)
    matched: list[SmiycFrame] = []
    if not len(levels) and threshold is None:
        return coarse, matched
    values = counted.codes.values
    for index, (codes, ood, dtype) in enumerate(counted.again()):
        if len(levels):
            coarse[index] = np.add.reduceat(count_codes(codes, ood), levels, axis=0)
        if threshold is not None:
            with np.errstate(over="ignore"):
                own = float(dtype.type(threshold))  # as `score > threshold` compares
            # Ignored pixels have code 0, which is never predicted.
            predicted = codes >= max(1, int(np.searchsorted(values, own, side="right")))
            matched.append(match_masks(predicted, ood, protocol.min_segment_size, protocol.min_instance_size))
    return coarse, matched


def _segment_numbers(
    matched: Sequence[SmiycFrame], bootstrap: Bootstrap | None, num_images: int
) -> dict[str, Number]:
    if not matched:
        return dict.fromkeys(("siou", "ppv", "f1_mean"), Number(None, num_images=num_images))
    pooled = pool_frames(matched, 0.0, "")
    sums = np.array([(f.siou.sum(), len(f.siou), f.ppv.sum(), len(f.ppv)) for f in matched], np.float64)
    counts = np.stack([frame.counts() for frame in matched])
    draws: tuple[np.ndarray | None, ...] = (None, None, None)
    if bootstrap is not None:
        siou, num_siou, ppv, num_ppv = bootstrap.sums(sums).T
        drawn = bootstrap.sums(counts.reshape(len(matched), -1)).reshape(-1, *counts.shape[1:])
        draws = _ratio(siou, num_siou), _ratio(ppv, num_ppv), mean_f1(drawn)
    values = {"siou": pooled.siou, "ppv": pooled.ppv, "f1_mean": pooled.f1_mean}
    return {
        name: _number(value, bootstrap, drawn, num_images)
        for (name, value), drawn in zip(values.items(), draws, strict=True)
    }


def _ratio(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    return np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)


def _number(
    value: float | None, bootstrap: Bootstrap | None, draws: np.ndarray | None, num_images: int
) -> Number:
    if bootstrap is None or draws is None:
        return Number(value, num_images=num_images)
    return bootstrap.number(value, draws)


def _record(image: CountedFrame) -> ImageRecord:
    found = image.numbers
    return ImageRecord(
        image.sample_id, found.num_in, found.num_ood, found.auroc, found.average_precision, found.fpr95
    )


def _check_images(images: Sequence[CountedFrame]) -> list[str]:
    """Return notes on frames whose scores tell nothing; refuse double ids, and maps all constant."""
    names = [image.sample_id for image in images]
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise UsageError(f"`frames` yields frame {twice[0]} twice; ids must be unique")
    counted = [image for image in images if image.distinct]
    constant = [image.sample_id for image in counted if image.distinct == 1]
    if counted and len(constant) == len(counted):
        raise UsageError(
            f"all {len(constant)} score maps are constant (first: frame {constant[0]}), so nothing can be "
            "measured; check the method, or how its maps were written"
        )
    notes = []
    if constant:
        notes.append(f"{_some(constant)}: the score is constant")
    ignored = [image.sample_id for image in images if not image.distinct]
    if ignored:
        notes.append(f"{_some(ignored)}: every pixel is ignored")
    return notes


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5]) + (" …" if len(names) > 5 else "")
    return f"{len(names)} frame{'s' if len(names) > 1 else ''} ({shown})"
