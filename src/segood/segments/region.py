"""The region of interest: where a monitor looks at all. Pixels outside belong to no segment.

In: a polygon, a mask, or the classes that make up the drivable ground, and per frame its size and predicted
classes. Out: a boolean mask (H,W). A region is plain data: it is stored with the meta classifier, the
calibration and the monitor, which only fit each other where they were made for the same one (`digest`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw

from segood.errors import UsageError

if TYPE_CHECKING:
    from jaxtyping import Bool

Point = tuple[float, float]


@dataclass(frozen=True)
class Region:
    """Where segments may lie; exactly one of the three ways to say it.

    Args:
        polygon: at least three corners (row, col), as shares of the image's rows and columns, each in [0, 1].
        mask: (H,W) boolean as nested runs, see `from_mask`; resized (nearest) to the size of a frame.
        classes: train ids of the ground, for example (0, 1) for road and pavement: the region is the convex
            hull of the largest connected part that the network predicts as one of them, so that an object on
            the road lies in it although it is no road. No such pixel in a frame: the region is empty.

    Raises:
        UsageError: none or several are given, or a value breaks its rule.

    Example:
        >>> lower_half = Region(polygon=((0.5, 0), (0.5, 1), (1, 1), (1, 0)))
        >>> lower_half.inside((4, 2)).astype(int).tolist()
        [[0, 0], [0, 0], [1, 1], [1, 1]]
    """

    polygon: tuple[Point, ...] | None = None
    mask: MaskRuns | None = None
    classes: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        given = [name for name in ("polygon", "mask", "classes") if getattr(self, name) is not None]
        if len(given) != 1:
            raise UsageError(
                f"a region is a polygon, a mask or classes, one of them; got {' and '.join(given) or 'none'}"
            )
        if self.polygon is not None:
            object.__setattr__(self, "polygon", _checked_polygon(self.polygon))
        if self.classes is not None:
            classes = tuple(self.classes)
            if not classes or not all(type(c) is int and c >= 0 for c in classes):
                raise UsageError(f"`classes` of a region must be train ids, at least one; got {classes}")
            object.__setattr__(self, "classes", tuple(sorted(set(classes))))

    @classmethod
    def from_mask(cls, mask: Bool[np.ndarray, "h w"]) -> Region:
        """Make a region of a boolean mask (H,W) with at least one pixel inside.

        Example:
            >>> Region.from_mask(np.eye(2, dtype=bool)).inside((2, 2)).astype(int).tolist()
            [[1, 0], [0, 1]]
        """
        if mask.ndim != 2 or mask.dtype != np.bool_ or not mask.any():
            raise UsageError(
                "the mask of a region must be boolean (H,W) with a pixel inside; "
                f"got {mask.dtype} {mask.shape}{'' if mask.any() else ', nothing inside'}"
            )
        return cls(mask=MaskRuns.of(mask))

    @property
    def needs_classes(self) -> bool:
        """Whether `inside` needs the predicted classes of the frame."""
        return self.classes is not None

    def inside(self, size: tuple[int, int], predicted: np.ndarray | None = None) -> Bool[np.ndarray, "h w"]:
        """Return where segments may lie in a frame; not to be changed in place.

        Args:
            size: (H,W) of the frame.
            predicted: (H,W) integer train ids, where `needs_classes`.

        Raises:
            UsageError: predicted classes are needed and missing, or of another size.
        """
        if self.classes is None:
            return _fixed(self, size)
        if predicted is None or predicted.shape != size:
            raise UsageError(f"a region of predicted classes needs those of the frame, of shape {size}")
        return _hull_of(_largest_part(np.isin(predicted, self.classes)))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, the inverse of `from_dict`."""
        if self.polygon is not None:
            return {"polygon": [list(p) for p in self.polygon]}
        if self.mask is not None:
            return {"mask": {"size": list(self.mask.size), "runs": list(self.mask.runs)}}
        return {"classes": list(self.classes or ())}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Region:
        """Build from the result of `to_dict`.

        Raises:
            UsageError: something else.

        Example:
            >>> Region.from_dict({"classes": [1, 0]}).classes
            (0, 1)
        """
        try:
            ((kind, value),) = values.items()
            if kind == "polygon":
                return cls(polygon=tuple((float(r), float(c)) for r, c in value))
            if kind == "classes":
                return cls(classes=tuple(value))
            if kind == "mask":
                return cls(mask=MaskRuns(tuple(value["size"]), tuple(value["runs"])))
        except UsageError:
            raise
        except (TypeError, ValueError, KeyError, AttributeError, OverflowError):
            pass
        raise UsageError(
            "a region is {polygon: [[row, col], ...]}, {classes: [train id, ...]} or a mask, one of them; "
            f"got {str(values)[:80]}"
        )

    def digest(self) -> str:
        """Return what tells this region from others: 16 hexadecimal digits."""
        return hashlib.sha256(json.dumps(self.to_dict()).encode()).hexdigest()[:16]

    def describe(self) -> str:
        """Say in a few words what the region is.

        Example:
            >>> Region(classes=(0,)).describe()
            'hull of predicted classes 0'
        """
        if self.polygon is not None:
            return f"polygon of {len(self.polygon)} corners"
        if self.mask is not None:
            return f"mask of {self.mask.size[0]}×{self.mask.size[1]}"
        return f"hull of predicted classes {', '.join(map(str, self.classes or ()))}"


