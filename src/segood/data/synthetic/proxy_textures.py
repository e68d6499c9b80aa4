"""Textures of the objects in the proxy images. None of them occurs in the evaluation sets or on a street.

In: a generator. Out: tiles uint8 (128,128,3) that repeat without visible seam, in any two colours.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from segood.data.synthetic.canvas import Color, mix, shade
from segood.data.synthetic.textures import smooth_noise, tint

N = 128
_ROW, _COL = np.mgrid[0:N, 0:N] / N


def draw_tile(rng: np.random.Generator, name: str) -> np.ndarray:
    """Draw a tile, uint8 (128,128,3), of the texture `name` in two random colours."""
    first = draw_color(rng)
    second = draw_color(rng) if rng.random() < 0.6 else shade(first, rng.uniform(0.35, 0.7))
    return tint(TEXTURES[name](rng), second, first)


def draw_color(rng: np.random.Generator) -> Color:
    """Draw a colour, from grey to vivid, dark to bright."""
    color = rng.uniform(15, 245, 3)
    grey = float(color.mean())
    return mix(tuple(color), (grey, grey, grey), float(rng.uniform(0, 0.8)))


def _fur(rng: np.random.Generator) -> np.ndarray:
    return 0.65 * smooth_noise(rng, N, (24, 80)) + 0.35 * smooth_noise(rng, N, (6, 8))


def _mottle(rng: np.random.Generator) -> np.ndarray:
    return 0.7 * smooth_noise(rng, N, (16, 16)) + 0.3 * smooth_noise(rng, N, (60, 60))


def _blotches(rng: np.random.Generator) -> np.ndarray:
    """Large patches with a soft rim, as on cows and giraffes."""
    field = smooth_noise(rng, N, (6, 6))
    return np.clip((field - np.median(field)) * 14 + 0.5, 0, 1)


def _tiger(rng: np.random.Generator) -> np.ndarray:
    """Wavy bands of changing width."""
    warp = smooth_noise(rng, N, (4, 4))
    return np.clip(2.5 * np.sin(2 * np.pi * (7 * _COL + 1.3 * warp)) + 0.5, 0, 1)


def _plaid(rng: np.random.Generator) -> np.ndarray:
    count = int(rng.integers(3, 7))
    return (
        0.5 * ((_COL * count) % 1 < 0.5)
        + 0.35 * ((_ROW * count) % 1 < 0.5)
        + 0.1 * smooth_noise(rng, N, (60, 60))
    )


def _dots(rng: np.random.Generator) -> np.ndarray:
    count, radius = int(rng.integers(4, 9)), rng.uniform(0.2, 0.4)
    row = (_ROW * count) % 1 - 0.5
    col = (_COL * count + 0.5 * (np.floor(_ROW * count) % 2)) % 1 - 0.5
    return np.clip((radius - np.hypot(row, col)) * 12 + 0.5, 0, 1)


def _zigzag(rng: np.random.Generator) -> np.ndarray:
    count = int(rng.integers(4, 8))
    tooth = np.abs((_COL * count) % 1 - 0.5)
    return np.clip(3 * np.sin(2 * np.pi * (_ROW * count + tooth)) + 0.5, 0, 1)


def _petals(rng: np.random.Generator) -> np.ndarray:
    count, leaves = int(rng.integers(2, 5)), int(rng.integers(4, 7))
    row, col = (_ROW * count) % 1 - 0.5, (_COL * count) % 1 - 0.5
    bloom = 0.25 + 0.14 * np.cos(leaves * np.arctan2(row, col))
    return np.clip((bloom - np.hypot(row, col)) * 14 + 0.5, 0, 1)


def _swirl(rng: np.random.Generator) -> np.ndarray:
    warp = smooth_noise(rng, N, (3, 3)) + 0.5 * smooth_noise(rng, N, (7, 7))
    return 0.5 + 0.5 * np.sin(2 * np.pi * 3 * warp)


def _gloss(rng: np.random.Generator) -> np.ndarray:
    at = rng.uniform(0.2, 0.5)
    return 0.45 + 0.15 * np.cos(2 * np.pi * _COL) + 0.4 * np.exp(-(((_COL - at) / 0.09) ** 2))


TEXTURES: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "fur": _fur,
    "mottle": _mottle,
    "blotches": _blotches,
    "tiger": _tiger,
    "plaid": _plaid,
    "dots": _dots,
    "zigzag": _zigzag,
    "petals": _petals,
    "swirl": _swirl,
    "gloss": _gloss,
}
