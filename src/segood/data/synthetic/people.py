"""People, riders, bicycles and motorcycles, drawn flat and facing the camera's plane.

In: the foot on the ground (column, row) and pixels per metre. Out: painted limbs, wheels and
frames under the canvas's pen; a rider and the bicycle are separate, since their labels differ.
"""

from __future__ import annotations

import math

import numpy as np

from segood.data.synthetic.canvas import Canvas, Color, capsule, ellipse, shade
from segood.data.synthetic.light import Light

SKINS = ((232, 194, 166), (206, 160, 124), (164, 116, 84), (112, 76, 56))
HAIRS = ((40, 30, 26), (86, 58, 36), (164, 128, 76), (120, 116, 112), (24, 22, 24))


def _cloth(rng: np.random.Generator) -> Color:
    if rng.random() < 0.55:  # muted
        base = rng.uniform(35, 150)
        return (base + rng.uniform(-12, 12), base + rng.uniform(-12, 12), base + rng.uniform(-10, 18))
    return tuple(rng.uniform(30, 220, 3))  # type: ignore[return-value]


def paint_person(
    canvas: Canvas, light: Light, rng: np.random.Generator, foot: tuple[float, float], scale: float
) -> None:
    """Paint a walking or standing person, 1.1 to 1.95 metres tall."""
    m = scale * (rng.uniform(0.62, 0.8) if rng.random() < 0.12 else rng.uniform(0.92, 1.1))
    x, y = foot
    front = light.face((0, 0, -1))
    skin, hair = SKINS[int(rng.integers(4))], HAIRS[int(rng.integers(5))]
    shirt, trousers, shoes = _cloth(rng), _cloth(rng), shade(_cloth(rng), 0.5)
    facing, stride = (1 if rng.random() < 0.5 else -1), rng.uniform(0.0, 0.32)
    hip, shoulder = (x, y - 0.88 * m), (x + 0.02 * facing * m, y - 1.42 * m)
    for side, dark in ((-1, 0.72), (1, 1.0)):
        knee = (x + side * stride * 0.5 * m + 0.05 * facing * m, y - 0.47 * m)
        ankle = (x + side * stride * m, y - 0.06 * m)
        start = (hip[0] + side * 0.07 * m, hip[1])
        canvas.polygon(capsule(start, knee, 0.19 * m, 0.14 * m), shade(trousers, front * dark))
        canvas.polygon(capsule(knee, ankle, 0.14 * m, 0.1 * m), shade(trousers, front * dark * 0.94))
        toe = (ankle[0] + 0.14 * facing * m, y - 0.04 * m)
        canvas.polygon(capsule(ankle, toe, 0.1 * m, 0.08 * m), shade(shoes, front))
    swing = rng.uniform(-0.25, 0.25)
    _arm(canvas, shoulder, -1, -swing, m, shade(shirt, front * 0.75), shade(skin, front * 0.8))
    width = rng.uniform(0.36, 0.46) * m
    torso = np.array(
        [
            (-0.42, 0),
            (0.42, 0),
            (0.5, 0.12),
            (0.4, 0.95),
            (0.42, 1.08),
            (-0.42, 1.08),
            (-0.4, 0.95),
            (-0.5, 0.12),
        ]
    )
    long = rng.uniform(1.0, 1.35) if rng.random() < 0.3 else 1.0  # a coat
    points = torso * (width, 0.55 * m * long) + (shoulder[0], shoulder[1] - 0.02 * m)
    canvas.polygon(points, shade(shirt, front))
    shadow_side = points[[1, 2, 3, 4]]
    canvas.polygon(
        np.concatenate(
            [shadow_side, [(shoulder[0] + 0.08 * m, points[4, 1]), (shoulder[0] + 0.1 * m, points[1, 1])]]
        ),
        shade(shirt, front * 0.84),
    )
    if rng.random() < 0.25:
        bag = np.array([(-0.5, 0), (0.5, 0), (0.55, 1), (-0.55, 1)]) * (0.3 * m, 0.4 * m)
        canvas.polygon(
            bag + np.array([shoulder[0] - 0.12 * facing * m, shoulder[1] + 0.06 * m]),
            shade(_cloth(rng), front),
        )
    _arm(canvas, shoulder, 1, swing, m, shade(shirt, front * 0.9), shade(skin, front))
    _head(
        canvas,
        (shoulder[0] + 0.02 * facing * m, y - 1.6 * m),
        m,
        facing,
        shade(skin, front),
        shade(hair, front),
    )


