"""Bilinear upsampling by rows: logits at a network's stride, read as if they had the image's size.

In: logits (C,h,w) and a size (H,W). Out: for every row and column of the image, between which two rows
and columns of the logits it lies, and how far. Positions are those of PyTorch's `interpolate`, in
float32 as there.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass

import numpy as np

from segood.errors import UsageError


@dataclass(frozen=True)
class Axis:
    """Where the positions of one axis lie between the given ones.

    Attributes:
        low, high: (n,) int32 index of the neighbour before and after.
        weight: (n,) float32 share of `high`, in [0,1).
    """

    low: np.ndarray
    high: np.ndarray
    weight: np.ndarray

    @property
    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(low, high, weight), as kernels take it."""
        return self.low, self.high, self.weight

    @classmethod
    def between(cls, given: int, wanted: int, align_corners: bool) -> Axis:
        """Place `wanted` positions among `given` ones."""
        position = np.arange(wanted, dtype=np.float32)
        if align_corners:
            source = position * np.float32((given - 1) / max(wanted - 1, 1))
        else:
            scale = np.float32(given / wanted)
            source = np.maximum((position + np.float32(0.5)) * scale - np.float32(0.5), np.float32(0))
        low = np.minimum(source.astype(np.int32), given - 1)
        high = np.minimum(low + 1, given - 1).astype(np.int32)
        return cls(low, high, (source - low).astype(np.float32))


@dataclass(frozen=True)
class Grid:
    """The rows and columns of an image among those of its logits.

    Attributes:
        size: (H,W) of the image.
        rows, cols: its axes.
        is_identity: the logits have the image's size.
    """

    size: tuple[int, int]
    rows: Axis
    cols: Axis
    is_identity: bool

    @classmethod
    def of(cls, shape: tuple[int, int], size: tuple[int, int] | None, align_corners: bool) -> Grid:
        """Return the grid from logits of `shape` (h,w) to `size` (H,W), or to their own size.

        Raises:
            UsageError: a size without pixels, or that is not two whole numbers.
        """
        try:
            height, width = shape if size is None else map(operator.index, size)
        except (TypeError, ValueError):
            raise UsageError(f"`size` must be two whole numbers (H,W); got {size!r}") from None
        wanted = (height, width)
        if min(wanted) < 1:
            raise UsageError(f"`size` must be (H,W), both at least 1; got {wanted}")
        axes = [Axis.between(g, w, align_corners) for g, w in zip(shape, wanted, strict=True)]
        return cls(wanted, axes[0], axes[1], wanted == tuple(shape))
