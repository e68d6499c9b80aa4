"""Compiled counting of pixels per bin: checking, binning and counting in one pass over a frame.

In: one contiguous stretch of scores (float32 or float64) and targets (uint8). Out: counts, added to
the tables of `evaluation/counts.py`, which is the plain form and the reference; both agree to the pixel.

A table entry is one byte, so that the tables of millions of bins stay in the cache; what overflows is
written to a list (`wraps`) that the caller adds up.
"""

from __future__ import annotations

import numba
import numpy as np

from segood.compiled import kernel

CHUNK = 4096
"""Pixels whose bins are computed (in vectors) before they are counted (one by one)."""

TRASH = 64
"""Entries behind the counts that take the ignored pixels, in turns: one would wait for itself."""

# Not `kernel`: the bin of a score has to be NumPy's to the last bit, so no division may become a product.
# Said explicitly, because a function takes over the setting of the kernel that calls it.
strict = numba.njit(nogil=True, fastmath=False)


@strict
def _linear_entries(score, target, low, width, slack, num_bins, entries):  # type: ignore[no-untyped-def]
    """Write the table entry 2 · bin + kind of each pixel; return whether all pixels obey the rules."""
    least, most = low - slack, low + width + slack
    highest, scale, trash = np.int32(num_bins - 1), np.float64(num_bins), np.int32(2 * num_bins)
    bad = False
    for j in range(len(score)):
        value, kind = np.float64(score[j]), target[j]
        counted = kind != np.uint8(255)
        bad |= counted & ((kind > np.uint8(1)) | (not ((value >= least) & (value <= most))))
        y = np.float64(min(max((value - low) / width, 0.0), 1.0))
        place = np.int32(min(np.int32(y * scale), highest))
        entry = np.int32(np.int32(place << np.int32(1)) + np.int32(kind))
        entries[j] = np.uint32(entry if counted else np.int32(trash + np.int32(j & (TRASH - 1))))
    return not bad


@strict
def _log_entries(score, target, low, width, slack, num_bins, entries):  # type: ignore[no-untyped-def]
    """As `_linear_entries`; the three stretches of octaves of `evaluation/bins.py` without a table."""
    least, most = low - slack, low + width + slack
    k = 0
    while (1 << k) < num_bins:
        k += 1
    int32 = np.int32
    trash = int32(2 * num_bins)
    # Bits of y as float32: 0 1 2 … octaves below 2^-25 | below 2^-4 | equally wide bins up to 1.
    coarse, medium, fine = int32(1 << 23), int32((126 - 24) << 23), int32((126 - 3) << 23)
    coarse_shift, medium_shift = int32(32 - k), int32(29 - k)
    first_medium = 1 + 101 * (1 << (k - 9))
    first_fine = first_medium + 21 * (1 << (k - 6))
    highest, scale = int32(first_fine + 15 * (1 << (k - 5)) - 1), np.float64(num_bins // 2)
    to_coarse = int32(1 - (coarse >> coarse_shift))
    to_medium = int32(first_medium - (medium >> medium_shift))
    to_fine = int32(first_fine - (1 << (k - 5)))
    bad = False
    for j in range(len(score)):
        value, kind = np.float64(score[j]), target[j]
        counted = kind != np.uint8(255)
        bad |= counted & ((kind > np.uint8(1)) | (not ((value >= least) & (value <= most))))
        y = np.float64(min(max((value - low) / width, 0.0), 1.0))
        bits = int32(max((y.view(np.int64) >> 29) - ((1023 - 127) << 23), 0))
        place = int32(0)
        if bits >= coarse:
            place = int32(to_coarse + int32(bits >> coarse_shift))
        if bits >= medium:
            place = int32(to_medium + int32(bits >> medium_shift))
        if bits >= fine:
            place = int32(to_fine + int32(y * scale))
        place = int32(min(place, highest))
        entry = int32(int32(place << int32(1)) + int32(kind))
        entries[j] = np.uint32(entry if counted else int32(trash + int32(j & (TRASH - 1))))
    return not bad


@kernel
def count(score, target, is_log, low, width, slack, num_bins, table, wraps, step, edge):  # type: ignore[no-untyped-def]
    """Count pixels into `table` until a chunk breaks a rule.

    Args:
        score, target: (N,) float32 or float64, and uint8.
        is_log, low, width, slack, num_bins: the bin layout, and how far scores may lie outside.
        table: (2 · num_bins + TRASH,) uint8, counts modulo 256.
        wraps: (≥ N,) uint32, gets the entries that passed a multiple of 256.
        step, edge: 1, 0 to count; 255, 255 to take counts back.

    Returns:
        Number of pixels counted (less than N: the next chunk holds a bad one), number of wraps.
    """
    entries = np.empty(CHUNK, np.uint32)
    used = 0
    for start in range(0, len(score), CHUNK):
        stop = min(start + CHUNK, len(score))
        if is_log:
            good = _log_entries(score[start:stop], target[start:stop], low, width, slack, num_bins, entries)
        else:
            good = _linear_entries(
                score[start:stop], target[start:stop], low, width, slack, num_bins, entries
            )
        if not good:
            return start, used
        for j in range(stop - start):
            entry = entries[j]
            value = np.uint8(table[entry] + step)
            table[entry] = value
            if value == edge:
                wraps[used] = entry
                used += 1
    return len(score), used


@kernel
def carry(high, wraps, used, up):  # type: ignore[no-untyped-def]
    """Add the first `used` wraps to the table of multiples of 256, or take them back."""
    for j in range(used):
        if up:
            high[wraps[j]] += 1
        else:
            high[wraps[j]] -= 1


@kernel
def gather(score, target, is_log, low, width, slack, num_bins, wanted, floor, ceiling, known, unknown):  # type: ignore[no-untyped-def]
    """Copy the scores in [floor, ceiling) whose bin is wanted, by kind of pixel; return how many of each.

    Args:
        score, target: (N,) float32 or float64, and uint8; checked before.
        wanted: (num_bins,) bool.
        known, unknown: (≥ N,) float64, get the scores of in-distribution and of OoD pixels.
    """
    entries = np.empty(CHUNK, np.uint32)
    num_known = num_unknown = 0
    for start in range(0, len(score), CHUNK):
        stop = min(start + CHUNK, len(score))
        if is_log:
            _log_entries(score[start:stop], target[start:stop], low, width, slack, num_bins, entries)
        else:
            _linear_entries(score[start:stop], target[start:stop], low, width, slack, num_bins, entries)
        for j in range(stop - start):
            entry = entries[j]
            if entry < 2 * num_bins and wanted[entry >> np.uint32(1)]:
                value = np.float64(score[start + j])
                if floor <= value < ceiling:
                    if entry & np.uint32(1):
                        unknown[num_unknown] = value
                        num_unknown += 1
                    else:
                        known[num_known] = value
                        num_known += 1
    return num_known, num_unknown


@kernel
def ranks(values, cuts, below, upto):  # type: ignore[no-untyped-def]
    """Write how many values lie below each cut, and how many do not lie above it; all of it sorted.

    Args:
        values, cuts: (N,) and (C,) float64 or float32, rising.
        below, upto: (C,) int64.
    """
    at = 0
    for j in range(len(cuts)):
        while at < len(values) and values[at] < cuts[j]:
            at += 1
        below[j] = at
        while at < len(values) and values[at] == cuts[j]:
            at += 1
        upto[j] = at
