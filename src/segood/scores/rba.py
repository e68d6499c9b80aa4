"""Rejected by all (RbA): no mask of a mask-classification network claims the pixel for any class.

In: logits (N,C,H,W) = log S, S_c = Σ_n softmax(class)_nc · σ(mask)_n as `segood.models` makes them of mask
outputs. Out: score map (N,H,W), -Σ_c tanh(S_c), from -C (claimed for all classes) to 0 (for none).
"""

from __future__ import annotations

from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor

from segood.errors import UsageError
from segood.scores.base import Need, Score, check_range

_SATURATED = 20.0  # tanh(exp(20)) is 1; beyond, exp and its gradient would overflow


class RbA(Score):
    """Minus the sum over classes of the tanh of the mask-weighted class scores.

    A score sees logits only. Those of a network that is known to give no masks are refused by the callers
    that know the network (`check_network`). For other logits z the value is what the formula says,
    -Σ_c tanh(exp z_c), but exp z_c is then no sum of masks, and the value has no such meaning.

    Args:
        range: where the bins of streaming metrics lie. Values lie in [-C, 0]; with more than 128 classes
            they may leave the default range (only if more than 128 masks cover a pixel).

    Raises:
        UsageError: `range` is not (low, high), finite and rising.

    Reference:
        Nayal et al.: RbA: Segmenting Unknown Regions Rejected by All, ICCV 2023.

    Example:
        >>> import torch
        >>> RbA()(logits=torch.tensor([0.5, 0.25]).log().reshape(1, 2, 1, 1))  # -tanh 1/2 - tanh 1/4
        tensor([[[-0.7070]]])
    """

    name: ClassVar[str] = "rba"
    title: ClassVar[str] = "RbA"
    reference: ClassVar[str] = "Nayal et al., ICCV 2023, arXiv 2211.14293"
    needs: frozenset[Need] = frozenset({"logits", "masks"})

    def __init__(self, *, range: Any = (-128.0, 0.0)) -> None:
        self.range = check_range(range)

    def check_network(self, network: Any) -> None:
        """Refuse a network that is known to give one logit per class and pixel instead of masks."""
        if getattr(network, "gives_masks", None) is False:
            raise UsageError(
                "score 'rba' is for mask-classification networks (MaskFormer, Mask2Former, ...); this "
                "network gives logits per class, so choose another score, for example entropy"
            )

    def compute(self, logits: Float[Tensor, "n c h w"]) -> Float[Tensor, "n h w"]:
        """Compute -Σ tanh S of checked log S."""
        return -logits.clamp_max(_SATURATED).exp().tanh().sum(dim=1)
