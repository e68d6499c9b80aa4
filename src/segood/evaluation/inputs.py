"""First lines of the pixel metrics: arrays or tensors in, flat NumPy arrays of checked values out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from segood.errors import UsageError
from segood.evaluation.bins import TOLERANCE
from segood.types import IGNORE, IN_DISTRIBUTION, OUT_OF_DISTRIBUTION

_CHUNK = 2**18


def flat_arrays(score: Any, target: Any, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Return both as flat arrays, checked for equal shapes and fitting types; `where` starts an error."""
    score, target = to_numpy(score), to_numpy(target)
    if score.shape != target.shape:
        raise UsageError(f"{where}`target` must have the shape of `score`, {score.shape}; got {target.shape}")
    if score.dtype.kind not in "fiu":
        raise UsageError(f"{where}`score` must be floating point; got {score.dtype}")
    if target.dtype.kind not in "iub":
        raise UsageError(f"{where}`target` must hold integers; got {target.dtype}")
    return score.reshape(-1), target.reshape(-1)


def to_numpy(array: Any) -> np.ndarray:
    """Return an array for an array or a tensor on any device; bfloat16 becomes float32."""
    if hasattr(array, "detach"):  # a tensor, without importing torch for those who have none
        array = array.detach().cpu()
        array = array.float() if "bfloat16" in str(array.dtype) else array
        return array.numpy()
    return np.asarray(array)


def chunks(score: np.ndarray, target: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield both in pieces that stay in the cache."""
    for start in range(0, score.size, _CHUNK):
        yield score[start : start + _CHUNK], target[start : start + _CHUNK]


def check_values(score: np.ndarray, target: np.ndarray, limits: tuple[float, float], where: str) -> None:
    """Raise `UsageError` for a target other than 0, 1, 255, or a counted score that is NaN or outside."""
    ignored = target == IGNORE
    known = (target == IN_DISTRIBUTION) | (target == OUT_OF_DISTRIBUTION) | ignored
    if not known.all():
        value = target[~known][0]
        raise UsageError(f"{where}`target` must hold 0, 1 or 255 (evaluation labels); found {value}")
    counted = score[~ignored]
    if not counted.size:
        return
    low, high = limits
    least, most = float(counted.min()), float(counted.max())  # either is NaN if any score is
    if np.isnan(least):
        raise UsageError(f"{where}`score` holds NaN at {np.isnan(counted).sum()} counted pixels")
    slack = TOLERANCE * (high - low)
    if least < low - slack or most > high + slack or np.isinf([least, most]).any():
        value = least if least < low - slack or np.isinf(least) else most
        raise UsageError(
            f"{where}`score` must lie in the range [{low:g}, {high:g}] fixed at construction; "
            f"found {value:g}: pass the `range=` that the score documents"
        )
