"""Entropy and predicted class of every pixel in one pass over the logits; no softmax is ever stored.

In: logits (C,h,w) float32, C-contiguous, at the image's size or at the network's stride. Out: rows of the
normalised entropy and of the argmax. The formula is that of `scores.entropy`, which is the reference.

Per row: the C logits of all columns go into a block that stays in the cache (its rows are padded: at a
stride of a power of two they would push each other out), with their maximum; then come the
exponentials. The exponential and the logarithm are polynomials, since calls into a mathematical
library keep a loop from being vectorised; both are right to about 1e-7 of their value.
"""

from __future__ import annotations

import math

import numpy as np

from segood.compiled import kernel

F32, I32 = np.float32, np.int32

LINE_PADDING = 16
"""Float32 values between the lines of a block: one cache line."""


@kernel
def exp_below_zero(x):  # type: ignore[no-untyped-def]
    """Return exp(x) for x ≤ 0; 0 below -87, where float32 ends; NaN for NaN."""
    y = F32(-87.0) if x < F32(-87.0) else x
    k = np.floor(y * F32(1.44269504) + F32(0.5))
    u = y - k * F32(0.693359375)  # ln 2 in two parts, the first one short enough for k times it to be exact
    u = u - k * F32(-2.12194440e-4)
    p = F32(1.381459848e-3)
    p = p * u + F32(8.368717017e-3)
    p = p * u + F32(4.166838806e-2)
    p = p * u + F32(1.666652063e-1)
    p = p * u + F32(4.999999345e-1)
    p = p * u * u + u + F32(1.0)
    power = I32((I32(k) + I32(127)) << I32(23)).view(F32)
    return F32(0.0) if x < F32(-87.0) else p * power


@kernel
def log_positive(x):  # type: ignore[no-untyped-def]
    """Return log(x) for a normal x > 0."""
    bits = F32(x).view(I32)
    k = (bits - I32(0x3F3504F3)) >> I32(23)  # 0x3F3504F3: the bits of sqrt(1/2)
    f = I32(bits - (k << I32(23))).view(F32) - F32(1.0)
    q = F32(-7.622113231e-2)
    q = q * f + F32(1.290469758e-1)
    q = q * f + F32(-1.324297783e-1)
    q = q * f + F32(1.418177784e-1)
    q = q * f + F32(-1.660907734e-1)
    q = q * f + F32(2.000197661e-1)
    q = q * f + F32(-2.500158336e-1)
    q = q * f + F32(3.333332564e-1)
    q = q * f + F32(-4.999998834e-1)
    return q * f * f + f + F32(k) * F32(0.69314718)


@kernel
def stretch_line(values, row, low, high, weight, block):  # type: ignore[no-untyped-def]
    """Interpolate row `row` of all classes along the columns into `block` (C, W + padding)."""
    for c in range(values.shape[0]):
        line, out = values[c, row], block[c]
        for i in range(low.size):
            left = line[np.uintp(low[i])]  # unsigned: no look for negative indices
            out[i] = left + weight[i] * (line[np.uintp(high[i])] - left)


@kernel
def read_line(values, row, block, largest, best):  # type: ignore[no-untyped-def]
    """Copy row `row` of all classes into `block`, and find each column's maximum and its first class."""
    for c in range(values.shape[0]):
        line, out = values[c, row], block[c]
        for i in range(line.size):
            v = line[i]
            out[i] = v
            higher = v > largest[i] or c == 0
            largest[i] = v if higher else largest[i]
            best[i] = I32(c) if higher else best[i]


@kernel
def mix_lines(upper, lower, weight, block, largest, best):  # type: ignore[no-untyped-def]
    """As `read_line`, for a row between two stretched ones."""
    for c in range(upper.shape[0]):
        above, below, out = upper[c], lower[c], block[c]
        for i in range(largest.size):
            v = above[i] + weight * (below[i] - above[i])
            out[i] = v
            higher = v > largest[i] or c == 0
            largest[i] = v if higher else largest[i]
            best[i] = I32(c) if higher else best[i]


@kernel
def sum_line(block, classes, largest, total, moment):  # type: ignore[no-untyped-def]
    """With d = z - max z: Σ exp d and Σ d·exp d over the classes of each column."""
    for i in range(largest.size):
        total[i] = F32(0.0)
        moment[i] = F32(0.0)
    for c in range(classes):
        line = block[c]
        for i in range(largest.size):
            d = line[i] - largest[i]
            e = exp_below_zero(d)
            total[i] += e
            moment[i] += d * e


@kernel
def load_line(  # type: ignore[no-untyped-def]
    values, row, rows, cols, same_size, stretched, held, block, largest, best
):
    """Bring a row of logits into `block` (C, W + padding), with each column's maximum and its class.

    Args:
        values: (C,h,w) float32.
        row: of `values` where `same_size`, else of the image.
        rows, cols: (low, high, weight) of `scores.upsampling.Axis`.
        stretched: (2, C, W + padding), two rows of `values` interpolated along the columns.
        held: (2,) which rows these are; -1 for none.
    """
    if same_size:
        read_line(values, row, block, largest, best)
        return
    above, below = rows[0][row], rows[1][row]
    upper = 0 if held[0] == above else 1
    if held[upper] != above:
        upper = 1 if held[0] == below else 0
        held[upper] = above
        stretch_line(values, above, cols[0], cols[1], cols[2], stretched[upper])
    lower = upper if above == below else 1 - upper
    if held[lower] != below:
        held[lower] = below
        stretch_line(values, below, cols[0], cols[1], cols[2], stretched[lower])
    mix_lines(stretched[upper], stretched[lower], rows[2][row], block, largest, best)


@kernel
def entropy_of_line(total, moment, scale, entropy):  # type: ignore[no-untyped-def]
    """Turn the sums of `sum_line` into normalised entropies; return how many are NaN or infinite."""
    wrong = 0
    for i in range(entropy.size):
        e = (log_positive(total[i]) - moment[i] / total[i]) * scale
        wrong += 0 if e < F32(2.0) else 1
        entropy[i] = min(max(e, F32(0.0)), F32(1.0))
    return wrong


@kernel
def entropy_rows(values, rows, cols, same_size, entropy, first, last):  # type: ignore[no-untyped-def]
    """Fill rows `first` to `last` of `entropy` (H,W); `values` and axes as in `load_line`.

    Returns:
        The number of entropies that are NaN or infinite, because a logit is.
    """
    num_classes, width = values.shape[0], entropy.shape[1]
    block = np.empty((num_classes, width + LINE_PADDING), F32)
    stretched = np.empty((2, num_classes, 1 if same_size else width + LINE_PADDING), F32)
    held = np.full(2, -1, I32)
    largest, total, moment = np.empty(width, F32), np.empty(width, F32), np.empty(width, F32)
    best = np.empty(width, I32)
    scale = F32(1.0 / math.log(num_classes))
    wrong = 0
    for r in range(first, last):
        load_line(values, r, rows, cols, same_size, stretched, held, block, largest, best)
        sum_line(block, num_classes, largest, total, moment)
        wrong += entropy_of_line(total, moment, scale, entropy[r])
    return wrong
