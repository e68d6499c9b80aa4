"""Normalised softmax entropy: 0 where one class has all probability, 1 where all classes share it.

In: logits (N,C,H,W). Out: score map (N,H,W) in [0,1].
Source: Ē = -1/log q · Σ_j f_j log f_j, the score of Chan, Rottmann, Gottschalk (ICCV 2021), section 3.
"""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from segood.compiled import kernels_enabled
from segood.errors import UsageError
from segood.scores.arrays import kernel_array
from segood.scores.base import Score, Spacing
from segood.scores.rows import entropy_map


class Entropy(Score):
    """Normalised entropy of the softmax, clipped to [0,1] against rounding.

    Most pixels of a trained network lie close to 0, hence logarithmic bins.

    Reference:
        Chan, Rottmann, Gottschalk: Entropy Maximization and Meta Classification for Out-of-Distribution
        Detection in Semantic Segmentation, ICCV 2021.

    Example:
        >>> import torch
        >>> Entropy()(logits=torch.zeros(1, 19, 1, 2))
        tensor([[[1., 1.]]])
    """

    name: ClassVar[str] = "entropy"
    title: ClassVar[str] = "Softmax entropy"
    reference: ClassVar[str] = "Chan et al., ICCV 2021, arXiv 2012.06575"
    spacing: ClassVar[Spacing] = "log"
    range = (0.0, 1.0)

    def compute(self, logits: Float[Tensor, "n c h w"]) -> Float[Tensor, "n h w"]:
        """Compute Ē of checked logits."""
        return normalized_entropy(logits=logits, dim=1)

    def _checked_scores(self, logits: Tensor) -> Tensor:
        is_short = logits.dtype in (torch.float16, torch.bfloat16, torch.float32)
        if (
            is_short
            and logits.device.type == "cpu"
            and not logits.requires_grad
            and logits.numel()
            and kernels_enabled()
        ):
            maps = [entropy for frame in logits if (entropy := entropy_map(kernel_array(frame))) is not None]
            if len(maps) == len(logits):
                return self.finish(torch.from_numpy(np.stack(maps) if len(maps) > 1 else maps[0][None]))
        return super()._checked_scores(logits)


def normalized_entropy(*, logits: Tensor | None = None, probs: Tensor | None = None, dim: int = 0) -> Tensor:
    """Compute the entropy over axis `dim`, divided by its largest value, log of the number of classes.

    With d = z - max z ≤ 0 and s = Σ exp d, the entropy is log s - Σ d·exp(d) / s: no logarithm of a
    probability that may have vanished, so ±1e4 is as safe as ±1.

    Args:
        logits: finite float32 or float64 tensor, classes on axis `dim`; or
        probs: the same with probabilities (each ≥ 0, sum 1). Exactly one of both.
        dim: axis of the classes, at least 2 of them.

    Returns:
        Tensor without axis `dim`, values in [0,1].

    Raises:
        UsageError: none or both of `logits` and `probs` are given, or fewer than two classes.

    Example:
        >>> import torch
        >>> normalized_entropy(probs=torch.tensor([0.5, 0.5, 0.0, 0.0]))
        tensor(0.5000)
    """
    if (logits is None) == (probs is None):
        given = "neither" if logits is None else "both"
        raise UsageError(f"exactly one of `logits` and `probs` must be given; got {given}")
    values = probs if logits is None else logits
    assert values is not None
    if values.shape[dim] < 2:
        raise UsageError(f"axis {dim} must hold at least 2 classes; got shape {tuple(values.shape)}")
    if probs is not None:
        entropy, classes = torch.special.entr(probs).sum(dim), probs.shape[dim]
    else:
        assert logits is not None
        # Differences beyond the range of the type count as its end.
        below = (logits - logits.amax(dim, keepdim=True)).clamp(min=torch.finfo(logits.dtype).min)
        weight = below.exp()
        total = weight.sum(dim)
        entropy, classes = total.log() - (below * weight).sum(dim) / total, logits.shape[dim]
    return (entropy / math.log(classes)).clamp(0.0, 1.0)
