"""The frame as PyTorch reads it, on whatever device it lies: the plain path, and that of the GPU.

In: logits or probs (C,h,w), a grid that upsamples them. Out: entropy and predicted classes (H,W) where
the frame lies, sums per segment. The reference of `compiled_frame`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64, Int32
from torch import Tensor

from segood.scores.arrays import widen
from segood.scores.entropy import normalized_entropy
from segood.scores.upsampling import Grid
from segood.segments.components import label_components
from segood.segments.sums import sum_segments

# Values in one block of rows: on a CPU small enough for the cache, elsewhere for the memory.
_BLOCK, _BLOCK_OF_DEVICES = 2**20, 2**28


@dataclass
class PlainFrame:
    """One frame's logits or probs.

    Args:
        values: (C,h,w), finite.
        grid: from (h,w) to (H,W).
        is_logits: or probs.
    """

    values: Tensor
    grid: Grid
    is_logits: bool

    def maps(self, *, with_entropy: bool) -> tuple[Tensor | None, Tensor]:
        """Return the normalised entropy (H,W) if wanted, and the first class of largest value (H,W)."""
        height, width = self.grid.size
        limit = _BLOCK if self.values.device.type == "cpu" else _BLOCK_OF_DEVICES
        rows = max(1, limit // (len(self.values) * width))
        entropies, classes = [], []
        for first in range(0, height, rows):
            block = self._rows(first, min(first + rows, height))
            if with_entropy:
                logits, probs = (block, None) if self.is_logits else (None, block)
                entropies.append(normalized_entropy(logits=logits, probs=probs))
            classes.append(_first_largest(block))
        return (torch.cat(entropies).float() if with_entropy else None), torch.cat(classes)

    def segment(self, score: Tensor, threshold: float, ignored: Tensor | None) -> tuple[np.ndarray, int]:
        """Return the labels (H,W) int32 of score ≥ threshold and their number; only the mask travels."""
        # A score of 0.7 reaches the threshold 0.7, in float32 as well.
        mask = score.float() >= torch.tensor(threshold, dtype=torch.float32)
        if ignored is not None:
            mask = mask & ~ignored.to(mask.device)
        return label_components(mask.cpu().numpy())

    def sums(
        self, labels: Int32[np.ndarray, "h w"], count: int, classes: Tensor
    ) -> Float64[np.ndarray, "k s"]:
        """Return the sums of `segments.sums` per segment."""
        return sum_segments(labels, count, classes, self._pixels, len(self.values), is_logits=self.is_logits)

    def _rows(self, first: int, last: int) -> Tensor:
        if self.grid.is_identity:
            return widen(self.values[:, first:last])
        height, width = last - first, self.grid.size[1]
        index = torch.arange(first * width, last * width, device=self.values.device)
        row, col = torch.div(index, width, rounding_mode="floor"), index % width
        return self._pixels(row, col).reshape(-1, height, width)

    def _pixels(self, row: Tensor, col: Tensor) -> Tensor:
        return upsampled_pixels(self.values, self.grid, row, col)


def upsampled_pixels(logits: Tensor, grid: Grid, row: Tensor, col: Tensor) -> Tensor:
    """Return the logits (C,n) of n pixels of the upsampled image, first along columns, then along rows.

    Args:
        logits: (C,h,w) float; of half precision, the pixels come as float32.
        grid: from (h,w) to the image.
        row, col: (n,) int64 positions in the image, on the device of `logits`.
    """
    if grid.is_identity:
        return widen(logits[:, row, col])
    device = logits.device
    low, high, across = (torch.from_numpy(values).to(device) for values in grid.cols.arrays)
    above, below, down = (torch.from_numpy(values).to(device) for values in grid.rows.arrays)
    left, right = low.long()[col], high.long()[col]

    def along_columns(at: Tensor) -> Tensor:
        before, after = widen(logits[:, at, left]), widen(logits[:, at, right])
        return torch.lerp(before, after, across[col].to(before))

    upper, lower = along_columns(above.long()[row]), along_columns(below.long()[row])
    return torch.lerp(upper, lower, down[row].to(upper))


def _first_largest(block: Tensor) -> Tensor:
    """Return the first class (H,W) uint8 or int32 of the largest value; `argmax` promises no order."""
    dtype = class_dtype(len(block))
    largest, best = block[0], torch.zeros(block.shape[1:], dtype=dtype, device=block.device)
    for c in range(1, len(block)):
        higher = block[c] > largest
        largest = torch.where(higher, block[c], largest)
        best[higher] = c
    return best


def class_dtype(num_classes: int) -> torch.dtype:
    """Return the type of a map of predicted classes: one byte where that is enough."""
    return torch.uint8 if num_classes <= 256 else torch.int32
