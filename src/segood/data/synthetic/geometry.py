"""The pinhole camera of the synthetic world.

In: points in metres, x to the right and z ahead of the camera, y up from the ground.
Out: pixel positions (column, row). Streets bend sideways as a parabola, x + bend * z², which
keeps every straight-street drawing routine valid on curved streets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

NEAR = 1.2
"""Nothing closer than this (metres) is projected; nearer points are moved there."""


@dataclass(frozen=True)
class Camera:
    """A level camera above the ground.

    Attributes:
        size: image size (H, W) in pixels.
        focal: focal length in pixels.
        center: column of the vanishing point.
        horizon: row of the horizon.
        height: height above the ground in metres.
        bend: sideways bend of the street, in 1/metres.
    """

    size: tuple[int, int]
    focal: float
    center: float
    horizon: float
    height: float = 1.5
    bend: float = 0.0

    def project(self, points: Any) -> np.ndarray:
        """Project points (..., 3) of (x, y, z) in metres to (..., 2) of (column, row) in pixels.

        Example:
            >>> camera = Camera((256, 512), focal=400.0, center=256.0, horizon=100.0, height=1.5)
            >>> camera.project([(0, 0, 6.0)]).tolist()
            [[256.0, 200.0]]
        """
        points = np.asarray(points, dtype=np.float64)
        z = np.maximum(points[..., 2], NEAR)
        pixels = np.empty((*points.shape[:-1], 2))
        pixels[..., 0] = self.center + self.focal * (points[..., 0] / z + self.bend * z)
        pixels[..., 1] = self.horizon + self.focal * (self.height - points[..., 1]) / z
        return pixels

    def scale(self, z: float) -> float:
        """Pixels per metre at distance `z`."""
        return self.focal / max(z, NEAR)

    def ground_from_row(self, row: float) -> float:
        """Distance z of the ground seen in `row`, which must lie below the horizon."""
        return self.focal * self.height / max(row - self.horizon, 1e-3)

    def ground_to_image(self, metres_per_cell: float, offset: tuple[float, float]) -> np.ndarray:
        """Homography from cells (x, z) of a ground texture to pixels, for a straight street."""
        to_metres = np.array([[metres_per_cell, 0, offset[0]], [0, metres_per_cell, offset[1]], [0, 0, 1.0]])
        to_pixels = np.array(
            [[self.focal, self.center, 0], [0, self.horizon, self.focal * self.height], [0, 1.0, 0]]
        )
        return to_pixels @ to_metres


def draw_camera(rng: np.random.Generator, size: tuple[int, int]) -> Camera:
    """Draw a car camera for an image of `size` (H, W): mounting, heading and bend of the street vary."""
    height, width = size
    return Camera(
        size=size,
        focal=0.6 * (height + width) * rng.uniform(0.92, 1.12),
        center=width * rng.uniform(0.42, 0.58),
        horizon=height * rng.uniform(0.37, 0.45),
        height=rng.uniform(1.35, 1.75),
        bend=float(rng.choice([0.0, 1.0])) * rng.normal(0, 0.0009),
    )
