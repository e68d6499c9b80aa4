"""What the frames of a calibration set say, each seen by the network once.

In: a data set with labels, a network, a region, on request a meta classifier and entropy thresholds. Out: one
`FrameMeasurement` per frame, from which the losses at all thresholds follow.

Segments are those of the field: cut by the region only. Labels judge them afterwards. A segment is a false
alarm where it holds no OoD pixel and at least one labelled one; where it lies on ignored pixels only, nobody
can tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from segood.data.dataset import SegmentationDataset
from segood.deployment.calibration.grid import GRID, STEPS
from segood.deployment.drift import brightness_of, fine_histogram
from segood.errors import DataError, UsageError
from segood.evaluation.region import cut_to_region
from segood.meta import MetaClassifier
from segood.models.observation import observe
from segood.progress import Progress, no_progress
from segood.segments import Segments, extract_segments, label_components
from segood.segments.region import Region
from segood.types import IGNORE, IN_DISTRIBUTION, OUT_OF_DISTRIBUTION

if TYPE_CHECKING:
    from segood.models import SegmentationModel


@dataclass(frozen=True)
class SegmentsAt:
    """The segments of a frame at one entropy threshold.

    Attributes:
        alarms: rising, per false alarm the probability of being one; 0 without a meta classifier.
        reached: (G,) per object the lowest such probability among the segments on it; 2 where there is none.
        num_unjudged: segments on ignored pixels only.
    """

    alarms: np.ndarray
    reached: np.ndarray
    num_unjudged: int


@dataclass(frozen=True)
class FrameMeasurement:
    """One frame.

    Attributes:
        sample_id, unit: which, and what it belongs to.
        pixels, pixels_in: (STEPS+1,) pixels of the region, all and in-distribution ones, by the step of their
            entropy: step k holds k/STEPS ≤ entropy < (k+1)/STEPS.
        objects: (G,) the highest step that a pixel of each object in the region reaches.
        segments: one per entropy threshold asked for.
        fine, fine_in: counts for the drift reference, of all and of in-distribution pixels.
        brightness: of the image, in [0, 1].
    """

    sample_id: str
    unit: str
    pixels: np.ndarray
    pixels_in: np.ndarray
    objects: np.ndarray
    segments: tuple[SegmentsAt, ...]
    fine: np.ndarray
    fine_in: np.ndarray
    brightness: float

    @property
    def is_judged(self) -> bool:
        """Whether the region holds a labelled pixel: in a frame without, no alarm can be called false."""
        return bool(self.pixels_in.any() or len(self.objects))

    def flagged_share(self, threshold: float) -> float:
        """Return the share of the region that reaches a threshold, a multiple of 1/STEPS."""
        return float(self.pixels[round(threshold * STEPS) :].sum() / max(self.pixels.sum(), 1))


def measure_frames(
    dataset: SegmentationDataset,
    model: SegmentationModel,
    units: Sequence[str],
    *,
    region: Region | None = None,
    thresholds: Sequence[float] = (),
    meta: MetaClassifier | None = None,
    progress: Progress = no_progress,
) -> list[FrameMeasurement]:
    """Run the network over every frame, once.

    Args:
        dataset: of an OoD test set, or of the original task, whose labelled pixels are all in-distribution.
        model: the network.
        units: of `units_of`, one per frame.
        region: where is looked at.
        thresholds: entropy thresholds at which segments are extracted.
        meta: gives each segment its probability of being a false alarm.
        progress: see `segood.progress.Progress`.

    Raises:
        UsageError: a proxy set, whose background is nobody's street.
        DataError: frames without labels.
    """
    check_calibration_set(dataset)
    frames = []
    tick = progress(dataset.title, len(dataset))
    for index, unit in enumerate(units):
        image, target, sample_id = dataset[index]
        assert target is not None, "checked above"
        if dataset.role == "closed_set":
            target = np.where(target == IGNORE, IGNORE, IN_DISTRIBUTION).astype(np.uint8)
        seen = observe(model, image, target.shape)
        logits = seen.logits()
        whole = extract_segments(logits=logits, threshold=1.0)  # for the maps that the field's are, too
        score = whole.score_map
        size = (int(target.shape[0]), int(target.shape[1]))
        inside = None if region is None else region.inside(size, whole.classes)
        target = cut_to_region(target, region, whole.classes)
        truth, num_objects = label_components(target == OUT_OF_DISTRIBUTION)
        steps = steps_of(score)
        in_region = slice(None) if inside is None else inside
        known = target == IN_DISTRIBUTION
        highest = np.zeros(num_objects + 1, np.int64)
        np.maximum.at(highest, truth[truth > 0], steps[truth > 0])
        outside = None if inside is None else ~inside
        found = []
        for threshold in thresholds:
            segments = extract_segments(logits=logits, score_map=score, threshold=threshold, ignore=outside)
            found.append(judge_segments(segments, target, truth, num_objects, meta))
        frames.append(
            FrameMeasurement(
                sample_id=sample_id,
                unit=unit,
                pixels=np.bincount(steps[in_region].ravel(), minlength=STEPS + 1),
                pixels_in=np.bincount(steps[known], minlength=STEPS + 1),
                objects=highest[1:],
                segments=tuple(found),
                fine=fine_histogram(score[in_region]),
                fine_in=fine_histogram(score[known]),
                brightness=brightness_of(image),
            )
        )
        tick()
    return frames


def check_calibration_set(dataset: SegmentationDataset) -> None:
    """Raise unless every frame has labels that tell in-distribution pixels."""
    if dataset.role == "proxy":
        raise UsageError(
            f"{dataset.title} is a proxy set; calibrate on street scenes, with labels of unknown objects or "
            "of the original task"
        )
    missing = [record.sample_id for record in dataset.records if record.label is None]
    if missing:
        raise DataError(
            f"{dataset.title}: {len(missing)} frames have no label, first {missing[0]}; calibration needs "
            "labels for all (0 everywhere where nothing unknown is in a frame)"
        )


def steps_of(score: np.ndarray) -> np.ndarray:
    """Return the step of each score in [0, 1]: the largest k whose threshold k/STEPS it reaches, in float32.

    Example:
        >>> steps_of(np.array([0.0, 0.7, 0.6999, 1.0], np.float32))
        array([   0,  700,  699, 1000], dtype=int32)
    """
    limits = np.array(GRID, np.float32)
    steps = np.clip((score * np.float32(STEPS)).astype(np.int32), 0, STEPS)
    steps += (steps < STEPS) & (score >= limits[np.minimum(steps + 1, STEPS)])
    steps -= score < limits[steps]
    return np.maximum(steps, 0)


def judge_segments(
    found: Segments, target: np.ndarray, truth: np.ndarray, num_objects: int, meta: MetaClassifier | None
) -> SegmentsAt:
    """Tell the false alarms among a frame's segments, and which objects the segments reach.

    Args:
        found: segments, cut by the region only.
        target: (H,W) 0, 1, 255; 255 outside the region.
        truth: (H,W) ids of the objects, 0 none; their number:
        num_objects: G.
        meta: None gives every segment the probability 0.
    """
    count = len(found)
    probability = np.zeros(count)
    if meta is not None and count:
        probability = np.asarray(meta.predict_proba(found.features))
    pixels = np.flatnonzero(found.labels)
    segment, kind, thing = (a.ravel()[pixels] for a in (found.labels, target, truth))
    with_ood = np.bincount(segment[kind == OUT_OF_DISTRIBUTION], minlength=count + 1)[1:] > 0
    labelled = np.bincount(segment[kind != IGNORE], minlength=count + 1)[1:] > 0
    reached = np.full(num_objects + 1, 2.0)
    on_object = thing > 0
    np.minimum.at(reached, thing[on_object], probability[segment[on_object] - 1])
    return SegmentsAt(np.sort(probability[labelled & ~with_ood]), reached[1:], int((~labelled).sum()))
