"""Compiled sums over bins: the three pixel metrics, their error bounds and the operating points.

In: the two tables of `evaluation/counts.py`. Out: per block of bins, sums that NumPy adds up; blocks have
a fixed size, so results do not depend on the number of threads. The formulas are those of
`evaluation/curves.py`, which is the plain form and the reference.
"""

from __future__ import annotations

import numba
import numpy as np

from segood.compiled import kernel

BLOCK = 4096
"""Bins per block: few enough that adding their terms one by one rounds below 1e-12."""

AUROC, AUROC_BOUND, AP, AP_ABOVE, AP_BELOW, CROSSING_FP, CROSSING_IN, SUMS = range(8)
"""Columns of the sums: pairs won, half the pairs inside bins; OoD pixels times precision, how much it can
rise and fall; at TPR 95 %: pixels at or above the bin, and in it."""

inlined = numba.njit(nogil=True)


@inlined
def _fill_counts(high, low, start, stop, num_in, num_ood):  # type: ignore[no-untyped-def]
    """Write the counts of bins start … stop - 1; loops as the compiler wants them for vectors."""
    multiples = high[2 * start : 2 * stop]
    for j in range(stop - start):
        num_in[j] = np.int64(multiples[2 * j]) << 8
        num_ood[j] = np.int64(multiples[2 * j + 1]) << 8
    for row in range(low.shape[0]):
        rests = low[row, 2 * start : 2 * stop]
        for j in range(stop - start):
            num_in[j] += np.int64(rests[2 * j])
            num_ood[j] += np.int64(rests[2 * j + 1])


@kernel
def block_totals(high, low, num_bins, first, last, totals):  # type: ignore[no-untyped-def]
    """Write per block `first` … `last - 1`: in-distribution pixels, OoD pixels, filled bins."""
    num_in, num_ood = np.empty(BLOCK, np.int64), np.empty(BLOCK, np.int64)
    for block in range(first, last):
        start, stop = block * BLOCK, min(num_bins, (block + 1) * BLOCK)
        _fill_counts(high, low, start, stop, num_in, num_ood)
        known = unknown = filled = 0
        for j in range(stop - start):
            known += num_in[j]
            unknown += num_ood[j]
            filled += np.int64((num_in[j] | num_ood[j]) > 0)
        totals[block, 0], totals[block, 1], totals[block, 2] = known, unknown, filled


@kernel
def block_sums(high, low, num_bins, first, last, above, needed, sums):  # type: ignore[no-untyped-def]
    """Write per block the sums of `SUMS`.

    Args:
        high, low, num_bins: the counts; rows of `low` that are used.
        first, last: blocks.
        above: (blocks, ≥ 2) int64, in-distribution and OoD pixels above each block.
        needed: the number of OoD pixels from which on TPR ≥ 95 %.
        sums: (blocks, SUMS) float64.
    """
    num_in, num_ood = np.empty(BLOCK, np.int64), np.empty(BLOCK, np.int64)
    fps, tps = np.empty(BLOCK, np.int64), np.empty(BLOCK, np.int64)  # at or above each bin
    for block in range(first, last):
        start, stop = block * BLOCK, min(num_bins, (block + 1) * BLOCK)
        _fill_counts(high, low, start, stop, num_in, num_ood)
        fp, tp = above[block, 0], above[block, 1]
        for j in range(stop - start - 1, -1, -1):
            fp += num_in[j]
            tp += num_ood[j]
            fps[j], tps[j] = fp, tp
        auroc = auroc_bound = ap = ap_above = 0.0
        for j in range(stop - start):
            i, o = np.float64(num_in[j]), np.float64(num_ood[j])
            hits, alarms = np.float64(tps[j]), np.float64(fps[j])
            auroc += i * (hits - 0.5 * o)
            auroc_bound += 0.5 * i * o
            # Where both are 0, so is o.
            tied = o * (hits / max(hits + alarms, 1.0))
            ap += tied
            ap_above += o * (hits / max(hits + alarms - i, 1.0)) - tied
        ap_below = 0.0
        for j in range(stop - start):
            o = num_ood[j]
            if o > 1 and fps[j] > 0:
                hits, alarms = np.float64(tps[j]), np.float64(fps[j])
                tied = o * (hits / (hits + alarms))
                ap_below += tied - (o - alarms * np.log1p(o / (hits - o + alarms + 0.5)))
        sums[block, AUROC], sums[block, AUROC_BOUND] = auroc, auroc_bound
        sums[block, AP], sums[block, AP_ABOVE], sums[block, AP_BELOW] = ap, ap_above, ap_below
        if above[block, 1] < needed <= tp:
            at = stop - start - 1
            while tps[at] < needed:
                at -= 1
            sums[block, CROSSING_FP], sums[block, CROSSING_IN] = fps[at], num_in[at]


@kernel
def block_points(high, low, num_bins, first, last, above, places, tp, fp):  # type: ignore[no-untyped-def]
    """Write the filled bins of some blocks, falling, with the pixels at or above each.

    Args:
        above: (blocks, 3) int64, in-distribution pixels, OoD pixels and filled bins above each block.
        places, tp, fp: (filled,) int32, int64, int64.
    """
    num_in, num_ood = np.empty(BLOCK, np.int64), np.empty(BLOCK, np.int64)
    for block in range(first, last):
        start, stop = block * BLOCK, min(num_bins, (block + 1) * BLOCK)
        _fill_counts(high, low, start, stop, num_in, num_ood)
        known, unknown, at = above[block, 0], above[block, 1], above[block, 2]
        for j in range(stop - start - 1, -1, -1):
            if num_in[j] + num_ood[j] > 0:
                known += num_in[j]
                unknown += num_ood[j]
                places[at], tp[at], fp[at] = start + j, unknown, known
                at += 1
