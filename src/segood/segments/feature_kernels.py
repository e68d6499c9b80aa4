"""Sums per segment over its runs.

In: runs with their labels, dispersion values and summed probabilities (`frame_kernels`), the label
image, predicted classes. Out: sums per segment, see `segments.sums`, which is also where they become
features; the reference is `sums.sum_segments`.

The frame is worked off in bands of rows. Labels rise with the first pixel, so those that start in a band
follow each other and are written by this band alone; segments that come in from above are found in its
first row and get lines of their own, which are added band by band. So threads share nothing and
every sum has one order, however many threads there are.
"""

from __future__ import annotations

import numpy as np

from segood.compiled import kernel

# Numba looks for negative indices, which count from the end, unless the type has none.
INDEX = np.uintp


@kernel
def mark_rim(labels, row, start, stop, rim):  # type: ignore[no-untyped-def]
    """Set `rim` to 1 for pixels of a run with an 8-neighbour outside the mask, else 0; return how many."""
    height, width = labels.shape
    # Rows and columns outside the image are replaced by the run's own, which are in the mask.
    above, line, below = labels[max(row - 1, 0)], labels[row], labels[min(row + 1, height - 1)]
    count = 0
    for i in range(INDEX(stop - start)):
        c = INDEX(start) + i
        left, right = c - INDEX(c > 0), min(c + INDEX(1), INDEX(width - 1))
        inside = (
            (above[left] > 0) & (above[c] > 0) & (above[right] > 0)
            & (below[left] > 0) & (below[c] > 0) & (below[right] > 0)
            & (line[left] > 0) & (line[right] > 0)
        )  # fmt: skip
        rim[i] = np.uint8(0) if inside else np.uint8(1)
        count += 0 if inside else 1
    return count


@kernel
def add_moments(dispersion, pixel, rim, n, sums):  # type: ignore[no-untyped-def]
    """Add Σ h and Σ h² of n pixels from `pixel` on, of all and of those at the rim, for the three maps."""
    for m in range(3):
        total, squares = 0.0, 0.0
        for i in range(INDEX(pixel), INDEX(pixel + n)):
            value = np.float64(dispersion[m, i])
            total += value
            squares += value * value
        sums[4 + 2 * m] += total
        sums[5 + 2 * m] += squares
    for i in range(n):
        if rim[i]:
            for m in range(3):
                value = np.float64(dispersion[m, pixel + i])
                sums[10 + 2 * m] += value
                sums[11 + 2 * m] += value * value


@kernel
def count_neighbors(labels, classes, row, start, stop, rim, sums, first):  # type: ignore[no-untyped-def]
    """Count the predicted classes of all neighbours outside the mask of a run's rim pixels.

    The count of class 0 is `sums[first]`.
    """
    height, width = labels.shape
    for i in range(stop - start):
        if rim[i]:
            col = start + i
            for y in range(max(row - 1, 0), min(row + 2, height)):
                for x in range(max(col - 1, 0), min(col + 2, width)):
                    if labels[y, x] == 0:
                        sums[first + classes[y, x]] += 1.0


@kernel
def sum_band(  # type: ignore[no-untyped-def]
    starts, stops, row_pointer, label_of_run, labels, classes, dispersion, class_sums,
    first, last, num_above, own, entering, incoming,
):  # fmt: skip
    """Add the runs of rows `first` to `last` to the sums of their segments.

    Args:
        starts, stops, row_pointer, label_of_run, labels: of all segments, as in `segments.runs.Runs`.
        classes: (H,W) predicted class.
        dispersion, class_sums: of this band's runs, from `frame_kernels.read_band`.
        num_above: segments that start above this band; only labels beyond it are written to `own`.
        own: (K, 16 + 2C) float64 of all segments.
        entering: (E,) sorted labels up to `num_above` that reach into the band.
        incoming: (E, 16 + 2C) float64, their sums in this band.
    """
    num_classes = class_sums.shape[1]
    rim = np.empty(labels.shape[1], np.uint8)
    pixel = 0
    first_run = row_pointer[first]
    for r in range(first, last):
        for run in range(row_pointer[r], row_pointer[r + 1]):
            label, start, stop = label_of_run[run], starts[run], stops[run]
            sums = own[label - 1] if label > num_above else incoming[np.searchsorted(entering, label)]
            n = stop - start
            rim_size = mark_rim(labels, r, start, stop, rim)
            sums[0] += n
            sums[1] += rim_size
            sums[2] += float(n) * r
            sums[3] += 0.5 * float(n) * float(start + stop - 1)
            add_moments(dispersion, pixel, rim, n, sums)
            pixel += n
            for c in range(num_classes):
                sums[16 + c] += class_sums[run - first_run, c]
            if rim_size:
                count_neighbors(labels, classes, r, start, stop, rim, sums, 16 + num_classes)
