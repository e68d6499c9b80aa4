"""Maximum softmax probability, turned round: 1 - max_j f_j.

In: logits (N,C,H,W). Out: score map (N,H,W) in [0, 1 - 1/C].
"""

from __future__ import annotations

from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from segood.scores.base import Score, Spacing


class MSP(Score):
    """One minus the largest softmax probability.

    Summed from the other classes' probabilities, so that values far below the float32 spacing at 1
    (6e-8) stay apart instead of all becoming 0.

    Reference:
        Hendrycks, Gimpel: A Baseline for Detecting Misclassified and Out-of-Distribution Examples in
        Neural Networks, ICLR 2017.

    Example:
        >>> import torch
        >>> MSP()(logits=torch.tensor([0.0, 50.0]).reshape(1, 2, 1, 1))
        tensor([[[1.9287e-22]]])
    """

    name: ClassVar[str] = "msp"
    title: ClassVar[str] = "Maximum softmax probability"
    reference: ClassVar[str] = "Hendrycks and Gimpel, ICLR 2017, arXiv 1610.02136"
    spacing: ClassVar[Spacing] = "log"
    range = (0.0, 1.0)

    def compute(self, logits: Float[Tensor, "n c h w"]) -> Float[Tensor, "n h w"]:
        """Compute 1 - max softmax of checked logits."""
        top, index = logits.max(dim=1, keepdim=True)
        others = (logits - top).exp().scatter(1, index, 0.0).sum(dim=1)
        return others / (1.0 + others)