def _arm(
    canvas: Canvas,
    shoulder: tuple[float, float],
    side: int,
    swing: float,
    m: float,
    sleeve: Color,
    skin: Color,
) -> None:
    top = (shoulder[0] + side * 0.2 * m, shoulder[1] + 0.06 * m)
    elbow = (top[0] + (side * 0.05 + 0.5 * swing) * m, top[1] + 0.28 * m)
    hand = (elbow[0] + swing * 0.9 * m, elbow[1] + 0.25 * m)
    canvas.polygon(capsule(top, elbow, 0.13 * m, 0.11 * m), sleeve)
    canvas.polygon(capsule(elbow, hand, 0.11 * m, 0.08 * m), sleeve)
    canvas.polygon(ellipse(hand, (0.05 * m, 0.06 * m), count=8), skin)


def _head(
    canvas: Canvas, center: tuple[float, float], m: float, facing: int, skin: Color, hair: Color
) -> None:
    x, y = center
    canvas.polygon(capsule((x, y + 0.05 * m), (x, y + 0.18 * m), 0.11 * m, 0.12 * m), shade(skin, 0.85))
    canvas.polygon(ellipse((x, y), (0.105 * m, 0.13 * m), count=16), skin)
    cap = ellipse((x - 0.02 * facing * m, y - 0.045 * m), (0.115 * m, 0.1 * m), count=16)
    canvas.polygon(cap[cap[:, 1] < y + 0.02 * m], hair)


def paint_bicycle(
    canvas: Canvas,
    light: Light,
    rng: np.random.Generator,
    foot: tuple[float, float],
    scale: float,
    turn: float,
) -> None:
    """Paint a bicycle; `turn` is 1 seen from the side, towards 0 seen from its end (sign: heading)."""
    x, y = foot
    r, m = 0.34 * scale, scale
    color = shade(_cloth(rng), light.face((0, 0, -1)))
    squeeze = max(abs(turn), 0.12)
    wheels = [(x + side * 0.52 * m * turn, y - r) for side in (-1, 1)]
    for center in wheels:
        outer = ellipse(center, (r * squeeze, r), count=20)
        inner = ellipse(center, (r * squeeze * 0.84, r * 0.84), count=20)
        ring = np.concatenate([outer, outer[:1], inner[::-1], inner[-1:]])
        canvas.polygon(ring, (26, 26, 28))
        hub = max(0.03 * m, 0.6)
        canvas.polygon(ellipse(center, (hub, hub), count=8), (120, 122, 124))
    rear, front = wheels
    seat = (x - 0.2 * m * turn, y - 0.9 * m)
    bars = (x + 0.38 * m * turn, y - 0.98 * m)
    crank = (x - 0.06 * m * turn, y - 0.32 * m)
    width = max(0.05 * m, 0.9)
    for a, b in ((rear, seat), (rear, crank), (crank, seat), (crank, bars), (seat, bars), (front, bars)):
        canvas.polygon(capsule(a, b, width, width), color)
    canvas.polygon(
        capsule((seat[0] - 0.1 * m, seat[1]), (seat[0] + 0.1 * m, seat[1]), 0.07 * m, 0.05 * m), (24, 24, 26)
    )
    grip = 0.05 * m + 0.22 * m * (1 - squeeze)
    canvas.polygon(capsule((bars[0] - grip, bars[1]), (bars[0] + grip, bars[1]), width, width), (30, 30, 32))


