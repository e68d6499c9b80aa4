"""Segments as polygons, for pictures in which single segments can be told apart and clicked.

In: a label image, already reduced to the size of the picture. Out: per segment closed polygons of integer
`[row, col]`, which run through the centres of the segment's rim pixels: a pixel's centre has the pixel's own
indices. Filled by the even-odd rule and drawn with a stroke of one pixel they cover the segment.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import cv2
import numpy as np
from jaxtyping import Bool, Int32
from scipy.ndimage import find_objects

TOLERANCES = {False: (0.7, 0.4), True: (1.5, 1.0, 0.7, 0.4)}
"""Pixels that a simplified outline, fine or coarse, may leave the true one by; the first that covers enough
is taken."""
LEAST_COVER = {False: 0.99, True: 0.95}
"""Share of a segment's pixels that its outline, fine or coarse, covers."""
FEW_PIXELS = 5
"""A segment of fewer pixels is shown as a box one pixel wider than it is, so that it can be clicked."""

Polygons = list[list[list[int]]]


def outline_segments(
    labels: Int32[np.ndarray, "h w"],
    chosen: Iterable[int],
    centers: Mapping[int, tuple[float, float]] | None = None,
    *,
    coarse: bool = False,
) -> dict[int, Polygons]:
    """Draw the outlines of some segments.

    Args:
        labels: (h,w) segment ids, 0 = none.
        chosen: ids.
        centers: (row, col) of segments, in pixels of `labels`: a segment without any pixel there, because the
            picture is smaller than what it was found in, gets a box around this point, else no polygon.
        coarse: take half the points, see `LEAST_COVER`.

    Returns:
        By id its polygons; holes are polygons, too (even-odd rule).

    Example:
        >>> labels = np.zeros((4, 5), np.int32)
        >>> labels[1:3, 1:4] = 7
        >>> outline_segments(labels, [7])
        {7: [[[1, 1], [2, 1], [2, 3], [1, 3]]]}
    """
    boxes = find_objects(labels)
    found = {}
    for key in chosen:
        box = boxes[key - 1] if key <= len(boxes) else None
        if box is not None:
            found[key] = _outline(labels[box] == key, box, labels.shape, coarse)
        elif centers is not None:
            row, col = (round(float(v)) for v in centers[key])
            found[key] = [_box(row, row, col, col, labels.shape)]
        else:
            found[key] = []
    return found


def coarsen_outline(outline: Polygons, tolerance: float) -> Polygons:
    """Simplify an outline further, where there is little room for it.

    Args:
        outline: polygons.
        tolerance: pixels that a polygon may move by; those that enclose less than its square are left out,
            the largest one excepted.

    Example:
        >>> coarsen_outline([[[0, 0], [9, 1], [20, 0], [20, 20], [0, 20]], [[5, 5], [5, 6], [6, 6]]], 2)
        [[[0, 0], [20, 0], [20, 20], [0, 20]]]
    """
    arrays = [np.array(polygon, np.int32)[:, None] for polygon in outline]
    areas = [cv2.contourArea(array) for array in arrays]
    least = min(tolerance**2, max(areas, default=0.0))
    kept = [array for array, area in zip(arrays, areas, strict=True) if area >= least]
    simple = [cv2.approxPolyDP(array, tolerance, closed=True) for array in kept]
    # What is as small as the tolerance would vanish, and has few points anyway.
    return [(new if len(new) > 2 else old)[:, 0].tolist() for new, old in zip(simple, kept, strict=True)]


def fill_outline(outline: Polygons, shape: tuple[int, int]) -> Bool[np.ndarray, "h w"]:
    """Return the pixels (h,w) that an outline covers, its own line included."""
    canvas = np.zeros(shape, np.uint8)
    cv2.fillPoly(canvas, [np.array(p, np.int32)[:, ::-1] for p in outline], 1)
    return canvas.astype(bool)


def _outline(
    mask: Bool[np.ndarray, "h w"], box: tuple[slice, slice], shape: tuple[int, ...], coarse: bool
) -> Polygons:
    top, left = box[0].start, box[1].start
    pixels = int(np.count_nonzero(mask))
    if pixels < FEW_PIXELS:
        return [_box(top, box[0].stop - 1, left, box[1].stop - 1, shape)]
    contours, _ = cv2.findContours(mask.view(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    for tolerance in TOLERANCES[coarse]:
        simple = [cv2.approxPolyDP(c, tolerance, closed=True) for c in contours]
        canvas = np.zeros(mask.shape, np.uint8)
        cv2.fillPoly(canvas, simple, 1)
        if np.count_nonzero(canvas[mask]) >= LEAST_COVER[coarse] * pixels:
            break
    else:
        simple = [cv2.approxPolyDP(c, 0.0, closed=True) for c in contours]
    offset = np.array([top, left])
    return [(polygon[:, 0, ::-1] + offset).tolist() for polygon in simple]


def _box(top: int, bottom: int, left: int, right: int, shape: tuple[int, ...]) -> list[list[int]]:
    top, bottom = max(top - 1, 0), min(bottom + 1, shape[0] - 1)
    left, right = max(left - 1, 0), min(right + 1, shape[1] - 1)
    return [[top, left], [bottom, left], [bottom, right], [top, right]]
