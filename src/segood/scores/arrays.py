"""NumPy arrays and tensors in, float tensors out: the first step of every score.

Half precision is widened to float32 (an exponential in float16 has three digits), float64 stays.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from segood.errors import UsageError


def as_tensor(values: Any, *, name: str) -> Tensor:
    """Return `values` as a tensor that shares its memory where possible.

    Args:
        values: tensor or NumPy array of any shape and dtype.
        name: the argument's name in the message.

    Raises:
        UsageError: `values` is neither.
    """
    if isinstance(values, Tensor):
        return values
    if not isinstance(values, np.ndarray):
        raise UsageError(f"`{name}` must be a torch tensor or a NumPy array; got {type(values).__name__}")
    if any(stride < 0 for stride in values.strides) or not values.flags.writeable:
        values = values.copy()  # torch can view neither reversed nor read-only memory
    if not values.dtype.isnative:
        values = values.astype(values.dtype.newbyteorder("="))
    return torch.from_numpy(values)


def kernel_array(values: Tensor | np.ndarray) -> np.ndarray:
    """Return logits in the CPU's memory as kernels take them; they share it. bfloat16 becomes uint16."""
    if isinstance(values, np.ndarray):
        return values
    return (values.view(torch.uint16) if values.dtype == torch.bfloat16 else values).numpy()


def widen(values: Tensor) -> Tensor:
    """Return float16 and bfloat16 as float32, anything else unchanged."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def check_finite(values: Tensor, *, name: str, score: str | None = None) -> None:
    """Raise `UsageError` where a value is NaN or infinite, naming how many there are.

    Args:
        values: tensor of any shape.
        name: the argument's name in the message.
        score: name of the score that asks, for the message.
    """
    who = f"score '{score}': " if score else ""
    if values.numel() == 0:
        raise UsageError(f"{who}`{name}` must not be empty; got shape {tuple(values.shape)}")
    low, high = torch.aminmax(values.detach())  # NaN propagates; much cheaper than isfinite on every value
    if bool(torch.isfinite(low)) and bool(torch.isfinite(high)):
        return
    bad = int((~torch.isfinite(values.detach())).sum())
    raise UsageError(
        f"{who}`{name}` must be finite; {bad} of {values.numel()} values are NaN or infinite"
        " (check the network's weights and its precision)"
    )
