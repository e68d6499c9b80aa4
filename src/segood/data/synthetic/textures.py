"""Patterns and tiles of surfaces that belong to streets, and the noise they are made of.

In: a generator or nothing (fixed tiles are made once). Out: uint8 (n,n) patterns that repeat
without seam, or uint8 (n,n,3) tiles. Textures of unknown objects live elsewhere, in
`proxy_textures` and `obstacle_textures`, which share nothing but `smooth_noise` and `tint`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np


def smooth_noise(rng: np.random.Generator, size: int, cells: tuple[int, int]) -> np.ndarray:
    """Draw noise in 0..1, float32 (size, size), without seam; `cells` = bumps along (rows, columns)."""
    rows, cols = cells
    grid = rng.random((rows, cols)).astype(np.float32)
    grid = np.pad(grid, ((2, 2), (2, 2)), mode="wrap")
    fx, fy = size / cols, size / rows
    big = cv2.resize(grid, (round((cols + 4) * fx), round((rows + 4) * fy)), interpolation=cv2.INTER_CUBIC)
    r, c = round(2 * fy), round(2 * fx)
    return np.clip(big[r : r + size, c : c + size], 0, 1)


def tint(pattern: np.ndarray, first: Sequence[float], second: Sequence[float]) -> np.ndarray:
    """Colour a pattern: 0 becomes `first`, 1 becomes `second`; float (n,n) in 0..1 -> uint8 (n,n,3)."""
    levels = np.linspace(0, 1, 256)[:, None]
    table = np.asarray(first) + (np.asarray(second, dtype=np.float64) - first) * levels
    index = np.clip(pattern * 255, 0, 255).astype(np.uint8)
    return np.clip(np.rint(table), 0, 255).astype(np.uint8)[index]


def _encode(factor: np.ndarray) -> np.ndarray:
    """Store brightness factors (1 = unchanged) as uint8 with 128 = 1."""
    return np.clip(np.rint(factor * 128), 0, 255).astype(np.uint8)


@lru_cache(maxsize=1)
def asphalt() -> np.ndarray:
    """Brightness factors of asphalt, uint8 (512,512), 128 = 1: grain, stains along the lane, cracks."""
    rng = np.random.default_rng(11)
    n = 512
    factor = (
        1 + 0.16 * (smooth_noise(rng, n, (256, 256)) - 0.5) + 0.12 * (smooth_noise(rng, n, (4, 40)) - 0.5)
    )
    factor += 0.14 * (smooth_noise(rng, n, (12, 12)) - 0.5)
    return _encode(factor)


@lru_cache(maxsize=1)
def slabs() -> np.ndarray:
    """Brightness factors of paving slabs, uint8 (512,512), 128 = 1; joints every 64 cells."""
    rng = np.random.default_rng(12)
    per_slab = np.kron(rng.uniform(0.93, 1.07, (8, 8)), np.ones((64, 64)))
    factor = per_slab * (1 + 0.12 * (smooth_noise(rng, 512, (200, 200)) - 0.5))
    for offset in range(3):
        factor[offset::64, :] *= 0.86
        factor[:, offset::64] *= 0.86
    return _encode(factor)


@lru_cache(maxsize=1)
def grass() -> np.ndarray:
    """Brightness factors of grass, uint8 (512,512), 128 = 1."""
    rng = np.random.default_rng(13)
    factor = (
        1 + 0.5 * (smooth_noise(rng, 512, (256, 256)) - 0.5) + 0.4 * (smooth_noise(rng, 512, (20, 20)) - 0.5)
    )
    return _encode(factor)


@lru_cache(maxsize=1)
def leaves() -> np.ndarray:
    """Brightness factors of foliage, uint8 (256,256), 128 = 1: light clumps on dark gaps."""
    rng = np.random.default_rng(14)
    fine, coarse = smooth_noise(rng, 256, (96, 96)), smooth_noise(rng, 256, (24, 24))
    return _encode(0.5 + 0.55 * fine + 0.5 * coarse)


@lru_cache(maxsize=1)
def clouds() -> np.ndarray:
    """Density of clouds in 0..1, float32 (256,256)."""
    rng = np.random.default_rng(15)
    total = np.zeros((256, 256), dtype=np.float32)
    for octave in range(5):
        total += smooth_noise(rng, 256, (4 << octave, 3 << octave)) / 2**octave
    return (total - total.min()) / np.ptp(total)


@lru_cache(maxsize=1)
def bricks() -> np.ndarray:
    """Brightness factors of brickwork, uint8 (128,128), 128 = 1."""
    rng = np.random.default_rng(16)
    factor = np.ones((128, 128))
    for row in range(16):
        shift = 8 if row % 2 else 0
        for col in range(8):
            columns = (np.arange(16) + col * 16 + shift) % 128
            factor[row * 8 : row * 8 + 8, columns] = rng.uniform(0.82, 1.1)
            factor[row * 8 : row * 8 + 8, columns[0]] = 1.2
        factor[row * 8, :] = 1.2
    return _encode(factor)


def colored(factors: np.ndarray, color: Sequence[float]) -> np.ndarray:
    """Make a tile of one colour from brightness factors (uint8, 128 = 1) -> uint8 (n,n,3)."""
    table = np.arange(256)[:, None] / 128 * np.asarray(color, dtype=np.float64)
    colors = np.clip(np.rint(table), 0, 255).astype(np.uint8)[:, None]
    return cv2.LUT(cv2.merge([factors, factors, factors]), colors)


@lru_cache(maxsize=1)
def clouds_factor() -> np.ndarray:
    """Brightness factors of a plain wall, uint8 (256,256), 128 = 1: soft stains."""
    return _encode(0.94 + 0.12 * clouds())
