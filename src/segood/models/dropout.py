"""Dropout at work in a network that is otherwise in evaluation mode, from a seed of its own.

Enters: a network. Leaves: its dropout modules, and a context in which they drop; modes and the global random
generators are afterwards as they were.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import nn
from torch.nn.modules.dropout import _DropoutNd


def dropout_modules(network: nn.Module) -> list[nn.Module]:
    """Return the dropout modules of any kind that drop anything at all.

    Example:
        >>> dropout_modules(nn.Sequential(nn.Dropout2d(0.3), nn.Dropout(0.0)))
        [Dropout2d(p=0.3, inplace=False)]
    """
    return [m for m in network.modules() if isinstance(m, _DropoutNd) and m.p > 0]


@contextlib.contextmanager
def active_dropout(network: nn.Module, device: torch.device, seed: int) -> Iterator[None]:
    """Let dropout drop within the context, the same for the same seed and device."""
    switched = [m for m in dropout_modules(network) if not m.training]
    # PyTorch's fused transformer layers look at their own mode only, and leave dropout out
    fused = torch.backends.mha.get_fastpath_enabled()
    with _seeded(device, seed):
        try:
            torch.backends.mha.set_fastpath_enabled(False)
            for module in switched:
                module.training = True
            yield
        finally:
            for module in switched:
                module.training = False
            torch.backends.mha.set_fastpath_enabled(fused)


@contextlib.contextmanager
def _seeded(device: torch.device, seed: int) -> Iterator[None]:
    """Seed the generators of the CPU and of `device`; afterwards they go on where they were."""
    if device.type == "cpu":
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            yield
        return
    index = torch.empty(0, device=device).device.index or 0
    with torch.random.fork_rng(devices=[index], device_type=device.type):
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            torch.cuda.default_generators[index].manual_seed(seed)
        else:
            getattr(torch, device.type).manual_seed(seed)
        yield
