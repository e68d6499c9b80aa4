"""Mask classification reduced to class scores: a network that gives masks with classes speaks logits.

Enters: per query n the logits of its class (N,Q,C+1; the last channel is "no object") and of its mask
(N,Q,h,w). Leaves: log S (N,C,h,w) with S_c = Σ_n softmax(class)_nc · σ(mask)_n, so that the softmax of
what leaves is p_c ∝ S_c, and exp of it S_c itself (which the score `rba` needs).

Source: B. Cheng, A. G. Schwing, A. Kirillov, "Per-Pixel Classification is Not All You Need for
Semantic Segmentation", NeurIPS 2021 (MaskFormer), semantic inference.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from segood.errors import UsageError

# Transformers' names, and those of the original MaskFormer and Mask2Former
_NAMES = (("class_queries_logits", "masks_queries_logits"), ("pred_logits", "pred_masks"))


def find_mask_outputs(output: Any) -> tuple[Tensor, Tensor] | None:
    """Return class and mask logits if `output` is that of a mask-classification network, else None.

    Example:
        >>> find_mask_outputs({"out": torch.zeros(1, 2, 3, 3)}) is None
        True
    """
    for names in _NAMES:
        classes, masks = (
            output.get(n) if isinstance(output, Mapping) else getattr(output, n, None) for n in names
        )
        if isinstance(classes, Tensor) and isinstance(masks, Tensor):
            return classes, masks
    return None


def mask_class_logits(
    class_logits: Float[Tensor, "n q k"], mask_logits: Float[Tensor, "n q h w"]
) -> Float[Tensor, "n c h w"]:
    """Return log S per class and pixel; finite for any finite logits, and differentiable.

    The largest class and mask terms are taken out of the sum in log space. What remains is exact unless
    a class is claimed, relative to them, by less than the smallest float (1e-38): such a sum counts as 1e-38.

    Args:
        class_logits: (N,Q,C+1), "no object" last.
        mask_logits: (N,Q,h,w).

    Returns:
        (N,C,h,w), float32 or wider.

    Raises:
        UsageError: the shapes are others.

    Example:
        >>> sure = mask_class_logits(torch.zeros(1, 2, 4), torch.full((1, 2, 1, 1), 50.0))
        >>> sure.exp().flatten()  # two queries, each a quarter per class
        tensor([0.5000, 0.5000, 0.5000])
    """
    shapes = tuple(class_logits.shape), tuple(mask_logits.shape)
    if class_logits.ndim != 3 or mask_logits.ndim != 4 or shapes[0][:2] != shapes[1][:2] or shapes[0][2] < 3:
        raise UsageError(
            "mask outputs must be class logits (N,Q,C+1) and mask logits (N,Q,h,w) with C ≥ 2; "
            f"got {shapes[0]} and {shapes[1]}"
        )
    with torch.autocast(class_logits.device.type, enabled=False):  # half precision would round S away
        wide = torch.float64 if class_logits.dtype == torch.float64 else torch.float32
        of_class = F.log_softmax(class_logits.to(wide), dim=2)[:, :, :-1]
        of_mask = F.logsigmoid(mask_logits.to(wide))
        # constants for the gradient: they are subtracted and added again
        top_class = of_class.detach().amax(1, keepdim=True)
        top_mask = of_mask.detach().amax(1, keepdim=True)
        h, w = of_mask.shape[2:]
        weights = (of_class - top_class).exp().transpose(1, 2)  # (N,C,Q)
        masks = (of_mask - top_mask).exp().flatten(2)  # (N,Q,h·w)
        sums = torch.bmm(weights, masks).unflatten(2, (h, w))
        return sums.clamp_min(torch.finfo(wide).tiny).log() + top_class.transpose(1, 2)[..., None] + top_mask
