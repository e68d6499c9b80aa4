"""Everything behind one call: image -> unknown objects.

In: an image and a network, either PyTorch's or that of a bundle. Out: `Detection`: the objects that remain
after the meta classifier, those it removed, the score map, the predicted classes. A monitor from a bundle
needs ONNX Runtime, NumPy, Numba and Pillow, no PyTorch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from segood.checks import check_unit_interval
from segood.data.images import read_image, resize_image
from segood.deployment.detection import Detection, Reason, UnknownObject
from segood.deployment.enlarging import enlarged, without_small
from segood.deployment.frame_segments import FrameSegments, boxes_of, find_segments
from segood.deployment.networks import ENTROPY, Network, OnnxMonitorNetwork, Seen, TorchNetwork
from segood.errors import UsageError
from segood.meta.decision import LinearDecision
from segood.segments.names import describe_feature, feature_names
from segood.segments.region import Region, describe_region, same_region, stored_region

if TYPE_CHECKING:
    from jaxtyping import UInt8
    from torch import nn

    from segood.deployment.drift import EntropyReference
    from segood.meta import MetaClassifier
    from segood.models import SegmentationModel
    from segood.scores import Score

NUM_REASONS = 3
"""Features named per object, for it being real and against it."""


class Monitor:
    """Find unknown objects in images.

    Args:
        model: a network from `segood.load_model`, or any `torch.nn.Module`.
        score: OoD score that is thresholded, by name, or made (and fitted, where it has to be).
        threshold: a pixel is OoD where its score reaches this; in [0, 1] for entropy.
        meta: `meta.json` of a run, or a `MetaClassifier`; `None` keeps every segment.
        probability_threshold: a segment is removed where its false-positive probability reaches
            this; in [0, 1]. The one stored with the classifier if not given.
        region: where segments may lie; `None` for the whole image. A classifier that was fitted for another
            region is refused.
        frame_size: (rows, columns) to which images are resized first: the size that the meta classifier and
            the thresholds were found at, since features count pixels. What is found is scaled back to the
            image's own size. `None` works at the size of the image.
        min_area: smallest object to report, in pixels of the image; smaller ones are removed. It may be set
            later, of a bundle's monitor, too. A rate of misses that a calibration keeps is kept at 1 only.

    Attributes:
        threshold, probability_threshold, region, frame_size, min_area: as given, or as stored.
        meta: the linear decision, or None.
        label, class_names: of the network.
        score_name: of the score.
        reference: the entropies of the calibration set, for drift; None unless the bundle holds them.
        card: the model card of the bundle, as plain data; empty without a bundle.

    Raises:
        UsageError: a threshold or a smallest area out of range, a score that is not fitted, a classifier for
            another number of classes or another region.

    Example:
        >>> import torch
        >>> monitor = Monitor(torch.nn.Conv2d(3, 4, 1), threshold=0.7)
        >>> result = monitor(np.zeros((8, 12, 3), dtype=np.uint8))
        >>> result.score.shape, result.classes.shape
        ((8, 12), (8, 12))
    """

    def __init__(
        self,
        model: SegmentationModel | nn.Module | OnnxMonitorNetwork,
        score: str | Score = ENTROPY,
        threshold: float = 0.7,
        meta: str | Path | MetaClassifier | LinearDecision | None = None,
        *,
        probability_threshold: float | None = None,
        region: Region | None = None,
        frame_size: tuple[int, int] | None = None,
        min_area: int = 1,
    ) -> None:
        self.network: Network = model if isinstance(model, OnnxMonitorNetwork) else TorchNetwork(model, score)
        if self.score_name == ENTROPY:
            check_unit_interval("threshold", threshold)
        elif not math.isfinite(threshold):
            raise UsageError(f"`threshold` must be a finite number; got {threshold}")
        self.threshold = threshold
        self.region = region
        self.frame_size = frame_size
        self.min_area = min_area
        self._feature_names = tuple(feature_names(len(self.class_names)))
        self._words = {name: describe_feature(name, self.class_names) for name in self._feature_names}
        self.meta = _decision(meta)
        if self.meta is not None:
            self.meta = self.meta.for_columns(self._feature_names)
            _check_same_region(self.meta, region)
        if probability_threshold is None:
            probability_threshold = 0.5 if self.meta is None else self.meta.threshold
        check_unit_interval("probability_threshold", probability_threshold)
        self.probability_threshold = probability_threshold
        self.reference: EntropyReference | None = None
        self.card: Mapping[str, Any] = {}

    @classmethod
    def load(
        cls,
        bundle: str | Path,
        *,
        sha256: str | None = None,
        public_key: str | Path | None = None,
        self_test: bool = True,
    ) -> Monitor:
        """Load what `segood export` wrote, check it, and try it on the frame that is stored with it.

        Args:
            bundle: file `….segood`.
            sha256: digest that the file must have, as whoever made it has told you: hashes inside a file
                prove nothing against tampering.
            public_key: PEM file of the Ed25519 key that the bundle must be signed with.
            self_test: whether the stored frame is run, and compared with what the exporter saw.

        Raises:
            DataError: the file is missing, damaged, no bundle, of another version, not signed with this key,
                or gives other objects on its own frame than where it was made.
            UsageError: ONNX Runtime is missing.
        """
        from segood.deployment.bundle import Bundle
        from segood.deployment.self_test import run_self_test

        found = Bundle.read(bundle, sha256=sha256, public_key=public_key)
        monitor = found.monitor()
        if self_test and found.self_test is not None:
            run_self_test(monitor, found.self_test, Path(bundle))
        return monitor

    @property
    def min_area(self) -> int:
        """Pixels of the smallest object to report."""
        return self._min_area

    @min_area.setter
    def min_area(self, pixels: int) -> None:
        if pixels < 1:
            raise UsageError(f"`min_area` must be a number of pixels, at least 1; got {pixels}")
        self._min_area = pixels

    @property
    def label(self) -> str:
        """What messages call the network."""
        return self.network.label

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the known classes, in the order of their train ids."""
        return self.network.class_names

    @property
    def score_name(self) -> str:
        """Name of the score that is thresholded."""
        return self.network.score_name

    def __call__(self, image: np.ndarray | Image.Image | str | Path) -> Detection:
        """Return what is unknown in one image.

        Args:
            image: uint8 (H,W,3) RGB array, PIL image, or path of an image file.

        Raises:
            UsageError: an array of another shape or type.
            DataError: the file cannot be read.
        """
        return self.detect_batch([image])[0]

    def detect_batch(
        self,
        images: Sequence[np.ndarray | Image.Image | str | Path],
        *,
        threshold: float | None = None,
        probability_threshold: float | None = None,
    ) -> list[Detection]:
        """Return what is unknown in several images, in their order.

        In a bundle, images of equal size go through the network together. `seconds["network"]` of an image
        is its share of the time.

        Args:
            images: as for one image.
            threshold, probability_threshold: instead of the monitor's own, for looking around; the guarantee
                of a calibration holds for its own thresholds only.
        """
        threshold = self.threshold if threshold is None else threshold
        limit = self.probability_threshold if probability_threshold is None else probability_threshold
        pictures = [as_rgb(image) for image in images]
        start = time.perf_counter()
        frames = [resize_image(picture, self.frame_size) for picture in pictures]
        seen = self.network.look(frames)
        share = (time.perf_counter() - start) / max(len(pictures), 1)
        return [
            without_small(enlarged(self._answer(frame, one, threshold, limit, share), picture), self.min_area)
            for picture, frame, one in zip(pictures, frames, seen, strict=True)
        ]

    def _answer(
        self, image: np.ndarray, seen: Seen, threshold: float, limit: float, network_seconds: float
    ) -> Detection:
        start = time.perf_counter()
        found = find_segments(seen, (image.shape[0], image.shape[1]), threshold, self.region)
        after_segments = time.perf_counter()
        seconds = {"network": network_seconds, "segments": after_segments - start}
        if found is None:
            seconds["total"] = sum(seconds.values())
            message = "the network's output is NaN or infinite; check its weights and the image"
            return Detection.without_verdict(image, "not_finite", message, seconds)
        objects, removed = self._judge(found, limit)
        seconds["meta"] = time.perf_counter() - after_segments
        seconds["total"] = sum(seconds.values())
        return Detection(
            objects=objects,
            removed=removed,
            score=found.score,
            classes=found.classes,
            labels=found.labels,
            feature_table=found.features,
            feature_names=self._feature_names,
            image=image,
            seconds=seconds,
            flagged_share=found.flagged_share(),
        )

    def _judge(
        self, found: FrameSegments, limit: float
    ) -> tuple[tuple[UnknownObject, ...], tuple[UnknownObject, ...]]:
        """Return objects and removed segments."""
        if not len(found.features):
            return (), ()
        false_alarm, added = None, None
        if self.meta is not None:
            added = self.meta.contributions(found.features)
            false_alarm = self.meta.of_logits(added.sum(axis=1) + self.meta.intercept)
        described = [
            self._describe(found, index, box, score, false_alarm, added)
            for index, (box, score) in enumerate(
                zip(
                    boxes_of(found.labels, len(found.features)).tolist(),
                    self._mean_scores(found).tolist(),
                    strict=True,
                )
            )
        ]
        if false_alarm is None:
            return tuple(described), ()
        gone = (false_alarm >= limit).tolist()
        return (
            tuple(o for o, removed in zip(described, gone, strict=True) if not removed),
            tuple(o for o, removed in zip(described, gone, strict=True) if removed),
        )

    def _describe(
        self,
        found: FrameSegments,
        index: int,
        box: list[int],
        score: float,
        false_alarm: np.ndarray | None,
        added: np.ndarray | None,
    ) -> UnknownObject:
        row = found.features[index]
        return UnknownObject(
            id=index + 1,
            box=(box[0], box[1], box[2], box[3]),
            center=(float(row[_CENTER]), float(row[_CENTER + 1])),
            area=int(row[_SIZE]),
            score=score,
            probability=None if false_alarm is None else float(1 - false_alarm[index]),
            reasons=() if added is None else self._reasons(row, -added[index]),
        )

    def _reasons(self, values: np.ndarray, weights: np.ndarray) -> tuple[Reason, ...]:
        """Return the features that speak most for an object, then those most against it."""
        order = np.argsort(weights, kind="stable")
        strongest = [*order[::-1][:NUM_REASONS], *order[:NUM_REASONS]]
        kept = [i for n, i in enumerate(strongest) if (weights[i] > 0 if n < NUM_REASONS else weights[i] < 0)]
        names = self._feature_names
        return tuple(
            Reason(names[i], self._words[names[i]], float(values[i]), float(weights[i])) for i in kept
        )

    def _mean_scores(self, found: FrameSegments) -> np.ndarray:
        if self.score_name == ENTROPY:
            entropies: np.ndarray = found.features[:, _ENTROPY]
            return entropies
        pixels = np.flatnonzero(found.labels)
        total = np.bincount(found.labels.ravel()[pixels] - 1, found.score.ravel()[pixels])
        means: np.ndarray = total / found.features[:, _SIZE]
        return means