@dataclass(frozen=True)
class MaskRuns:
    """A mask as run lengths, row by row: how many pixels are outside, then inside, then outside …"""

    size: tuple[int, int]
    runs: tuple[int, ...]

    def __post_init__(self) -> None:
        numbers = (*self.size, *self.runs)
        if len(self.size) != 2 or not all(type(n) is int and n >= 0 for n in numbers):
            raise UsageError("the mask of a region must hold a size and run lengths, whole numbers")
        rows, columns = self.size
        if not 0 < rows * columns <= 2**28 or sum(self.runs) != rows * columns:
            raise UsageError(f"the runs of a region's mask must cover its {rows}×{columns} pixels")

    @classmethod
    def of(cls, mask: np.ndarray) -> MaskRuns:
        flat = np.concatenate([[False], mask.ravel()])
        starts = np.flatnonzero(np.diff(flat))
        runs = np.diff(np.concatenate([[0], starts, [mask.size]]))
        return cls((int(mask.shape[0]), int(mask.shape[1])), tuple(int(r) for r in runs))

    def decode(self) -> np.ndarray:
        values = np.arange(len(self.runs)) % 2 == 1
        decoded: np.ndarray = np.repeat(values, self.runs).reshape(self.size)
        return decoded


def stored_region(values: Mapping[str, Any] | None) -> Region | None:
    """Return the region that `Region.to_dict` described, None for the whole image; raises as `from_dict`."""
    return None if values is None else Region.from_dict(values)


def same_region(first: Region | None, second: Region | None) -> bool:
    """Tell whether two parts were made for the same region; None is the whole image."""
    return (None if first is None else first.digest()) == (None if second is None else second.digest())


def describe_region(region: Region | None) -> str:
    """Say in a few words where is looked at."""
    return "whole image" if region is None else region.describe()


def _checked_polygon(polygon: Sequence[Point]) -> tuple[Point, ...]:
    corners = tuple((float(r), float(c)) for r, c in polygon)
    if len(corners) < 3 or not all(0 <= v <= 1 for corner in corners for v in corner):
        raise UsageError(
            "`polygon` of a region needs at least three corners (row, col), as shares of the image in "
            f"[0, 1]; got {corners}"
        )
    return corners


@lru_cache(maxsize=8)
def _fixed(region: Region, size: tuple[int, int]) -> np.ndarray:
    if region.mask is not None:
        decoded = region.mask.decode()
        rows = (np.arange(size[0]) + 0.5) * decoded.shape[0] / size[0]
        cols = (np.arange(size[1]) + 0.5) * decoded.shape[1] / size[1]
        inside = decoded[np.ix_(rows.astype(int), cols.astype(int))]
    else:
        corners = np.array(region.polygon) * size
        inside = _filled(corners, size)
    inside.flags.writeable = False
    return inside


def _filled(corners: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Fill a polygon of corners (row, col) in pixels; a pixel is inside where its centre is."""
    rows, cols = size
    inside = np.zeros(size, bool)
    centers = np.arange(cols) + 0.5
    after = np.roll(corners, -1, axis=0)
    for row in range(rows):
        y = row + 0.5
        crosses = (corners[:, 0] <= y) != (after[:, 0] <= y)
        a, b = corners[crosses], after[crosses]
        at = np.sort(a[:, 1] + (y - a[:, 0]) / (b[:, 0] - a[:, 0]) * (b[:, 1] - a[:, 1]))
        inside[row] = np.searchsorted(at, centers) % 2 == 1
    return inside


def _largest_part(mask: np.ndarray) -> np.ndarray:
    """Return the largest 8-connected part; the mask itself where it is empty."""
    from segood.segments.components import label_components

    if not mask.any():
        return mask
    labels, count = label_components(mask)
    return labels == 1 + np.argmax(np.bincount(labels.ravel(), minlength=count + 1)[1:])


def _hull_of(mask: np.ndarray) -> np.ndarray:
    """Return the convex hull of the pixels of a mask, as a mask."""
    rows = np.flatnonzero(mask.any(axis=1))
    if not len(rows):
        return mask
    left = mask[rows].argmax(axis=1)
    right = mask.shape[1] - 1 - mask[rows, ::-1].argmax(axis=1)
    points = np.concatenate([np.stack([rows, left], 1), np.stack([rows, right], 1)])
    picture = Image.new("1", (mask.shape[1], mask.shape[0]))
    corners = [(int(c), int(r)) for r, c in _convex_hull(points)]
    if len(corners) == 1:
        return mask
    ImageDraw.Draw(picture).polygon(corners, fill=1, outline=1)
    return np.asarray(picture) | mask


def _convex_hull(points: np.ndarray) -> list[tuple[int, int]]:
    """Return the corners of the convex hull, in order (Andrew's monotone chain)."""
    ordered = sorted({(int(r), int(c)) for r, c in points})
    if len(ordered) < 3:
        return ordered
    halves = []
    for sequence in (ordered, ordered[::-1]):
        chain: list[tuple[int, int]] = []
        for p in sequence:
            while len(chain) > 1 and _turn(chain[-2], chain[-1], p) <= 0:
                chain.pop()
            chain.append(p)
        halves.append(chain[:-1])
    return halves[0] + halves[1]


def _turn(a: tuple[int, int], b: tuple[int, int], c: tuple[int, int]) -> int:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
