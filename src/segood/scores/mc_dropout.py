"""MC dropout: how uncertain, or how much at odds, a network is with parts of it dropped at random.

In: logits (C,H,W) of several passes, one after the other. Out: score map (H,W) in [0,1]: the entropy of the
mean softmax, or its mutual information with the pass, divided by log C.
Source: Gal, Ghahramani, ICML 2016 (the mean softmax); Houlsby et al., arXiv 1112.5745 (mutual information:
the entropy of the mean minus the mean of the entropies).
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from segood.checks import check_choice, check_logits
from segood.errors import UsageError
from segood.scores.arrays import as_tensor, check_finite, widen
from segood.scores.base import FloatArray, Need, Observation, Score, Spacing, row_blocks
from segood.scores.entropy import normalized_entropy

Measure = Literal["entropy", "mutual_information"]


class MCDropout(Score):
    """Entropy of the mean softmax over passes with dropout, or the mutual information of class and pass.

    Values lie in [0,1]; the mutual information never exceeds the entropy. Most pixels of a trained network
    lie close to 0, hence logarithmic bins. Passes are added up as they come: memory does not grow with them.

    Args:
        passes: forwards of the network, at least 1; mutual information of one pass is 0.
        measure: `entropy` or `mutual_information`.
        seed: of the dropout; the same seed gives the same score, and the global generators stay as they are.

    Raises:
        UsageError: an argument breaks its rule.

    Reference:
        Gal, Ghahramani: Dropout as a Bayesian Approximation: Representing Model Uncertainty in Deep
        Learning, ICML 2016.

    Example:
        >>> surely_one, surely_other = torch.tensor([[50.0, 0.0], [0.0, 50.0]]).reshape(2, 2, 1, 1)
        >>> score = MCDropout(measure="mutual_information")
        >>> score.of_passes([surely_one, surely_other])  # each pass is sure, but of another class
        tensor([[1.]])
    """

    name: ClassVar[str] = "mc_dropout"
    title: ClassVar[str] = "MC dropout"
    reference: ClassVar[str] = "Gal and Ghahramani, ICML 2016, arXiv 1506.02142"
    needs: frozenset[Need] = frozenset({"dropout"})
    spacing: ClassVar[Spacing] = "log"
    range = (0.0, 1.0)

    def __init__(self, *, passes: int = 8, measure: Measure = "entropy", seed: int = 0) -> None:
        check_choice("measure", measure, ("entropy", "mutual_information"))
        self.passes = _whole("passes", passes, 1)
        self.seed = _whole("seed", seed, 0)
        self.measure = measure

    def check_network(self, network: Any) -> None:
        """Refuse a network that is known to have no dropout."""
        if getattr(network, "has_dropout", None) is False:
            raise UsageError(
                f"score '{self.name}' needs dropout, and network {network.label} has no dropout module (with "
                "a probability above 0); use a network that has one, for example deeplabv3plus_wrn38, or "
                "another score, for example entropy"
            )

    def of(self, observation: Observation) -> Float[Tensor, "h w"]:
        """Compute the score map of one image from `passes` forwards."""
        return self.of_passes(observation.dropout_logits(self.passes, self.seed))

    def of_passes(self, passes: Iterable[Float[Tensor, "c h w"]]) -> Float[Tensor, "h w"]:
        """Compute the score map from the logits of passes, however many.

        Args:
            passes: logits (C,H,W) each, tensors or arrays, finite; read once.

        Returns:
            (H,W) in [0,1], float32, or float64 for float64 logits.

        Raises:
            UsageError: no pass, other shapes, or values that are not finite.
        """
        total, entropies, count = torch.empty(0), torch.empty(0), 0
        for given in passes:
            logits = widen(as_tensor(given, name="logits").detach())
            check_logits(logits, dims=3)
            check_finite(logits, name="logits", score=self.name)
            if not count:
                total, entropies = torch.zeros_like(logits), torch.zeros_like(logits[0])
            if logits.shape != total.shape:
                raise UsageError(
                    f"all passes must have the shape of the first, {tuple(total.shape)}; "
                    f"got {tuple(logits.shape)}"
                )
            row = 0
            for block in row_blocks(logits[None]):
                rows = slice(row, row + block.shape[2])
                total[:, rows] += block[0].softmax(0)
                if self.measure == "mutual_information":
                    entropies[rows] += normalized_entropy(logits=block[0])
                row = rows.stop
            count += 1
        if not count:
            raise UsageError(f"score '{self.name}' must get at least one pass; got none")
        blocks = row_blocks(total.div_(count)[None])
        entropy = torch.cat([normalized_entropy(probs=block[0]) for block in blocks])
        if self.measure == "entropy":
            return entropy
        return (entropy - entropies / count).clamp_min_(0.0)

    def __call__(self, *, logits: FloatArray) -> FloatArray:
        """Refuse: one pass is not enough; see `of` and `of_passes`."""
        raise UsageError(
            f"score '{self.name}' needs several passes with dropout, so logits are not enough: call "
            "score.of(observe(model, image, scores=[score])), or score.of_passes"
        )

    def compute(self, logits: Float[Tensor, "n c h w"]) -> Float[Tensor, "n h w"]:
        """Compute the score of one pass."""
        return torch.stack([self.of_passes([frame]) for frame in logits])


def _whole(name: str, value: Any, least: int) -> int:
    try:
        found = operator.index(value)
    except TypeError:
        found = least - 1
    if found < least or isinstance(value, bool):
        raise UsageError(f"`{name}` must be a whole number, at least {least}; got {value!r}")
    return found
