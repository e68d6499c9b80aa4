"""Integer counts of in-distribution and OoD pixels per bin: compact, exact, filled by several threads.

In: frames of scores and targets. Out: two counts per bin, the same whatever the order of frames, merges
and threads.

A count is 256 · `high` + the sum of `low` over its rows. Each thread adds to a row of its own, of one
byte per entry (entry = 2 · bin + kind), which stays in the cache where wide counters would not; only every
256th pixel of a bin touches `high`. State: 8 bytes per bin plus 2 per bin and row that was used, so
2^21 bins take 17 MB and 4 MB per thread, and 2^22 bins on two threads 50 MB.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from segood.compiled import kernels_enabled, num_threads, run_parallel
from segood.evaluation.bins import TOLERANCE, BinLayout
from segood.evaluation.inputs import blocks, obeys_rules
from segood.types import IN_DISTRIBUTION, OUT_OF_DISTRIBUTION

_PIECE = 2**18
_BYTES_OF_ROWS = 17 * 2**20
_TRASH = 64  # as in `pixel_kernels`, which must not be imported here
_SAFE = 2**39  # pixels that fit one count with `high` in 32 bits, far from the end


class BinCounts:
    """Counts per bin and kind of pixel.

    Args:
        layout: the bins.

    Example:
        >>> counts = BinCounts(BinLayout((0.0, 1.0), "linear", 4))
        >>> counts.add(np.array([0.1, 0.9, 0.8]), np.array([0, 1, 1]))
        True
        >>> [kind.tolist() for kind in counts.totals()]
        [[1, 0, 0, 0], [0, 0, 0, 2]]
    """

    def __init__(self, layout: BinLayout) -> None:
        self.layout = layout
        size = 2 * layout.num_bins + _TRASH
        rows = min(max(_BYTES_OF_ROWS // size, 1), 4)
        self.low = np.zeros((rows, size), np.uint8)  # memory is taken where rows are first used
        self.high = np.zeros(size, np.uint32)
        self.rows_used = 1
        self._pixels = 0  # at most this many in one bin

    def add(self, score: np.ndarray, target: np.ndarray) -> bool:
        """Count all pixels of a frame, or none.

        Args:
            score: any shape, floating point or integer.
            target: same shape, integer or bool.

        Returns:
            Whether the frame was counted: every target is 0, 1 or 255, and every counted score is a number
            inside the range (up to `TOLERANCE`).
        """
        self._make_room(score.size)
        if kernels_enabled():
            return self._add_compiled(score, target)
        if not all(obeys_rules(s, t, self.layout.range) for s, t in blocks(score, target, _PIECE)):
            return False
        for s, t in blocks(score, target, _PIECE):
            for kind in (IN_DISTRIBUTION, OUT_OF_DISTRIBUTION):
                index = self.layout.index(s[t == kind])
                if index.size:
                    first = int(index.min())
                    self._add_counts(first, np.bincount(index - first), kind)
        return True

    def merge(self, other: BinCounts) -> None:
        """Add the counts of `other` (equal layout), which stays as it is."""
        self._make_room(other._pixels)
        for first in range(0, self.layout.num_bins, _PIECE):
            for kind, counts in enumerate(other.totals(first, first + _PIECE)):
                self._add_counts(first, counts, kind)

    def totals(self, start: int = 0, stop: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return the counts of in-distribution and of OoD pixels in bins start … stop - 1, int64."""
        stop = self.layout.num_bins if stop is None else min(stop, self.layout.num_bins)
        return self._totals(start, stop, IN_DISTRIBUTION), self._totals(start, stop, OUT_OF_DISTRIBUTION)

    def sums_between(self, starts: np.ndarray, kind: int) -> np.ndarray:
        """Return how many pixels of a kind lie from each start (a bin, rising) to the next, int64."""
        counts = self._totals(0, self.layout.num_bins, kind)
        inside = np.minimum(starts, len(counts) - 1)
        sums: np.ndarray = np.add.reduceat(counts, inside)
        return sums * (np.diff(starts, append=len(counts)) > 0)

    def replace(self, num_in: np.ndarray, num_ood: np.ndarray) -> None:
        """Set all counts, given per bin."""
        self.low[: self.rows_used] = 0
        self.high[:] = 0
        self._pixels, self.rows_used = 0, 1
        self._make_room(int(max(num_in.max(), num_ood.max())))
        self._add_counts(0, num_in.astype(np.int64), IN_DISTRIBUTION)
        self._add_counts(0, num_ood.astype(np.int64), OUT_OF_DISTRIBUTION)

    def equals(self, other: BinCounts) -> bool:
        """Return whether all counts are equal."""
        pairs = (
            (self.totals(first, first + _PIECE), other.totals(first, first + _PIECE))
            for first in range(0, self.layout.num_bins, _PIECE)
        )
        return all(np.array_equal(a, b) for mine, theirs in pairs for a, b in zip(mine, theirs, strict=True))

    def kernel_layout(self) -> tuple[bool, float, float, float, int]:
        """Return what kernels want to know of the layout: is_log, low, width, slack, num_bins."""
        low, high = self.layout.range
        return (
            self.layout.spacing == "log",
            low,
            high - low,
            TOLERANCE * (high - low),
            self.layout.num_bins,
        )

    def _totals(self, start: int, stop: int, kind: int) -> np.ndarray:
        entries = slice(2 * start + kind, 2 * stop + kind, 2)
        sums = self.high[entries].astype(np.int64)
        sums <<= 8
        for row in self.low[: self.rows_used]:
            sums += row[entries]
        return sums

    def _make_room(self, pixels: int) -> None:
        self._pixels += pixels
        if self._pixels > _SAFE and self.high.dtype == np.uint32:
            self.high = self.high.astype(np.uint64)

    def _add_counts(self, first: int, counts: np.ndarray, kind: int) -> None:
        entries = slice(2 * first + kind, 2 * (first + len(counts)) + kind, 2)
        sums = counts + self.low[0, entries]
        self.low[0, entries] = sums & 255
        self.high[entries] += (sums >> 8).astype(self.high.dtype)

    def _add_compiled(self, score: np.ndarray, target: np.ndarray) -> bool:
        counted: list[list[list[tuple[int, int]]]] = []  # per block and row: stretches of pixels
        for s, t in blocks(score, target):
            good, stretches = self._count_block(s, t)
            counted.append(stretches)
            if not good:
                break
        else:
            return True
        for (s, t), stretches in zip(blocks(score, target), counted, strict=False):
            self._take_back(s, t, stretches)
        return False

    def _count_block(self, score: np.ndarray, target: np.ndarray) -> tuple[bool, list[list[tuple[int, int]]]]:
        """Count until a rule is broken; return whether none was, and what was counted into which row."""
        starts = iter(range(0, score.size, _PIECE))  # shared: each thread takes the next piece that is left
        good, lock = True, threading.Lock()

        def work(row: int) -> list[tuple[int, int]]:
            nonlocal good
            done = []
            for start in starts:
                stop = min(start + _PIECE, score.size)
                counted = self._count(score[start:stop], target[start:stop], row, lock)
                done.append((start, start + counted))
                good = good and start + counted == stop
                if not good:
                    break
            return done

        pieces = -(-score.size // _PIECE)
        rows = max(1, min(num_threads(), len(self.low), pieces))
        self.rows_used = max(self.rows_used, rows)
        stretches = run_parallel(work, rows)
        return good, stretches

    def _take_back(
        self, score: np.ndarray, target: np.ndarray, stretches: list[list[tuple[int, int]]]
    ) -> None:
        lock = threading.Lock()
        for row, stretch in enumerate(stretches):
            for start, stop in stretch:
                self._count(score[start:stop], target[start:stop], row, lock, up=False)

    def _count(self, score: np.ndarray, target: np.ndarray, row: int, lock: Any, up: bool = True) -> int:
        from segood.evaluation import pixel_kernels as kernels

        wraps = np.empty(score.size, np.uint32)
        step, edge = (1, 0) if up else (255, 255)
        counted, used = kernels.count(score, target, *self.kernel_layout(), self.low[row], wraps, step, edge)
        with lock:
            kernels.carry(self.high, wraps, used, up)
        return int(counted)
