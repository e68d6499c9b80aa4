"""What vehicles there are, how large they are and how their sides look in outline.

In: a generator, a kind and a place. Out: a `Vehicle`, in metres.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segood.data.synthetic.canvas import Color, shade

PAINTS = (
    (196, 198, 200), (60, 62, 66), (228, 228, 226), (34, 36, 40), (140, 28, 30),
    (36, 62, 116), (112, 118, 124), (84, 44, 38), (52, 88, 72), (188, 172, 140), (74, 120, 168),
)  # fmt: skip
# Side profiles as (share of length from the end nearer the camera, share of height).
_BONNET = ((0.74, 0.66), (0.97, 0.52), (1, 0.2))
PROFILES = {
    "hatch": ((0, 0.2), (0.0, 0.6), (0.06, 0.68), (0.16, 0.97), (0.26, 1.0), (0.58, 0.98), *_BONNET),
    "saloon": ((0, 0.2), (0, 0.62), (0.14, 0.67), (0.28, 0.97), (0.38, 1.0), (0.56, 0.98), *_BONNET),
    "van": ((0, 0.15), (0, 0.95), (0.03, 1.0), (0.74, 1.0), (0.9, 0.6), (0.99, 0.48), (1, 0.15)),
}


@dataclass(frozen=True)
class Vehicle:
    """A vehicle along the street.

    Attributes:
        kind: "hatch", "saloon", "van", "truck", "bus" or "tram".
        x: middle, in metres; z: the end nearer the camera.
        width, length, height: in metres.
        away: True if it drives away from the camera (its rear is seen).
        color: of the body.
    """

    kind: str
    x: float
    z: float
    width: float
    length: float
    height: float
    away: bool
    color: Color

    @property
    def footprint(self) -> tuple[float, float, float, float]:
        """x0, x1, z0, z1 on the ground."""
        return self.x - self.width / 2, self.x + self.width / 2, self.z, self.z + self.length


def draw_vehicle(rng: np.random.Generator, kind: str, x: float, z: float, away: bool) -> Vehicle:
    """Draw sizes and colour of a vehicle of `kind`; "car" picks among hatch, saloon and van."""
    if kind == "car":
        kind = str(rng.choice(["hatch", "saloon", "van"], p=[0.45, 0.4, 0.15]))
    width, length, height = {
        "hatch": (1.75, 4.0, 1.5), "saloon": (1.8, 4.6, 1.44), "van": (1.95, 5.0, 2.15),
        "truck": (2.4, 8.0, 3.2), "bus": (2.5, 11.5, 3.1), "tram": (2.4, 24.0, 3.4),
    }[kind]  # fmt: skip
    grow = rng.uniform(0.95, 1.08)
    color = shade(PAINTS[int(rng.integers(len(PAINTS)))], rng.uniform(0.85, 1.1))
    if kind in ("bus", "tram"):
        color = ((206, 170, 52), (176, 40, 42), (222, 222, 216), (44, 96, 150))[int(rng.integers(4))]
    return Vehicle(
        kind, x, z, width * grow, length * grow, height * grow * rng.uniform(0.97, 1.05), away, color
    )
