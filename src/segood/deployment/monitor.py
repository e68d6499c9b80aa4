"""Everything behind one call: image -> unknown objects.

In: an image and a network. Out: `Detection`: the objects that remain after the meta classifier,
those it removed, the score map, the predicted classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import UInt8
from PIL import Image
from torch import nn

from segood.checks import check_unit_interval
from segood.data.images import read_image
from segood.errors import UsageError
from segood.meta import MetaClassifier
from segood.models import SegmentationModel, load_model
from segood.models.observation import observe
from segood.scores import Score, get_score
from segood.segments import Segments, extract_segments


@dataclass(frozen=True)
class UnknownObject:
    """One connected region that shows nothing the network knows.

    Attributes:
        id: its value in `Detection.labels`.
        box: (row0, col0, row1, col1), half-open, pixels.
        center: (row, col), mean over its pixels.
        area: pixels.
        score: mean score over its pixels.
        probability: that it is real, in [0, 1]; `None` without a meta classifier.
    """

    id: int
    box: tuple[int, int, int, int]
    center: tuple[float, float]
    area: int
    score: float
    probability: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return the object as plain data, for JSON."""
        return {
            "id": self.id,
            "box": list(self.box),
            "center": [round(v, 2) for v in self.center],
            "area": self.area,
            "score": round(self.score, 6),
            "probability": None if self.probability is None else round(self.probability, 6),
        }


@dataclass(frozen=True)
class Detection:
    """What the monitor says about one image.

    Attributes:
        objects: unknown objects, in row-major order of their first pixel.
        removed: segments that the meta classifier takes for false alarms, same order.
        score: (H,W) float32, higher = more unknown.
        classes: (H,W) uint8 (int32 beyond 256 classes), predicted train id per pixel.
        labels: (H,W) int32, id of the segment a pixel belongs to, removed ones included; 0 none.
        features: one row of features per segment, index as in `labels`.
        image: (H,W,3) uint8, the RGB image.
    """

    objects: tuple[UnknownObject, ...]
    removed: tuple[UnknownObject, ...]
    score: np.ndarray
    classes: np.ndarray
    labels: np.ndarray
    features: pd.DataFrame
    image: np.ndarray

    def overlay(self) -> UInt8[np.ndarray, "h w 3"]:
        """Draw the image with the objects outlined and the removed segments dimmed."""
        from segood.reporting import draw_overlay

        return draw_overlay(self.image, self.labels, removed=[o.id for o in self.removed])


class Monitor:
    """Find unknown objects in images.

    Args:
        model: a network from `segood.load_model`, or any `torch.nn.Module`.
        score: OoD score that is thresholded, by name, or made (and fitted, where it has to be).
        threshold: a pixel is OoD where its score reaches this; in [0, 1] for entropy.
        meta: `meta.json` of a run, or a `MetaClassifier`; `None` keeps every segment.
        probability_threshold: a segment is removed where its false-positive probability reaches
            this; in [0, 1]. The one stored with the classifier if not given.

    Raises:
        UsageError: a threshold out of range, a score that is not fitted, a classifier for another
            number of classes.

    Example:
        >>> import torch
        >>> monitor = Monitor(torch.nn.Conv2d(3, 4, 1), threshold=0.7)
        >>> result = monitor(np.zeros((8, 12, 3), dtype=np.uint8))
        >>> result.score.shape, result.classes.shape
        ((8, 12), (8, 12))
    """

    def __init__(
        self,
        model: SegmentationModel | nn.Module,
        score: str | Score = "entropy",
        threshold: float = 0.7,
        meta: str | Path | MetaClassifier | None = None,
        *,
        probability_threshold: float | None = None,
    ) -> None:
        self.model = model if isinstance(model, SegmentationModel) else load_model(model)
        self.model.eval()
        self.score = get_score(score) if isinstance(score, str) else score
        self.score.check_fitted()
        if self.score.name == "entropy":
            check_unit_interval("threshold", threshold)
        self.threshold = threshold
        self.meta = MetaClassifier.load(meta) if isinstance(meta, (str, Path)) else meta
        if self.meta is not None:
            _check_same_classes(self.meta, self.model.num_classes)
        if probability_threshold is None:
            probability_threshold = 0.5 if self.meta is None else self.meta.threshold
        check_unit_interval("probability_threshold", probability_threshold)
        self.probability_threshold = probability_threshold

    def __call__(self, image: np.ndarray | Image.Image | str | Path) -> Detection:
        """Return what is unknown in one image.

        Args:
            image: uint8 (H,W,3) RGB array, PIL image, or path of an image file.

        Raises:
            UsageError: an array of another shape or type.
            DataError: the file cannot be read.
        """
        rgb = _as_rgb(image)
        seen = observe(self.model, rgb, scores=[self.score])
        # Extracting segments computes the entropy anyway, in the same pass.
        other = None if self.score.name == "entropy" else self.score.of(seen)
        found = extract_segments(logits=seen.logits(), score_map=other, threshold=self.threshold)
        false_alarm = None
        if self.meta is not None and len(found):
            false_alarm = np.asarray(self.meta.predict_proba(found.features))
        objects = _describe(found, false_alarm)
        removed = (
            set()
            if false_alarm is None
            else set(np.flatnonzero(false_alarm >= self.probability_threshold) + 1)
        )
        return Detection(
            tuple(o for o in objects if o.id not in removed),
            tuple(o for o in objects if o.id in removed),
            found.score_map,
            found.classes,
            found.labels,
            found.features,
            rgb,
        )


def _check_same_classes(meta: MetaClassifier, num_classes: int) -> None:
    # one feature per class is enough to tell; a classifier of other features says so when it is asked
    known = sum(name.startswith("class_probability_") for name in meta.feature_names)
    if known and known != num_classes:
        raise UsageError(
            f"`meta` is a classifier for {known} classes, the network has {num_classes}; "
            "give the meta.json of a run with this network"
        )


def _as_rgb(image: np.ndarray | Image.Image | str | Path) -> UInt8[np.ndarray, "h w 3"]:
    if isinstance(image, (str, Path)):
        return read_image(Path(image))
    if isinstance(image, Image.Image):
        return np.asarray(image.convert("RGB"))
    if not isinstance(image, np.ndarray) or image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        given = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise UsageError(f"`image` must be a uint8 (H,W,3) RGB array, a PIL image or a path; got {given}")
    return image


def _describe(segments: Segments, false_alarm: np.ndarray | None) -> list[UnknownObject]:
    from scipy import ndimage

    if not len(segments):
        return []
    pixels = np.flatnonzero(segments.labels > 0)
    of_pixel = segments.labels.ravel()[pixels]
    total = np.bincount(of_pixel, segments.score_map.ravel()[pixels])[1:]
    sizes, center_rows, center_cols = (
        segments.features[name].to_numpy() for name in ("size", "center_row", "center_col")
    )
    objects = []
    for index, (rows, cols) in enumerate(ndimage.find_objects(segments.labels)):
        area = int(sizes[index])
        objects.append(
            UnknownObject(
                id=index + 1,
                box=(rows.start, cols.start, rows.stop, cols.stop),
                center=(float(center_rows[index]), float(center_cols[index])),
                area=area,
                score=float(total[index] / area),
                probability=None if false_alarm is None else float(1 - false_alarm[index]),
            )
        )
    return objects
