"""Cars, vans, trucks, buses and trams as perspective boxes with details.

In: a `Vehicle` (place and size in metres, seen from behind or from the front). Out: painted
polygons under the canvas's pen. The body is a side profile swept over the width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from segood.data.synthetic.canvas import Canvas, Color, mix, shade
from segood.data.synthetic.geometry import NEAR, Camera
from segood.data.synthetic.light import Light
from segood.data.synthetic.vehicle_models import PROFILES, Vehicle

GLASS = (38, 46, 54)

# Windows of the side: corners in the same shares.
_SIDE_WINDOWS = {
    "hatch": (
        ((0.14, 0.68), (0.2, 0.92), (0.4, 0.94), (0.4, 0.67)),
        ((0.43, 0.67), (0.43, 0.94), (0.57, 0.92), (0.69, 0.66)),
    ),
    "saloon": (
        ((0.22, 0.69), (0.31, 0.92), (0.45, 0.94), (0.45, 0.68)),
        ((0.48, 0.68), (0.48, 0.94), (0.55, 0.93), (0.68, 0.66)),
    ),
    "van": (((0.66, 0.62), (0.66, 0.92), (0.75, 0.92), (0.86, 0.62)),),
}


def paint_vehicle(
    canvas: Canvas, camera: Camera, light: Light, rng: np.random.Generator, car: Vehicle
) -> None:
    """Paint wheels, visible side, near end, windows and lights."""
    boxy = car.kind in ("truck", "bus", "tram")
    x0, x1, z0, _ = car.footprint
    axis = (x0 + x1) / 2 + camera.bend * z0 * z0
    side_x = x1 if axis < 0 else x0
    side_light = light.face((1.0 if axis < 0 else -1.0, 0, 0))
    end_light = light.face((0, 0, -1))
    if boxy:
        _paint_box(canvas, camera, light, rng, car, side_x, side_light, end_light)
        return
    profile = np.asarray(PROFILES[car.kind])
    under = [(x0 + 0.1, 0.05, z0 + 0.2), (x1 - 0.1, 0.05, z0 + 0.2), (x1 - 0.1, 0.32 * car.height, z0 + 0.2)]
    canvas.polygon(camera.project([*under, (x0 + 0.1, 0.32 * car.height, z0 + 0.2)]), (16, 16, 18))
    _paint_wheels(canvas, camera, car, (x0, x1), side_x, (0.18, 0.8))
    body = _on_side(car, side_x, profile)
    canvas.polygon(camera.project(body), shade(car.color, side_light))
    sill = _on_side(car, side_x, ((0.0, 0.2), (0.0, 0.33), (1, 0.33), (1, 0.2)))
    canvas.polygon(camera.project(sill), shade(car.color, side_light * 0.72))
    for window in _SIDE_WINDOWS[car.kind]:
        glass = _on_side(car, side_x, window)
        canvas.polygon(camera.project(glass), shade(mix(GLASS, light.sky_bottom, 0.12), side_light))
    _paint_wheels(canvas, camera, car, (side_x, side_x), side_x, (0.18, 0.8))
    _paint_roof(canvas, camera, light, car, profile)
    _paint_end(canvas, camera, light, car, end_light)


def _on_side(car: Vehicle, x: float, shares: Sequence[Sequence[float]] | np.ndarray) -> np.ndarray:
    """Points (n, 3) of the side plane from (share of length, share of height)."""
    shares = np.asarray(shares, dtype=np.float64)
    along = shares[:, 0] if car.away else 1 - shares[:, 0]
    return np.stack([np.full(len(shares), x), shares[:, 1] * car.height, car.z + along * car.length], axis=1)


def _profile_height(car: Vehicle) -> np.ndarray:
    """The profile's points ordered from the near end, as (distance from near end, height) in metres."""
    points = np.asarray(PROFILES[car.kind])
    if not car.away:
        points = np.stack([1 - points[:, 0], points[:, 1]], axis=1)[::-1]
    return points * (car.length, car.height)


