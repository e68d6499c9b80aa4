"""A monitor whose answers can be read off the image: the score of a pixel is its red channel / 255.

It answers as `segood.deployment.monitor.Monitor` does, without a network, so that a test of the service knows
every number, and can hold the worker back with `gate`.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Sequence

import numpy as np
from PIL import Image

from segood.deployment.detection import Detection, UnknownObject
from segood.deployment.drift import EntropyReference
from segood.segments.components import label_components


class RedMonitor:
    """Red is unknown; segments of fewer than 20 pixels are false alarms with 0.75, others 0.25."""

    label = "red <network>"
    class_names = ("road", "sky")
    region = None
    reference: EntropyReference | None = None
    card = {"data": "none"}  # noqa: RUF012
    meta = "by size"

    def __init__(self, threshold: float = 0.7, probability_threshold: float = 0.5) -> None:
        self.threshold, self.probability_threshold = threshold, probability_threshold
        self.gate = threading.Event()
        self.gate.set()
        self.asked = 0
        self.batches: list[int] = []

    def detect_batch(
        self,
        images: Sequence[np.ndarray],
        *,
        threshold: float | None = None,
        probability_threshold: float | None = None,
    ) -> list[Detection]:
        assert len({image.shape for image in images}) == 1
        self.asked += 1
        assert self.gate.wait(60)
        self.batches.append(len(images))
        threshold = self.threshold if threshold is None else threshold
        limit = self.probability_threshold if probability_threshold is None else probability_threshold
        return [self._detect(image, threshold, limit) for image in images]

    def _detect(self, image: np.ndarray, threshold: float, limit: float) -> Detection:
        score = (image[..., 0] / 255).astype(np.float32)
        flagged = score >= np.float32(threshold)
        labels, count = label_components(flagged)
        kept, removed = [], []
        for segment in range(1, count + 1):
            rows, cols = np.nonzero(labels == segment)
            probability = 0.75 if len(rows) < 20 else 0.25
            found = UnknownObject(
                segment,
                (int(rows.min()), int(cols.min()), int(rows.max()) + 1, int(cols.max()) + 1),
                (float(rows.mean()), float(cols.mean())),
                len(rows),
                float(score[labels == segment].mean()),
                1 - probability,
            )
            (removed if probability >= limit else kept).append(found)
        return Detection(
            objects=tuple(kept),
            removed=tuple(removed),
            score=score,
            classes=np.zeros(score.shape, np.uint8),
            labels=labels,
            feature_table=np.zeros((count, 0)),
            feature_names=(),
            image=image,
            seconds={"network": 0.001, "total": 0.002},
            flagged_share=float(flagged.mean()),
        )


def picture(rows: int = 32, columns: int = 64) -> np.ndarray:
    """Return a grey ramp with a red box of 6 × 10 pixels at (4, 8), and one of 2 × 3 at (20, 30)."""
    image = np.empty((rows, columns, 3), np.uint8)
    image[:] = np.linspace(40, 140, columns).astype(np.uint8)[:, None]
    image[4:10, 8:18] = (255, 0, 0)
    image[20:22, 30:33] = (204, 0, 0)  # score 0.8
    return image


def encoded(image: np.ndarray | None = None, image_format: str = "PNG", **options: object) -> bytes:
    """Return an image as the bytes of a file; lossless where the format can."""
    buffer = io.BytesIO()
    if image_format == "WEBP":
        options = {"lossless": True, **options}
    Image.fromarray(picture() if image is None else image).save(buffer, format=image_format, **options)
    return buffer.getvalue()
