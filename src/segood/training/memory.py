"""How much memory a training step will take, without data, without a device, in seconds.

In: a network, batch size, crop, optimiser. Out: bytes, by kind.

The step is run on PyTorch's `meta` device, where tensors have a shape and no content: forward, loss,
backward and optimiser create and free the tensors they would, and the sizes are summed up. What is
not in it: what convolution libraries take for their work, gaps between allocations, and the driver
itself, together commonly one or two GB on a GPU.
"""

from __future__ import annotations

import copy
import weakref
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from segood.models import SegmentationModel
from segood.training.config import OptimizerConfig
from segood.training.module import build_optimizer


@dataclass(frozen=True)
class StepMemory:
    """Estimated bytes of one training step in float32.

    Attributes:
        parameters: weights and buffers, also those of the original network where it is distilled.
        gradients: one value per trained weight.
        optimizer: its state.
        activations: everything else alive at the worst moment: images, what the backward needs of
            the forward, and temporary results.
        peak: most bytes alive at once.
    """

    parameters: int
    gradients: int
    optimizer: int
    activations: int
    peak: int


def estimate_step_memory(
    model: SegmentationModel,
    optimizer: OptimizerConfig,
    *,
    batch_size: int,
    crop_size: tuple[int, int],
    distilled: bool = False,
) -> StepMemory:
    """Estimate the memory of one training step.

    Args:
        model: is moved to the `meta` device: its weights are gone afterwards.
        optimizer: as the training will use it.
        batch_size: samples per step.
        crop_size: rows and columns of a sample.
        distilled: whether the original network is kept and asked, too.

    Raises:
        Exception: whatever the network raises if it cannot run without the content of its tensors.

    Example:
        >>> from segood.models import load_model
        >>> memory = estimate_step_memory(
        ...     load_model("unet", width=8), OptimizerConfig("adam"), batch_size=2, crop_size=(64, 96)
        ... )
        >>> memory.optimizer // memory.gradients, memory.activations > memory.parameters
        (2, True)
    """
    model = model.to("meta").train()
    teacher = copy.deepcopy(model).eval().requires_grad_(False) if distilled else None
    images = torch.empty((batch_size, 3, *crop_size), device="meta")
    target = torch.empty((batch_size, *crop_size), dtype=torch.long, device="meta")
    built = build_optimizer(model, optimizer, total_steps=1)
    steps = built["optimizer"] if isinstance(built, Mapping) else built
    _step(model, steps, images, target, teacher)  # from now on, gradients and optimiser state are there
    state = list(tree_leaves(list(steps.state.values())))
    weights = [w for m in (model, teacher) if m for w in (*m.parameters(), *m.buffers())]
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    with _LiveBytes([*weights, *gradients, *state, images, target]) as live:
        _step(model, steps, images, target, teacher)
    fixed = (_bytes(weights), _bytes(gradients), _bytes(state))
    return StepMemory(*fixed, max(live.peak - sum(fixed), 0), live.peak)


def _step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    images: Tensor,
    target: Tensor,
    teacher: nn.Module | None = None,
) -> None:
    """Do what the training engine does: old gradients go after the forward."""
    with torch.no_grad():
        theirs = None if teacher is None else teacher(images)  # noqa: F841  kept to the end
    # cross entropy in the place of the objective: the same tensors, and no need to read them
    loss = F.cross_entropy(model(images), target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


class _LiveBytes(TorchDispatchMode):
    """Sum up the storages alive; `peak` is the largest sum so far."""

    def __init__(self, existing: Iterable[Any]) -> None:
        super().__init__()
        self.live = self.peak = 0
        self._known: dict[int, weakref.finalize] = {}  # type: ignore[type-arg]
        for value in existing:
            self._count(value)

    def __torch_dispatch__(  # type: ignore[no-untyped-def]
        self, func, types, args=(), kwargs=None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for value in tree_leaves(result):
            self._count(value)
        return result

    def __exit__(self, *exception: Any) -> None:
        super().__exit__(*exception)
        for watch in self._known.values():
            watch.detach()

    def _count(self, value: Any) -> None:
        if not isinstance(value, Tensor):
            return
        storage = value.untyped_storage()
        key = storage._cdata
        if key in self._known:
            return
        size = storage.nbytes()
        self._known[key] = weakref.finalize(storage, self._forget, key, size)
        self.live += size
        self.peak = max(self.peak, self.live)

    def _forget(self, key: int, size: int) -> None:
        self.live -= size
        del self._known[key]


def _bytes(values: Iterable[Any]) -> int:
    storages = {
        v.untyped_storage()._cdata: v.untyped_storage().nbytes() for v in values if isinstance(v, Tensor)
    }
    return sum(storages.values())
