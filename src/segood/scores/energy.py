"""Free energy of the logits: -T · log Σ_j exp(z_j / T).

In: logits (N,C,H,W). Out: score map (N,H,W), on the scale of the logits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor

from segood.errors import UsageError
from segood.scores.base import Score, check_range
from segood.scores.max_logit import LOGIT_RANGE


class Energy(Score):
    """Negated, tempered log-sum-exp of the logits; tends to `max_logit` as T tends to 0.

    Args:
        temperature: T > 0.
        range: where the bins of streaming metrics lie, as for `max_logit`.

    Raises:
        UsageError: `temperature` is not above 0, or `range` is not (low, high).

    Reference:
        Liu et al.: Energy-based Out-of-distribution Detection, NeurIPS 2020.

    Example:
        >>> import torch
        >>> Energy()(logits=torch.zeros(1, 2, 1, 1))  # -log 2
        tensor([[[-0.6931]]])
    """

    name: ClassVar[str] = "energy"
    title: ClassVar[str] = "Energy"
    reference: ClassVar[str] = "Liu et al., NeurIPS 2020, arXiv 2010.03759"
    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {"temperature": (0.5, 1, 2, 5, 10)}

    def __init__(self, *, temperature: float = 1.0, range: Any = LOGIT_RANGE) -> None:
        if not (math.isfinite(temperature) and temperature > 0):
            raise UsageError(f"`temperature` must be a finite number above 0; got {temperature}")
        self.temperature = float(temperature)
        self.range = check_range(range)

    def compute(self, logits: Float[Tensor, "n c h w"]) -> Float[Tensor, "n h w"]:
        """Compute the energy of checked logits."""
        return -self.temperature * (logits / self.temperature).logsumexp(dim=1)
