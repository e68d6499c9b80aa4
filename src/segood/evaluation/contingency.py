"""How many pixels each pair of segments of two label images shares.

In: two label images (H,W), 0 = none. Out: the pairs that share pixels and how many. One pass over the
frame whatever the number of segments.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int, Int64

from segood.errors import UsageError
from segood.types import IGNORE, IN_DISTRIBUTION, OUT_OF_DISTRIBUTION


@dataclass(frozen=True)
class Overlaps:
    """Pairs of segments that share pixels, ordered by `first`, then `second`.

    Attributes:
        first, second: (P,) int64 ids ≥ 1 in the one and the other label image.
        pixels: (P,) int64 number of shared pixels, ≥ 1.
    """

    first: np.ndarray
    second: np.ndarray
    pixels: np.ndarray


def overlaps(first: Int[np.ndarray, "h w"], second: Int[np.ndarray, "h w"]) -> Overlaps:
    """Count the pixels shared by each pair of segments.

    Args:
        first, second: label images of one shape, 0 = no segment.

    Example:
        >>> overlaps(np.array([[1, 1, 2]]), np.array([[0, 3, 3]]))
        Overlaps(first=array([1, 2]), second=array([3, 3]), pixels=array([1, 1]))
    """
    flat, other = first.ravel(), second.ravel()
    where = np.flatnonzero(other > 0)  # of the frame only what one of both covers is looked at again
    where = where[flat[where] > 0]
    stride = int(second.max(initial=0)) + 1
    pairs, pixels = np.unique(flat[where].astype(np.int64) * stride + other[where], return_counts=True)
    left, right = np.divmod(pairs, stride)
    return Overlaps(left, right, pixels.astype(np.int64))


def sizes_of(labels: Int[np.ndarray, "h w"], count: int) -> Int64[np.ndarray, " k"]:
    """Count the pixels of segments 1..K.

    Example:
        >>> sizes_of(np.array([[0, 2, 2], [1, 0, 2]]), 2)
        array([1, 3])
    """
    return np.bincount(labels.ravel()[np.flatnonzero(labels > 0)], minlength=count + 1)[1:]


def check_labels(labels: Any, target: Any) -> None:
    """Raise `UsageError` unless `labels` (H,W) holds segment ids ≥ 0 and `target` (H,W) holds 0, 1, 255."""
    if not isinstance(labels, np.ndarray) or labels.ndim != 2 or labels.dtype.kind not in "iu":
        given = f"{labels.dtype} {labels.shape}" if isinstance(labels, np.ndarray) else type(labels).__name__
        raise UsageError(f"`labels` must be an integer array (H,W); got {given}")
    if labels.min(initial=0) < 0:
        raise UsageError(f"`labels` must hold segment ids, 0 for none; got {labels.min()}")
    check_ood_target(target, labels.shape, like="labels")


def check_ood_target(target: Any, shape: tuple[int, ...], *, like: str) -> None:
    """Raise `UsageError` unless `target` has that shape and holds only 0, 1 and 255."""
    if not isinstance(target, np.ndarray) or target.shape != shape:
        given = target.shape if isinstance(target, np.ndarray) else type(target).__name__
        raise UsageError(f"`target` must have shape (H,W)={shape} to match `{like}`; got {given}")
    known = (target == IN_DISTRIBUTION) | (target == OUT_OF_DISTRIBUTION) | (target == IGNORE)
    if not known.all():
        raise UsageError(
            f"`target` must hold 0 (in-distribution), 1 (OoD) or 255 (ignore); got {target[~known].flat[0]}"
        )
