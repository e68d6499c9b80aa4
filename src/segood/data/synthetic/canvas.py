"""Painting primitives: colour and exact label change together.

In: polygons in pixel positions (column, row), colours RGB 0..255, the pen's label and distance.
Out: `Canvas.image` (antialiased) and `Canvas.codes` (label, distance code, glow; not antialiased).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import cv2
import numpy as np

Color = tuple[float, float, float]
Vector = Sequence[float] | np.ndarray

DISTANCE_SCALE = 80.0
SUBPIXEL_BITS = 4
_FAR_PIXEL = 20_000.0


def distance_code(z: float) -> int:
    """Code a distance in metres as 0..255: `255 * (1 - exp(-z / DISTANCE_SCALE))`."""
    return round(255 * (1 - math.exp(-max(z, 0.0) / DISTANCE_SCALE)))


def shade(color: Vector, factor: float) -> Color:
    """Multiply a colour by a brightness factor, clipped to 0..255."""
    return (
        min(255.0, max(0.0, color[0] * factor)),
        min(255.0, max(0.0, color[1] * factor)),
        min(255.0, max(0.0, color[2] * factor)),
    )


def mix(first: Vector, second: Vector, share: float) -> Color:
    """Blend two colours; `share` is the part of `second`."""
    return (
        first[0] + (second[0] - first[0]) * share,
        first[1] + (second[1] - first[1]) * share,
        first[2] + (second[2] - first[2]) * share,
    )


@lru_cache(maxsize=16)
def _unit_circle(count: int) -> np.ndarray:
    t = np.arange(count) * (2 * math.pi / count)
    return np.stack([np.cos(t), np.sin(t)], axis=1)


_HALF_CIRCLE = _unit_circle(8)[2:7]  # from a quarter to three quarters of a turn


def ellipse(center: Vector, axes: Vector, angle: float = 0.0, count: int = 20) -> np.ndarray:
    """Points (count, 2) of an ellipse; `axes` are half axes, `angle` in radians."""
    c, s = math.cos(angle), math.sin(angle)
    matrix = np.array([[c * axes[0], s * axes[0]], [-s * axes[1], c * axes[1]]])
    return _unit_circle(count) @ matrix + center


def capsule(start: Vector, end: Vector, width0: float, width1: float) -> np.ndarray:
    """Points of a limb: a line with round ends, `width0` thick at `start` and `width1` at `end`."""
    length = max(math.hypot(end[0] - start[0], end[1] - start[1]), 1e-9)
    c, s = (end[0] - start[0]) / length, (end[1] - start[1]) / length
    turned = _HALF_CIRCLE @ np.array([[c, s], [-s, c]])
    return np.concatenate([turned * (width0 / 2) + start, turned * (-width1 / 2) + end])


def fixed_point(points: Any) -> np.ndarray:
    """Positions in sixteenths of a pixel, int32, as OpenCV draws them with `shift=4`."""
    points = np.asarray(points, dtype=np.float64)
    clipped = np.minimum(np.maximum(points, -_FAR_PIXEL), _FAR_PIXEL)
    return np.rint(clipped * (1 << SUBPIXEL_BITS)).astype(np.int32)


def _fixed_points(many: Any) -> list[np.ndarray]:
    return (
        list(fixed_point(many)) if isinstance(many, np.ndarray) else [fixed_point(points) for points in many]
    )


class Canvas:
    """An RGB image with a code image of the same size.

    Attributes:
        image: uint8 (H,W,3) RGB.
        codes: uint8 (H,W,3): label, distance code (see `distance_code`), glow (0 reflects light,
            255 shines by itself).

    Example:
        >>> canvas = Canvas((8, 8))
        >>> canvas.pen(label=7, distance=10.0)
        >>> canvas.polygon([(0, 4), (7, 4), (7, 7), (0, 7)], (90, 90, 90))
        >>> int((canvas.labels == 7).sum())
        32
    """

    def __init__(self, size: tuple[int, int]) -> None:
        """Make a black canvas of `size` (H, W) with label 0."""
        self.size = size
        self.image = np.zeros((*size, 3), dtype=np.uint8)
        self.codes = np.zeros((*size, 3), dtype=np.uint8)
        self._label = 0
        self._distance = 0

    @property
    def labels(self) -> np.ndarray:
        """The label plane, uint8 (H,W), a view."""
        return self.codes[..., 0]

    def pen(self, *, label: int, distance: float) -> None:
        """Set label and distance (metres) of everything painted next."""
        self._label = label
        self._distance = distance_code(distance)

    def polygon(self, points: Any, color: Vector, glow: int = 0) -> None:
        """Fill one polygon (n, 2) of (column, row)."""
        self.polygons([points], color, glow)

    def polygons(self, many: Any, color: Vector, glow: int = 0) -> None:
        """Fill polygons that do not overlap each other, all in one colour."""
        fixed = _fixed_points(many)
        if not fixed:
            return
        code = (self._label, self._distance, glow)
        cv2.fillPoly(self.image, fixed, tuple(color), lineType=cv2.LINE_AA, shift=SUBPIXEL_BITS)
        cv2.fillPoly(self.codes, fixed, code, lineType=cv2.LINE_8, shift=SUBPIXEL_BITS)

    def decal(self, many: Any, color: Vector, glow: int | None = None) -> None:
        """Paint polygons as a mark on what is there: the label stays, the glow only if not given."""
        fixed = _fixed_points(many)
        if not fixed:
            return
        cv2.fillPoly(self.image, fixed, tuple(color), lineType=cv2.LINE_AA, shift=SUBPIXEL_BITS)
        if glow is not None:
            plane = np.ascontiguousarray(self.codes[..., 2])
            cv2.fillPoly(plane, fixed, (glow,), lineType=cv2.LINE_8, shift=SUBPIXEL_BITS)
            self.codes[..., 2] = plane

    def textured(
        self, points: Any, tile: np.ndarray, scale: float = 1.0, lit: tuple[float, float] = (1, 1)
    ) -> None:
        """Fill a polygon with a repeated tile seen face on.

        Args:
            points: (n, 2) of (column, row).
            tile: uint8 (h,w,3) that repeats without seam.
            scale: pixels of the image per pixel of the tile.
            lit: brightness at the polygon's top and bottom.
        """
        points = np.asarray(points, dtype=np.float64)
        box = self._box(points)
        if box is None:
            return
        x0, y0, x1, y1 = box
        if scale < 0.7:  # shrink first: sampling a fine tile sparsely would flicker
            shape = (max(4, round(tile.shape[1] * scale)), max(4, round(tile.shape[0] * scale)))
            tile, scale = cv2.resize(tile, shape, interpolation=cv2.INTER_AREA), 1.0
        matrix = np.array([[scale, 0, points[0, 0] - x0], [0, scale, points[0, 1] - y0]])
        patch = cv2.warpAffine(tile, matrix, (x1 - x0, y1 - y0), borderMode=cv2.BORDER_WRAP)
        self._stamp(points, patch, box, lit)

    def textured_quad(self, quad: Any, tile: np.ndarray, lit: tuple[float, float] = (1, 1)) -> None:
        """Fill a quadrilateral (4, 2), given clockwise from top left, with a tile seen in perspective."""
        quad = np.asarray(quad, dtype=np.float64)
        box = self._box(quad)
        if box is None:
            return
        x0, y0, x1, y1 = box
        h, w = tile.shape[:2]
        extent = max(np.ptp(quad[:, 0]), np.ptp(quad[:, 1]))
        if extent < 0.5 * max(h, w):
            shrink = max(extent, 8.0) / max(h, w)
            tile = cv2.resize(tile, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
            h, w = tile.shape[:2]
        corners = np.array([(0, 0), (w, 0), (w, h), (0, h)], dtype=np.float32)
        matrix = cv2.getPerspectiveTransform(corners, (quad - (x0, y0)).astype(np.float32))
        patch = cv2.warpPerspective(tile, matrix, (x1 - x0, y1 - y0), borderMode=cv2.BORDER_REPLICATE)
        self._stamp(quad, patch, box, lit)

    def _box(self, points: np.ndarray) -> tuple[int, int, int, int] | None:
        x0, y0 = np.floor(points.min(0)).astype(int) - 1
        x1, y1 = np.ceil(points.max(0)).astype(int) + 2
        x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, self.size[1]), min(y1, self.size[0])
        return None if x0 >= x1 or y0 >= y1 else (int(x0), int(y0), int(x1), int(y1))

    def _stamp(
        self, points: np.ndarray, patch: np.ndarray, box: tuple[int, int, int, int], lit: tuple[float, float]
    ) -> None:
        x0, y0, x1, y1 = box
        mask = np.zeros((y1 - y0, x1 - x0), dtype=np.uint8)
        fixed = [fixed_point(points - (x0, y0))]
        cv2.fillPoly(mask, fixed, (255,), lineType=cv2.LINE_AA, shift=SUBPIXEL_BITS)
        source = patch.astype(np.float32)
        if lit != (1, 1):
            top, bottom = points[:, 1].min(), points[:, 1].max()
            share = np.clip((np.arange(y0, y1) - top) / max(bottom - top, 1.0), 0, 1)
            source *= (lit[0] + (lit[1] - lit[0]) * share).astype(np.float32)[:, None, None]
        roi = self.image[y0:y1, x0:x1]
        alpha = (mask.astype(np.float32) / 255)[..., None]
        np.clip(roi + (source - roi) * alpha, 0, 255, out=source)
        roi[...] = np.rint(source).astype(np.uint8)
        cv2.fillPoly(mask, fixed, (255,), lineType=cv2.LINE_8, shift=SUBPIXEL_BITS)
        self.codes[y0:y1, x0:x1][mask > 127] = (self._label, self._distance, 0)
