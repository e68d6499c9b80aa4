"""Adaptive average pooling that ONNX can hold at any size.

ONNX has no such operator: an exporter would write down the windows of the one size it sees. As two matrix
products, with matrices made from the sizes, the same pooling stays open to all sizes. Everywhere else
PyTorch's own is used, which is faster.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


@contextlib.contextmanager
def pooling_for_all_sizes() -> Iterator[None]:
    """Let adaptive average pooling of whatever network be exported for all sizes.

    Within, PyTorch's function uses matrices where sizes are symbols. Not for several threads at once.

    Example:
        >>> with pooling_for_all_sizes():
        ...     F.adaptive_avg_pool2d(torch.arange(6.0).view(1, 1, 1, 6), (1, 3)).flatten().tolist()
        [0.5, 2.5, 4.5]
    """
    before = F.adaptive_avg_pool2d

    def pool(x: Tensor, output_size: Any) -> Tensor:
        sides = (output_size, output_size) if isinstance(output_size, int) else tuple(output_size)
        if sides == (1, 1):
            return x.mean((-2, -1), keepdim=True)
        given = (x.shape[-2], x.shape[-1])
        size = tuple(n if side is None else side for side, n in zip(sides, given, strict=True))
        if all(isinstance(n, int) for n in (*given, *size)):
            return before(x, output_size)
        return pool_by_matrices(x, (size[0], size[1]))

    F.adaptive_avg_pool2d = pool  # type: ignore[assignment]
    try:
        yield
    finally:
        F.adaptive_avg_pool2d = before


def pool_by_matrices(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Compute the same as two matrix products; PyTorch's is the reference."""
    (rows, in_rows), (columns, in_columns) = (
        _windows(x.shape[dim], wanted, x) for dim, wanted in zip((2, 3), size, strict=True)
    )
    return rows @ x @ columns.transpose(0, 1) / (in_rows * in_columns.transpose(0, 1))


def _windows(given: int, wanted: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return which of `given` values lie in which window (wanted, given), and how many (wanted, 1)."""
    out = torch.arange(wanted, device=like.device).unsqueeze(1)
    at = torch.arange(given, device=like.device).unsqueeze(0)
    # window i holds the values from floor(i·given/wanted) up to ceil((i+1)·given/wanted)
    first = torch.div(out * given, wanted, rounding_mode="floor")
    last = torch.div((out + 1) * given + wanted - 1, wanted, rounding_mode="floor")
    inside = (at >= first) & (at < last)
    return inside.to(like.dtype), (last - first).to(like.dtype)
