"""The pixel metrics of each frame alone, and their mean.

In: one frame at a time. Out: frozen records, a few numbers per frame, exact (by sorting).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segood.evaluation import curves
from segood.evaluation.curves import PixelNumbers


@dataclass(frozen=True)
class ImageNumbers:
    """The metrics of one frame, as in `PixelReport`; None, and `undefined` says why, where they have none."""

    name: str | None
    num_in: int
    num_ood: int
    auroc: float | None
    average_precision: float | None
    fpr95: float | None
    undefined: str | None = None

    @classmethod
    def of(cls, name: str | None, numbers: PixelNumbers) -> ImageNumbers:
        """Name the numbers of a frame."""
        return cls(
            name=name,
            num_in=numbers.num_in,
            num_ood=numbers.num_ood,
            auroc=numbers.auroc,
            average_precision=numbers.average_precision,
            fpr95=numbers.fpr95,
            undefined=curves.undefined(numbers.num_in, numbers.num_ood),
        )


@dataclass(frozen=True)
class ImageMean:
    """Means over the frames where the metrics are defined.

    Attributes:
        auroc, average_precision, fpr95: means; None if no frame has both kinds of pixel.
        num_defined: frames that count.
        num_images: all frames.
    """

    auroc: float | None
    average_precision: float | None
    fpr95: float | None
    num_defined: int
    num_images: int


def mean_of(images: Sequence[ImageNumbers]) -> ImageMean:
    """Average over frames; each counts the same, however many pixels it has.

    Example:
        >>> first = ImageNumbers("a", 9, 1, 0.5, 0.1, 1.0)
        >>> mean_of([first, ImageNumbers("b", 9, 0, None, None, None, "no OoD pixel")])
        ImageMean(auroc=0.5, average_precision=0.1, fpr95=1.0, num_defined=1, num_images=2)
    """
    defined = [image for image in images if image.undefined is None]
    if not defined:
        return ImageMean(None, None, None, 0, len(images))
    means = [float(np.mean([getattr(image, metric) for image in defined])) for metric in curves.METRICS]
    return ImageMean(means[0], means[1], means[2], len(defined), len(images))
