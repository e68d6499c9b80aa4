"""ODIN: softmax with a temperature, of an image that is moved to where the network is surer.

In: logits (N,C,H,W), of the moved image. Out: score map (N,H,W), T · log mean_j exp((z_j - max z) / T),
in [-T·log C, 0].
Source: Liang et al., ICLR 2018, eq. 1 and 2; the objective summed over the pixels of the image.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from segood.errors import UsageError
from segood.scores.base import FloatArray, Need, Observation, Score, check_range

_WIDEST, _MANY_CLASSES = 1024.0, 256


@dataclass(frozen=True)
class LogMaxSoftmax:
    """T · Σ log(C · max softmax(z / T)), the sum over all pixels: what the image is moved to raise.

    Args:
        temperature: T > 0.

    Example:
        >>> LogMaxSoftmax(1.0)(torch.tensor([0.0, 3.0]).log1p().reshape(1, 2, 1, 1))  # log(2 · 4/5)
        tensor(0.4700)
    """

    temperature: float

    def __call__(self, logits: Float[Tensor, "n c i j"]) -> Tensor:
        """Compute the sum, differentiably."""
        return -log_mean_exp(logits, self.temperature).sum()


class ODIN(Score):
    """Tempered maximum softmax probability S of a perturbed image, as -T · log(C · S).

    The published score, 1 - S, and this one order pixels alike, whatever they show: -T·log(C·S) falls
    strictly as S rises. But at T = 1000, S is 1/C up to a fraction of a percent: 1 - S needs float64, while
    this form keeps all digits of float32, and tends to the mean of the logits minus their maximum. Its range
    is [-T·log C, 0]: 0 where all classes are equal. For small T it crowds at the lower end, so at T = 1
    without perturbation take `msp`.

    The image moves by ε·sign(∂ log S / ∂x) in every value, in the units of images in [0,1] before
    normalisation (as the published code has it): 0.004 is about one step of an 8-bit image. It is not
    clipped to [0,1].

    Args:
        temperature: T > 0.
        epsilon: ε ≥ 0; 0 needs no gradient, and `needs` says so.
        range: where the bins of streaming metrics lie. By default they hold [-T·log C, 0] for up to 256
            classes, but no more than differences of logits up to 1024.

    Raises:
        UsageError: an argument breaks its rule.

    Reference:
        Liang et al.: Enhancing The Reliability of Out-of-distribution Image Detection in Neural Networks,
        ICLR 2018.

    Example:
        >>> score = ODIN(temperature=1.0, epsilon=0.0)
        >>> score(logits=torch.tensor([0.0, 3.0]).log1p().reshape(1, 2, 1, 1))  # -log(2 · 4/5)
        tensor([[[-0.4700]]])
    """

    name: ClassVar[str] = "odin"
    title: ClassVar[str] = "ODIN"
    reference: ClassVar[str] = "Liang et al., ICLR 2018, arXiv 1706.02690"
    needs: frozenset[Need] = frozenset({"logits", "gradients"})
    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "temperature": (1, 10, 100, 1000),
        "epsilon": (0, 0.0005, 0.001, 0.002, 0.004),
    }

    def __init__(self, *, temperature: float = 1000.0, epsilon: float = 0.001, range: Any = None) -> None:
        if not (math.isfinite(temperature) and temperature > 0):
            raise UsageError(f"`temperature` must be a finite number above 0; got {temperature}")
        if not (math.isfinite(epsilon) and epsilon >= 0):
            raise UsageError(f"`epsilon` must be a finite number, at least 0; got {epsilon}")
        self.temperature, self.epsilon = float(temperature), float(epsilon)
        if not epsilon:
            self.needs = frozenset({"logits"})
        lowest = -min(self.temperature * math.log(_MANY_CLASSES), _WIDEST)
        self.range = check_range((lowest, 0.0) if range is None else range)

    def check_network(self, network: Any) -> None:
        """Refuse a network that is known to give no gradient, if one is needed."""
        if self.epsilon and getattr(network, "gives_gradients", None) is False:
            raise UsageError(
                f"score '{self.name}' needs gradients, which network {network.label} does not give; use its "
                "PyTorch network, or epsilon=0"
            )

    def of(self, observation: Observation) -> Float[Tensor, "h w"]:
        """Compute the score map of the perturbed image."""
        logits = observation.perturbed_logits(LogMaxSoftmax(self.temperature), self.epsilon)
        return self._checked_scores(logits[None])[0]

    def __call__(self, *, logits: FloatArray) -> FloatArray:
        """Compute the score map of logits alone, as the base class says; only where `epsilon` is 0."""
        if self.epsilon:
            raise UsageError(
                f"score '{self.name}' with epsilon={self.epsilon} perturbs the image, so logits are not "
                "enough: call score.of(observe(model, image, scores=[score])), or set epsilon=0"
            )
        return super().__call__(logits=logits)

    def compute(self, logits: Float[Tensor, "n c h w"]) -> Float[Tensor, "n h w"]:
        """Compute -T·log(C·S) of checked logits."""
        return log_mean_exp(logits, self.temperature)


def log_mean_exp(logits: Float[Tensor, "n c h w"], temperature: float) -> Float[Tensor, "n h w"]:
    """Compute T · log mean_j exp((z_j - max z) / T) over the classes; no digit is lost for large T."""
    below = ((logits - logits.amax(dim=1, keepdim=True)) / temperature).expm1()
    return torch.log1p(below.mean(dim=1)) * temperature
