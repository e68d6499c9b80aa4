"""Distinct scores with how many pixels of each kind have them, gathered in bounded memory.

In: scores, a few at a time. Out: the distinct ones, falling, down to a floor that rises when the memory
does not hold all.
"""

from __future__ import annotations

import numpy as np

from segood.errors import UsageError

_BYTES = 64  # of one score while it is merged: value and count, sorted copies
_FEWEST = 2**10


class DistinctScores:
    """A bounded multiset of the highest scores below a ceiling.

    Args:
        memory: bytes that may be used, at least 64 KiB.
        ceiling: only lower scores are given.

    Attributes:
        floor: scores below it were not kept; -inf as long as all fit.

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
        self.ceiling, self.floor = ceiling, -np.inf
        self._waiting: list[tuple[np.ndarray, np.ndarray]] = []
        self._num_waiting = 0
        self._values = np.empty(0)
        self._counts = np.empty((2, 0), np.int64)

    def add(self, known: np.ndarray, unknown: np.ndarray) -> None:
        """Take scores of in-distribution and of OoD pixels, float64, below the ceiling."""
        step = max(self.capacity // 4, 1)
        for kind, scores in enumerate((known, unknown)):
            for start in range(0, len(scores), step):
                some = scores[start : start + step]
                pair = (some, some[:0]) if kind == 0 else (some[:0], some)
                # Copies: a view would keep the whole of what it is a view of.
                self._waiting.append((pair[0].copy(), pair[1].copy()))
                self._num_waiting += len(some)
                if self._num_waiting + len(self._values) > self.capacity:
                    self._merge()

    def take(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return distinct scores ≥ `floor`, falling, and the in-distribution and OoD pixels of each."""
        self._merge()
        return self._values[::-1], self._counts[0, ::-1], self._counts[1, ::-1]

    def _merge(self) -> None:
        kinds = [
            np.unique(
                np.concatenate([pair[kind] for pair in self._waiting] or [np.empty(0)]), return_counts=True
            )
            for kind in range(2)
        ]
        self._waiting, self._num_waiting = [], 0
        values = np.unique(np.concatenate([self._values, kinds[0][0], kinds[1][0]]))
        counts = np.zeros((2, len(values)), np.int64)
        counts[:, np.searchsorted(values, self._values)] += self._counts
        for kind, (found, number) in enumerate(kinds):
            counts[kind, np.searchsorted(values, found)] += number
        first = int(np.searchsorted(values, self.floor))
        if len(values) - first > self.capacity // 2:
            first = len(values) - self.capacity // 4
            self.floor = float(values[first])
        self._values, self._counts = values[first:].copy(), counts[:, first:].copy()
