"""The two sums of the objective as one operation: no one-hot tensor, no second copy of the logits.

In: logits (N,C,H,W) of any precision and device, target (N,H,W). Out: both sums, differentiable, and
their pixel counts. For backward nothing is kept but logits and target; the softmax is computed again
where it is needed, and the gradient is the only tensor of the size of the logits that is made.

float32 on the CPU goes through compiled kernels; everything else through plain PyTorch, chunk by chunk,
which is also the reference.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from segood.compiled import kernels_enabled, run_parallel
from segood.errors import UsageError
from segood.types import IGNORE, OOD

_PIECE_PIXELS = 2**14
_CHUNKS = 16  # of plain PyTorch: its temporary values are a sixteenth of the logits'
_SMALLEST_CHUNK = 2**20  # values
_SMALLEST_ON_GPU = 2**24  # many small chunks would be all launching


def objective_sums(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return in_sum, in_count, ood_sum, ood_count.

    Args:
        logits: (N,C,H,W) floating point; computed in float32 at least.
        target: (N,H,W) integer; train ids 0..C-1, `OOD` or `IGNORE`.

    Raises:
        UsageError: a target value is none of those.
    """
    if torch.compiler.is_compiling() or not _has_storage(logits):
        # A compiler fuses the formula itself; functional transforms differentiate it.
        return _checked(target, logits.shape[1], *_sum_plainly(logits, target))
    return ObjectiveSums.apply(logits, target)  # type: ignore[no-any-return, no-untyped-call]


