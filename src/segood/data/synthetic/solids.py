"""The solids that the unknown objects of the evaluation sets are made of.

In: extent in metres. Out: a mesh of faces, painted in perspective with texture and light.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from segood.data.synthetic.canvas import Canvas, shade
from segood.data.synthetic.geometry import Camera
from segood.data.synthetic.light import Light

Extent = tuple[float, float, float]


@dataclass(frozen=True)
class Face:
    """A flat face.

    Attributes:
        points: (n, 3) in metres, in order around the face.
        part: window (x0, y0, x1, y1) of the tile in 0..1 that covers it.
    """

    points: np.ndarray
    part: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)


def _cuboid(rng: np.random.Generator, extent: Extent) -> list[Face]:
    w, h, d = extent[0] / 2, extent[1], extent[2] / 2
    taper = rng.uniform(0.86, 1.0)
    low = [
        (-w * taper, 0, -d * taper),
        (w * taper, 0, -d * taper),
        (w * taper, 0, d * taper),
        (-w * taper, 0, d * taper),
    ]
    top = [(-w, h, -d), (w, h, -d), (w, h, d), (-w, h, d)]
    sides = [Face(np.array([top[i], top[(i + 1) % 4], low[(i + 1) % 4], low[i]])) for i in range(4)]
    return [*sides, Face(np.array([top[3], top[2], top[1], top[0]]))]


def _drum(rng: np.random.Generator, extent: Extent) -> list[Face]:
    """An upright cylinder."""
    count = 14
    t = np.arange(count + 1) * (2 * math.pi / count)
    x, z = extent[0] / 2 * np.cos(t), extent[2] / 2 * np.sin(t)
    faces = []
    for i in range(count):
        a, b = (x[i], 0, z[i]), (x[i + 1], 0, z[i + 1])
        part = (i / count * 2 % 1, 0.0, i / count * 2 % 1 + 2 / count, 1.0)
        faces.append(Face(np.array([(a[0], extent[1], a[2]), (b[0], extent[1], b[2]), b, a]), part))
    rim = np.stack([x[:-1], np.full(count, extent[1]), z[:-1]], axis=1)
    faces.append(Face(rim))
    if extent[1] < extent[0]:  # flat ones have a sunken middle: tyres, caps
        faces.append(Face(rim * (0.55, 1.0, 0.55) + (0, 0.001, 0), (0.0, 0.0, 0.12, 0.12)))
    return faces


def _roller(rng: np.random.Generator, extent: Extent) -> list[Face]:
    """A lying cylinder, its axis along x before turning."""
    count = 12
    t = np.arange(count + 1) * (2 * math.pi / count)
    r = extent[1] / 2
    y, z = r + r * np.cos(t), r * np.sin(t)
    w = extent[0] / 2
    faces = []
    for i in range(count):
        a, b = i, i + 1
        quad = [(-w, y[a], z[a]), (w, y[a], z[a]), (w, y[b], z[b]), (-w, y[b], z[b])]
        faces.append(Face(np.array(quad), (0.0, i / count, 1.0, (i + 1) / count)))
    for side in (-w, w):
        faces.append(Face(np.stack([np.full(count, side), y[:-1], z[:-1]], axis=1)))
    return faces


def _cone(rng: np.random.Generator, extent: Extent) -> list[Face]:
    """A cone with a cut tip on a square foot."""
    count = 12
    t = np.arange(count + 1) * (2 * math.pi / count)
    foot = _cuboid(rng, (extent[0], extent[1] * 0.07, extent[2]))
    faces = [Face(face.points, (0.0, 0.0, 0.1, 0.1)) for face in foot]
    for i in range(count):
        quad = []
        for radius, height, k in ((0.1, 1.0, i), (0.1, 1.0, i + 1), (0.74, 0.07, i + 1), (0.74, 0.07, i)):
            x, z = extent[0] / 2 * radius * math.cos(t[k]), extent[2] / 2 * radius * math.sin(t[k])
            quad.append((x, extent[1] * height, z))
        faces.append(Face(np.array(quad), (i / count, 0.0, (i + 1) / count, 1.0)))
    return faces


def _prism(rng: np.random.Generator, extent: Extent) -> list[Face]:
    """A roof on the ground: a tent."""
    w, h, d = extent[0] / 2, extent[1], extent[2] / 2
    a, b, c, e = (-w, 0, -d), (w, 0, -d), (w, 0, d), (-w, 0, d)
    r0, r1 = (0, h, -d * 0.9), (0, h, d * 0.9)
    return [
        Face(np.array([r1, r0, a, e])),
        Face(np.array([r0, r1, c, b])),
        Face(np.array([a, r0, b])),
        Face(np.array([c, r1, e])),
    ]


def _lump(rng: np.random.Generator, extent: Extent) -> list[Face]:
    """A dented ball with a flat bottom."""
    rows, cols = 6, 10
    radius = rng.uniform(0.8, 1.12, (rows + 1, cols))
    radius[0], radius[-1] = radius[0, 0], radius[-1, 0]
    points = np.empty((rows + 1, cols, 3))
    for i in range(rows + 1):
        polar = math.pi * i / rows
        for j in range(cols):
            t = 2 * math.pi * j / cols
            ring = math.sin(polar) * radius[i, j]
            points[i, j] = (
                extent[0] / 2 * ring * math.cos(t),
                extent[1] * (0.5 + 0.5 * math.cos(polar) * radius[i, j]),
                extent[2] / 2 * ring * math.sin(t),
            )
    points[..., 1] = np.maximum(points[..., 1], 0)
    faces = []
    for i in range(rows):
        for j in range(cols):
            k = (j + 1) % cols
            part = (j / cols, i / rows, (j + 1) / cols, (i + 1) / rows)
            faces.append(Face(points[[i, i, i + 1, i + 1], [j, k, k, j]], part))
    return faces


SOLIDS: dict[str, Callable[[np.random.Generator, Extent], list[Face]]] = {
    "cuboid": _cuboid,
    "drum": _drum,
    "roller": _roller,
    "cone": _cone,
    "prism": _prism,
    "lump": _lump,
}


def turned(faces: list[Face], yaw: float, x: float, z: float, lift: float = 0.0) -> list[Face]:
    """Turn a mesh about the vertical by `yaw` radians and move it to (x, lift, z)."""
    c, s = math.cos(yaw), math.sin(yaw)
    matrix = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    return [Face(face.points @ matrix.T + (x, lift, z), face.part) for face in faces]


def footprint(faces: list[Face]) -> np.ndarray:
    """Outline (4, 3) on the ground of the box around a mesh, in metres."""
    points = np.concatenate([face.points for face in faces])
    (x0, _, z0), (x1, _, z1) = points.min(0), points.max(0)
    return np.array([(x0, 0, z0), (x1, 0, z0), (x1, 0, z1), (x0, 0, z1)])


def paint_solid(canvas: Canvas, camera: Camera, light: Light, faces: list[Face], tile: np.ndarray) -> None:
    """Paint the faces that look at the camera, far to near."""
    center = np.concatenate([face.points for face in faces]).mean(0)
    eye = np.array([-camera.bend * center[2] ** 2, camera.height, 0.0])
    for face in sorted(faces, key=lambda face: -float(face.points[:, 2].mean())):
        middle = face.points.mean(0)
        normal = np.cross(face.points[1] - face.points[0], face.points[2] - face.points[1])
        size = float(np.linalg.norm(normal))
        if size < 1e-9:  # a triangle at a pole, given as a quadrilateral
            normal = np.cross(face.points[2] - face.points[1], face.points[3] - face.points[2])
            size = max(float(np.linalg.norm(normal)), 1e-9)
        normal = normal / size
        if normal @ (middle - center) < 0:
            normal = -normal
        if normal @ (eye - middle) <= 0:
            continue
        bright = light.face((float(normal[0]), float(normal[1]), float(normal[2])))
        outline = camera.project(face.points)
        h, w = tile.shape[:2]
        x0, y0, x1, y1 = face.part
        left, top = int(x0 * w), int(y0 * h)
        piece = tile[top : max(int(y1 * h), top + 2), left : max(int(x1 * w), left + 2)]
        canvas.polygon(outline, shade(cv2.mean(piece)[:3], bright))
        if np.ptp(outline, axis=0).max() < 5:  # no room for a texture
            continue
        if len(outline) == 4:
            canvas.textured_quad(outline, piece, (bright, bright))
        else:
            canvas.textured(outline, piece, camera.scale(middle[2]) / 128, (bright, bright))
