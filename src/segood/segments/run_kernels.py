"""Connected components by runs: the pixels of a segment that follow each other in a row.

In: rows of a mask, or of a score with its threshold. Out: runs, the component of each run, the label
image. A component is the smallest of its runs until all are known, so that labels come in row-major
order of first pixels by themselves. The reference is `components.label_components` with OpenCV.
"""

from __future__ import annotations

import numpy as np

from segood.compiled import kernel


@kernel
def mask_of_line(score, threshold, ignored, mask):  # type: ignore[no-untyped-def]
    """Set `mask` where the score reaches the threshold and no pixel is ignored; return how many.

    Args:
        ignored: as long as `score`, 1 = ignored; or empty for none.
        mask: uint8, longer than `score`.
    """
    count = 0
    if ignored.size:
        for i in range(score.size):
            inside = np.uint8(score[i] >= threshold) & (np.uint8(1) - ignored[i])
            mask[i] = inside
            count += inside
    else:
        for i in range(score.size):
            inside = np.uint8(score[i] >= threshold)
            mask[i] = inside
            count += inside
    return count


@kernel
def runs_of_line(mask, starts, stops, n):  # type: ignore[no-untyped-def]
    """Append the runs of `mask`, whose last pixel is 0, from position n on; return the new n."""
    inside = np.uint8(0)
    for i in range(mask.size):
        if mask[i] != inside:
            if inside:
                stops[n] = i
                n += 1
            else:
                starts[n] = i
            inside = mask[i]
    return n


@kernel
def runs_of_rows(mask, first, last):  # type: ignore[no-untyped-def]
    """List the runs of rows `first` to `last` of a mask (H,W) uint8.

    Returns:
        starts, stops: (n,) int32, columns, the stop is excluded; number of runs of each row, int32.
    """
    width = mask.shape[1]
    most_runs = (last - first) * (width // 2 + 1)  # memory that is not written to costs nothing
    starts, stops = np.empty(most_runs, np.int32), np.empty(most_runs, np.int32)
    counts = np.zeros(last - first, np.int32)
    line = np.zeros(width + 1, np.uint8)  # the pixel behind the last ends every run
    n = 0
    for r in range(first, last):
        if mask_of_line(mask[r], np.uint8(1), line[:0], line):
            before = n
            n = runs_of_line(line, starts, stops, n)
            counts[r - first] = n - before
    return starts[:n].copy(), stops[:n].copy(), counts


@kernel
def root_of(parent, run):  # type: ignore[no-untyped-def]
    """Return the smallest known run of a component, and shorten the way to it."""
    while parent[run] != run:
        parent[run] = parent[parent[run]]
        run = parent[run]
    return run


@kernel
def link_runs(starts, stops, row_pointer):  # type: ignore[no-untyped-def]
    """Join runs of neighbouring rows that touch, corners included.

    Args:
        starts, stops: (n,) all runs, by row, then column.
        row_pointer: (H+1,) int64, the first run of each row.

    Returns:
        label of each run (n,) int32 from 1; number of components; (H+1,) int32 number of components that
        start above each row.
    """
    n, height = starts.size, row_pointer.size - 1
    parent = np.arange(n).astype(np.int32)
    for r in range(1, height):
        a, a_end = row_pointer[r - 1], row_pointer[r]
        b, b_end = row_pointer[r], row_pointer[r + 1]
        while a < a_end and b < b_end:
            if starts[a] <= stops[b] and starts[b] <= stops[a]:
                one, other = root_of(parent, a), root_of(parent, b)
                if one < other:
                    parent[other] = one
                else:
                    parent[one] = other
            if stops[a] < stops[b]:
                a += 1
            else:
                b += 1
    labels = np.empty(n, np.int32)
    above = np.empty(height + 1, np.int32)
    count = 0
    for r in range(height):
        above[r] = count
        for run in range(row_pointer[r], row_pointer[r + 1]):
            root = root_of(parent, np.int32(run))
            if root == run:
                count += 1
                labels[run] = count
            else:
                labels[run] = labels[root]
    above[height] = count
    return labels, count, above


@kernel
def paint_runs(labels, starts, stops, row_pointer, label_of_run, first, last):  # type: ignore[no-untyped-def]
    """Fill rows `first` to `last` of the label image: the label of each run, 0 elsewhere."""
    for r in range(first, last):
        line = labels[r]
        line[:] = 0
        for run in range(row_pointer[r], row_pointer[r + 1]):
            for i in range(starts[run], stops[run]):
                line[i] = label_of_run[run]
