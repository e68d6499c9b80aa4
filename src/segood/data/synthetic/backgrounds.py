"""What proxy objects stand before: meadow, square, beach, room, or a plain backdrop.

In: a canvas whose pen is set to the background's label. Out: the canvas filled to its edges.
"""

from __future__ import annotations

import cv2
import numpy as np

from segood.data.synthetic import greenery, textures
from segood.data.synthetic.canvas import Canvas, Color, mix, shade
from segood.data.synthetic.geometry import Camera
from segood.data.synthetic.light import Light, paint_sky

KINDS = ("meadow", "square", "beach", "room", "backdrop")


def paint_background(canvas: Canvas, camera: Camera, light: Light, rng: np.random.Generator) -> None:
    """Paint one of five kinds of surroundings."""
    kind = str(rng.choice(KINDS, p=[0.24, 0.26, 0.1, 0.28, 0.12]))
    height, width = canvas.size
    flat = light.face((0, 1, 0))
    if kind in ("meadow", "square", "beach"):
        paint_sky(canvas, camera, light, rng, 0)
        surface: dict[str, tuple[Color, np.ndarray]] = {
            "meadow": (mix((92, 118, 58), (140, 138, 78), rng.random()), textures.grass()),
            "square": (mix((92, 92, 94), (170, 160, 146), rng.random()), textures.asphalt()),
            "beach": (mix((206, 186, 140), (226, 210, 176), rng.random()), textures.asphalt()),
        }
        if kind == "square" and rng.random() < 0.5:
            surface["square"] = (surface["square"][0], textures.slabs())
        _paint_floor(canvas, camera, shade(surface[kind][0], flat), surface[kind][1], rng)
        if kind != "beach":
            greenery.paint_skyline(canvas, camera, light, rng)
        if kind == "meadow" or rng.random() < 0.3:
            for _ in range(int(rng.integers(0, 4))):
                x, z = rng.uniform(-14, 14), rng.uniform(14, 40)
                greenery.paint_tree(canvas, camera, light, rng, x, z, rng.uniform(4, 9))
        return
    wall = shade(rng.uniform(90, 235, 3) * 0.5 + rng.uniform(45, 115), light.face((0, 0.2, -0.98)))
    box = [(-2, -2), (width + 2, -2), (width + 2, height + 2), (-2, height + 2)]
    canvas.textured(box, textures.colored(textures.clouds_factor(), wall), 2.5, (1.05, 0.85))
    if kind == "room":
        floor = shade(mix((150, 112, 76), (176, 172, 166), rng.random()), flat)
        _paint_floor(canvas, camera, floor, textures.slabs(), rng)
        _paint_wall_things(canvas, camera, light, rng)
    canvas.codes[..., 2] = 0


def _paint_floor(
    canvas: Canvas, camera: Camera, color: Color, tile: np.ndarray, rng: np.random.Generator
) -> None:
    height, width = canvas.size
    top = int(camera.horizon)
    shift = np.array([[1, 0, 0], [0, 1, -top], [0, 0, 1.0]])
    matrix = shift @ camera.ground_to_image(0.015, (rng.uniform(-9, 0), rng.uniform(0, 9)))
    factor = cv2.warpPerspective(tile, matrix, (width, height - top), borderMode=cv2.BORDER_WRAP)
    near = np.clip(np.arange(height - top) / (0.3 * height), 0, 1).astype(np.float32)[:, None]
    strength = 1 + (factor.astype(np.float32) / 128 - 1) * near
    canvas.image[top:] = np.clip(np.asarray(color, dtype=np.float32) * strength[..., None], 0, 255)
    canvas.codes[top:, :, 2] = 0


def _paint_wall_things(canvas: Canvas, camera: Camera, light: Light, rng: np.random.Generator) -> None:
    """Skirting board, a window or pictures on the wall of a room."""
    height, width = canvas.size
    foot = int(camera.horizon)
    board = [(-2, foot - 0.02 * height), (width + 2, foot - 0.02 * height), (width + 2, foot), (-2, foot)]
    bright = light.face((0, 0, -1))
    canvas.polygon(board, shade((206, 200, 190), bright))
    for _ in range(int(rng.integers(0, 4))):
        x, y = rng.uniform(0, 0.8) * width, rng.uniform(0.02, 0.4) * foot
        w, h = rng.uniform(0.1, 0.25) * width, rng.uniform(0.25, 0.5) * foot
        frame = np.array([(x, y), (x + w, y), (x + w, y + h), (x, y + h)])
        inner = frame.mean(0) + (frame - frame.mean(0)) * 0.86
        canvas.polygon(frame, shade(rng.uniform(30, 220, 3), bright))
        canvas.polygon(inner, shade(rng.uniform(60, 235, 3), bright))
