"""Masks of segments as COCO run lengths, in plain lists that fit into JSON.

In: a label image and the box of a segment. Out: `{"size": [H, W], "counts": [...]}`: how many pixels are
outside, then inside, then outside …, down the columns, from the first column on; and back.

Source: the COCO mask format (uncompressed), https://cocodataset.org/#format-data.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from segood.errors import DataError

if TYPE_CHECKING:
    from jaxtyping import Bool, Int


MOST_PIXELS = 2**28
"""Of a mask that is decoded; more than any image that is read."""


def encode_segment(labels: Int[np.ndarray, "h w"], id: int, box: tuple[int, int, int, int]) -> dict[str, Any]:
    """Return the run lengths of one segment.

    Args:
        labels: integer (H,W).
        id: the segment's value in `labels`.
        box: (row0, col0, row1, col1), half-open: no pixel of the segment lies outside of it.

    Example:
        >>> labels = np.array([[0, 7, 7], [0, 7, 0]])
        >>> encode_segment(labels, 7, (0, 1, 2, 3))
        {'size': [2, 3], 'counts': [2, 3, 1]}
    """
    height, width = labels.shape
    row0, col0, row1, col1 = box
    columns = np.zeros((col1 - col0, row1 - row0 + 2), bool)  # with a gap above and below each column
    columns[:, 1:-1] = id == labels[row0:row1, col0:col1].T
    column, row = np.nonzero(columns[:, 1:] != columns[:, :-1])
    ends = (col0 + column) * height + row0 + row  # alternately the first pixel inside, the first after it
    # a run down to the last row goes on at the top of the next column
    joined = np.flatnonzero(ends[1:-1:2] == ends[2::2]) * 2 + 1
    ends = np.delete(ends, np.concatenate([joined, joined + 1]))
    counts = np.diff(ends, prepend=0, append=height * width)
    if len(counts) > 1 and counts[-1] == 0:
        counts = counts[:-1]
    return {"size": [height, width], "counts": counts.tolist()}


def decode_mask(mask: Mapping[str, Any]) -> Bool[np.ndarray, "h w"]:
    """Return the mask of run lengths.

    Raises:
        DataError: the mask is no run lengths of whole numbers, or they do not cover the size.

    Example:
        >>> decode_mask({"size": [2, 3], "counts": [2, 3, 1]}).astype(int)
        array([[0, 1, 1],
               [0, 1, 0]])
    """
    try:
        height, width = mask["size"]
        counts = np.array(mask["counts"])
        if not (type(height) is type(width) is int and 0 < height * width <= MOST_PIXELS and height > 0):
            raise ValueError
        if counts.ndim != 1 or counts.dtype.kind not in "iu":
            raise ValueError
    except (KeyError, TypeError, ValueError, OverflowError):
        raise DataError(
            "a mask must hold `size` [rows, columns] and `counts`, a list of whole numbers; write it again"
        ) from None
    # each by itself: a sum may overflow to what it should be
    if counts.min() < 0 or counts.max() > height * width or counts.sum() != height * width:
        raise DataError(
            f"run lengths add up to {counts.sum()}, the mask has {height}×{width} pixels; write it again"
        )
    inside = np.arange(len(counts)) % 2 == 1
    decoded: np.ndarray = np.repeat(inside, counts).reshape(width, height).T
    return decoded
