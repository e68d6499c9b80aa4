"""The contract of an out-of-distribution score.

In: logits (N,C,H,W). Out: score map (N,H,W), higher = more out of distribution, finite.
A score says what it is called, where it comes from, which values it takes, how its values are best
binned for streaming metrics, and what it needs beyond logits, so that callers need no special cases.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from segood.checks import check_logits
from segood.errors import UsageError
from segood.scores.arrays import as_tensor, check_finite, widen

Spacing = Literal["linear", "log"]
Need = Literal["logits", "fit", "gradients", "features", "dropout", "masks"]
FloatArray = TypeVar("FloatArray", Tensor, np.ndarray)

# Logits in one block of rows: small enough to stay in cache, and no second copy of the logits is ever made.
_BLOCK = 2**20


class Score(ABC):
    """One way to turn a network's output into a map of how unknown each pixel looks.

    A subclass sets the class attributes and writes `compute`. Scores that need more than logits say so
    in `needs`: `fit` (call `fit` before use), `gradients`, `features`, `dropout`, `masks` (the network's).

    Attributes:
        name: key for `get_score`, e.g. `entropy`.
        title: name as printed in tables.
        reference: where the method was published.
        needs: what has to be at hand, at least `logits`.
        spacing: recommended bin spacing for streaming metrics.
        range: (lowest, highest) value; the recommended range of the bins. Bounded scores never leave it;
            scores on the scale of logits say in their own docstring when they do.

    Example:
        >>> class Constant(Score):
        ...     name, title, reference, range = "constant", "Constant", "", (0.0, 1.0)
        ...
        ...     def compute(self, logits):
        ...         return logits[:, 0] * 0 + 0.5
        >>> Constant()(logits=np.zeros((1, 2, 1, 3), np.float32))
        array([[[0.5, 0.5, 0.5]]], dtype=float32)
    """

    name: ClassVar[str]
    title: ClassVar[str]
    reference: ClassVar[str]
    needs: ClassVar[frozenset[Need]] = frozenset({"logits"})
    spacing: ClassVar[Spacing] = "linear"
    range: tuple[float, float]

    @property
    def is_fitted(self) -> bool:
        """Whether the score can be used; False only for scores that need `fit` and have not seen data."""
        return True

    def fit(self, batches: Iterable[tuple[Tensor, Tensor]]) -> Score:
        """Learn the score's statistics.

        Args:
            batches: pairs of logits (N,C,H,W) and target (N,H,W) of in-distribution frames.

        Returns:
            This score, fitted.

        Raises:
            UsageError: this score has nothing to fit.
        """
        del batches
        raise UsageError(f"score '{self.name}' needs no fitting; call it directly")

    def check_network(self, network: Any) -> None:  # noqa: B027  most scores take any network
        """Raise `UsageError` where it is known that `network` cannot give what this score needs.

        Args:
            network: the model whose logits are scored; asked by those who have it at hand.
        """

    def __call__(self, *, logits: FloatArray) -> FloatArray:
        """Compute the score map of a batch.

        Args:
            logits: (N,C,H,W) tensor or array, float of any precision, C ≥ 2, finite.

        Returns:
            (N,H,W) of the same kind (and device); float32, or float64 for float64 logits.

        Raises:
            UsageError: wrong shape or type, values that are not finite, or a score that is not fitted.
        """
        tensor = as_tensor(logits, name="logits")
        check_logits(tensor, dims=4)
        if not self.is_fitted:
            raise UsageError(
                f"score '{self.name}' must be fitted before use; call fit on training data first"
            )
        scores = self._checked_scores(tensor)
        return scores if isinstance(logits, Tensor) else scores.numpy()

    def _checked_scores(self, logits: Tensor) -> Tensor:
        check_finite(logits, name="logits")
        return torch.cat([self.compute(widen(block)) for block in _row_blocks(logits)], dim=1)

    @abstractmethod
    def compute(self, logits: Float[Tensor, "n c h w"]) -> Float[Tensor, "n h w"]:
        """Compute the score of checked logits in float32 or float64; pixels are independent."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(range={self.range})"


def _row_blocks(logits: Tensor) -> Iterable[Tensor]:
    if logits.device.type != "cpu":
        return (logits,)
    n, c, _, w = logits.shape
    return logits.split(max(1, _BLOCK // (n * c * w)), dim=2)


def check_range(bounds: Any, *, name: str = "range") -> tuple[float, float]:
    """Return `bounds` as (low, high) floats, or raise `UsageError` unless low < high, both finite."""
    try:
        low, high = (float(bound) for bound in bounds)
    except (TypeError, ValueError):
        raise UsageError(f"`{name}` must be two numbers (low, high); got {bounds!r}") from None
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise UsageError(f"`{name}` must be finite with low < high; got {bounds!r}")
    return low, high
