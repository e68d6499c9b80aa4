"""A whole street scene: plan it, paint it far to near, develop it.

In: a generator, a size, and optionally unknown objects to put on the street.
Out: `Scene`: picture, Cityscapes label ids (unknown objects as `OBJECT_BASE + id`), camera, street.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from segood.data.sample import Sample
from segood.data.synthetic import labels as ids
from segood.data.synthetic.canvas import SUBPIXEL_BITS, Canvas, fixed_point
from segood.data.synthetic.geometry import Camera, draw_camera
from segood.data.synthetic.greenery import paint_skyline
from segood.data.synthetic.items import Item
from segood.data.synthetic.light import Light, develop, draw_light, paint_sky
from segood.data.synthetic.population import populate
from segood.data.synthetic.street import Street, draw_street, paint_ground
from segood.data.synthetic.vehicles import paint_bonnet
from segood.errors import UsageError

GROUND = (ids.ROAD, ids.SIDEWALK, ids.TERRAIN)


@dataclass(frozen=True)
class Scene:
    """A finished scene.

    Attributes:
        image: uint8 (H,W,3) RGB.
        label_ids: uint8 (H,W) Cityscapes label ids, or `OBJECT_BASE` + id of an unknown object.
        camera, street, light: how it was made.
    """

    image: np.ndarray
    label_ids: np.ndarray
    camera: Camera
    street: Street
    light: Light


ObjectSource = Callable[[np.random.Generator, Camera, Street, Light, list[Item]], list[Item]]
"""Makes the unknown objects of a scene, knowing what stands on the street already."""


def check_size(size: tuple[int, int]) -> None:
    """Raise `UsageError` unless `size` is (H, W) with both at least 128 pixels.

    Example:
        >>> check_size((64, 512))
        Traceback (most recent call last):
        segood.errors.UsageError: `size` must be (height, width), both from 128 to 4096 pixels; got (64, 512)
    """
    fits = len(size) == 2 and all(isinstance(n, int) and 128 <= n <= 4096 for n in size)
    if not fits:
        raise UsageError(f"`size` must be (height, width), both from 128 to 4096 pixels; got {tuple(size)}")


def compose_scene(
    rng: np.random.Generator,
    size: tuple[int, int],
    *,
    objects: ObjectSource | None = None,
    overlay: ObjectSource | None = None,
    bonnet: bool = False,
) -> Scene:
    """Draw one scene.

    Args:
        rng: source of all randomness.
        size: (H, W) in pixels.
        objects: unknown objects that stand in the scene: sorted by depth, with shadows.
        overlay: unknown objects painted over the finished scene; no sun, only contact, throws their shadow.
        bonnet: whether the bonnet of the camera's car is in the picture (label ego vehicle).
    """
    check_size(size)
    camera, light, street = draw_camera(rng, size), draw_light(rng), draw_street(rng)
    canvas = Canvas(size)
    paint_sky(canvas, camera, light, rng, ids.SKY)
    paint_ground(canvas, camera, street, light, rng)
    canvas.pen(label=ids.VEGETATION, distance=160.0)
    paint_skyline(canvas, camera, light, rng)
    items = populate(rng, camera, street, light)
    if objects is not None:
        items += objects(rng, camera, street, light, items)
    _cast_shadows(canvas, camera, light, items)
    for item in sorted(items, key=lambda item: -item.z):
        item.paint(canvas)
    if overlay is not None:
        pasted = overlay(rng, camera, street, light, items)
        _cast_shadows(canvas, camera, light, pasted, contact_only=True)
        for item in sorted(pasted, key=lambda item: -item.z):
            item.paint(canvas)
    if bonnet:
        canvas.pen(label=ids.EGO_VEHICLE, distance=0.0)
        grey = rng.uniform(20, 110)
        paint_bonnet(canvas, light, (grey, grey, grey + 4))
    return Scene(develop(canvas, light, rng), canvas.labels.copy(), camera, street, light)


def draw_street_scene(rng: np.random.Generator, size: tuple[int, int] = (256, 512)) -> Sample:
    """Draw one street scene without unknown objects.

    Args:
        rng: source of all randomness; the same state gives the same scene.
        size: (H, W) in pixels, both at least 128.

    Returns:
        `Sample` with image uint8 (H,W,3) RGB, target uint8 (H,W) of Cityscapes train ids
        (255 ignore), and the id "synthetic/street".

    Raises:
        UsageError: `size` is out of range.

    Example:
        >>> sample = draw_street_scene(np.random.default_rng(0), (128, 256))
        >>> sample.image.shape, sample.target.shape
        ((128, 256, 3), (128, 256))
    """
    scene = compose_scene(rng, size)
    return Sample(scene.image, ids.to_train_ids(scene.label_ids), "synthetic/street")


def _cast_shadows(
    canvas: Canvas, camera: Camera, light: Light, items: list[Item], contact_only: bool = False
) -> None:
    """Darken the ground under and behind everything that stands on it."""
    height, width = canvas.size
    long = np.zeros((height, width), dtype=np.uint8)
    contact = np.zeros((height, width), dtype=np.uint8)
    slope = np.array([-light.sun[0], 0.0, -light.sun[2]]) / max(light.sun[1], 0.3)
    for item in items:
        if item.footprint is None:
            continue
        middle = item.footprint.mean(0)
        near = middle + (item.footprint - middle) * (1.12, 1, 1.12)
        _fill(contact, camera.project(near))
        if light.kind == "sun" and not contact_only:
            cast = np.concatenate([item.footprint, item.footprint + slope * item.height])
            _fill(long, cv2.convexHull(camera.project(cast).astype(np.float32))[:, 0])
    soft = max(0.6, height / 300)
    top = int(camera.horizon)
    long = cv2.GaussianBlur(long[top:], (0, 0), soft).astype(np.float32) / 255
    contact = cv2.GaussianBlur(contact[top:], (0, 0), soft * 1.5).astype(np.float32) / 255
    factor = (1 - (1 - light.shadow) * long) * (1 - 0.42 * contact)
    is_ground = np.zeros(256, dtype=bool)
    is_ground[list(GROUND)] = True
    factor[~is_ground[canvas.labels[top:]]] = 1
    canvas.image[top:] = (canvas.image[top:] * factor[..., None]).astype(np.uint8)


def _fill(plane: np.ndarray, points: np.ndarray) -> None:
    cv2.fillPoly(plane, [fixed_point(points)], (255,), lineType=cv2.LINE_AA, shift=SUBPIXEL_BITS)
