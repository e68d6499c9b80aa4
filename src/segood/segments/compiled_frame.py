"""The frame as compiled kernels read it: logits in the CPU's memory, of any precision and layout.

In: logits (C,h,w), a grid that upsamples them, a threshold. Out: score, predicted classes, labels (H,W)
and sums per segment. The logits are read once, in bands of rows; contiguous float32 where they lie,
others are converted band by band. Import only where `kernels_enabled()`.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from segood.compiled import run_parallel
from segood.scores.rows import Float32Rows, bands_of
from segood.scores.upsampling import Grid
from segood.segments.feature_kernels import sum_band
from segood.segments.features import NUM_FIXED
from segood.segments.frame_kernels import read_band, room_for
from segood.segments.runs import Runs, join_runs

if TYPE_CHECKING:
    from jaxtyping import Float32, Float64


@dataclass(frozen=True)
class CompiledSegments:
    """What one pass over a frame gives.

    Attributes:
        score: (H,W) float32, the thresholded map.
        classes: (H,W) predicted class, uint8 or int32.
        runs: the segments.
        sums: (K, 16 + 2C), see `segments.features`.
    """

    score: Float32[np.ndarray, "h w"]
    classes: np.ndarray
    runs: Runs
    sums: Float64[np.ndarray, "k s"]


def segment_frame(
    logits: np.ndarray,
    grid: Grid,
    score: Float32[np.ndarray, "h w"] | None,
    threshold: float,
    ignored: np.ndarray | None,
) -> CompiledSegments | None:
    """Find the segments of score ≥ threshold and sum over them.

    Args:
        logits: (C,h,w); float16, bfloat16 (as uint16), float32 or float64.
        grid: from (h,w) to (H,W).
        score: (H,W) float32, contiguous; None means the normalised entropy.
        threshold: in the units of the score.
        ignored: (H,W) bool, contiguous; None for none.

    Returns:
        The segments; None where a logit is NaN or infinite in float32.
    """
    frame = Float32Rows(logits, grid)
    num_classes, (height, width) = len(logits), grid.size
    is_given = score is not None
    # Both maps at once: memory of several megabytes that is taken and given back in the same size frame after
    # frame stays with the process; otherwise handing it out anew took up to a third of the time.
    maps = np.empty((2 if score is None else 1, height, width), np.float32)
    values, labels = maps[0] if score is None else score, maps[-1].view(np.int32)
    classes = np.empty((height, width), np.uint8 if num_classes <= 256 else np.int32)
    without = np.zeros((0, 0), np.uint8) if ignored is None else ignored.view(np.uint8)
    limit = np.float32(threshold)  # a score of 0.7 reaches the threshold 0.7, in float32 as well
    rows, cols = grid.rows.arrays, grid.cols.arrays
    bands = bands_of(grid.size)

    def read(band: int) -> tuple[np.ndarray, ...]:
        first, last = bands[band]
        part, first_row = frame.rows(first, last)
        return read_band(  # type: ignore[no-any-return]
            part, first_row, rows, cols, grid.is_identity, values, is_given, limit, without, classes,
            first, last, _room(num_classes, width, bands[0][1], grid.is_identity),
        )  # fmt: skip

    parts = run_parallel(read, len(bands))
    if any(part[-1] for part in parts):
        return None
    starts, stops, counts = (np.concatenate([part[i] for part in parts]) for i in range(3))
    runs = join_runs(labels, starts, stops, counts)
    own = np.zeros((runs.count, NUM_FIXED + 2 * num_classes))

    def add(band: int) -> tuple[np.ndarray, np.ndarray]:
        first, last = bands[band]
        in_first_row = np.unique(runs.label_of_run[runs.row_pointer[first] : runs.row_pointer[first + 1]])
        above = runs.num_above[first]
        entering = in_first_row[in_first_row <= above]
        incoming = np.zeros((len(entering), own.shape[1]))
        sum_band(
            runs.starts, runs.stops, runs.row_pointer, runs.label_of_run, runs.labels, classes,
            parts[band][3], parts[band][4], first, last, above, own, entering, incoming,
        )  # fmt: skip
        return entering, incoming

    # In order of the bands, whichever thread was first: a sum then has one rounding only.
    for entering, incoming in run_parallel(add, len(bands) if runs.count else 0):
        own[entering - 1] += incoming
    return CompiledSegments(values, classes, runs, own)


_kept = threading.local()


def _room(num_classes: int, width: int, rows: int, same_size: bool) -> tuple[np.ndarray, ...]:
    """Return this thread's memory for bands of that shape."""
    shape = (num_classes, width, rows, same_size)
    if getattr(_kept, "shape", None) != shape:
        _kept.shape, _kept.room = shape, room_for(*shape)
    return _kept.room  # type: ignore[no-any-return]
