"""Colours of pictures and figures: one perceptually uniform map, one colour-blind safe palette.

In: scores in [0, 1]. Out: RGB. The map is *inferno* (monotone in lightness, so it also reads in
grey and with any colour vision); segments differ by pattern as well as by colour.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from segood.errors import UsageError

RGB = tuple[int, int, int]

KEPT: RGB = (255, 158, 27)
"""A segment that is reported, where no ground truth says whether rightly."""
REMOVED: RGB = (214, 221, 230)
"""A segment that the meta classifier removed, where no ground truth says whether rightly."""
HIT: RGB = (0, 196, 170)
"""A reported segment that touches an unknown object."""
FALSE_ALARM: RGB = (255, 92, 40)
"""A reported segment that touches none."""
REMOVED_RIGHTLY: RGB = (214, 221, 230)
"""A removed false alarm."""
REMOVED_WRONGLY: RGB = (255, 214, 10)
"""A removed segment that touched an unknown object."""
MISSED: RGB = (255, 64, 190)
"""An unknown object that no reported segment touches."""
GROUND_TRUTH: RGB = (255, 255, 255)
"""Outline of every unknown object."""


@lru_cache(maxsize=1)
def colormap_table() -> np.ndarray:
    """Return the 256 colours of the score map, lowest score first.

    Returns:
        uint8 (256,3), RGB, read-only.
    """
    ramp = np.arange(256, dtype=np.uint8).reshape(-1, 1)
    table: np.ndarray = cv2.applyColorMap(ramp, cv2.COLORMAP_INFERNO)[:, 0, ::-1].copy()
    table.setflags(write=False)
    return table


def colorize(score: np.ndarray) -> np.ndarray:
    """Turn a score map into a picture.

    Args:
        score: (H,W); floating point in [0, 1] (clipped; NaN counts as 0), or uint8 in 0..255.

    Returns:
        uint8 (H,W,3), RGB.

    Raises:
        UsageError: `score` is not two-dimensional.

    Example:
        >>> colorize(np.array([[0.0, 1.0]])).tolist()
        [[[0, 0, 4], [252, 255, 164]]]
    """
    if score.ndim != 2:
        raise UsageError(f"`score` must have shape (H,W); got {score.shape}")
    if score.dtype != np.uint8:
        score = np.rint(np.clip(np.nan_to_num(score, nan=0.0), 0, 1) * 255).astype(np.uint8)
    return colormap_table()[score]


def css_color(color: RGB) -> str:
    """Return `color` as `#rrggbb`.

    Example:
        >>> css_color((0, 196, 170))
        '#00c4aa'
    """
    red, green, blue = color
    return f"#{red:02x}{green:02x}{blue:02x}"


def css_gradient(stops: int = 12) -> str:
    """Return the score map as a CSS gradient from left (0) to right (1)."""
    rows = colormap_table()[np.linspace(0, 255, stops).astype(int)]
    return (
        "linear-gradient(to right, "
        + ", ".join(css_color((int(r), int(g), int(b))) for r, g, b in rows)
        + ")"
    )
