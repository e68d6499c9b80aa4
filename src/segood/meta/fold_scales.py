"""Which rows each fold holds out, and how much each column spreads over the remaining ones.

In: row indices per fold; standardised columns. Out: the rows one fold after the other, and per fold
and column the variance of the remaining rows in units of the variance of all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from segood.meta.table import Standardized, standardize

_RECOMPUTE_BELOW = 0.01
"""Below this ratio of variances the difference of sums has lost digits, or the column is constant."""


class FoldRows(NamedTuple):
    """Held-out rows of consecutive folds.

    Attributes:
        rows: (R,) int64, the rows of the first fold, then of the second …
        starts: (F,) int64, where each fold begins in `rows`; no fold is empty.
        fold: (R,) int64, the fold of each entry of `rows`.
    """

    rows: np.ndarray
    starts: np.ndarray
    fold: np.ndarray

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Return the sum of `values` (R,...) over each fold's entries, (F,...)."""
        return values if self._single else np.add.reduceat(values, self.starts, axis=0)

    def largest(self, values: np.ndarray) -> np.ndarray:
        """Return the maximum of `values` (R,) over each fold's entries, (F,)."""
        return values if self._single else np.maximum.reduceat(values, self.starts)

    @property
    def _single(self) -> bool:
        return len(self.rows) == len(self.starts)

    def of(self, folds: np.ndarray) -> FoldRows:
        """Return the rows of some of the folds (indices, ascending), renumbered from 0."""
        chosen = np.zeros(len(self.starts), bool)
        chosen[folds] = True
        keep = chosen[self.fold]
        fold = (np.cumsum(chosen) - 1)[self.fold[keep]]
        return FoldRows(self.rows[keep], np.searchsorted(fold, np.arange(len(folds))), fold)


def fold_rows(folds: Sequence[np.ndarray]) -> FoldRows:
    """Return the rows of non-empty folds one after the other."""
    sizes = np.fromiter((len(rows) for rows in folds), np.int64, len(folds))
    return FoldRows(
        np.concatenate(folds).astype(np.int64),
        np.concatenate([[0], np.cumsum(sizes)[:-1]]),
        np.repeat(np.arange(len(folds)), sizes),
    )


def remaining_variances(values: np.ndarray, scaled: Standardized, held_out: FoldRows) -> np.ndarray:
    """Measure each column without each fold, in units of its variance over all rows.

    Args:
        values: (K, m) float64 raw columns.
        scaled: the same standardised.
        held_out: F folds.

    Returns:
        (F, m) float64 > 0; 1 where a column is constant, over all rows or without the fold: there the
        coefficient is 0 under any penalty, because the intercept, which is free, does the same.
    """
    z = scaled.values[held_out.rows]
    left = (len(values) - np.diff(held_out.starts, append=len(held_out.rows)))[:, None]
    mean = held_out.sums(z) / left
    ratio = (len(values) - held_out.sums(np.square(z, out=z))) / left - mean**2
    ratio[:, scaled.constant] = 1.0
    for fold, column in np.argwhere(ratio < _RECOMPUTE_BELOW):
        rest = np.delete(values[:, [column]], held_out.rows[held_out.fold == fold], axis=0)
        own = standardize(rest)
        ratio[fold, column] = 1.0 if own.constant[0] else (own.scale[0] / scaled.scale[column]) ** 2
    return ratio