def _paint_roof(canvas: Canvas, camera: Camera, light: Light, car: Vehicle, profile: np.ndarray) -> None:
    """Paint the panels between the two profiles, far to near: bonnet, screens, roof."""
    x0, x1, z0, _ = car.footprint
    points = _profile_height(car)[1:-1]
    for (a, ya), (b, yb) in reversed(list(pairwise(points))):
        rise, run = yb - ya, b - a
        # visible from the camera if it is on the outer side of the panel's plane
        if (z0 + a) * rise + (camera.height - ya) * run <= 0:
            continue
        quad = np.array([(x0, ya, z0 + a), (x0, yb, z0 + b), (x1, yb, z0 + b), (x1, ya, z0 + a)])
        size = math.hypot(rise, run)
        bright = light.face((0, run / size, -rise / size))
        steep = abs(yb - ya) > 0.2 * car.height
        if steep and max(ya, yb) > 0.85 * car.height:
            canvas.polygon(camera.project(quad), shade(car.color, bright))
            middle = quad.mean(0)
            glass = middle + (quad - middle) * (0.9, 0.82, 0.82)
            upper = glass[:, 1] > middle[1]  # the cabin narrows towards the roof
            glass[upper, 0] = middle[0] + (glass[upper, 0] - middle[0]) * 0.86
            canvas.polygon(camera.project(glass), shade(mix(GLASS, light.sky_top, 0.22), bright))
            streak = [
                glass[0] * 0.7 + glass[3] * 0.3,
                glass[1] * 0.6 + glass[2] * 0.4,
                glass[1] * 0.45 + glass[2] * 0.55,
            ]
            canvas.polygon(
                camera.project([*streak, glass[0] * 0.55 + glass[3] * 0.45]),
                shade(mix(GLASS, light.sky_bottom, 0.4), bright),
            )
        else:
            canvas.polygon(camera.project(quad), shade(car.color, bright))


def _paint_end(canvas: Canvas, camera: Camera, light: Light, car: Vehicle, brightness: float) -> None:
    x0, x1, z0, _ = car.footprint
    top = _profile_height(car)[1][1] if car.kind != "van" or not car.away else 0.95 * car.height
    low = 0.2 * car.height

    def rectangle(a0: float, a1: float, y0: float, y1: float) -> np.ndarray:
        """From shares of width and of the end's height."""
        xa, xb = x0 + a0 * car.width, x0 + a1 * car.width
        ya, yb = low + y0 * (top - low), low + y1 * (top - low)
        return camera.project([(xa, ya, z0), (xa, yb, z0), (xb, yb, z0), (xb, ya, z0)])

    rim = [
        (x0, low, z0),
        (x0, top * 0.9, z0),
        (x0 + 0.06, top, z0),
        (x1 - 0.06, top, z0),
        (x1, top * 0.9, z0),
    ]
    canvas.polygon(camera.project([*rim, (x1, low, z0)]), shade(car.color, brightness))
    canvas.polygon(rectangle(0, 1, 0, 0.28), shade(mix(car.color, (30, 30, 32), 0.55), brightness))
    on = light.lamps_on
    if car.away:
        high = 0.6 if car.kind != "van" else 0.42
        if car.kind == "van":
            canvas.polygon(rectangle(0.1, 0.47, 0.58, 0.92), shade(GLASS, brightness))
            canvas.polygon(rectangle(0.53, 0.9, 0.58, 0.92), shade(GLASS, brightness))
        for a0, a1 in ((0.02, 0.16), (0.84, 0.98)):
            lamp = (226, 44, 36) if on else shade((168, 28, 28), brightness)
            canvas.polygon(rectangle(a0, a1, high, high + 0.24), lamp, glow=210 if on else 0)
        canvas.polygon(rectangle(0.37, 0.63, 0.34, 0.5), shade((228, 228, 220), brightness))
    else:
        canvas.polygon(rectangle(0.28, 0.72, 0.34, 0.72), shade((36, 36, 40), brightness))
        for a0, a1 in ((0.03, 0.22), (0.78, 0.97)):
            lamp = (255, 248, 220) if on else shade((226, 228, 230), brightness)
            canvas.polygon(rectangle(a0, a1, 0.55, 0.82), lamp, glow=255 if on else 0)
        canvas.polygon(rectangle(0.38, 0.62, 0.12, 0.28), shade((228, 228, 220), brightness))


def _paint_wheels(
    canvas: Canvas,
    camera: Camera,
    car: Vehicle,
    xs: tuple[float, float],
    side_x: float,
    shares: tuple[float, float],
) -> None:
    """Wheels as discs in the side planes; the tread of both near wheels is seen from the end."""
    radius = min(0.34, 0.22 * car.height)
    t = np.linspace(0, 2 * math.pi, 16, endpoint=False)
    for share in shares:
        z = car.z + (share if car.away else 1 - share) * car.length
        for x in dict.fromkeys(xs):
            disc = np.stack([np.full(16, x), radius + radius * np.cos(t), z + radius * np.sin(t)], axis=1)
            if x == side_x:
                canvas.polygon(camera.project(disc), (20, 20, 22))
                canvas.polygon(
                    camera.project((disc - (0, radius, z)) * (1, 0.58, 0.58) + (0, radius, z)),
                    (122, 124, 128),
                )
    for x, shift in ((car.footprint[0], 0.22), (car.footprint[1], -0.22)):
        if len(set(xs)) == 2:
            z = car.z + 0.12 * car.length
            tread = [(x, 0, z), (x, 2 * radius, z), (x + shift, 2 * radius, z), (x + shift, 0, z)]
            canvas.polygon(camera.project(tread), (18, 18, 20))


