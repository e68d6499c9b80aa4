"""First lines of what takes a score map (H,W) and its labels: arrays in, checked arrays or one error out."""

from __future__ import annotations

from typing import Any

import numpy as np

from segood.errors import UsageError
from segood.evaluation.inputs import checked_arrays, raise_for_values
from segood.types import IGNORE

ANY = (-np.inf, np.inf)


def checked_frame(score: Any, target: Any, name: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Return score (floating point) and target (uint8) of a frame as arrays; values are not looked at.

    Raises:
        UsageError: not (H,W), other types, or sizes that differ.
    """
    where = _where(name)
    score = np.asarray(score)
    if score.ndim != 2 or score.dtype.kind != "f":
        raise UsageError(f"{where}`score` must be a float map (H,W); got {score.dtype} {score.shape}")
    if np.shape(target) != score.shape:
        raise UsageError(
            f"{where}score map is {_size(score.shape)} but its labels are {_size(np.shape(target))} (width x "
            "height); give maps at the size of the labels"
        )
    score, target = checked_arrays(score, target, where)
    if target.dtype != np.uint8:
        if target.size and not 0 <= target.min() <= target.max() <= 255:
            raise_for_values(score, target, ANY, where)
        target = target.astype(np.uint8)
    return score, target


def raise_for_frame(score: np.ndarray, target: np.ndarray, name: str | None) -> None:
    """Raise `UsageError` for another target than 0, 1, 255, or a counted score that is not finite."""
    where = _where(name)
    counted = score[target != IGNORE]
    infinite = int(np.isinf(counted).sum())
    if infinite and not np.isnan(counted).any() and score.dtype.itemsize == 2:
        raise UsageError(
            f"{where}`score` is infinite at {infinite} counted pixels: float16 ends at 65504; rescale the "
            "score or store it as float32"
        )
    raise_for_values(score, target, ANY, where)


def _where(name: str | None) -> str:
    return f"frame {name}: " if name else ""


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]}" if len(shape) == 2 else str(shape)
