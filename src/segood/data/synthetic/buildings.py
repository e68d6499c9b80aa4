"""Houses, walls and fences along the street, drawn in perspective.

In: a frontage line x, a stretch z0..z1 of the street, in metres. Out: painted polygons.
Each routine paints with the canvas's pen, so the caller decides the label.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from segood.data.synthetic.canvas import Canvas, Color, mix, shade
from segood.data.synthetic.geometry import NEAR, Camera
from segood.data.synthetic.light import Light

PLASTER = (
    (214, 200, 172),
    (206, 178, 150),
    (190, 190, 186),
    (224, 214, 198),
    (176, 158, 140),
    (202, 160, 128),
)
BRICK = ((150, 84, 66), (136, 92, 78), (166, 106, 80), (120, 76, 66))
CONCRETE = ((152, 154, 156), (132, 136, 142), (170, 168, 162))
ROOFS = ((118, 62, 50), (92, 84, 82), (78, 74, 80), (136, 82, 62))

Wall = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Maps positions (along, up) on a wall, in metres, to points (..., 3)."""


@dataclass(frozen=True)
class House:
    """A house: the wall towards the street and the wall towards the camera can be seen.

    Attributes:
        sign: -1 left of the street, +1 right.
        front: x of the street wall.
        z0, z1: its stretch of the street.
        height: up to the eaves.
        depth: extent away from the street.
        color: of the walls.
        roof: height of a pitched roof above the eaves, 0 for a flat one.
        shop: whether the ground floor has shop windows.
    """

    sign: int
    front: float
    z0: float
    z1: float
    height: float
    depth: float
    color: Color
    roof: float
    shop: bool


def draw_house(rng: np.random.Generator, sign: int, front: float, z0: float, z1: float) -> House:
    """Draw a house for the stretch `z0`..`z1`."""
    palette = (PLASTER, BRICK, CONCRETE)[int(rng.choice(3, p=[0.55, 0.25, 0.2]))]
    color = shade(palette[int(rng.integers(len(palette)))], rng.uniform(0.85, 1.1))
    height = 3.1 * int(rng.integers(2, 7)) + rng.uniform(0.3, 1.2)
    roof = rng.uniform(1.8, 4.0) if palette is not CONCRETE and rng.random() < 0.6 else 0.0
    return House(sign, front, z0, z1, height, rng.uniform(8, 14), color, roof, bool(rng.random() < 0.4))


def paint_house(canvas: Canvas, camera: Camera, light: Light, rng: np.random.Generator, house: House) -> None:
    """Paint both visible walls with their windows, and the roof."""
    s, x, z0, z1 = house.sign, house.front, max(house.z0, NEAR), max(house.z1, NEAR + 0.1)
    h, back = house.height, house.front + house.sign * house.depth

    def street_wall(along: np.ndarray, up: np.ndarray) -> np.ndarray:
        return np.stack(np.broadcast_arrays(x, up, z0 + along), axis=-1)

    def end_wall(along: np.ndarray, up: np.ndarray) -> np.ndarray:
        return np.stack(np.broadcast_arrays(x + s * along, up, z0), axis=-1)

    windows = rng.uniform(1.7, 2.8), rng.uniform(0.42, 0.62), rng.uniform(0.45, 0.62)
    roof = shade(ROOFS[int(rng.integers(len(ROOFS)))], rng.uniform(0.8, 1.1))
    if house.roof:
        _paint_roof(canvas, camera, light, house, z0, z1, roof)
    end_light, street_light = light.face((0, 0, -1)), light.face((-s, 0, 0))
    end = [(x, 0, z0), (x, h, z0), (back, h, z0), (back, 0, z0)]
    if house.roof:
        end.insert(2, ((x + back) / 2, h + house.roof, z0))
    canvas.polygon(camera.project(end), shade(house.color, end_light * 0.95))
    plain = rng.random() < 0.5  # many end walls have no windows
    if not plain:
        _paint_windows(canvas, camera, light, rng, end_wall, house.depth, house, windows, end_light * 0.95)
    n = 6
    zs = np.geomspace(z0, z1, n)
    outline = np.concatenate([street_wall(zs - z0, np.zeros(n)), street_wall((zs - z0)[::-1], np.full(n, h))])
    canvas.polygon(camera.project(outline), shade(house.color, street_light))
    _paint_windows(canvas, camera, light, rng, street_wall, z1 - z0, house, windows, street_light)
    corner = [(x, 0, z0), (x, h, z0), (x, h, z0 + 0.25), (x, 0, z0 + 0.25)]
    canvas.polygon(camera.project(corner), shade(mix(house.color, (240, 236, 230), 0.35), street_light))


