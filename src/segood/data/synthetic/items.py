"""Things that stand on the ground, to be sorted by distance and painted far to near.

In: a painter and where it stands. Out: `Item`s.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from segood.data.synthetic.canvas import Canvas


@dataclass(frozen=True)
class Item:
    """Something that stands on the ground.

    Attributes:
        z: distance in metres by which items are sorted.
        paint: paints it; sets the pen itself.
        footprint: (n, 3) outline on the ground in metres, for its shadow; None throws none.
        height: in metres, for the length of its shadow.
    """

    z: float
    paint: Callable[[Canvas], None]
    footprint: np.ndarray | None = None
    height: float = 1.0


def item(
    z: float,
    label: int,
    paint: Callable[[Canvas], None],
    footprint: np.ndarray | None = None,
    height: float = 1.0,
) -> Item:
    """Make an `Item` of a single label."""

    def with_pen(canvas: Canvas) -> None:
        canvas.pen(label=label, distance=z)
        paint(canvas)

    return Item(z, with_pen, footprint, height)


def box(x0: float, x1: float, z0: float, z1: float) -> np.ndarray:
    """Outline (4, 3) of a rectangle on the ground, in metres.

    Example:
        >>> box(-1, 1, 4, 6).tolist()
        [[-1.0, 0.0, 4.0], [1.0, 0.0, 4.0], [1.0, 0.0, 6.0], [-1.0, 0.0, 6.0]]
    """
    return np.array([(x0, 0, z0), (x1, 0, z0), (x1, 0, z1), (x0, 0, z1)], dtype=np.float64)
