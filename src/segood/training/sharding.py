"""Networks too large for one device: every process keeps a part of the weights (PyTorch's FSDP2).

In: `trainer.strategy: fsdp`. Out: a strategy of the training engine, and the sharded network. It runs on GPUs
and, for tests, on the CPU.
"""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import nn

NAME = "fsdp"
LEAST_WEIGHTS = 2**20
"""Parts of a network with fewer weights are gathered together with what they are a part of."""


class ShardedStrategy(ModelParallelStrategy):
    """All processes share the weights, each has its own samples; checkpoints are whole, as ever."""

    def __init__(self) -> None:
        super().__init__(1, 1, save_distributed_checkpoint=False)

    def setup_environment(self) -> None:
        """Span the mesh over all processes, whose number is known by now."""
        self._data_parallel_size = self.num_nodes * self.num_processes
        super().setup_environment()


def shard(network: nn.Module, strategy: Any) -> None:
    """Share the weights of a network among all processes, if the strategy is to; in place, once.

    Its largest parts are gathered one after the other, when they compute, and let go again.
    """
    if not isinstance(strategy, ShardedStrategy):
        return
    from torch.distributed.fsdp import FSDPModule, fully_shard

    if isinstance(network, FSDPModule):
        return
    mesh = strategy.device_mesh["data_parallel"]
    network.to(memory_format=torch.contiguous_format)  # parts are cut from rows in memory
    for part in parts_of(network):
        fully_shard(part, mesh=mesh)
    fully_shard(network, mesh=mesh)


def parts_of(network: nn.Module, least: int = LEAST_WEIGHTS) -> list[nn.Module]:
    """Return the smallest parts of a network that have `least` weights or more, inner ones first.

    Containers that are not called themselves, such as `ModuleList`, are passed through.

    Example:
        >>> wide = nn.Sequential(nn.Conv2d(8, 64, 3), nn.Conv2d(64, 64, 3))
        >>> [sum(p.numel() for p in part.parameters()) for part in parts_of(wide, 10_000)]
        [36928]
    """
    found: list[nn.Module] = []
    for child in network.children():
        inner = parts_of(child, least)
        found += inner
        large = sum(p.numel() for p in child.parameters()) >= least
        if large and not inner and not isinstance(child, nn.ModuleList | nn.ModuleDict):
            found.append(child)
    return found
