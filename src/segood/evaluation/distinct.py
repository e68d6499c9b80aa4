"""Distinct scores with how many pixels of each kind have them, gathered in bounded memory.

In: scores, a few at a time. Out: the distinct ones, falling. Where the memory does not hold them all, only
the OoD scores are kept (`DistinctScores`), and another pass counts the in-distribution pixels at and
between them (`GapCounts`): no metric depends on more.
"""

from __future__ import annotations

import numpy as np

from segood.errors import UsageError
from segood.evaluation.bins import BinLayout

_BYTES = 64  # of one score while it is merged: value and counts, sorted copies
_FEWEST = 2**10


class DistinctScores:
    """The distinct scores below a ceiling, as many as fit.

    Args:
        memory: bytes that may be used, at least 64 KiB.
        ceiling: only lower scores are given.

    Attributes:
        complete: whether in-distribution scores were kept; they are given up first.
        floor: scores below it were not kept; -inf as long as the OoD scores fit.

    Example:
        >>> scores = DistinctScores(memory=2**20, ceiling=np.inf)
        >>> scores.add(np.array([0.1, 0.3, 0.3]), np.array([0.3]))
        >>> [column.tolist() for column in scores.take()]
        [[0.3, 0.1], [2, 1], [1, 0]]
    """

    def __init__(self, memory: int, ceiling: float) -> None:
        self.capacity = memory // _BYTES
        if self.capacity < _FEWEST:
            raise UsageError(f"`memory` must be at least {_FEWEST * _BYTES} bytes; got {memory}")
        self.ceiling, self.floor, self.complete = ceiling, -np.inf, True
        self._waiting: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
        self._num_waiting = 0
        self._values = np.empty(0)
        self._counts = np.empty((2, 0), np.int64)

    def add(self, known: np.ndarray, unknown: np.ndarray) -> None:
        """Take scores of in-distribution and of OoD pixels, float64, below the ceiling."""
        step = self.capacity // 4
        for kind, scores in enumerate((known, unknown)):
            for start in range(0, len(scores), step):
                if kind == 0 and not self.complete:
                    break
                # Copies: a view would keep the whole of what it is a view of.
                self._waiting[kind].append(scores[start : start + step].copy())
                self._num_waiting += len(self._waiting[kind][-1])
                if self._num_waiting + len(self._values) > self.capacity:
                    self._merge()

    def take(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return distinct scores ≥ `floor`, falling, and the in-distribution and OoD pixels of each."""
        self._merge()
        return self._values[::-1], self._counts[0, ::-1], self._counts[1, ::-1]

    def _merge(self) -> None:
        found = [np.unique(np.concatenate([[], *w]), return_counts=True) for w in self._waiting]
        self._waiting, self._num_waiting = ([], []), 0
        values = np.unique(np.concatenate([self._values, found[0][0], found[1][0]]))
        counts = np.zeros((2, len(values)), np.int64)
        counts[:, np.searchsorted(values, self._values)] += self._counts
        for kind, (scores, number) in enumerate(found):
            counts[kind, np.searchsorted(values, scores)] += number
        keep = values >= self.floor
        if self.complete and len(values) > self.capacity // 2:
            self.complete = False
        if not self.complete:
            keep &= counts[1] > 0
            counts[0] = 0
        values, counts = values[keep], counts[:, keep]
        most = self.capacity // 2
        if len(values) > most:
            values, counts = values[-most:].copy(), counts[:, -most:].copy()
            self.floor = float(values[0])
        self._values, self._counts = values, counts


class GapCounts:
    """In-distribution pixels at, above and below each of some OoD scores, within the bin of that score.

    Args:
        layout: the bins.
        cuts: (C,) distinct OoD scores, falling.
        num_ood: (C,) OoD pixels at each.

    Attributes:
        orphans: pixels in a bin without a cut: of one that another pass has begun.

    Example:
        >>> gaps = GapCounts(BinLayout((0.0, 1.0), "linear", 2), np.array([0.8, 0.7]), np.array([1, 2]))
        >>> gaps.add(np.array([0.9, 0.75, 0.7, 0.6, 0.55]))
        >>> places, values, num_in, num_ood = gaps.portions()
        >>> num_in.tolist(), num_ood.tolist()
        ([1, 0, 0, 1, 1, 2], [0, 1, 0, 0, 2, 0])
    """

    def __init__(self, layout: BinLayout, cuts: np.ndarray, num_ood: np.ndarray) -> None:
        self.layout = layout
        # One entry more, equal to nothing: for pixels above or below all cuts.
        self._cuts = np.append(cuts[::-1], np.nan)
        self._places = np.append(layout.index(cuts[::-1]), -1)
        self._num_ood = num_ood
        self._counts = np.zeros((3, len(cuts)), np.int64)  # above, at, below
        self.orphans = 0

    def add(self, known: np.ndarray) -> None:
        """Count in-distribution scores, float64."""
        known = np.sort(known)  # neighbours are looked up faster
        places = self.layout.index(known)
        after = np.searchsorted(self._cuts[:-1], known, side="right")
        at = self._cuts[after - 1] == known
        above = ~at & (self._places[after - 1] == places)
        below = ~at & ~above & (self._places[after] == places)
        size = self._counts.shape[1]
        for row, positions in enumerate((after[above] - 1, after[at] - 1, after[below])):
            self._counts[row] += np.bincount(positions, minlength=size)
        self.orphans += int(np.count_nonzero(~(at | above | below)))

    def portions(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return bins, scores, in-distribution and OoD pixels: three steps per cut, falling."""
        size = self._counts.shape[1]
        num_ood = np.zeros((size, 3), np.int64)
        num_ood[:, 1] = self._num_ood
        columns = (self._places[:-1], self._cuts[:-1])
        places, values = (np.repeat(column[::-1], 3) for column in columns)
        return places, values, self._counts[:, ::-1].T.ravel(), num_ood.ravel()
