"""How far a network has moved from the one it was fine-tuned from, as one operation.

In: logits of both, (N,C,H,W), and the pixels that count, bool (N,H,W). Out: Σ KL(original ‖ network),
differentiable in the network's logits. The softmax of neither is kept: chunk by chunk it is computed again
where it is needed.

Source: G. Hinton et al., "Distilling the Knowledge in a Neural Network", 2015, with the original network as
the teacher, as in Z. Li, D. Hoiem, "Learning without Forgetting", ECCV 2016.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from segood.training.loss_sums import chunks_of, precise


class DivergenceSum(torch.autograd.Function):
    """Σ over the counted pixels of Σ_j p_j (log p_j - log f_j), p of the teacher, f of the network."""

    @staticmethod
    def forward(logits: Tensor, teacher_logits: Tensor, counted: Tensor) -> Tensor:  # type: ignore[override]
        """Return a scalar in nats, at least 0."""
        total = logits.new_zeros((), dtype=precise(logits))
        for part in chunks_of(logits):
            ours = F.log_softmax(logits[part], dim=1, dtype=total.dtype)
            theirs = F.log_softmax(teacher_logits[part], dim=1, dtype=total.dtype)
            divergence = (theirs.exp() * (theirs - ours)).sum(dim=1)
            total += torch.where(counted[part[0], part[2]], divergence, 0.0).sum()
        return total

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Keep the inputs, nothing else."""
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        """Return f - p at the counted pixels, times the incoming gradient."""
        logits, teacher_logits, counted = ctx.saved_tensors
        gradient = torch.empty_like(logits)
        for part in chunks_of(logits):
            moved = F.softmax(logits[part], dim=1, dtype=precise(logits))
            moved -= F.softmax(teacher_logits[part], dim=1, dtype=precise(logits))
            gradient[part] = moved * (counted[part[0], part[2]][:, None] * gradients[0])
        return gradient, None, None
