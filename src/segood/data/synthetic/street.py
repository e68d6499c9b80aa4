"""The street itself: its lanes, kerbs and strips, and how the ground is painted.

In: a camera and a generator. Out: a `Street` (metres, x relative to the camera), and a canvas
with road, pavement, grass and markings, each with its label.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from segood.data.synthetic import labels as ids
from segood.data.synthetic import textures
from segood.data.synthetic.canvas import SUBPIXEL_BITS, Canvas, Color, fixed_point, mix, shade
from segood.data.synthetic.geometry import NEAR, Camera
from segood.data.synthetic.light import Light

FAR = 140.0
"""Where the street ends, in metres."""


@dataclass(frozen=True)
class Side:
    """What lies beside the road on one side; widths in metres, from the kerb outwards.

    Attributes:
        sign: -1 left, +1 right.
        edge: x of the kerb.
        parking: width of the parking strip inside the kerb (part of the road), 0 if none.
        verge: width of a grass strip between kerb and pavement, 0 if none.
        pavement: width of the pavement.
    """

    sign: int
    edge: float
    parking: float
    verge: float
    pavement: float

    @property
    def frontage(self) -> float:
        """x where buildings, walls and hedges stand."""
        return self.edge + self.sign * (self.verge + self.pavement)


@dataclass(frozen=True)
class Street:
    """A street seen from its right lane.

    Attributes:
        left, right: the two sides.
        lane_lines: x of the lines between lanes.
        middle: index in `lane_lines` of the line that parts the two directions.
        lane_width: in metres.
        crossing: distance of a zebra crossing, or None.
        asphalt, paving, turf: surface colours.
    """

    left: Side
    right: Side
    lane_lines: tuple[float, ...]
    middle: int
    lane_width: float
    crossing: float | None
    asphalt: Color
    paving: Color
    turf: Color

    @property
    def sides(self) -> tuple[Side, Side]:
        """Left and right side."""
        return self.left, self.right


def draw_street(rng: np.random.Generator) -> Street:
    """Draw the widths and colours of a street."""
    lane = rng.uniform(2.9, 3.6)
    lanes_left, lanes_right = int(rng.choice([1, 2], p=[0.7, 0.3])), int(rng.choice([0, 1], p=[0.75, 0.25]))
    drift = rng.normal(0, 0.25)

    def side(sign: int, lanes: float) -> Side:
        parking = 2.3 if rng.random() < 0.45 else 0.0
        verge = rng.uniform(0.8, 2.6) if rng.random() < 0.35 else 0.0
        edge = sign * (lanes * lane + parking) + drift
        return Side(sign, edge, parking, verge, rng.uniform(1.6, 4.2))

    lines = tuple(drift + lane * (k + 0.5) for k in range(-lanes_left, lanes_right))
    grey = rng.uniform(78, 128)
    tone = rng.uniform(-5, 5)
    turf = mix((92, 118, 58), (128, 132, 74), rng.random())
    paving = mix((150, 146, 140), (176, 158, 140), rng.random())
    return Street(
        left=side(-1, lanes_left + 0.5),
        right=side(1, lanes_right + 0.5),
        lane_lines=lines,
        middle=min(lanes_left - 1, len(lines) - 1) if lanes_left == 1 else int(rng.integers(0, 2)),
        lane_width=lane,
        crossing=rng.uniform(9, 30) if rng.random() < 0.25 else None,
        asphalt=(grey + tone, grey, grey - tone),
        paving=shade(paving, rng.uniform(0.8, 1.08)),
        turf=shade(turf, rng.uniform(0.8, 1.1)),
    )


def strip(
    camera: Camera, x0: float, x1: float, z0: float = NEAR, z1: float = FAR, y: float = 0.0
) -> np.ndarray:
    """Outline (n, 2), in pixels, of a strip along the street between `x0`, `x1`, `z0` and `z1` metres."""
    z = np.geomspace(max(z0, NEAR), max(z1, NEAR + 0.01), 18 if z1 - z0 > 15 else 4)
    near = np.stack([np.full_like(z, x0), np.full_like(z, y), z], axis=1)
    far = np.stack([np.full_like(z, x1), np.full_like(z, y), z], axis=1)[::-1]
    return camera.project(np.concatenate([near, far]))


def paint_ground(
    canvas: Canvas, camera: Camera, street: Street, light: Light, rng: np.random.Generator
) -> None:
    """Paint road, pavement, verges and markings up to the horizon."""
    flat = light.face((0, 1, 0))
    top = int(np.ceil(camera.horizon))
    _set_ground_distance(canvas, camera)
    for side in street.sides:
        far_x = side.sign * 400.0
        background = ids.TERRAIN if rng.random() < 0.6 else ids.SIDEWALK
        color = street.turf if background == ids.TERRAIN else street.paving
        _ground(canvas, strip(camera, side.frontage, far_x), shade(color, flat), background)
        _ground(canvas, strip(camera, side.edge, side.frontage), shade(street.paving, flat), ids.SIDEWALK)
        if side.verge:
            inner = side.edge + side.sign * 0.25
            verge = strip(camera, inner, side.edge + side.sign * side.verge)
            _ground(canvas, verge, shade(street.turf, flat), ids.TERRAIN)
    _ground(canvas, strip(camera, street.left.edge, street.right.edge), shade(street.asphalt, flat), ids.ROAD)
    for side in street.sides:
        kerb = strip(camera, side.edge, side.edge + side.sign * 0.28)
        _ground(canvas, kerb, shade(mix(street.paving, (190, 190, 188), 0.5), flat), ids.SIDEWALK)
        gutter = strip(camera, side.edge - side.sign * 0.3, side.edge)
        canvas.decal([gutter], shade(street.asphalt, flat * 0.82))
        if side.parking:
            bays = strip(camera, side.edge - side.sign * side.parking, side.edge)
            canvas.decal(
                [bays], shade(mix(street.asphalt, street.paving, 0.25), flat * rng.uniform(0.85, 1.1))
            )
    _paint_wear(canvas, camera, street, flat, rng)
    _paint_marks(canvas, camera, street, flat, rng)
    _texture_ground(canvas, camera, top, rng)


def _ground(canvas: Canvas, outline: np.ndarray, color: Color, label: int) -> None:
    """Paint ground of one label; the distance plane is already set and stays."""
    canvas.decal([outline], color)
    plane = np.zeros(canvas.size, dtype=np.uint8)
    cv2.fillPoly(plane, [fixed_point(outline)], (1,), shift=SUBPIXEL_BITS)
    canvas.labels[plane > 0] = label


def _set_ground_distance(canvas: Canvas, camera: Camera) -> None:
    rows = np.arange(canvas.size[0])
    z = camera.focal * camera.height / np.maximum(rows - camera.horizon, 0.5)
    code = np.rint(255 * (1 - np.exp(-z / 80.0))).astype(np.uint8)
    below = rows > camera.horizon
    canvas.codes[below, :, 1] = code[below, None]
    canvas.codes[below, :, 2] = 0


def _paint_wear(
    canvas: Canvas, camera: Camera, street: Street, flat: float, rng: np.random.Generator
) -> None:
    """Mended patches, manholes, cracks and oil: harmless marks that a network must learn to bear."""
    left, right = street.left.edge, street.right.edge
    for x in (*street.lane_lines, street.lane_lines[-1] + street.lane_width):
        for wheel in (-0.75, 0.75):  # polished wheel tracks in every lane
            center = x - street.lane_width / 2 + wheel
            canvas.decal([strip(camera, center - 0.2, center + 0.2)], shade(street.asphalt, flat * 1.045))
    for _ in range(rng.integers(0, 5)):
        x, z = rng.uniform(left, right - 1), rng.uniform(4, 45)
        patch = strip(camera, x, x + rng.uniform(0.5, 2.2), z, z + rng.uniform(0.8, 7))
        canvas.decal([patch], shade(street.asphalt, flat * rng.uniform(0.78, 1.15)))
    for _ in range(rng.integers(0, 3)):
        x, z, radius = rng.uniform(left + 0.5, right - 0.5), rng.uniform(4, 30), rng.uniform(0.28, 0.4)
        angle = np.linspace(0, 2 * np.pi, 16, endpoint=False)
        for r, factor in ((radius, 0.6), (radius * 0.8, 0.8), (radius * 0.6, 0.66)):
            ring = np.stack([x + r * np.cos(angle), np.zeros(16), z + r * np.sin(angle)], axis=1)
            canvas.decal([camera.project(ring)], shade(street.asphalt, flat * factor))
    for _ in range(rng.integers(0, 4)):
        along = np.cumsum(rng.uniform(0.2, 0.9, 8)) + rng.uniform(3, 25)
        across = rng.uniform(left, right) + np.cumsum(rng.normal(0, 0.15, 8))
        a = np.stack([across, np.zeros(8), along], axis=1)
        b = a[::-1] + np.array([0.024, 0, 0])
        canvas.decal([camera.project(np.concatenate([a, b]))], shade(street.asphalt, flat * 0.62))


def _paint_marks(
    canvas: Canvas, camera: Camera, street: Street, flat: float, rng: np.random.Generator
) -> None:
    fade = rng.uniform(0.55, 1.0)
    white = shade(mix(street.asphalt, (232, 232, 226), fade), flat)
    dash, gap, phase = rng.uniform(2.5, 5), rng.uniform(3, 7), rng.uniform(0, 8)
    quads: list[Any] = []
    for index, x in enumerate(street.lane_lines):
        if index == street.middle and rng.random() < 0.3:
            quads.append(strip(camera, x - 0.07, x + 0.07))
            continue
        starts = np.arange(2.0 - phase, 90, dash + gap)
        quads += [strip(camera, x - 0.07, x + 0.07, z, z + dash) for z in starts if z + dash > NEAR]
    if rng.random() < 0.55:
        for side in street.sides:
            x = side.edge - side.sign * (side.parking + 0.35)
            quads.append(strip(camera, x - 0.06, x + 0.06))
    canvas.decal(quads, white)
    if street.crossing is not None:
        z, width = street.crossing, rng.uniform(2.6, 4)
        xs = np.arange(street.left.edge + 0.4, street.right.edge - 0.6, 1.0)
        canvas.decal([strip(camera, x, x + 0.5, z, z + width) for x in xs], white)
        canvas.decal([strip(camera, street.lane_lines[0], street.right.edge - 0.4, z - 2.2, z - 1.8)], white)


def _texture_ground(canvas: Canvas, camera: Camera, top: int, rng: np.random.Generator) -> None:
    height, width = canvas.size
    shift = np.array([[1, 0, 0], [0, 1, -top], [0, 0, 1.0]])
    near = np.clip((np.arange(top, height) - camera.horizon) / (0.3 * height), 0, 1).astype(np.float32)
    lower = canvas.image[top:].astype(np.float32)
    labels = canvas.labels[top:]
    for label, tile, cell in (
        (ids.ROAD, textures.asphalt(), 0.02),
        (ids.SIDEWALK, textures.slabs(), 0.011),
        (ids.TERRAIN, textures.grass(), 0.016),
    ):
        matrix = shift @ camera.ground_to_image(cell, (rng.uniform(-9, 0), rng.uniform(0, 9)))
        factor = cv2.warpPerspective(tile, matrix, (width, height - top), borderMode=cv2.BORDER_WRAP)
        strength = (factor.astype(np.float32) / 128 - 1) * near[:, None] * (labels == label)
        lower *= (1 + strength)[..., None]
    canvas.image[top:] = np.clip(lower, 0, 255)
