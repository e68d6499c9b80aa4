"""Scores with statistics of training data: gathered frame by frame, merged, stored as plain arrays.

In: observations with their targets, or arrays. Out: a fitted score. What is gathered (`Moments`) is the
count, the mean and the sum of squared deviations, which unlike sums of squares lose no digits where the
mean is large; two of them add up exactly, up to rounding, in any order.

Source: T. F. Chan, G. H. Golub, R. J. LeVeque, "Algorithms for Computing the Sample Variance: Analysis and
Recommendations", The American Statistician 1983, eq. 2.1.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from segood.errors import UsageError
from segood.scores.arrays import as_tensor
from segood.scores.base import Observation, Score, Target
from segood.types import OOD

Self = TypeVar("Self", bound="FittedScore")
LARGEST = 60000.0
"""Fitted scores end here, on both sides: float16 ends at 65504."""


class FittedScore(Score):
    """A score that needs `fit`.

    A subclass writes `update`, `_reset`, `_add` and the state; the counts of its classes are `_counts`.
    """

    _counts: np.ndarray
    """(C,) int64, pixels per class."""

    @property
    def is_fitted(self) -> bool:
        """Whether any pixel has been seen."""
        return bool(self._counts.any())

    @property
    def unseen_classes(self) -> tuple[int, ...]:
        """Classes without statistics, rising; the score leaves them out."""
        return tuple(int(c) for c in np.flatnonzero(self._counts == 0))

    def fit(self: Self, pairs: Iterable[tuple[Observation, Target]]) -> Self:
        """Learn the statistics anew, in one pass over (observation, target)."""
        self._reset()
        for observation, target in pairs:
            self.update(observation, target)
        if not self.is_fitted:
            raise UsageError(f"score '{self.name}' cannot be fitted: there is not one labelled pixel")
        return self

    def merge(self: Self, other: Self) -> Self:
        """Add the statistics of `other`, which stays as it is.

        Raises:
            UsageError: `other` is of another kind, or its classes or features are others.
        """
        if type(other) is not type(self):
            raise UsageError(f"score '{self.name}' can be merged with its like only; got {other!r}")
        if other.is_fitted:
            self._add(other.state_dict())
        return self

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Take the statistics that `state_dict` returned, instead of those of this score.

        Raises:
            UsageError: arrays are missing, or their shapes or values cannot be.
        """
        arrays = self._checked_state(state)
        self._reset()
        if arrays["count"].any():
            self._add(arrays)

    @abstractmethod
    def _reset(self) -> None:
        """Forget everything."""

    @abstractmethod
    def _add(self, state: Mapping[str, np.ndarray]) -> None:
        """Add the statistics of a state, which becomes this score's own where there is none yet."""

    @abstractmethod
    def _shapes(self, state: Mapping[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
        """Return the shape that every array of a state has to have, by those of its first ones."""

    def _checked_state(self, state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        found = {}
        for key in self.state_dict():
            if key not in state:
                raise UsageError(f"state of score '{self.name}' must hold `{key}`; got {', '.join(state)}")
            found[key] = np.array(state[key], np.int64 if key == "count" else np.float64)
        for key, shape in self._shapes(found).items():
            if found[key].shape != shape:
                raise UsageError(
                    f"`{key}` in the state of score '{self.name}' must have shape {shape}; "
                    f"got {found[key].shape}"
                )
            if not np.isfinite(found[key]).all():
                raise UsageError(f"`{key}` in the state of score '{self.name}' must be finite")
        return found


def check_labels(target: Target, shape: tuple[int, ...], letters: str) -> Tensor:
    """Return `target` as an int64 tensor; raise `UsageError` unless it holds integers and has `shape`.

    Args:
        target: train ids; 254 and above is ignored.
        shape: where an axis is -1, any length will do.
        letters: the shape in words.
    """
    labels = as_tensor(target, name="target")
    fits = len(labels.shape) == len(shape) and all(
        w in (-1, g) for g, w in zip(labels.shape, shape, strict=True)
    )
    if not fits:
        raise UsageError(f"`target` must have shape {letters}; got {tuple(labels.shape)}")
    if labels.is_floating_point() or labels.dtype == torch.bool:
        raise UsageError(f"`target` must hold integers; got {labels.dtype}")
    return labels.long()


def check_train_ids(labels: Tensor, num_classes: int | None, score: str) -> None:
    """Raise `UsageError` where a label that is not ignored is no class."""
    low, high = (int(v) for v in labels[labels < OOD].aminmax()) if bool((labels < OOD).any()) else (0, 0)
    if low < 0 or (num_classes is not None and high >= num_classes):
        worst = low if low < 0 else high
        limit = "0..253" if num_classes is None else f"0..{num_classes - 1}"
        raise UsageError(
            f"`target` for score '{score}' must hold train ids {limit}, or 254 and above where it is to be "
            f"ignored; got {worst}"
        )


def joined_means(
    counts: tuple[np.ndarray, np.ndarray], means: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the means of two samples together, and the weights of their squared differences.

    The squared deviations of both together are those of each plus weight · difference².

    Args:
        counts: two of (C,).
        means: two of (C,) or (C,D).

    Example:
        >>> mean, weight = joined_means((np.array([1]), np.array([3])), (np.array([0.0]), np.array([4.0])))
        >>> mean.tolist(), weight.tolist()  # of 0 and 4, 4, 4
        ([3.0], [0.75])
    """
    total = np.maximum(counts[0] + counts[1], 1)
    share = counts[1] / total
    shape = (-1, *(1,) * (means[0].ndim - 1))
    joined: np.ndarray = means[0] + (means[1] - means[0]) * share.reshape(shape)
    alone = (counts[0] == 0).reshape(shape)
    weight: Any = counts[0] * share
    return np.where(alone, means[1], joined), weight
