"""Logits as kernels read them: float32, contiguous, in bands of rows.

In: logits (C,h,w) in the CPU's memory, of any precision and layout; bfloat16, which NumPy does not know, as
uint16 of the same bits. Out: bands of rows; contiguous float32 is read where it lies, anything else is
converted band by band, so that no second frame is stored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from segood.compiled import run_parallel
from segood.scores.upsampling import Grid

if TYPE_CHECKING:
    from jaxtyping import Float32

_BAND = 2**16


def bands_of(shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """Cut the rows of an image (H,W) into bands (first, last), the same for any number of threads."""
    height, width = shape
    rows = max(1, _BAND // width)
    return [(first, min(first + rows, height)) for first in range(0, height, rows)]


class Float32Rows:
    """Rows of logits, of one type for the kernels whatever the caller has.

    Args:
        logits: (C,h,w); float16, bfloat16 (as uint16), float32 or float64. Of float64 each pixel's largest is
            taken off: the softmax does not change, and float32 keeps the differences.
        grid: from (h,w) to the image.
    """

    def __init__(self, logits: np.ndarray, grid: Grid) -> None:
        self._source = logits
        is_ready = logits.dtype == np.float32 and logits.flags.c_contiguous
        self._whole: np.ndarray | None = None
        if is_ready or not grid.is_identity:  # at the network's stride a copy is small
            self._whole = _read_only(logits if is_ready else self._convert(logits))

    def rows(self, first: int, last: int) -> tuple[Float32[np.ndarray, "c n w"], int]:
        """Return logits in which row `first` lies, and the row of the image that they begin with."""
        if self._whole is not None:
            return self._whole, 0
        return _read_only(self._convert(self._source[:, first:last])), first

    def _convert(self, part: np.ndarray) -> Float32[np.ndarray, "c n w"]:
        if part.dtype == np.uint16:
            return (part.astype(np.uint32, order="C") << 16).view(np.float32)
        # What float32 cannot hold is infinite, and found as such; ∞ - ∞ is NaN, likewise.
        with np.errstate(over="ignore", invalid="ignore"):
            if part.dtype == np.float64:
                part = part - part.max(axis=0)
            return part.astype(np.float32, order="C")


def entropy_map(logits: np.ndarray) -> Float32[np.ndarray, "h w"] | None:
    """Compute the normalised entropy by kernels; only where `kernels_enabled()`.

    Args:
        logits: (C,H,W) as `Float32Rows` takes it.

    Returns:
        (H,W); None where a logit is NaN or infinite in float32.
    """
    from segood.scores.entropy_kernels import entropy_rows

    shape = (logits.shape[1], logits.shape[2])
    grid = Grid.of(shape, None, align_corners=False)
    source = Float32Rows(logits, grid)
    entropy = np.empty(shape, np.float32)
    bands = bands_of(shape)

    def fill(band: int) -> int:
        first, last = bands[band]
        values, first_row = source.rows(first, last)
        out = entropy[first_row:]
        return entropy_rows(  # type: ignore[no-any-return]
            values, grid.rows.arrays, grid.cols.arrays, True, out, first - first_row, last - first_row
        )

    return None if any(run_parallel(fill, len(bands))) else entropy


def _read_only(values: np.ndarray) -> np.ndarray:
    view = values.view()
    view.flags.writeable = False
    return view
