"""The contract of an out-of-distribution score.

In: what a network says about one image (`Observation`), or logits (N,C,H,W) alone. Out: score map, higher =
more out of distribution, finite, also in float16.
A score says what it is called, where it comes from, which values it takes, how its values are best
binned for streaming metrics, and what it needs beyond logits, so that callers need no special cases.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from segood.checks import check_logits
from segood.errors import UsageError
from segood.scores.arrays import as_tensor, check_finite, widen
from segood.scores.observation import Observation as Observation
from segood.user_code import call_user_code

Spacing = Literal["linear", "log"]
Need = Literal["logits", "fit", "gradients", "features", "dropout", "masks"]
Target = Tensor | np.ndarray
FloatArray = TypeVar("FloatArray", Tensor, np.ndarray)
Self = TypeVar("Self", bound="Score")

# Logits in one block of rows: small enough to stay in cache, and no second copy of the logits is ever made.
_BLOCK = 2**20


class Score(ABC):
    """One way to turn a network's output into a map of how unknown each pixel looks.

    A subclass sets the class attributes and writes `compute`. Scores that need more than logits say so in
    `needs`: `fit` (call `fit` before use), `gradients`, `features`, `dropout`, `masks` (the network's), and
    get it in `of`.

    Attributes:
        name: key for `get_score`, e.g. `entropy`.
        title: name as printed in tables.
        reference: where the method was published.
        needs: what has to be at hand; with `logits` and `masks` alone, logits are enough.
        spacing: recommended bin spacing for streaming metrics.
        range: (lowest, highest) value; the recommended range of the bins. Bounded scores never leave it;
            scores on the scale of logits say in their own docstring when they do.
        search_space: options that are worth a search on validation data, with the values to try.
        layer: of scores that need features, where these are taken; None for the network's default.

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
    needs: frozenset[Need] = frozenset({"logits"})
    spacing: ClassVar[Spacing] = "linear"
    range: tuple[float, float]
    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = MappingProxyType({})
    layer: str | None = None

    # ---- scoring

    def of(self, observation: Observation) -> Float[Tensor, "h w"]:
        """Compute the score map of one image, seen by a network.

        Args:
            observation: what the network says, see `segood.models.observation.observe`.

        Returns:
            (H,W) at the observation's size, on the network's device; float32, or float64 for float64 logits.

        Raises:
            UsageError: the network cannot give what the score needs, values that are not finite, or a
                score that is not fitted.
        """
        return self(logits=observation.logits()[None])[0]

    def __call__(self, *, logits: FloatArray) -> FloatArray:
        """Compute the score map of a batch.

        Args:
            logits: (N,C,H,W) tensor or array, float of any precision, C ≥ 2, finite.

        Returns:
            (N,H,W) of the same kind (and device); float32, or float64 for float64 logits.

        Raises:
            UsageError: wrong shape or type, values that are not finite, a score that is not fitted, or
                one that logits are not enough for.
        """
        tensor = as_tensor(logits, name="logits")
        check_logits(tensor, dims=4)
        self.check_fitted()
        scores = self._checked_scores(tensor)
        return scores if isinstance(logits, Tensor) else scores.numpy()

    def _checked_scores(self, logits: Tensor) -> Tensor:
        check_finite(logits, name="logits", score=self.name)
        blocks = [self._guarded(self.compute, "logits", widen(block)) for block in row_blocks(logits)]
        return self._guarded(self.finish, "scores", torch.cat(blocks, dim=1))

    def _guarded(self, method: Callable[..., Tensor], argument: str, values: Tensor) -> Tensor:
        """Call `compute` or `finish`, and look at what code of a user gives back."""
        if _is_segoods(type(self)):
            return method(values)
        scores = call_user_code(f"score {self.name}", method, {argument: values}, shown=argument)
        wanted = (len(values), *values.shape[-2:])
        if not isinstance(scores, Tensor) or scores.shape != wanted:
            got = tuple(getattr(scores, "shape", ())) or type(scores).__name__
            raise UsageError(f"score {self.name}: {method.__name__} must return (N,H,W)={wanted}; got {got}")
        check_finite(scores, name="scores", score=self.name)
        return scores

    @abstractmethod
    def compute(self, logits: Float[Tensor, "n c h w"]) -> Float[Tensor, "n h w"]:
        """Compute the score of checked logits in float32 or float64; pixels are independent."""

    def finish(self, scores: Float[Tensor, "n h w"]) -> Float[Tensor, "n h w"]:
        """Return the score maps as they are, or what a score makes of a pixel and those around it.

        Args:
            scores: whole maps, of what `compute` returned.
        """
        return scores

    def check_network(self, network: Any) -> None:  # noqa: B027  most scores take any network
        """Raise `UsageError` where it is known that `network` cannot give what this score needs.

        Args:
            network: the model whose logits are scored; asked by those who have it at hand.
        """

    # ---- fitting; `segood.scores.fitted.FittedScore` does it

    @property
    def is_fitted(self) -> bool:
        """Whether the score can be used; False only for scores that need `fit` and have not seen data."""
        return True

    @property
    def unseen_classes(self) -> tuple[int, ...]:
        """Classes that fitting has not seen, which the score leaves out; none where nothing is fitted."""
        return ()

    def check_fitted(self) -> None:
        """Raise `UsageError` unless the score can be used."""
        if not self.is_fitted:
            raise UsageError(
                f"score '{self.name}' must be fitted before use; use `segood compare`, which fits it, or in "
                "Python call fit on training data first"
            )

    def fit(self: Self, pairs: Iterable[tuple[Observation, Target]]) -> Self:
        """Learn the score's statistics anew, in one pass; nothing but these is kept.

        Args:
            pairs: observations and targets (H,W) of in-distribution frames; 254 and above is ignored.

        Returns:
            This score, fitted.

        Raises:
            UsageError: this score has nothing to fit, or there is not one labelled pixel.
        """
        raise self._nothing_to_fit()

    def update(self, observation: Observation, target: Target) -> None:
        """Add one frame to the score's statistics; see `fit`."""
        raise self._nothing_to_fit()

    def merge(self: Self, other: Self) -> Self:
        """Add the statistics of another score of the same kind, of other frames; return this one."""
        raise self._nothing_to_fit()

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return the fitted statistics as plain arrays; empty where nothing is fitted."""
        return {}

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Take the statistics that `state_dict` returned, instead of those of this score."""
        if state:
            raise self._nothing_to_fit()

    def _nothing_to_fit(self) -> UsageError:
        return UsageError(f"score '{self.name}' needs no fitting; call it directly")

    def __repr__(self) -> str:
        return f"{type(self).__name__}(range={self.range})"


def _is_segoods(kind: type) -> bool:
    return kind.__module__.partition(".")[0] == "segood"


def row_blocks(values: Tensor) -> tuple[Tensor, ...]:
    """Cut (N,C,H,W) into blocks of rows that stay in the cache; one block on other devices than the CPU."""
    if values.device.type != "cpu":
        return (values,)
    n, c, _, w = values.shape
    return values.split(max(1, _BLOCK // (n * c * w)), dim=2)


def check_range(bounds: Any, *, name: str = "range") -> tuple[float, float]:
    """Return `bounds` as (low, high) floats, or raise `UsageError` unless low < high, both finite."""
    try:
        low, high = (float(bound) for bound in bounds)
    except (TypeError, ValueError):
        raise UsageError(f"`{name}` must be two numbers (low, high); got {bounds!r}") from None
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise UsageError(f"`{name}` must be finite with low < high; got {bounds!r}")
    return low, high
