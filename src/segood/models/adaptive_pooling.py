"""Adaptive average pooling that ONNX can hold at any size.

ONNX has no such operator: an exporter would write down the windows of the one size it sees. As two matrix
products, with matrices made from the sizes, the same pooling stays open to all sizes. Everywhere else
PyTorch's own is used, which is faster.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def adaptive_average_pool(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Average (N,C,h,w) over `size` (rows, columns) windows, as `adaptive_avg_pool2d` does.

    Example:
        >>> adaptive_average_pool(torch.arange(6.0).view(1, 1, 1, 6), (1, 3)).flatten().tolist()
        [0.5, 2.5, 4.5]
    """
    if all(isinstance(n, int) for n in (*x.shape[2:], *size)):
        return F.adaptive_avg_pool2d(x, size)
    return pool_by_matrices(x, size)  # sizes are symbols: somebody exports for all of them


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
