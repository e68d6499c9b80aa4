"""Largest logit, negated: no class claims the pixel.

In: logits (N,C,H,W). Out: score map (N,H,W), on the scale of the logits.
"""

from __future__ import annotations

from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor

from segood.scores.base import Score, check_range

LOGIT_RANGE = (-512.0, 512.0)
"""Recommended bins for scores on the scale of logits: wide enough for trained networks, fine enough (the
2²¹ bins of `PixelMetrics` are 4.9e-4 wide) to bound the metrics' errors near 1e-4. Networks beyond it pass
`range=` to the score."""


class MaxLogit(Score):
    """The negated largest logit.

    Args:
        range: where the bins of streaming metrics lie. Larger logits are still scored correctly, but
            binned metrics will ask for a wider range.

    Raises:
        UsageError: `range` is not (low, high), finite and rising.

    Reference:
        Hendrycks et al.: Scaling Out-of-Distribution Detection for Real-World Settings, ICML 2022.

    Example:
        >>> import torch
        >>> MaxLogit()(logits=torch.tensor([3.0, 7.0]).reshape(1, 2, 1, 1))
        tensor([[[-7.]]])
    """

    name: ClassVar[str] = "max_logit"
    title: ClassVar[str] = "Max-logit"
    reference: ClassVar[str] = "Hendrycks et al., ICML 2022, arXiv 1911.11132"

    def __init__(self, *, range: Any = LOGIT_RANGE) -> None:
        self.range = check_range(range)

    def compute(self, logits: Float[Tensor, "n c h w"]) -> Float[Tensor, "n h w"]:
        """Compute -max z of checked logits."""
        return -logits.amax(dim=1)
