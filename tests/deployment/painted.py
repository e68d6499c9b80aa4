"""A monitor that needs no network: red is unknown, on any picture. And pictures for it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from segood.deployment.detection import Detection, Reason, UnknownObject
from segood.segments import label_components


class RedMonitor:
    """Red is an object, blue a removed one; it has all that `predict_frames` asks a monitor for."""

    label, score_name, threshold, probability_threshold, region = "red", "entropy", 0.7, 0.5, None
    min_area = 1

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, image: np.ndarray) -> Detection:
        self.asked += 1
        red = (image[..., 0] > 200) & (image[..., 1] < 90)
        blue = (image[..., 2] > 200) & (image[..., 1] < 90)
        labels, count = label_components(red | blue)
        things = [_thing(labels, id) for id in range(1, count + 1)]
        is_blue = [bool(blue[labels == thing.id].any()) for thing in things]
        return Detection(
            objects=tuple(t for t, b in zip(things, is_blue, strict=True) if not b),
            removed=tuple(t for t, b in zip(things, is_blue, strict=True) if b),
            score=red.astype(np.float32),
            classes=np.zeros(red.shape, np.uint8),
            labels=labels,
            feature_table=np.zeros((count, 0)),
            feature_names=(),
            image=image,
            seconds={"network": 0.001, "total": 0.002},
            flagged_share=float(red.mean()),
        )


def _thing(labels: np.ndarray, id: int) -> UnknownObject:
    rows, cols = np.nonzero(labels == id)
    box = (int(rows.min()), int(cols.min()), int(rows.max()) + 1, int(cols.max()) + 1)
    reasons = (
        Reason("size", "number of pixels", float(rows.size), 1.25),
        Reason("center_row", "height", 3.0, -0.5),
    )
    return UnknownObject(id, box, (float(rows.mean()), float(cols.mean())), rows.size, 0.75, 0.875, reasons)


def street(*red: tuple[int, int, int, int], blue: Sequence[tuple[int, int, int, int]] = ()) -> np.ndarray:
    """Return a 48 × 64 frame with grey stripes and red and blue boxes (row0, col0, row1, col1)."""
    image = np.repeat((60 + np.arange(48) % 12 * 10).astype(np.uint8)[:, None, None], 64, axis=1)
    image = np.repeat(image, 3, axis=2)
    for color, boxes in (((255, 0, 0), red), ((0, 0, 255), blue)):
        for row0, col0, row1, col1 in boxes:
            image[row0:row1, col0:col1] = color
    return image
