"""Segments as runs of pixels, joined by compiled kernels on all threads.

In: a mask, or runs. Out: `Runs`. Import only where `kernels_enabled()`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from segood.compiled import run_parallel
from segood.scores.rows import bands_of
from segood.segments.run_kernels import link_runs, paint_runs, runs_of_rows

if TYPE_CHECKING:
    from jaxtyping import Int32


@dataclass(frozen=True)
class Runs:
    """The segments of a frame, as runs of pixels that follow each other in a row.

    Attributes:
        labels: (H,W) int32, 0 none, 1..K in row-major order of each segment's first pixel.
        count: K.
        starts, stops: (n,) int32 first column of each run, and the one after its last; by row, column.
        row_pointer: (H+1,) int64, the first run of each row.
        label_of_run: (n,) int32.
        num_above: (H+1,) int32, number of segments that start above each row.
    """

    labels: Int32[np.ndarray, "h w"]
    count: int
    starts: Int32[np.ndarray, " n"]
    stops: Int32[np.ndarray, " n"]
    row_pointer: np.ndarray
    label_of_run: Int32[np.ndarray, " n"]
    num_above: Int32[np.ndarray, " rows"]


def label_runs(mask: np.ndarray) -> Runs:
    """Find the 8-connected segments of a mask (H,W) uint8, contiguous, of 0 and 1."""
    bands = bands_of(mask.shape)
    parts = run_parallel(lambda band: runs_of_rows(mask, *bands[band]), len(bands))
    starts, stops, counts = (np.concatenate([part[i] for part in parts]) for i in range(3))
    return join_runs(np.empty(mask.shape, np.int32), starts, stops, counts)


def join_runs(
    labels: Int32[np.ndarray, "h w"], starts: np.ndarray, stops: np.ndarray, counts: np.ndarray
) -> Runs:
    """Join runs, by row and column, to segments.

    Args:
        labels: (H,W) int32, to be filled.
        starts, stops: (n,) int32.
        counts: (H,) number of runs of each row.
    """
    row_pointer = np.zeros(len(labels) + 1, np.int64)
    np.cumsum(counts, out=row_pointer[1:])
    label_of_run, count, num_above = link_runs(starts, stops, row_pointer)
    bands = bands_of(labels.shape)

    def paint(band: int) -> None:
        paint_runs(labels, starts, stops, row_pointer, label_of_run, *bands[band])

    run_parallel(paint, len(bands))
    return Runs(labels, int(count), starts, stops, row_pointer, label_of_run, num_above)