def paint_motorcycle(
    canvas: Canvas,
    light: Light,
    rng: np.random.Generator,
    foot: tuple[float, float],
    scale: float,
    turn: float,
) -> None:
    """Paint a motorcycle or scooter; `turn` as in `paint_bicycle`."""
    x, y = foot
    r, m, front = 0.31 * scale, scale, light.face((0, 0, -1))
    color = shade(_cloth(rng), front)
    squeeze = max(abs(turn), 0.3)
    for side in (-1, 1):
        center = (x + side * 0.62 * m * turn, y - r)
        canvas.polygon(ellipse(center, (r * squeeze, r)), (22, 22, 24))
        canvas.polygon(ellipse(center, (r * squeeze * 0.5, r * 0.5)), (128, 128, 132))
    body = np.array(
        [
            (-0.85, 0.75),
            (-0.5, 0.62),
            (-0.1, 0.66),
            (0.2, 0.86),
            (0.45, 1.0),
            (0.55, 0.8),
            (0.5, 0.5),
            (0.1, 0.28),
            (-0.4, 0.3),
        ]
    )
    canvas.polygon(body * (m * turn, -m) + (x, y), color)
    seat = np.array([(-0.8, 0.8), (-0.1, 0.74), (-0.1, 0.66), (-0.75, 0.66)])
    canvas.polygon(seat * (m * turn, -m) + (x, y), (28, 28, 30))
    if squeeze < 0.7:  # seen from its end: the width of the body shows
        canvas.polygon(ellipse((x, y - 0.62 * m), (0.22 * m, 0.3 * m)), color)
        lamp = ellipse((x, y - 0.72 * m), (0.09 * m, 0.07 * m), count=10)
        canvas.polygon(lamp, (226, 60, 50) if light.lamps_on else shade((150, 30, 28), front))
    bars = (x + 0.42 * m * turn, y - 1.05 * m)
    canvas.polygon(
        capsule((bars[0] - 0.2 * m, bars[1]), (bars[0] + 0.2 * m, bars[1]), 0.06 * m, 0.06 * m), (30, 30, 32)
    )


def paint_rider(
    canvas: Canvas,
    light: Light,
    rng: np.random.Generator,
    foot: tuple[float, float],
    scale: float,
    turn: float,
) -> None:
    """Paint the person on a bicycle or motorcycle whose wheels stand at `foot`."""
    x, y = foot
    m, front = scale, light.face((0, 0, -1))
    skin, hair = SKINS[int(rng.integers(4))], HAIRS[int(rng.integers(5))]
    shirt, trousers = _cloth(rng), _cloth(rng)
    hip, shoulder = (x - 0.2 * m * turn, y - 0.98 * m), (x + 0.02 * m * turn, y - 1.48 * m)
    spread = 0.13 * m * (1 - abs(turn))
    for side, dark in ((-1, 0.75), (1, 1.0)):
        knee = (x + 0.14 * m * turn + side * spread, y - (0.62 + 0.1 * side) * m)
        pedal = (x - 0.04 * m * turn + side * spread, y - (0.28 + 0.12 * side) * m)
        canvas.polygon(capsule(hip, knee, 0.18 * m, 0.13 * m), shade(trousers, front * dark))
        canvas.polygon(capsule(knee, pedal, 0.13 * m, 0.1 * m), shade(trousers, front * dark * 0.92))
        bars = (x + 0.36 * m * turn + side * (0.06 * m + spread), y - 1.0 * m)
        canvas.polygon(
            capsule((shoulder[0] + side * spread, shoulder[1] + 0.05 * m), bars, 0.12 * m, 0.09 * m),
            shade(shirt, front * dark * 0.9),
        )
    wide = (0.3 + 0.12 * (1 - abs(turn))) * m
    canvas.polygon(capsule(shoulder, hip, wide, wide * 0.85), shade(shirt, front))
    facing = 1 if turn >= 0 else -1
    _head(
        canvas,
        (shoulder[0] + 0.06 * m * turn, y - 1.72 * m),
        m,
        facing,
        shade(skin, front),
        shade(hair, front),
    )
    if rng.random() < 0.6:
        helmet = ellipse(
            (shoulder[0] + 0.06 * m * turn, y - 1.76 * m), (0.135 * m, 0.12 * m), count=math.ceil(16)
        )
        canvas.polygon(helmet[helmet[:, 1] < y - 1.72 * m], shade(_cloth(rng), front))
