"""Textures of the unknown objects in the evaluation sets. None of them occurs on a proxy or a street.

In: a generator. Out: a pattern, float (128,128) in 0..1, and the colours it is drawn in.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from segood.data.synthetic.canvas import Color, shade
from segood.data.synthetic.textures import smooth_noise, tint

N = 128
_ROW, _COL = np.mgrid[0:N, 0:N] / N


def draw_tile(rng: np.random.Generator, name: str) -> np.ndarray:
    """Draw a tile, uint8 (128,128,3), of the texture `name`."""
    pattern, palettes = TEXTURES[name]
    first, second = palettes[int(rng.integers(len(palettes)))]
    bright = rng.uniform(0.75, 1.15)
    return tint(pattern(rng), shade(first, bright), shade(second, bright))


def _grain(rng: np.random.Generator) -> np.ndarray:
    return smooth_noise(rng, N, (64, 64))


def _slats(rng: np.random.Generator) -> np.ndarray:
    """Boards with dark gaps, framed."""
    count = int(rng.integers(3, 6))
    gaps = (_ROW * count) % 1 < 0.26
    frame = (np.minimum(_COL, 1 - _COL) < 0.09) | (np.minimum(_ROW, 1 - _ROW) < 0.06)
    return np.where(gaps & ~frame, 0.0, 0.75 + 0.25 * _grain(rng))


def _moulding(rng: np.random.Generator) -> np.ndarray:
    grille = (_ROW > 0.45) & (_ROW < 0.75) & (np.abs(_COL - 0.5) < 0.3)
    return np.where(grille, ((_COL * 24) % 1 < 0.4) * 0.35, 0.65 + 0.35 * np.cos((_ROW - 0.25) * 4))


def _cardboard(rng: np.random.Generator) -> np.ndarray:
    tape = np.abs(_COL - 0.5) < 0.07
    print_ = (np.abs(_ROW - 0.7) < 0.1) & (np.abs(_COL - 0.22) < 0.12) & (_grain(rng) > 0.45)
    return np.where(tape, 1.0, np.where(print_, 0.05, 0.55 + 0.2 * smooth_noise(rng, N, (32, 4))))


def _brushed_metal(rng: np.random.Generator) -> np.ndarray:
    return 0.25 + 0.35 * smooth_noise(rng, N, (96, 4)) + 0.4 * np.exp(-(((_ROW - 0.35) / 0.12) ** 2))


def _rust(rng: np.random.Generator) -> np.ndarray:
    return np.clip(2.2 * smooth_noise(rng, N, (9, 9)) - 0.8 + 0.5 * (_grain(rng) - 0.5), 0, 1)


def _wood_grain(rng: np.random.Generator) -> np.ndarray:
    warp = smooth_noise(rng, N, (8, 2))
    return 0.5 + 0.3 * np.sin(2 * np.pi * (9 * _ROW + 2.5 * warp)) + 0.2 * smooth_noise(rng, N, (64, 4))


def _hazard_bands(rng: np.random.Generator) -> np.ndarray:
    tilt, count = int(rng.integers(0, 2)) * 2, int(rng.integers(3, 5))
    return ((_ROW * count + _COL * tilt) % 1 < 0.5) * 0.9 + 0.1 * _grain(rng)


def _rubber_tread(rng: np.random.Generator) -> np.ndarray:
    return 0.25 + 0.5 * ((_COL * 16 + np.abs(_ROW - 0.5) * 6) % 1 < 0.55) + 0.25 * _grain(rng)


def _crumple(rng: np.random.Generator) -> np.ndarray:
    """Facets: nearest of random points decides the brightness, creases between them shine."""
    points = rng.random((26, 2)).astype(np.float32)
    rows, cols = (np.abs(np.arange(N, dtype=np.float32) / N - points[:, k, None]) for k in (0, 1))
    rows, cols = np.minimum(rows, 1 - rows) ** 2, np.minimum(cols, 1 - cols) ** 2
    distance = rows[:, :, None] + cols[:, None, :]
    nearest = distance.argmin(0)
    two = np.sqrt(np.partition(distance, 1, axis=0)[:2])
    crease = np.clip(1 - (two[1] - two[0]) * 26, 0, 1)
    return np.clip(rng.uniform(0.15, 0.8, 26)[nearest] + 0.4 * crease, 0, 1)


def _foam(rng: np.random.Generator) -> np.ndarray:
    return 0.75 + 0.25 * (_grain(rng) > 0.5) - 0.2 * (smooth_noise(rng, N, (40, 40)) > 0.72)


def _tarpaulin(rng: np.random.Generator) -> np.ndarray:
    folds = np.sin(2 * np.pi * (4 * _COL + 1.2 * smooth_noise(rng, N, (3, 3))))
    seam = np.abs(_ROW - 0.5) < 0.02
    return np.clip(0.55 + 0.28 * folds - 0.35 * seam, 0, 1)


def _straw(rng: np.random.Generator) -> np.ndarray:
    return np.clip(
        1.4 * smooth_noise(rng, N, (90, 9)) * 0.6 + 0.5 * smooth_noise(rng, N, (10, 90)) - 0.1, 0, 1
    )


def _rock(rng: np.random.Generator) -> np.ndarray:
    strata = np.abs(np.sin(2 * np.pi * (3 * _ROW + 1.6 * smooth_noise(rng, N, (5, 5)))))
    return np.clip(0.2 + 0.5 * strata * smooth_noise(rng, N, (14, 14)) + 0.4 * _grain(rng), 0, 1)


def _quilt(rng: np.random.Generator) -> np.ndarray:
    lattice = np.abs(np.sin(np.pi * 5 * (_ROW + _COL))) * np.abs(np.sin(np.pi * 5 * (_ROW - _COL)))
    return np.clip(0.35 + 0.65 * np.sqrt(lattice), 0, 1)


def _bark(rng: np.random.Generator) -> np.ndarray:
    return np.clip(1.6 * np.abs(smooth_noise(rng, N, (28, 7)) - 0.5) + 0.4 * _grain(rng), 0, 1)


def _corrugated(rng: np.random.Generator) -> np.ndarray:
    return 0.5 + 0.4 * np.sin(2 * np.pi * 9 * _ROW) + 0.1 * _grain(rng)


_Pair = tuple[Color, Color]
_PLASTICS: tuple[_Pair, ...] = (
    ((24, 30, 40), (60, 110, 190)), ((20, 36, 26), (50, 150, 80)), ((24, 24, 26), (72, 72, 76)),
    ((50, 50, 52), (158, 158, 160)), ((60, 14, 12), (206, 60, 44)), ((70, 50, 8), (232, 190, 50)),
)  # fmt: skip
_BANDS: tuple[_Pair, ...] = (
    ((236, 236, 230), (226, 84, 30)), ((238, 238, 234), (200, 30, 34)), ((30, 30, 30), (240, 204, 40)),
)  # fmt: skip
_WOODS: tuple[_Pair, ...] = (
    ((120, 84, 50), (206, 166, 112)),
    ((92, 78, 66), (168, 152, 130)),
    ((84, 48, 28), (150, 98, 58)),
)
_METALS: tuple[_Pair, ...] = (((84, 88, 92), (232, 236, 240)), ((60, 60, 62), (176, 176, 178)))
_CARDBOARDS: tuple[_Pair, ...] = (
    ((96, 66, 38), (214, 178, 128)), ((110, 84, 58), (196, 158, 116)), ((60, 56, 54), (230, 228, 222)),
)  # fmt: skip
_RUSTS: tuple[_Pair, ...] = (
    ((86, 96, 104), (150, 76, 34)), ((44, 92, 112), (128, 66, 36)), ((150, 140, 60), (110, 58, 30)),
)  # fmt: skip
_FOILS: tuple[_Pair, ...] = (
    ((30, 30, 34), (150, 150, 160)), ((150, 156, 160), (246, 248, 250)),
    ((28, 60, 110), (150, 190, 236)), ((120, 96, 20), (250, 226, 110)),
)  # fmt: skip
_TARPAULINS: tuple[_Pair, ...] = (
    ((16, 50, 110), (70, 130, 214)), ((20, 70, 40), (80, 160, 96)), ((140, 60, 10), (244, 150, 50)),
)  # fmt: skip
_LINENS: tuple[_Pair, ...] = (
    ((150, 150, 160), (246, 244, 240)), ((116, 140, 170), (210, 226, 240)),
    ((160, 130, 130), (240, 214, 210)),
)  # fmt: skip

TEXTURES: dict[str, tuple[Callable[[np.random.Generator], np.ndarray], tuple[_Pair, ...]]] = {
    "slats": (_slats, (*_PLASTICS, *_WOODS)),
    "moulding": (_moulding, _PLASTICS),
    "cardboard": (_cardboard, _CARDBOARDS),
    "brushed_metal": (_brushed_metal, _METALS),
    "rust": (_rust, _RUSTS),
    "wood_grain": (_wood_grain, _WOODS),
    "hazard_bands": (_hazard_bands, _BANDS),
    "rubber_tread": (_rubber_tread, (((14, 14, 15), (58, 58, 60)), ((24, 22, 22), (84, 80, 78)))),
    "crumple": (_crumple, _FOILS),
    "foam": (_foam, (((186, 188, 190), (250, 250, 248)), ((150, 176, 196), (214, 232, 242)))),
    "tarpaulin": (_tarpaulin, _TARPAULINS),
    "straw": (_straw, (((122, 92, 34), (240, 208, 116)), ((104, 88, 46), (206, 186, 110)))),
    "rock": (_rock, (((56, 54, 54), (182, 176, 168)), ((84, 66, 52), (188, 160, 132)))),
    "quilt": (_quilt, _LINENS),
    "bark": (_bark, (((38, 28, 20), (134, 106, 78)), ((60, 56, 52), (210, 204, 192)))),
    "corrugated": (_corrugated, (*_PLASTICS, *_METALS)),
}
