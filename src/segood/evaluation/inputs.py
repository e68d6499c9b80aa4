"""First lines of the pixel metrics: arrays or tensors in, stretches of checked NumPy values out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from segood.errors import UsageError
from segood.evaluation.bins import TOLERANCE
from segood.types import IGNORE, IN_DISTRIBUTION, OUT_OF_DISTRIBUTION

_VIEW, _COPY = 2**22, 2**18


def checked_arrays(score: Any, target: Any, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Return both as arrays, checked for equal shapes and fitting types; `where` starts an error."""
    score, target = to_numpy(score), to_numpy(target)
    if score.shape != target.shape:
        raise UsageError(f"{where}`target` must have the shape of `score`, {score.shape}; got {target.shape}")
    if score.dtype.kind not in "fiu":
        raise UsageError(f"{where}`score` must be floating point; got {score.dtype}")
    if target.dtype.kind not in "iub":
        raise UsageError(f"{where}`target` must hold integers; got {target.dtype}")
    return score, target


def to_numpy(array: Any) -> np.ndarray:
    """Return an array for an array or a tensor on any device; bfloat16 becomes float32."""
    if hasattr(array, "detach"):  # a tensor, without importing torch for those who have none
        array = array.detach().cpu()
        array = array.float() if "bfloat16" in str(array.dtype) else array
        return array.numpy()
    return np.asarray(array)


def blocks(
    score: np.ndarray, target: np.ndarray, size: int = _VIEW
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield both as flat stretches that kernels take as they are.

    Args:
        score, target: what `checked_arrays` returned.
        size: most pixels of a stretch.

    Yields:
        Scores (float32 or float64) and targets (uint8; what uint8 cannot hold becomes 2, which is no
        label), in row-major order. Usually views; otherwise copies that the next stretch overwrites.
    """
    if _is_plain(score, (np.float32, np.float64)) and _is_plain(target, (np.uint8, np.bool_)):
        score, target = score.reshape(-1), target.reshape(-1).view(np.uint8)
        for start in range(0, score.size, size):
            yield score[start : start + size], target[start : start + size]
        return
    size = min(size, _COPY, max(score.size, 1))
    short = score.dtype.kind == "f" and score.dtype.itemsize <= 4
    scores, targets = np.empty(size, np.float32 if short else np.float64), np.empty(size, np.uint8)
    flags: Any = ["external_loop", "buffered", "zerosize_ok"]
    with np.nditer([score, target], flags=flags, order="C", buffersize=size) as stretches:
        for some, kinds in stretches:
            scores[: len(some)] = some
            np.copyto(targets[: len(some)], kinds, casting="unsafe")
            if kinds.dtype.itemsize > 1 or kinds.dtype.kind == "i":
                targets[: len(some)][(kinds < 0) | (kinds > 255)] = 2
            yield scores[: len(some)], targets[: len(some)]


def _is_plain(array: np.ndarray, types: tuple[type, ...]) -> bool:
    # Kernels would be compiled once more for read-only arrays.
    flags = array.flags
    native = array.dtype.type in types and array.dtype.isnative
    return native and bool(flags.c_contiguous and flags.aligned and flags.writeable)


def obeys_rules(score: np.ndarray, target: np.ndarray, limits: tuple[float, float]) -> bool:
    """Return whether all targets are 0, 1 or 255 and all counted scores lie within the limits."""
    counted = target != IGNORE
    if (target[counted] > OUT_OF_DISTRIBUTION).any():
        return False
    score = score[counted]
    least, most = _allowed(limits)
    return not score.size or bool(float(score.min()) >= least and float(score.max()) <= most)


def raise_for_values(score: np.ndarray, target: np.ndarray, limits: tuple[float, float], where: str) -> None:
    """Raise `UsageError` for a target other than 0, 1, 255, or a counted score that is NaN or outside."""
    known = (target == IN_DISTRIBUTION) | (target == OUT_OF_DISTRIBUTION) | (target == IGNORE)
    if not known.all():
        value = target[~known][0]
        raise UsageError(f"{where}`target` must hold 0, 1 or 255 (evaluation labels); found {value}")
    counted = score[target != IGNORE].astype(np.float64)
    missing = int(np.isnan(counted).sum())
    if missing:
        raise UsageError(f"{where}`score` holds NaN at {missing} counted pixels")
    least, most = _allowed(limits)
    outside = counted[(counted < least) | (counted > most) | np.isinf(counted)]
    if outside.size and np.isinf(limits).all():
        raise UsageError(f"{where}`score` must be finite at counted pixels; found {outside[0]:g}")
    if outside.size:
        low, high = limits
        raise UsageError(
            f"{where}`score` must lie in the range [{low:g}, {high:g}] fixed at construction; "
            f"found {outside.min() if outside.min() < least else outside.max():g}: "
            "pass the `range=` that the score documents"
        )


def _allowed(limits: tuple[float, float]) -> tuple[float, float]:
    low, high = limits
    if np.isinf(high - low):
        return -np.finfo(np.float64).max, np.finfo(np.float64).max
    slack = TOLERANCE * (high - low)
    # The kernels' very sum.
    return low - slack, low + (high - low) + slack