class ObjectiveSums(torch.autograd.Function):
    """Σ -log f_y over known pixels and Σ -1/q Σ_j log f_j over OoD pixels, with the numbers of both."""

    @staticmethod
    def forward(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # type: ignore[override]
        """Return what `objective_sums` does."""
        forward = _sum_by_kernels if _kernels_apply(logits, target) else _sum_plainly
        return _checked(target, logits.shape[1], *forward(logits, target))

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Keep logits and target, nothing else."""
        ctx.save_for_backward(*inputs)
        ctx.mark_non_differentiable(output[1], output[3])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """Return the gradient of the logits."""
        logits, target = ctx.saved_tensors
        known, unknown = gradients[0], gradients[2]
        if torch.is_grad_enabled():  # somebody will differentiate the gradient
            sums = _sum_plainly(logits, target)[0]
            weights = torch.stack([known, unknown])
            return torch.autograd.grad(sums, logits, weights, create_graph=True)[0], None
        backward = _gradient_by_kernels if _kernels_apply(logits, target) else _gradient_plainly
        return backward(logits, target, known, unknown), None


def _has_storage(values: Tensor) -> bool:
    try:
        values.data_ptr()
    except RuntimeError:
        return False
    return True


def _kernels_apply(logits: Tensor, target: Tensor) -> bool:
    return (
        logits.dtype == torch.float32
        and logits.device.type == target.device.type == "cpu"
        and logits.is_contiguous()
        and kernels_enabled()
    )


def _sum_by_kernels(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    from segood.training.loss_kernels import add_terms

    planes, labels, pieces = _pieces(logits, target)
    sums = torch.zeros(len(pieces), 2, dtype=torch.float64)
    counts = torch.zeros(len(pieces), 3, dtype=torch.int64)
    sums_of, counts_of = sums.numpy(), counts.numpy()

    def work(piece: int) -> None:
        n, first, last = pieces[piece]
        add_terms(planes[n], labels[n], first, last, OOD, IGNORE, sums_of[piece], counts_of[piece])

    run_parallel(work, len(pieces))
    return sums.sum(0).float(), counts.sum(0)


def _gradient_by_kernels(logits: Tensor, target: Tensor, known: Tensor, unknown: Tensor) -> Tensor:
    import numpy as np

    from segood.training.loss_kernels import write_gradient

    planes, labels, pieces = _pieces(logits, target)
    gradient = torch.empty_like(logits)
    written = gradient.numpy().reshape(planes.shape)
    weights = np.float32(known.item()), np.float32(unknown.item())

    def work(piece: int) -> None:
        n, first, last = pieces[piece]
        write_gradient(planes[n], labels[n], first, last, OOD, *weights, written[n])

    run_parallel(work, len(pieces))
    return gradient


def _pieces(logits: Tensor, target: Tensor) -> tuple[Any, Any, list[tuple[int, int, int]]]:
    """Return (N,C,P) and (N,P) arrays, and ranges of pixels that do not depend on the threads."""
    n, classes, height, width = logits.shape
    pixels = height * width
    planes = logits.detach().numpy().reshape(n, classes, pixels)
    labels = target.detach().contiguous().numpy().reshape(n, pixels)
    starts = range(0, pixels, _PIECE_PIXELS)
    return planes, labels, [(i, s, min(s + _PIECE_PIXELS, pixels)) for i in range(n) for s in starts]


def _sum_plainly(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    classes = logits.shape[1]
    sums, counts = [], []
    for part in chunks_of(logits):
        log_probs = F.log_softmax(logits[part], dim=1, dtype=precise(logits))
        labels, counted, ood, ignored = _labels(target[part[0], part[2]], classes)
        known = log_probs.gather(1, labels[:, None])[:, 0]
        sums.append(
            -torch.stack(
                [torch.where(counted, known, 0.0).sum(), torch.where(ood, log_probs.mean(1), 0.0).sum()]
            )
        )
        counts.append(torch.stack([counted.sum(), ood.sum(), (~(counted | ood | ignored)).sum()]))
    if not sums:
        return logits.new_zeros(2, dtype=precise(logits)), torch.zeros(
            3, dtype=torch.int64, device=logits.device
        )
    return torch.stack(sums).sum(0), torch.stack(counts).sum(0)


def _gradient_plainly(logits: Tensor, target: Tensor, known: Tensor, unknown: Tensor) -> Tensor:
    classes = logits.shape[1]
    gradient = torch.empty_like(logits)
    for part in chunks_of(logits):
        probs = F.softmax(logits[part], dim=1, dtype=precise(logits))
        labels, counted, ood, _ = _labels(target[part[0], part[2]], classes)
        for_known = torch.where(counted, known.to(probs), 0.0)[:, None]
        for_ood = torch.where(ood, unknown.to(probs), 0.0)[:, None]
        written = gradient[part] if gradient.dtype == probs.dtype else probs
        torch.addcmul(for_ood / -classes, probs, for_known + for_ood, out=written)
        written.scatter_add_(1, labels[:, None], -for_known)
        if written is probs:
            gradient[part] = probs
    return gradient


def chunks_of(logits: Tensor) -> Iterator[tuple[slice, slice, slice]]:
    """Yield indices (samples, all classes, rows) of parts that are small next to the logits."""
    n, classes, height, width = logits.shape
    smallest = _SMALLEST_CHUNK if logits.device.type == "cpu" else _SMALLEST_ON_GPU
    most = max(smallest, logits.numel() // _CHUNKS)
    rows = max(1, min(height, most // max(1, classes * width)))
    samples = max(1, most // max(1, classes * width * height)) if rows == height else 1
    for i in range(0, n, samples):
        for r in range(0, height, max(1, rows)):
            yield slice(i, i + samples), slice(None), slice(r, r + rows)


def precise(logits: Tensor) -> torch.dtype:
    """Return what sums over the pixels are computed in."""
    return torch.float64 if logits.dtype == torch.float64 else torch.float32


def _labels(target: Tensor, classes: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return labels that index classes, and which pixels are known, OoD, and ignored."""
    target = target.long()
    counted = (target >= 0) & (target < classes)
    return target.clamp(0, classes - 1), counted, target == OOD, target == IGNORE


def _checked(
    target: Tensor, classes: int, sums: Tensor, counts: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    if counts[2]:
        _, counted, ood, ignored = _labels(target, classes)
        value = int(target[~(counted | ood | ignored)][0])
        raise UsageError(
            f"`target` may hold train ids 0..{classes - 1}, {OOD} (OoD) and {IGNORE} (ignore); got {value}"
        )
    return sums[0], counts[0], sums[1], counts[1]
