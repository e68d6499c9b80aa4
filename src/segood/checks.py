"""First lines of public functions: what was given, which rule it breaks, what would be right.

Each check returns nothing and raises `UsageError` with one line.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from segood.errors import UsageError


def check_unit_interval(name: str, value: float) -> None:
    """Raise `UsageError` unless `value` lies in [0, 1].

    Example:
        >>> check_unit_interval("threshold", 1.2)
        Traceback (most recent call last):
        segood.errors.UsageError: `threshold` must lie in [0, 1]; got 1.2
    """
    if not 0.0 <= value <= 1.0:  # also catches NaN
        raise UsageError(f"`{name}` must lie in [0, 1]; got {value}")


def check_choice(name: str, value: str, choices: Iterable[str]) -> None:
    """Raise `UsageError` unless `value` is one of `choices`; names the nearest valid one.

    Example:
        >>> check_choice("score", "entrpy", ["entropy", "msp"])
        Traceback (most recent call last):
        segood.errors.UsageError: `score` must be one of entropy, msp; got 'entrpy' (did you mean 'entropy'?)
    """
    choices = list(choices)
    if value in choices:
        return
    near = get_close_matches(str(value), choices, n=1)
    hint = f" (did you mean '{near[0]}'?)" if near else ""
    raise UsageError(f"`{name}` must be one of {', '.join(choices)}; got {value!r}{hint}")


def check_logits(logits: Any, *, dims: int = 4, name: str = "logits") -> None:
    """Raise `UsageError` unless `logits` is floating point with `dims` axes and at least two classes.

    Args:
        logits: array or tensor, (N,C,H,W) for `dims=4`, (C,H,W) for `dims=3`.
        dims: expected number of axes.
        name: the argument's name in the message.
    """
    letters = "(N,C,H,W)" if dims == 4 else "(C,H,W)"
    shape = tuple(logits.shape)
    if len(shape) != dims:
        raise UsageError(f"`{name}` must have shape {letters}; got {shape}")
    if shape[dims - 3] < 2:
        raise UsageError(f"`{name}` must have at least 2 classes on axis {dims - 3}; got shape {shape}")
    # NumPy's name for the other byte order is like ">f4", PyTorch's dtypes have no `kind`.
    if getattr(logits.dtype, "kind", None) != "f" and "float" not in str(logits.dtype):
        raise UsageError(f"`{name}` must be floating point; got {logits.dtype}")


def check_target(target: Any, logits: Any) -> None:
    """Raise `UsageError` unless `target` (N,H,W) is integer and matches `logits` (N,C,H,W)."""
    n, _, h, w = logits.shape
    if tuple(target.shape) != (n, h, w):
        raise UsageError(
            f"`target` must have shape (N,H,W)=({n},{h},{w}) to match `logits`; got {tuple(target.shape)}"
        )
    if "int" not in str(target.dtype):
        raise UsageError(f"`target` must hold integers; got {target.dtype}")
