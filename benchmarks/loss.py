"""The loss, forward and backward, against PyTorch's cross-entropy on the same tensor: time and memory."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.measure import as_bytes, as_time, compare
from benchmarks.memory import Work, cost, floor_seconds
from benchmarks.results import Requirement
from segood.training import EntropyMaximizationLoss
from segood.types import IGNORE, OOD

SHAPE, QUICK_SHAPE = (8, 19, 480, 480), (2, 19, 16, 16)
LIMIT = 1.3


def measure(quick: bool = False) -> list[Requirement]:
    """Measure time and memory; one pixel in ten is OoD for ours, of some class for the peer."""
    shape = QUICK_SHAPE if quick else SHAPE
    sizes = "×".join(map(str, shape))
    logits, target = batch(shape)
    known = without_ood(target)
    times = compare(
        lambda: gradient(EntropyMaximizationLoss(), logits, target),
        lambda: gradient(cross_entropy, logits, known),
        rounds=3 if quick else 11,
    )
    ours, peer = (cost(prepare, shape, name, runs=0, reuse=quick).peak_bytes for name in ("ours", "peer"))
    moved = 3 * logits.numel() * 4  # forward reads, backward reads again and writes the gradient
    return [
        Requirement(
            f"loss, forward + backward, {sizes}",
            as_time(times.our_median),
            f"cross_entropy: {as_time(times.peer_median)}",
            times.ratio,
            LIMIT,
            "×",
            spread=times.spread,
            note=f"physical floor {as_time(floor_seconds(moved))}",
        ),
        Requirement(
            f"loss: peak extra memory, {sizes}",
            as_bytes(ours),
            f"cross_entropy: {as_bytes(peer)}",
            ours / max(peer, 1),
            LIMIT,
            "×",
            note=f"the gradient that both return: {as_bytes(logits.numel() * 4)}",
        ),
    ]


def batch(shape: tuple[int, int, int, int]) -> tuple[Tensor, Tensor]:
    """Draw logits and a target of which a tenth is OoD."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(shape, generator=generator, requires_grad=True)
    target = torch.randint(0, shape[1], (shape[0], *shape[2:]), generator=generator)
    target[:, : shape[2] // 10] = OOD
    return logits, target


def without_ood(target: Tensor) -> Tensor:
    """Give every OoD pixel a class, so that the peer counts as many pixels as we do."""
    return target % 19


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Call the peer."""
    return F.cross_entropy(logits, target, ignore_index=IGNORE)


def gradient(objective: Callable[[Tensor, Tensor], Tensor], logits: Tensor, target: Tensor) -> Tensor:
    """Run forward and backward; nothing is kept between calls."""
    return torch.autograd.grad(objective(logits, target), logits)[0]


def prepare(shape: tuple[int, int, int, int], name: str) -> Work:
    """Make a batch and a call on it."""
    objective = EntropyMaximizationLoss() if name == "ours" else cross_entropy
    calls = []
    for size in (shape, QUICK_SHAPE):
        logits, target = batch(size)
        target = target if name == "ours" else without_ood(target)
        calls.append(lambda logits=logits, target=target: gradient(objective, logits, target))
    return Work(*calls)
