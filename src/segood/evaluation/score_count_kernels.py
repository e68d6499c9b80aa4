"""Compiled counting of pixels per float16 value: order, check and count in one pass over a frame.

In: the bits of a float16 score map and its target. Out: order-preserving codes and counts per code and kind.
`evaluation/score_codes.py` holds the plain form, which is the reference; both agree to the pixel.
"""

from __future__ import annotations

import numpy as np

from segood.compiled import kernel


@kernel
def count_half(bits, target, codes, table):  # type: ignore[no-untyped-def]
    """Write the code of each pixel, 0 for ignored ones, and count them.

    Args:
        bits: (N,) uint16, of float16 scores.
        target: (N,) uint8.
        codes: (N,) uint16, to be written.
        table: (2 · 65536,) uint32, gets one more at 2 · code + kind; what code 0 gets means nothing.

    Returns:
        Whether all targets are 0, 1 or 255 and all counted scores are finite.
    """
    bad = False
    for j in range(len(bits)):
        b, kind = np.uint32(bits[j]), np.uint32(target[j])
        counted = kind != np.uint32(255)
        bad |= counted & ((kind > np.uint32(1)) | ((b & np.uint32(0x7C00)) == np.uint32(0x7C00)))
        # Negative numbers fall when their bits rise; -0.0 is taken as 0.0.
        negative = (b > np.uint32(0x8000)) & counted
        code = np.uint32(0x8000) | b
        if negative:
            code = np.uint32(0xFFFF) ^ b
        if not counted:
            code = np.uint32(0)
        codes[j] = np.uint16(code)
        table[np.uint32(2) * code + (kind & np.uint32(1))] += np.uint32(1)
    return not bad


@kernel
def count_codes(codes, ood, table):  # type: ignore[no-untyped-def]
    """Count pixels whose codes are known.

    Args:
        codes: (N,) uint16, 0 for ignored pixels.
        ood: (N,) uint8, 1 for OoD pixels, else 0.
        table: as of `count_half`.
    """
    for j in range(len(codes)):
        table[np.uint32(2) * np.uint32(codes[j]) + np.uint32(ood[j])] += np.uint32(1)


@kernel
def find_levels(score, cuts, first, low, scale, codes):  # type: ignore[no-untyped-def]
    """Write how many cuts do not lie above each score: `np.searchsorted(cuts, score, side="right")`.

    Args:
        score: (N,) float32 or float64; NaN gets any code.
        cuts: (K,) of the same type, rising.
        first: (cells + 1,) int64, a place in `cuts` near which each of equally wide cells begins.
        low, scale: float64, a score lies in cell (score - low) * scale. Rounding is taken care of.
        codes: (N,) uint16.
    """
    last = len(first) - 2
    for j in range(len(score)):
        value = score[j]
        place = (np.float64(value) - low) * scale
        cell = 0
        if place > 0.0:
            cell = np.int64(min(place, np.float64(last)))
        start, stop = first[cell], first[cell + 1]
        while start > 0 and cuts[start - 1] > value:
            start -= 1
        while stop < len(cuts) and cuts[stop] <= value:
            stop += 1
        while start < stop:
            middle = (start + stop) >> 1
            if cuts[middle] <= value:
                start = middle + 1
            else:
                stop = middle
        codes[j] = start