_ENTROPY, _SIZE, _CENTER = (feature_names(2).index(name) for name in ("entropy_mean", "size", "center_row"))


def as_rgb(image: np.ndarray | Image.Image | str | Path) -> UInt8[np.ndarray, "h w 3"]:
    """Return an image as a uint8 (H,W,3) RGB array.

    Raises:
        UsageError: an array of another shape or type.
        DataError: the file cannot be read.
    """
    if isinstance(image, (str, Path)):
        return read_image(Path(image))
    if isinstance(image, Image.Image):
        return np.asarray(image.convert("RGB"))
    if not isinstance(image, np.ndarray) or image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        given = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise UsageError(f"`image` must be a uint8 (H,W,3) RGB array, a PIL image or a path; got {given}")
    if not image.size:
        raise UsageError(f"`image` must have at least one pixel; got shape {image.shape}")
    return image


def _decision(meta: str | Path | MetaClassifier | LinearDecision | None) -> LinearDecision | None:
    if meta is None or isinstance(meta, LinearDecision):
        return meta
    return LinearDecision.load(meta) if isinstance(meta, (str, Path)) else meta.decision()


def _check_same_region(meta: LinearDecision, region: Region | None) -> None:
    """Raise unless the classifier was fitted for this region, as far as it knows."""
    # none is told by one fitted outside of a run, or by a version without regions
    fitted = stored_region(meta.provenance.get("region"))
    if not same_region(fitted, region):
        raise UsageError(
            f"the meta classifier was fitted for the {describe_region(fitted)}, the monitor looks at the "
            f"{describe_region(region)}; evaluate the run with that region, or give the monitor the other"
        )
