"""Proxy images: objects no street holds, before rooms, meadows, sand and paved squares.

In: a generator. Out: `ProxyScene`: picture and one exact mask per instance with COCO's category.
Some images also show people or vehicles, drawn by the painters of the streets, and some are
small, so that the proxy filter has something to drop.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from segood.data.synthetic import people, proxy_textures, vehicle_models, vehicles
from segood.data.synthetic.backgrounds import paint_background
from segood.data.synthetic.canvas import Canvas, Color, shade
from segood.data.synthetic.families import PROXY_FAMILIES, ProxyFamily
from segood.data.synthetic.geometry import Camera
from segood.data.synthetic.light import Light, develop, draw_light
from segood.data.synthetic.proxy_shapes import SHAPES

SIZES = ((480, 640), (640, 480), (500, 640), (512, 640), (640, 640), (600, 500))
SMALL_SIZES = ((427, 640), (375, 500), (333, 500), (360, 480))

STREET_CATEGORIES = {
    "person": (1, "person"),
    "bicycle": (2, "vehicle"),
    "car": (3, "vehicle"),
    "motorcycle": (4, "vehicle"),
    "bus": (6, "vehicle"),
    "train": (7, "vehicle"),
    "truck": (8, "vehicle"),
}
"""COCO's id and group of the street classes that some images show."""


@dataclass(frozen=True)
class Instance:
    """One annotated object: COCO's category id, bool mask (H,W), and whether it is a crowd."""

    category_id: int
    mask: np.ndarray
    is_crowd: bool


@dataclass(frozen=True)
class ProxyScene:
    """A finished proxy image, uint8 (H,W,3) RGB, and its instances."""

    image: np.ndarray
    instances: tuple[Instance, ...]


def compose_proxy(
    rng: np.random.Generator, *, small: bool = False, street: bool = False, crowd: bool = False
) -> ProxyScene:
    """Draw one proxy image.

    Args:
        rng: source of all randomness.
        small: the short side is below 480 pixels.
        street: one or two people or vehicles stand among the objects.
        crowd: the first object is a heap, annotated as one crowd region.

    Example:
        >>> scene = compose_proxy(np.random.default_rng(1))
        >>> scene.image.dtype.name, len(scene.instances) > 0
        ('uint8', True)
    """
    sizes = SMALL_SIZES if small else SIZES
    height, width = sizes[int(rng.integers(len(sizes)))]
    canvas, light = Canvas((height, width)), draw_light(rng)
    camera = Camera((height, width), 0.9 * max(height, width), width / 2, height * rng.uniform(0.3, 0.5), 1.5)
    canvas.pen(label=0, distance=8.0)
    paint_background(canvas, camera, light, rng)
    kinds: list[tuple[int, bool]] = []
    bottoms = np.sort(rng.uniform(0.55, 1.02, int(rng.integers(1, 6)))) * height
    for bottom in bottoms:
        family = PROXY_FAMILIES[int(rng.integers(len(PROXY_FAMILIES)))]
        size = height * math.exp(rng.uniform(math.log(0.16), math.log(0.8)))
        foot = (rng.uniform(0.05, 0.95) * width, float(bottom))
        kinds.append((family.category_id, crowd and len(kinds) == 0))
        canvas.pen(label=len(kinds), distance=8.0)
        if kinds[-1][1]:
            _paint_crowd(canvas, light, rng, family, foot, 0.3 * size)
        else:
            paint_object(canvas, light, rng, family, foot, size)
    if street:
        for _ in range(int(rng.integers(1, 3))):
            name = str(
                rng.choice(
                    ["person", "car", "bicycle", "truck", "bus", "motorcycle", "train"],
                    p=[0.4, 0.2, 0.12, 0.08, 0.08, 0.06, 0.06],
                )
            )
            kinds.append((STREET_CATEGORIES[name][0], False))
            canvas.pen(label=len(kinds), distance=8.0)
            _paint_street_object(canvas, camera, light, rng, name)
    instances = []
    for index, (category, is_crowd) in enumerate(kinds, start=1):
        mask = canvas.labels == index
        if mask.any():
            instances.append(Instance(category, mask, is_crowd))
    return ProxyScene(develop(canvas, light, rng), tuple(instances))


def paint_object(
    canvas: Canvas,
    light: Light,
    rng: np.random.Generator,
    family: ProxyFamily,
    foot: tuple[float, float],
    size: float,
) -> None:
    """Paint one object of `family`, `size` pixels tall, its foot at (column, row)."""
    tiles: dict[str, np.ndarray] = {
        role: proxy_textures.draw_tile(rng, family.textures[int(rng.integers(len(family.textures)))])
        for role in ("main", "second")
    }
    bright = light.face((0, 0.3, -0.95))
    plain: dict[str, Color] = {"dark": shade(proxy_textures.draw_color(rng), 0.3), "light": (226, 218, 200)}
    flip, tilt = float(rng.choice([-1, 1])), rng.normal(0, 0.12)
    stretch = rng.uniform(0.85, 1.2)
    c, s = math.cos(tilt), math.sin(tilt)
    matrix = np.array([[c, -s], [s, c]]) @ np.diag([flip * stretch, 1.0]) * size
    grain = size / 128 * rng.uniform(0.35, 0.8)
    for points, role in SHAPES[family.shape](rng):
        outline = points @ matrix.T + foot
        if role in tiles:
            canvas.textured(outline, tiles[role], grain, (bright * 1.12, bright * 0.75))
        else:
            canvas.polygon(outline, shade(plain[role], bright))


def _paint_crowd(
    canvas: Canvas,
    light: Light,
    rng: np.random.Generator,
    family: ProxyFamily,
    foot: tuple[float, float],
    size: float,
) -> None:
    """Paint a heap of one kind that is annotated as one crowd region."""
    for _ in range(int(rng.integers(6, 14))):
        at = (foot[0] + rng.normal(0, 1.4) * size, foot[1] + rng.normal(0, 0.25) * size)
        paint_object(canvas, light, rng, family, at, size * rng.uniform(0.7, 1.2))


def _paint_street_object(
    canvas: Canvas, camera: Camera, light: Light, rng: np.random.Generator, name: str
) -> None:
    z = rng.uniform(3.5, 14)
    if name in ("car", "truck", "bus", "train"):
        z = rng.uniform(6, 16)
        x = rng.uniform(-0.35, 0.35) * camera.size[1] * z / camera.focal
        kind = "tram" if name == "train" else name
        car = vehicle_models.draw_vehicle(rng, kind, x, z, bool(rng.random() < 0.5))
        vehicles.paint_vehicle(canvas, camera, light, rng, car)
        return
    x = rng.uniform(-0.4, 0.4) * camera.size[1] * z / camera.focal
    column, row = camera.project([(x, 0, z)])[0]
    foot, scale = (float(column), float(row)), camera.scale(z)
    if name == "person":
        people.paint_person(canvas, light, rng, foot, scale)
    else:
        paint = people.paint_bicycle if name == "bicycle" else people.paint_motorcycle
        paint(canvas, light, rng, foot, scale, float(rng.choice([-1, 1])) * rng.uniform(0.4, 1))