def _paint_box(
    canvas: Canvas,
    camera: Camera,
    light: Light,
    rng: np.random.Generator,
    car: Vehicle,
    side_x: float,
    side_light: float,
    end_light: float,
) -> None:
    x0, x1, z0, _ = car.footprint
    floor = 0.12 if car.kind != "truck" else 0.25
    shares = (0.2, 0.8) if car.kind != "tram" else (0.1, 0.45, 0.9)
    _paint_wheels(canvas, camera, car, (x0, x1), side_x, (shares[0], shares[-1]))

    def side(a0: float, a1: float, y0: float, y1: float, color: Color, factor: float = 1.0) -> None:
        steps = np.linspace(a0, a1, 5)
        low, high = np.stack([steps, np.full(5, y0)], 1), np.stack([steps[::-1], np.full(5, y1)], 1)
        points = _on_side(car, side_x, np.concatenate([low, high]))
        points[:, 2] = np.maximum(points[:, 2], NEAR)
        canvas.polygon(camera.project(points), shade(color, side_light * factor))

    def end(a0: float, a1: float, y0: float, y1: float, color: Color, glow: int = 0) -> None:
        xa, xb, ya, yb = x0 + a0 * car.width, x0 + a1 * car.width, y0 * car.height, y1 * car.height
        quad = [(xa, ya, z0), (xa, yb, z0), (xb, yb, z0), (xb, ya, z0)]
        canvas.polygon(camera.project(quad), color if glow else shade(color, end_light), glow=glow)

    windows = mix(GLASS, light.sky_bottom, 0.15)
    if car.kind == "truck":
        side(0.0, 0.72, floor, 1.0, mix(car.color, (220, 220, 216), 0.5))
        side(0.75, 1.0, floor * 0.8, 0.85, car.color)
        side(0.84, 0.96, 0.52, 0.78, windows)
    else:
        side(0, 1, floor, 1, car.color)
        count = 6 if car.kind == "bus" else 12
        for k in range(count):
            side((k + 0.12) / count, (k + 0.9) / count, 0.45, 0.82, windows)
        side(0, 1, floor, 0.2, (52, 54, 58))
    _paint_wheels(canvas, camera, car, (side_x, side_x), side_x, (shares[0], shares[-1]))
    face = mix(car.color, (220, 220, 216), 0.5) if car.kind == "truck" and car.away else car.color
    end(0, 1, floor, 1, face)
    end(0, 1, floor, 0.22, (50, 52, 56))
    if car.kind == "truck" and car.away:
        end(0.49, 0.51, floor, 0.98, shade(face, 0.6))
        for y in (0.4, 0.7):
            end(0.04, 0.96, y, y + 0.015, shade(face, 0.75))
    else:
        end(0.07, 0.93, 0.42 if not car.away else 0.5, 0.84, windows)
        end(0.3, 0.7, 0.87, 0.96, (236, 170, 40), glow=180)
    lamp, shine = ((214, 40, 36), 190) if car.away else ((250, 244, 220), 235)
    for a0 in (0.04, 0.82):
        end(
            a0,
            a0 + 0.14,
            0.24,
            0.31,
            lamp if light.lamps_on else shade(lamp, 0.85),
            glow=shine if light.lamps_on else 0,
        )


def paint_bonnet(canvas: Canvas, light: Light, color: Color) -> None:
    """Paint the bonnet of the car that carries the camera at the bottom of the image."""
    height, width = canvas.size
    x = np.linspace(-0.05, 1.05, 24)
    y = 0.935 + 0.16 * (2 * x - 1) ** 4
    top = np.stack([x * width, y * height], axis=1)
    outline = np.concatenate([top, [(width * 1.1, height * 1.1), (-0.1 * width, height * 1.1)]])
    canvas.polygon(outline, shade(color, light.face((0, 1, 0)) * 0.9))
    inner = np.concatenate([top + np.array([0, 0.02 * height]), outline[-2:]])
    canvas.polygon(inner, shade(color, light.face((0, 0.9, -0.4)) * 0.75))
