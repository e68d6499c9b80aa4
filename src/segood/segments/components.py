"""Connected components of a mask and the boundary of their pixels, both with 8-connectivity.

In: boolean mask (H,W). Out: int32 labels 1..K in row-major order of each component's first pixel;
boolean mask of boundary pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from segood.compiled import kernels_enabled
from segood.errors import UsageError

if TYPE_CHECKING:
    from jaxtyping import Bool, Int32

_SQUARE = np.ones((3, 3), np.uint8)


def label_components(mask: Bool[np.ndarray, "h w"]) -> tuple[Int32[np.ndarray, "h w"], int]:
    """Label the 8-connected components of `mask`.

    Args:
        mask: (H,W) bool, H and W at least 1.

    Returns:
        (labels, K): (H,W) int32, 0 outside the mask, 1..K in row-major order of each component's first
        pixel; the number of components.

    Raises:
        UsageError: `mask` is not boolean, not (H,W), or empty.

    Example:
        >>> label_components(np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]], bool))
        (array([[0, 0, 1],
                [2, 0, 0],
                [0, 2, 0]], dtype=int32), 2)
    """
    check_mask(mask, name="mask")
    if not kernels_enabled():
        return label_plainly(mask)
    from segood.segments.runs import label_runs

    runs = label_runs(np.ascontiguousarray(mask).view(np.uint8))
    return runs.labels, runs.count


def label_plainly(mask: Bool[np.ndarray, "h w"]) -> tuple[Int32[np.ndarray, "h w"], int]:
    """Label with OpenCV: the reference of the kernels, and what there is without them."""
    import cv2

    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8, ltype=cv2.CV_32S)
    # OpenCV's own order differs with its version and threads; ours is part of the contract.
    pixels = np.flatnonzero(mask)
    of_pixel = labels.ravel()[pixels]
    first = np.empty(count, np.int64)
    first[0] = -1
    first[of_pixel[::-1]] = pixels[::-1]  # the last assignment wins: each label's first pixel
    rank = np.empty(count, np.int32)
    rank[np.argsort(first)] = np.arange(count, dtype=np.int32)
    return rank[labels], count - 1


def boundary_mask(mask: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """Mark the pixels of `mask` that have an 8-neighbour inside the image which is not in the mask.

    Pixels at the image's edge are boundary only if such a neighbour exists: the world outside the
    image does not count.

    Args:
        mask: (H,W) bool, H and W at least 1.

    Returns:
        (H,W) bool, True on the boundary pixels, all of them in the mask.

    Raises:
        UsageError: `mask` is not boolean, not (H,W), or empty.

    Example:
        >>> boundary_mask(np.array([[1, 1, 1, 0], [1, 1, 1, 0]], bool)).astype(int)
        array([[0, 0, 1, 0],
               [0, 0, 1, 0]])
    """
    import cv2

    check_mask(mask, name="mask")
    return mask & ~cv2.erode(mask.astype(np.uint8), _SQUARE).astype(bool)


def check_mask(mask: Any, *, name: str) -> None:
    """Raise `UsageError` unless `mask` is a boolean array (H,W) with at least one pixel."""
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
        raise UsageError(
            f"`{name}` must be a boolean array; got {getattr(mask, 'dtype', type(mask).__name__)}"
        )
    if mask.ndim != 2 or mask.size == 0:
        raise UsageError(f"`{name}` must have shape (H,W), H and W at least 1; got {mask.shape}")
