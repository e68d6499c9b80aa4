"""From logits to runs and all that is ever needed of their pixels, in one pass over the frame.

In: logits (C,h,w) float32, at the image's size or the network's stride; a score map, or none for the
normalised entropy; pixels to ignore. Out, per band of rows: score and predicted classes, runs, the three
dispersion values of every pixel in a run, the class probabilities summed over each run. What is left to
do needs no logits (`feature_kernels`). The reference is `plain` and `sums`.

While a row of logits lies in the cache, the pixels of its runs are put side by side, so that many short
runs cost no more than a long one.
"""

from __future__ import annotations

import math

import numpy as np

from segood.compiled import kernel
from segood.scores.entropy_kernels import (
    LINE_PADDING,
    entropy_of_line,
    exp_below_zero,
    load_line,
    log_positive,
    sum_line,
)
from segood.segments.run_kernels import mask_of_line, runs_of_line

F32, I32 = np.float32, np.int32

# Numba looks for negative indices, which count from the end, unless the type has none; a loop with such a
# look in it is not vectorised.
INDEX = np.uintp

PART = INDEX(4096)
"""Pixels whose probabilities are summed in float32."""


def room_for(num_classes: int, width: int, rows: int, same_size: bool) -> tuple[np.ndarray, ...]:
    """Return the memory that `read_band` works in, to be used again and again by one thread.

    Fresh memory would cost a fifth of the time, since the system hands it out page by page. What is not
    written to is not taken: 0.3 MB for 19 classes and 2048 columns, up to 4 MB where all pixels are OoD.
    """
    line = width + LINE_PADDING
    most_runs = rows * (width // 2 + 1)
    return (
        np.empty((num_classes, line), F32),  # block
        np.empty((num_classes, line), F32),  # pixels
        np.empty((2, num_classes, 1 if same_size else line), F32),  # stretched
        np.empty((7, width), F32),  # scratch; largest, total, moment
        np.empty((3, rows * width), F32),  # dispersion
        np.empty((most_runs, num_classes), F32),  # class_sums
        np.empty(width, I32),  # best
        np.empty(most_runs, I32),  # starts
        np.empty(most_runs, I32),  # stops
        np.empty(width, np.uint32),  # columns
        np.empty(width + 1, np.uint8),  # mask
    )


@kernel
def list_columns(starts, stops, first_run, last_run, columns):  # type: ignore[no-untyped-def]
    """List the columns of a row's runs; return how many."""
    n = 0
    for run in range(first_run, last_run):
        for column in range(starts[run], stops[run]):
            columns[n] = column
            n += 1
    return n


@kernel
def gather_columns(block, num_classes, columns, n, pixels):  # type: ignore[no-untyped-def]
    """Copy the logits of the listed columns to the front of `pixels`, class by class."""
    for c in range(num_classes):
        line, out = block[c], pixels[c]
        for i in range(n):
            out[i] = line[columns[i]]


@kernel
def disperse(pixels, num_classes, n, scratch, entropy, margin, variation):  # type: ignore[no-untyped-def]
    """Compute the dispersion maps of n pixels.

    `pixels` holds logits, and then exp(z - max z); `scratch[2]` what these are multiplied with to be
    probabilities.
    """
    largest, second, total, moment = scratch[0], scratch[1], scratch[2], scratch[3]
    line = pixels[0]
    for i in range(n):
        largest[i] = line[i]
        second[i] = F32(-np.inf)
        total[i] = F32(0.0)
        moment[i] = F32(0.0)
    for c in range(1, num_classes):
        line = pixels[c]
        for i in range(n):
            v = line[i]
            second[i] = max(second[i], min(v, largest[i]))
            largest[i] = max(v, largest[i])
    for c in range(num_classes):
        line = pixels[c]
        for i in range(n):
            d = line[i] - largest[i]
            e = exp_below_zero(d)
            line[i] = e
            total[i] += e
            moment[i] += d * e
    scale = F32(1.0 / math.log(num_classes))
    for i in range(n):
        share = F32(1.0) / total[i]
        e = (log_positive(total[i]) - moment[i] * share) * scale
        entropy[i] = min(max(e, F32(0.0)), F32(1.0))
        variation[i] = F32(1.0) - share
        margin[i] = variation[i] + exp_below_zero(second[i] - largest[i]) * share
        total[i] = share


@kernel
def sum_runs(pixels, share, num_classes, starts, stops, first_run, last_run, class_sums):  # type: ignore[no-untyped-def]
    """Sum the probabilities `pixels` · `share` of each run."""
    for c in range(num_classes):
        line = pixels[c]
        start = INDEX(0)
        for run in range(first_run, last_run):
            end = start + INDEX(stops[run] - starts[run])
            total = np.float64(0.0)
            while start < end:  # one sum of float32 would lose digits in a run of a whole wide row
                stop = min(start + PART, end)
                part = F32(0.0)
                for i in range(start, stop):
                    part += line[i] * share[i]
                total += np.float64(part)
                start = stop
            class_sums[run, c] = total


@kernel
def is_finite(block, num_classes, width):  # type: ignore[no-untyped-def]
    """Tell whether all logits of a row are; 0 · NaN and 0 · ∞ are NaN."""
    check = F32(0.0)
    for c in range(num_classes):
        line = block[c]
        for i in range(width):
            check += line[i] * F32(0.0)
    return check == F32(0.0)


@kernel
def read_band(  # type: ignore[no-untyped-def]
    values, first_row, rows, cols, same_size, score, is_given, threshold, ignored, classes, first, last, room
):
    """Read rows `first` to `last` of a frame.

    Args:
        values: (C,h,w) float32; its row 0 is row `first_row` of the image where `same_size`.
        rows, cols: (low, high, weight) of `scores.upsampling.Axis`.
        score: (H,W) float32; filled with the normalised entropy unless `is_given`.
        threshold: float32; a pixel is OoD where score ≥ threshold.
        ignored: (H,W) uint8, 1 = in no segment; or (0,0) for none.
        classes: (H,W) uint8 or int32, filled with the first class of the largest logit.
        room: what `room_for` returned for such a band; what is in it does not matter.

    Returns:
        starts, stops: (n,) int32 of the band's runs; counts: (rows,) int32 runs of each row;
        dispersion: (3,P) float32 of the runs' pixels, in order; class_sums: (n,C) float32;
        the number of rows or entropies that NaN or infinite logits have spoilt.
    """
    num_classes, width = values.shape[0], classes.shape[1]
    block, pixels, stretched, scratch, dispersion, class_sums, best, starts, stops, columns, mask = room
    largest, total, moment = scratch[4], scratch[5], scratch[6]
    held = np.full(2, -1, I32)
    scale = F32(1.0 / math.log(num_classes))
    counts = np.zeros(last - first, I32)
    mask[width] = 0  # the pixel behind the last ends every run
    num_runs = num_pixels = wrong = 0
    for r in range(first, last):
        row = r - first_row if same_size else r
        load_line(values, row, rows, cols, same_size, stretched, held, block, largest, best)
        out = classes[r]
        for i in range(width):
            out[i] = best[i]
        if is_given:
            wrong += 0 if is_finite(block, num_classes, width) else 1
        else:
            sum_line(block, num_classes, largest, total, moment)
            wrong += entropy_of_line(total, moment, scale, score[r])
        without = ignored[r] if ignored.size else mask[:0]
        if mask_of_line(score[r], threshold, without, mask) == 0:
            continue
        before = num_runs
        num_runs = runs_of_line(mask, starts, stops, before)
        counts[r - first] = num_runs - before
        n = list_columns(starts, stops, before, num_runs, columns)
        gather_columns(block, num_classes, columns, n, pixels)
        entropy, margin, variation = dispersion[0], dispersion[1], dispersion[2]
        disperse(
            pixels, num_classes, n, scratch,
            entropy[num_pixels:], margin[num_pixels:], variation[num_pixels:],
        )  # fmt: skip
        sum_runs(pixels, scratch[2], num_classes, starts, stops, before, num_runs, class_sums)
        num_pixels += n
    return (
        starts[:num_runs].copy(),
        stops[:num_runs].copy(),
        counts,
        dispersion[:, :num_pixels].copy(),
        class_sums[:num_runs].copy(),
        wrong,
    )
