"""From counts per bin to the pixel metrics and to the operating points that curves are drawn from.

In: `BinCounts`. Out: `PixelNumbers` with rigorous bounds, `OperatingPoints`. Compiled where Numba is at
hand; without it, by the plain functions of `evaluation/curves.py`, to the last digits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from segood.compiled import kernels_enabled, run_parallel
from segood.evaluation import curves
from segood.evaluation.counts import BinCounts
from segood.evaluation.curves import OperatingPoints, PixelNumbers

_PIECES = 16


def numbers_of_bins(counts: BinCounts) -> PixelNumbers:
    """Return the pixel metrics, a bin counting as one tie, and how far the pixels' own can be."""
    if not kernels_enabled():
        return curves.numbers(points_of_bins(counts), binned=True)
    from segood.evaluation import curve_kernels as kernels

    above, num_in, num_ood = _pixels_above(counts)
    if not num_in or not num_ood:
        return PixelNumbers(num_in, num_ood)
    sums = np.zeros((len(above), kernels.SUMS))
    _by_blocks(kernels.block_sums, counts, above, curves.needed_at_95(num_ood), sums)
    total = sums.sum(axis=0)
    pairs = float(num_in) * num_ood
    bounds = {
        "auroc": total[kernels.AUROC_BOUND] / pairs,
        "average_precision": max(total[kernels.AP_ABOVE], total[kernels.AP_BELOW]) / num_ood,
        "fpr95": total[kernels.CROSSING_IN] / num_in,
    }
    return PixelNumbers(
        num_in,
        num_ood,
        auroc=float(total[kernels.AUROC] / pairs),
        average_precision=float(total[kernels.AP] / num_ood),
        fpr95=float(total[kernels.CROSSING_FP] / num_in),
        error_bound={name: float(bound) + curves.ROUNDING for name, bound in bounds.items()},
    )


def points_of_bins(counts: BinCounts) -> OperatingPoints:
    """Return the operating points at the lower edges of all filled bins."""
    to_score = counts.layout.lower_edges
    if not kernels_enabled():
        num_in, num_ood = counts.totals()
        filled = np.flatnonzero((num_in > 0) | (num_ood > 0))
        return OperatingPoints.from_counts(filled, num_in[filled], num_ood[filled], to_score)
    from segood.evaluation import curve_kernels as kernels

    above, _, _ = _pixels_above(counts)
    size = int(above[:, 5].sum())
    places, tp, fp = np.empty(size, np.int32), np.empty(size, np.int64), np.empty(size, np.int64)
    _by_blocks(kernels.block_points, counts, above, places, tp, fp)
    return OperatingPoints(places, tp, fp, to_score)


def _pixels_above(counts: BinCounts) -> tuple[np.ndarray, int, int]:
    """Return per block: in-distribution pixels, OoD pixels, filled bins above it; the same three in it."""
    from segood.evaluation import curve_kernels as kernels

    totals = np.zeros((-(-counts.layout.num_bins // kernels.BLOCK), 3), np.int64)
    _by_blocks(kernels.block_totals, counts, totals)
    above = np.cumsum(totals[::-1], axis=0)[::-1] - totals
    return np.hstack([above, totals]), int(totals[:, 0].sum()), int(totals[:, 1].sum())


def _by_blocks(kernel: Any, counts: BinCounts, *arguments: Any) -> None:
    num_blocks = len(arguments[0])
    marks = np.linspace(0, num_blocks, min(_PIECES, num_blocks) + 1).astype(int)
    low = counts.low[: counts.rows_used]

    def work(piece: int) -> None:
        first, last = int(marks[piece]), int(marks[piece + 1])
        kernel(counts.high, low, counts.layout.num_bins, first, last, *arguments)

    run_parallel(work, len(marks) - 1)
