"""Turn COCO segmentations (polygons, uncompressed and compressed run lengths) into object masks.

In: checked segmentations of one image. Out: one bool mask of all objects, crowd regions included.
Polygons are filled by pycocotools, so that masks agree with everyone else's to the pixel.

Source: the COCO mask format, https://cocodataset.org/#format-data; runs alternate between
background and object, down the columns, beginning with background.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

import numpy as np

from segood.errors import DataError, UsageError

Polygons: TypeAlias = "tuple[array[float], ...]"
"""Corners x, y, x, y, … of each polygon in pixels, at least three corners each."""


class RunLengths(NamedTuple):
    """Lengths of alternating runs of background and object pixels, column by column."""

    height: int
    width: int
    counts: array[int]


def decode_counts(text: str) -> array[int]:
    """Decode the text form of COCO run lengths.

    Every number is written in groups of 5 bits, lowest first, bit 6 telling that more follow; from
    the fourth number on, the difference to the number two places before is stored.

    Args:
        text: the `counts` of a compressed COCO RLE.

    Returns:
        Run lengths, not yet checked against an image size.

    Raises:
        ValueError: a sign lies outside the code, or the text ends within a number.

    Example:
        >>> decode_counts("52203").tolist()
        [5, 2, 2, 2, 5]
    """
    counts = array("q")
    position = 0
    while position < len(text):
        value, shift, more = 0, 0, True
        while more:
            if position == len(text) or shift > 55:
                raise ValueError("run lengths end within a number")
            code = ord(text[position]) - 48
            if not 0 <= code < 64:
                raise ValueError(f"sign {text[position]!r} is no part of compressed run lengths")
            value |= (code & 31) << shift
            shift += 5
            position += 1
            more = bool(code & 32)
        if code & 16:  # the highest bit of the last group is the number's sign
            value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
    return counts


def segmentation_area(segmentation: Polygons | RunLengths) -> float:
    """Return the area of a segmentation in pixels: the object runs' sum, or the polygons' shoelace sum."""
    if isinstance(segmentation, RunLengths):
        return float(sum(segmentation.counts[1::2]))
    area = 0.0
    for polygon in segmentation:
        x, y = np.frombuffer(polygon)[0::2], np.frombuffer(polygon)[1::2]
        area += abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2
    return area


def object_mask(
    segmentations: Iterable[Polygons | RunLengths], height: int, width: int, *, name: str = "image"
) -> np.ndarray:
    """Rasterise the union of segmentations.

    Args:
        segmentations: polygons or run lengths, any number.
        height: rows of the image.
        width: columns of the image.
        name: what the segmentations belong to, for the message.

    Returns:
        bool (H,W), True on every pixel of any object.

    Raises:
        DataError: run lengths of another size than the image, or a polygon that reaches further
            beyond the frame than the frame is large.
        UsageError: pycocotools is not installed.

    Example:
        >>> runs = RunLengths(2, 3, array("q", [1, 2, 3]))   # down the columns: . # | # . | . .
        >>> object_mask([runs], 2, 3).astype(int)
        array([[0, 1, 0],
               [1, 0, 0]])
    """
    mask = np.zeros((height, width), bool)
    polygons: list[array[float]] = []
    for segmentation in segmentations:
        if isinstance(segmentation, RunLengths):
            if segmentation[:2] != (height, width):
                raise DataError(
                    f"{name}: RLE is for {segmentation.height} x {segmentation.width} pixels, the image has "
                    f"{height} x {width}; restore the original annotations"
                )
            mask |= _expand(segmentation)
        else:
            polygons += segmentation
    for polygon in polygons:
        # far-off corners would make the rasteriser allocate memory for every step of the way
        x, y = np.frombuffer(polygon)[0::2], np.frombuffer(polygon)[1::2]
        if x.min() < -width or x.max() > 2 * width or y.min() < -height or y.max() > 2 * height:
            raise DataError(
                f"{name}: a polygon lies far outside the image of {height} x {width} pixels; "
                "restore the original annotations"
            )
    if polygons:
        mask |= _fill(polygons, height, width)
    return mask


def _fill(polygons: list[array[float]], height: int, width: int) -> np.ndarray:
    try:
        from pycocotools import mask as coco
    except ImportError as error:
        raise UsageError(
            "COCO polygons need pycocotools; install it with `pip install 'segood[train]'`"
        ) from error
    runs = coco.frPyObjects([polygon.tolist() for polygon in polygons], height, width)
    # not coco.decode, which hands NumPy 2 an object it warns about
    return _expand(RunLengths(height, width, decode_counts(coco.merge(runs)["counts"].decode())))


def _expand(runs: RunLengths) -> np.ndarray:
    values = np.arange(len(runs.counts)) % 2 == 1
    return np.repeat(values, runs.counts).reshape(runs.width, runs.height).T
