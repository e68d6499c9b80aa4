"""Street furniture: lamp posts, traffic lights, signs, bollards.

In: the foot (x, z) in metres. Out: painted polygons; each routine sets the pen's label itself,
since one object carries two labels (a sign is not its pole).
"""

from __future__ import annotations

import math

import numpy as np

from segood.data.synthetic import labels as ids
from segood.data.synthetic.canvas import Canvas, capsule, ellipse, shade
from segood.data.synthetic.geometry import Camera
from segood.data.synthetic.light import Light

GREY = (128, 130, 132)
RED, WHITE, BLUE, YELLOW = (196, 40, 40), (236, 236, 232), (36, 84, 168), (236, 196, 40)


def _post(
    canvas: Canvas, foot: np.ndarray, scale: float, height: float, width: float, brightness: float
) -> None:
    half = max(width * scale / 2, 0.5)
    x, y = foot
    top = y - height * scale
    canvas.polygon(
        [(x - half, y), (x - half, top), (x + half, top), (x + half, y)], shade(GREY, brightness * 0.85)
    )
    canvas.polygon([(x, y), (x, top), (x + half, top), (x + half, y)], shade(GREY, brightness * 0.55))


def paint_lamp(
    canvas: Canvas, camera: Camera, light: Light, rng: np.random.Generator, x: float, z: float, reach: float
) -> None:
    """Paint a lamp post; `reach` is how far its arm leans over the road (signed, metres)."""
    foot, scale, brightness = camera.project([(x, 0, z)])[0], camera.scale(z), light.face((0, 0, -1))
    canvas.pen(label=ids.POLE, distance=z)
    height = rng.uniform(5.5, 8)
    _post(canvas, foot, scale, height, 0.16, brightness)
    tip = (foot[0] + reach * scale, foot[1] - (height + 0.35) * scale)
    half = max(0.1 * scale, 1.0)
    top = (foot[0], foot[1] - height * scale)
    canvas.polygon(capsule(top, tip, half, half), shade(GREY, brightness * 0.7))
    head = np.array([(-0.4, 0), (0.4, 0), (0.3, 0.16), (-0.3, 0.16)]) * scale
    canvas.polygon(head + np.array(tip), shade((92, 94, 96), brightness))
    if light.lamps_on:
        bulb = ellipse((tip[0], tip[1] + 0.14 * scale), (0.28 * scale, 0.08 * scale), count=10)
        canvas.polygon(bulb, (255, 226, 160), glow=255)


def paint_traffic_light(
    canvas: Canvas, camera: Camera, light: Light, rng: np.random.Generator, x: float, z: float
) -> None:
    """Paint a traffic light with one lit lamp."""
    foot, scale, brightness = camera.project([(x, 0, z)])[0], camera.scale(z), light.face((0, 0, -1))
    canvas.pen(label=ids.POLE, distance=z)
    height = rng.uniform(2.6, 3.2)
    _post(canvas, foot, scale, height, 0.13, brightness)
    canvas.pen(label=ids.TRAFFIC_LIGHT, distance=z)
    cx, top = foot[0], foot[1] - (height + 0.9) * scale
    w, h = 0.19 * scale, 0.95 * scale
    canvas.polygon(
        [(cx - w, top), (cx + w, top), (cx + w, top + h), (cx - w, top + h)], shade((44, 46, 44), brightness)
    )
    state = int(rng.integers(3))
    for index, color in enumerate(((240, 50, 40), (246, 186, 40), (60, 220, 120))):
        on = index == state
        disc = ellipse((cx, top + h * (0.2 + 0.3 * index)), (w * 0.62, w * 0.62), count=12)
        canvas.polygon(disc, color if on else shade(color, 0.22), glow=230 if on else 0)


def paint_sign(
    canvas: Canvas, camera: Camera, light: Light, rng: np.random.Generator, x: float, z: float
) -> None:
    """Paint one of seven kinds of traffic signs on its post."""
    foot, scale, brightness = camera.project([(x, 0, z)])[0], camera.scale(z), light.face((0, 0, -1))
    canvas.pen(label=ids.POLE, distance=z)
    height = rng.uniform(2.1, 2.7)
    _post(canvas, foot, scale, height + 0.5, 0.09, brightness)
    canvas.pen(label=ids.TRAFFIC_SIGN, distance=z)
    center, r = np.array([foot[0], foot[1] - (height + 0.3) * scale]), 0.36 * scale
    red, white, blue, yellow = (shade(c, brightness) for c in (RED, WHITE, BLUE, YELLOW))
    dark = shade((30, 30, 30), brightness)
    kind = int(rng.integers(7))

    def regular(sides: int, radius: float, turn: float) -> np.ndarray:
        return ellipse(center, (radius, radius), angle=turn, count=sides)

    if kind == 0:  # limit
        canvas.polygon(regular(18, r, 0), red)
        canvas.polygon(regular(18, r * 0.74, 0), white)
        for dx in (-0.25, 0.25):
            digit = ellipse((center[0] + dx * r, center[1]), (0.17 * r, 0.34 * r), count=10)
            canvas.polygon(digit, dark)
    elif kind == 1:  # warning
        canvas.polygon(regular(3, r * 1.15, -math.pi / 2), red)
        canvas.polygon(regular(3, r * 0.75, -math.pi / 2), white)
        canvas.polygon(ellipse(center, (0.1 * r, 0.3 * r), count=8), dark)
    elif kind == 2:  # give way
        canvas.polygon(regular(3, r * 1.15, math.pi / 2), red)
        canvas.polygon(regular(3, r * 0.7, math.pi / 2), white)
    elif kind == 3:  # priority
        canvas.polygon(regular(4, r * 1.05, 0), white)
        canvas.polygon(regular(4, r * 0.75, 0), yellow)
    elif kind == 4:  # stop
        canvas.polygon(regular(8, r * 1.05, math.pi / 8), red)
        bar = np.array([(-0.7, -0.18), (0.7, -0.18), (0.7, 0.18), (-0.7, 0.18)]) * r
        canvas.polygon(bar + center, white)
    elif kind == 5:  # direction
        canvas.polygon(regular(18, r, 0), blue)
        arrow = np.array(
            [(-0.12, 0.6), (-0.12, -0.1), (-0.4, -0.1), (0, -0.6), (0.4, -0.1), (0.12, -0.1), (0.12, 0.6)]
        )
        canvas.polygon(arrow * r + center, white)
    else:  # board
        board = np.array([(-1, -0.8), (1, -0.8), (1, 0.8), (-1, 0.8)]) * r
        canvas.polygon(board + center, blue)
        inner = np.array([(-0.55, -0.5), (0.55, -0.5), (0.55, 0.5), (-0.55, 0.5)]) * r
        canvas.polygon(inner + center, white)


def paint_bollard(canvas: Canvas, camera: Camera, light: Light, x: float, z: float) -> None:
    """Paint a knee-high post."""
    foot, scale = camera.project([(x, 0, z)])[0], camera.scale(z)
    canvas.pen(label=ids.POLE, distance=z)
    _post(canvas, foot, scale, 0.95, 0.14, light.face((0, 0, -1)))
