"""Trees, bushes and hedges.

In: the foot on the ground and sizes in metres. Out: textured polygons under the canvas's pen.
"""

from __future__ import annotations

import math
from functools import lru_cache

import cv2
import numpy as np

from segood.data.synthetic import textures
from segood.data.synthetic.canvas import Canvas, Color, capsule, ellipse, mix, shade
from segood.data.synthetic.geometry import NEAR, Camera
from segood.data.synthetic.light import Light

GREENS = ((74, 104, 46), (58, 88, 44), (96, 118, 52), (112, 116, 50), (66, 96, 62))


@lru_cache(maxsize=4)
def _leaves(level: int) -> np.ndarray:
    """Foliage halved `level` times, so that far crowns need no shrinking of their own."""
    tile = textures.leaves()
    return (
        cv2.resize(tile, None, fx=0.5**level, fy=0.5**level, interpolation=cv2.INTER_AREA) if level else tile
    )


def paint_leaves(
    canvas: Canvas, outline: np.ndarray, color: Color, grain: float, lit: tuple[float, float]
) -> None:
    """Fill an outline with foliage; `grain` = pixels of the image per pixel of the full tile."""
    level = int(np.clip(round(-math.log2(grain)), 0, 3))
    canvas.textured(outline, textures.colored(_leaves(level), color), grain * 2**level, lit)


def blob(rng: np.random.Generator, center: tuple[float, float], axes: tuple[float, float]) -> np.ndarray:
    """Outline (36, 2) of a bumpy ellipse."""
    t = np.arange(36) * (2 * math.pi / 36)
    lobes = sum(rng.uniform(0.03, 0.09) * np.cos(k * t + rng.uniform(0, 6.3)) for k in (3, 5, 8, 13))
    r = 1 + lobes
    return np.stack([center[0] + axes[0] * r * np.cos(t), center[1] + axes[1] * r * np.sin(t)], axis=1)


def _draw_green(rng: np.random.Generator) -> Color:
    return shade(GREENS[int(rng.integers(len(GREENS)))], rng.uniform(0.85, 1.2))


def paint_tree(
    canvas: Canvas, camera: Camera, light: Light, rng: np.random.Generator, x: float, z: float, height: float
) -> None:
    """Paint a tree of `height` metres with its foot at (x, z)."""
    foot = camera.project([(x, 0, z)])[0]
    scale = camera.scale(z)
    trunk, width = rng.uniform(0.28, 0.4) * height, rng.uniform(0.25, 0.4) * height
    side = light.face((0, 0.35, -0.93))
    bark = shade(mix((92, 76, 60), (70, 64, 58), rng.random()), side)
    top = (foot[0] + rng.normal(0, 0.1) * scale, foot[1] - trunk * 1.4 * scale)
    canvas.polygon(capsule(foot, top, 0.055 * height * scale, 0.03 * height * scale), bark)
    color = _draw_green(rng)
    center = (foot[0], foot[1] - (trunk + (height - trunk) / 2) * scale)
    axes = (width * scale, (height - trunk) * 0.55 * scale)
    grain = max(0.125, 0.011 * scale)
    if rng.random() < 0.15:  # a cone: spruce or cypress
        points = np.array([(0, -1.05), (0.25, -0.4), (0.5, 0.1), (0.75, 0.6), (0.8, 0.95)])
        outline = np.concatenate([points, points[::-1] * (-1, 1)]) * (axes[0] * 0.7, axes[1]) + center
        paint_leaves(canvas, outline, shade(color, 0.8), grain, (side * 1.1, side * 0.65))
        return
    paint_leaves(canvas, blob(rng, center, axes), color, grain, (side * 1.05, side * 0.6))
    for _ in range(5 if axes[0] > 8 else 0):  # far crowns show no parts
        angle, radius = rng.uniform(0, 2 * math.pi), rng.uniform(0.3, 0.65)
        at = (center[0] + axes[0] * radius * math.cos(angle), center[1] + axes[1] * radius * math.sin(angle))
        size = rng.uniform(0.32, 0.5)
        part = blob(rng, at, (axes[0] * size, axes[1] * size))
        bright = side * (1.12 - 0.3 * math.sin(angle))
        paint_leaves(canvas, part, shade(color, rng.uniform(0.9, 1.1)), grain, (bright, bright * 0.72))


def paint_bush(
    canvas: Canvas, camera: Camera, light: Light, rng: np.random.Generator, x: float, z: float, height: float
) -> None:
    """Paint a round bush of `height` metres at (x, z)."""
    foot = camera.project([(x, 0, z)])[0]
    size = height * camera.scale(z) / 2
    side = light.face((0, 0.35, -0.93))
    outline = blob(rng, (foot[0], foot[1] - size * 0.85), (size * rng.uniform(0.9, 1.5), size))
    grain = max(0.125, 0.011 * camera.scale(z))
    paint_leaves(canvas, outline, _draw_green(rng), grain, (side * 1.1, side * 0.55))


def paint_hedge(
    canvas: Canvas,
    camera: Camera,
    light: Light,
    rng: np.random.Generator,
    line: tuple[int, float, float, float],
) -> None:
    """Paint a hedge along `line` = (sign, x, z0, z1)."""
    sign, x, z0, z1 = line
    height = rng.uniform(0.9, 2.2)
    z = np.linspace(max(z0, NEAR), max(z1, NEAR + 0.1), 12)
    bumps = height * (1 + rng.normal(0, 0.05, 12))
    top = np.stack([np.full(12, x), bumps, z], axis=1)
    foot = np.stack([np.full(12, x), np.zeros(12), z], axis=1)[::-1]
    outline = np.clip(camera.project(np.concatenate([top, foot])), -2000, 4000)
    side = light.face((-sign, 0, 0)) * 0.9
    paint_leaves(canvas, outline, _draw_green(rng), max(0.25, 0.008 * camera.scale(z0)), (side, side * 0.7))


def paint_skyline(canvas: Canvas, camera: Camera, light: Light, rng: np.random.Generator) -> None:
    """Paint the band of far trees that closes the view at the horizon."""
    width = canvas.size[1]
    columns = np.linspace(-2, width + 2, 60)
    wave = np.interp(columns, np.linspace(-2, width + 2, 14), rng.uniform(0.3, 1.0, 14))
    rise = canvas.size[0] * (0.03 * wave + 0.012 * rng.random(60))
    base = camera.horizon + canvas.size[0] * 0.015
    outline = np.concatenate([np.stack([columns, base - rise], 1), [(width + 2, base), (-2, base)]])
    side = light.face((0, 0.35, -0.93))
    paint_leaves(canvas, outline, _draw_green(rng), 0.3, (side, side * 0.7))


def crown_shadow(x: float, z: float, radius: float) -> np.ndarray:
    """Ground outline (20, 3), in metres, under a crown."""
    ring = ellipse((x, z), (radius, radius))
    return np.stack([ring[:, 0], np.zeros(len(ring)), ring[:, 1]], axis=1)