def _paint_roof(
    canvas: Canvas, camera: Camera, light: Light, house: House, z0: float, z1: float, color: Color
) -> None:
    ridge_x, ridge_y = house.front + house.sign * house.depth / 2, house.height + house.roof
    rise, run = house.roof, house.depth / 2
    # the slope can be seen if the camera, at x = 0, is above its plane
    if abs(house.front) * rise < (house.height - camera.height) * run:
        return
    normal = np.array([-house.sign * rise, run, 0.0]) / np.hypot(rise, run)
    eave = house.front - house.sign * 0.3
    quad = [
        (eave, house.height, z0),
        (ridge_x, ridge_y, z0),
        (ridge_x, ridge_y, z1),
        (eave, house.height, z1),
    ]
    canvas.polygon(camera.project(quad), shade(color, light.face((normal[0], normal[1], 0.0))))


def _paint_windows(
    canvas: Canvas,
    camera: Camera,
    light: Light,
    rng: np.random.Generator,
    wall: Wall,
    length: float,
    house: House,
    windows: tuple[float, float, float],
    brightness: float,
) -> None:
    pitch, share_x, share_y = windows
    floors, columns = int(house.height // 3.0), int((length - 0.6) // pitch)
    _band(canvas, camera, wall, length, (0.0, 0.55), shade(house.color, brightness * 0.7))
    _band(
        canvas,
        camera,
        wall,
        length,
        (house.height - 0.35, house.height),
        shade(house.color, brightness * 1.15),
    )
    if columns < 1:
        return
    first = 0
    if house.shop:
        first = 1
        _band(
            canvas, camera, wall, length, (0.0, 3.05), shade(mix(house.color, (70, 66, 64), 0.55), brightness)
        )
        _paint_shops(canvas, camera, light, rng, wall, length, brightness)
    margin = (length - columns * pitch) / 2
    column, floor = np.meshgrid(np.arange(columns), np.arange(first, floors))
    a0 = (margin + (column + 0.5 - share_x / 2) * pitch).ravel()
    y0 = (floor * 3.05 + 0.95).ravel()
    width, height = share_x * pitch, share_y * 3.05
    if not len(a0):
        return
    near = house.z0 < 55
    if near:
        rim = _rectangles(camera, wall, a0 - 0.1, a0 + width + 0.1, y0 - 0.1, y0 + height + 0.1)
        canvas.polygons(rim, shade(mix(house.color, (238, 236, 232), 0.7), brightness))
    panes = _rectangles(camera, wall, a0, a0 + width, y0, y0 + height)
    lit = rng.random(len(panes)) < (0.4 if light.lamps_on else 0.03)
    curtain = (rng.random(len(panes)) < 0.25) & ~lit
    glass = mix((46, 56, 68), light.sky_bottom, rng.uniform(0.1, 0.3))
    canvas.polygons(panes[~lit & ~curtain], shade(glass, brightness))
    canvas.polygons(panes[curtain], shade((168, 162, 152), brightness * 0.8))
    canvas.polygons(panes[lit], (246, 212, 140), glow=230 if light.lamps_on else 60)
    if near:
        bars = _rectangles(camera, wall, a0 + width * 0.47, a0 + width * 0.53, y0, y0 + height)
        canvas.polygons(bars, shade((226, 224, 220), brightness))


def _paint_shops(
    canvas: Canvas,
    camera: Camera,
    light: Light,
    rng: np.random.Generator,
    wall: Wall,
    length: float,
    brightness: float,
) -> None:
    count = max(1, int(length // 4.5))
    pitch = length / count
    a0 = np.arange(count) * pitch + 0.4
    panes = _rectangles(camera, wall, a0, a0 + pitch - 1.6, np.full(count, 0.5), np.full(count, 2.4))
    glow = 200 if light.lamps_on else 0
    inside = (
        (240, 222, 176) if light.lamps_on else shade(mix((60, 66, 72), light.sky_bottom, 0.25), brightness)
    )
    canvas.polygons(panes, inside, glow=glow)
    doors = _rectangles(
        camera, wall, a0 + pitch - 1.4, a0 + pitch - 0.5, np.zeros(count), np.full(count, 2.2)
    )
    canvas.polygons(doors, shade((74, 58, 48), brightness))
    hue = rng.uniform(40, 215, 3)
    signs = _rectangles(camera, wall, a0, a0 + pitch - 0.6, np.full(count, 2.5), np.full(count, 2.95))
    canvas.polygons(signs, shade(hue, brightness), glow=glow // 2)


def _rectangles(
    camera: Camera, wall: Wall, a0: np.ndarray, a1: np.ndarray, y0: np.ndarray, y1: np.ndarray
) -> np.ndarray:
    along = np.stack([a0, a1, a1, a0], axis=1)
    up = np.stack([y0, y0, y1, y1], axis=1)
    return camera.project(wall(along, up))


def _band(
    canvas: Canvas, camera: Camera, wall: Wall, length: float, up: tuple[float, float], color: Color
) -> None:
    steps = np.linspace(0, length, 5)
    points = np.concatenate([wall(steps, np.full(5, up[0])), wall(steps[::-1], np.full(5, up[1]))])
    canvas.polygon(camera.project(points), color)


def paint_barrier(
    canvas: Canvas,
    camera: Camera,
    light: Light,
    rng: np.random.Generator,
    line: tuple[int, float, float, float],
    kind: str,
) -> None:
    """Paint a wall ("wall") or a fence of boards ("fence") along `line` = (sign, x, z0, z1)."""
    sign, x, z0, z1 = line
    z0, z1 = max(z0, NEAR), max(z1, NEAR + 0.1)
    brightness = light.face((-sign, 0, 0))

    def face(along: np.ndarray, up: np.ndarray) -> np.ndarray:
        return np.stack(np.broadcast_arrays(x, up, z0 + along), axis=-1)

    length = z1 - z0
    if kind == "wall":
        height = rng.uniform(1.3, 2.4)
        color = shade((*PLASTER, *BRICK, *CONCRETE)[int(rng.integers(13))], rng.uniform(0.75, 1.0))
        _band(canvas, camera, face, length, (0, height), shade(color, brightness))
        for y in np.arange(0.3, height - 0.1, 0.3):
            _band(canvas, camera, face, length, (y, y + 0.03), shade(color, brightness * 0.84))
        _band(canvas, camera, face, length, (height - 0.12, height + 0.04), shade(color, brightness * 1.2))
        return
    height = rng.uniform(1.0, 1.9)
    color = mix((206, 202, 190), (92, 104, 88), rng.random())
    _band(canvas, camera, face, length, (0, height), shade(color, brightness * 0.55))
    a0 = np.arange(0, length - 0.16, 0.26)
    boards = _rectangles(camera, face, a0, a0 + 0.19, np.zeros(len(a0)), np.full(len(a0), height))
    canvas.polygons(boards, shade(color, brightness))
    _band(canvas, camera, face, length, (height * 0.72, height * 0.8), shade(color, brightness * 0.9))
