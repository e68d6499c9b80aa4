"""Scores as 16-bit codes in the order of the scores, so that counting pixels per code is counting per score.

In: score maps (H,W). Out: codes uint16 (H,W), 0 for ignored pixels, and counts per code and kind of pixel.
float16 has fewer than 65,536 values, so all maps that float16 holds share one fixed table (`HalfCodes`) and
every number made of it is exact. Wider ones get levels, learned from a first look at all maps
(`evaluation/level_codes.py`, `evaluation/score_levels.py`).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol

import numpy as np
from jaxtyping import Bool, Float64, Int64, UInt8, UInt16

from segood.compiled import kernels_enabled, num_threads, run_parallel
from segood.types import IGNORE, IN_DISTRIBUTION, OUT_OF_DISTRIBUTION

NUM_CODES = 2**16
_ZERO = 0x8000  # code of 0.0 and of -0.0


class ScoreCodes(Protocol):
    """An order-preserving numbering of scores.

    Attributes:
        values: (K,) float64, rising: the lowest score that code 0, 1, … K-1 stands for.
        exact: no two counted scores share a code.
        single: (K,) bool, codes of one score only: all of their pixels are tied indeed.
        dtype: type of the scores.
    """

    @property
    def values(self) -> Float64[np.ndarray, " k"]: ...
    @property
    def exact(self) -> bool: ...
    @property
    def single(self) -> Bool[np.ndarray, " k"]: ...
    @property
    def dtype(self) -> np.dtype: ...

    def count(self, score: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Number and count the pixels of one frame.

        Args:
            score: (H,W) floating point.
            target: (H,W) uint8.

        Returns:
            (codes, table): uint16 (H,W), 0 for ignored pixels; int64 (65536, 2) in-distribution and OoD
            pixels per code. None where a target is not 0, 1, 255 or a counted score is not finite.
        """


class HalfCodes:
    """All float16 values by rising value; scores of wider types that float16 holds exactly fit, too."""

    exact = True

    def __init__(self) -> None:
        self.values = _half_values()
        self.single = np.ones(NUM_CODES, bool)
        self.dtype = np.dtype(np.float16)

    def count(self, score: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """See `ScoreCodes.count`; `score` is float16."""
        bits, target = as_plain(score).view(np.uint16), as_plain(target)
        if not kernels_enabled():
            return _count_half(bits, target)
        from segood.evaluation import score_count_kernels as kernels

        codes = np.empty(bits.shape, np.uint16)
        pieces = min(num_threads(), 4, max(1, bits.size >> 16))
        tables = np.zeros((pieces, 2 * NUM_CODES), np.uint32)
        cuts = np.linspace(0, bits.size, pieces + 1).astype(int)
        flat_bits, flat_target, flat_codes = bits.reshape(-1), target.reshape(-1), codes.reshape(-1)

        def work(piece: int) -> bool:
            part = slice(cuts[piece], cuts[piece + 1])
            return bool(
                kernels.count_half(flat_bits[part], flat_target[part], flat_codes[part], tables[piece])
            )

        if not all(run_parallel(work, pieces)):
            return None
        return codes, _as_table(tables)


def count_codes(codes: UInt16[np.ndarray, "h w"], ood: Bool[np.ndarray, "h w"]) -> Int64[np.ndarray, "k 2"]:
    """Count pixels per code and kind.

    Args:
        codes: 0 for ignored pixels.
        ood: OoD pixels.

    Returns:
        (65536, 2) in-distribution and OoD pixels; row 0 is empty.
    """
    if not kernels_enabled():
        return _count_codes(codes, ood.view(np.uint8))
    from segood.evaluation import score_count_kernels as kernels

    table = np.zeros((1, 2 * NUM_CODES), np.uint32)
    kernels.count_codes(codes.reshape(-1), ood.view(np.uint8).reshape(-1), table[0])
    return _as_table(table)


def as_half(score: np.ndarray) -> np.ndarray | None:
    """Return the scores as float16 where that changes none of them, else None; NaN and infinity stay."""
    if score.dtype == np.float16:
        return score.astype(np.float16, copy=False)  # of the machine's byte order
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        half = score.astype(np.float16)
    same = half == score
    return half if same.all() or (same | (np.isnan(half) & np.isnan(score))).all() else None


def _count_half(bits: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Count plainly: the reference of the kernel, and what there is without it."""
    counted = target != IGNORE
    if not labels_known(target) or (bits[counted] & 0x7C00 == 0x7C00).any():
        return None
    codes = np.where(bits > _ZERO, np.uint16(0xFFFF) ^ bits, bits | np.uint16(_ZERO))
    codes[~counted] = 0
    return codes, _count_codes(codes, target & 1)


def _count_codes(codes: np.ndarray, kinds: UInt8[np.ndarray, "h w"]) -> np.ndarray:
    entries = 2 * codes.reshape(-1).astype(np.int64) + kinds.reshape(-1)
    return _as_table(np.bincount(entries, minlength=2 * NUM_CODES)[None])


def _as_table(tables: np.ndarray) -> Int64[np.ndarray, "k 2"]:
    table: np.ndarray = tables.sum(axis=0, dtype=np.int64).reshape(NUM_CODES, 2)
    table[0] = 0
    return table


def labels_known(target: np.ndarray) -> bool:
    """Return whether a target holds 0, 1 and 255 only."""
    labels = (target == IN_DISTRIBUTION) | (target == OUT_OF_DISTRIBUTION) | (target == IGNORE)
    return bool(labels.all())


def as_plain(array: np.ndarray) -> np.ndarray:
    """Return the array as kernels take it: contiguous and writeable (they would be compiled once more)."""
    array = np.ascontiguousarray(array)
    return array if array.flags.writeable else array.copy()


@lru_cache(maxsize=1)
def _half_values() -> Float64[np.ndarray, " k"]:
    codes = np.arange(NUM_CODES, dtype=np.uint16)
    bits = np.where(codes < _ZERO, np.uint16(0xFFFF) ^ codes, codes ^ np.uint16(_ZERO))
    values = bits.view(np.float16).astype(np.float64)
    # Bits of no number (NaN) stand below and above all numbers.
    values[:0x0400], values[0xFC00:] = -np.inf, np.inf
    return values
