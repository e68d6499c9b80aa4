"""Unknown objects of the evaluation sets: what lies where.

In: camera, street and light of a scene. Out: `Item`s with label `OBJECT_BASE + id`.
"""

from __future__ import annotations

import math

import numpy as np

from segood.data.lost_and_found import NON_HAZARDS
from segood.data.synthetic.canvas import Canvas
from segood.data.synthetic.families import OBSTACLE_FAMILIES, OVERLAY_FAMILIES, ObstacleFamily
from segood.data.synthetic.geometry import Camera
from segood.data.synthetic.items import Item, item
from segood.data.synthetic.labels import OBJECT_BASE
from segood.data.synthetic.light import Light
from segood.data.synthetic.solid_textures import draw_tile
from segood.data.synthetic.solids import SOLIDS, footprint, paint_solid, turned
from segood.data.synthetic.street import Street

OVERLAY_ID = 1
NEAREST, FARTHEST = 4.5, 26.0  # metres


def obstacle_items(
    rng: np.random.Generator, camera: Camera, street: Street, light: Light, standing: list[Item]
) -> list[Item]:
    """Draw one to four obstacles on the road; the first one is a hazard in every protocol."""
    hazards = [family for family in OBSTACLE_FAMILIES if family.label_ids[0] not in NON_HAZARDS]
    items: list[Item] = []
    for index in range(int(rng.integers(1, 5))):
        pool = hazards if index == 0 else list(OBSTACLE_FAMILIES)
        family = pool[int(rng.integers(len(pool)))]
        label = OBJECT_BASE + int(rng.choice(family.label_ids))
        x, z = _free_place(rng, camera, street, [*standing, *items])
        items.append(make_object(rng, camera, light, family, (x, 0.0, z), label, rng.uniform(0.8, 1.7)))
    return items


def overlay_items(
    rng: np.random.Generator, camera: Camera, street: Street, light: Light, standing: list[Item]
) -> list[Item]:
    """Draw one to three objects over a scene, mostly on the road, some in the air."""
    items = []
    for _ in range(int(rng.integers(1, 4))):
        family = OVERLAY_FAMILIES[int(rng.integers(len(OVERLAY_FAMILIES)))]
        x, z = _place(rng, camera, street)
        lift = rng.uniform(0.3, 2.5) if rng.random() < 0.15 else 0.0
        if rng.random() < 0.2:
            x = rng.uniform(street.left.frontage, street.right.frontage)
        items.append(
            make_object(
                rng, camera, light, family, (x, lift, z), OBJECT_BASE + OVERLAY_ID, rng.uniform(0.5, 1.3)
            )
        )
    return items


def make_object(
    rng: np.random.Generator,
    camera: Camera,
    light: Light,
    family: ObstacleFamily,
    place: tuple[float, float, float],
    label: int,
    size: float,
) -> Item:
    """Draw one object of `family` at `place` = (x, lift, z) metres, `size` times its usual extent."""
    width, height, depth = (side * size * rng.uniform(0.85, 1.15) for side in family.extent)
    tile = draw_tile(rng, family.textures[int(rng.integers(len(family.textures)))])
    x, lift, z = place
    mesh = turned(SOLIDS[family.solid](rng, (width, height, depth)), rng.uniform(0, 2 * math.pi), x, z, lift)

    def paint(canvas: Canvas) -> None:
        paint_solid(canvas, camera, light, mesh, tile)

    return item(z, label, paint, footprint(mesh) if lift == 0 else None, height)


def _free_place(
    rng: np.random.Generator, camera: Camera, street: Street, standing: list[Item]
) -> tuple[float, float]:
    """Draw spots until one has no footprint within 0.7 metres; give up after ten."""
    boxes = np.array([(f.min(0), f.max(0)) for f in (i.footprint for i in standing) if f is not None])
    for _ in range(10):
        x, z = _place(rng, camera, street)
        low, high = boxes[:, 0, ::2] - 0.7, boxes[:, 1, ::2] + 0.7
        if not ((low < (x, z)) & (high > (x, z))).all(1).any():
            break
    return x, z


def _place(rng: np.random.Generator, camera: Camera, street: Street) -> tuple[float, float]:
    """Draw a spot on the road inside the picture: evenly over rows, so far ones are not the rule."""
    z = 1 / rng.uniform(1 / FARTHEST, 1 / NEAREST)
    z = max(z, camera.ground_from_row(camera.size[0] * 0.88))
    half = 0.45 * camera.size[1] * z / camera.focal
    left = max(street.left.edge + 0.8, -half)
    right = min(street.right.edge - 0.8, half)
    return float(rng.uniform(left, max(right, left + 0.1))), float(z)
