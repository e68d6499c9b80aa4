"""The linear meta classifier at work: numbers in, probabilities and reasons out; NumPy only.

In: segment features as an array. Out: probability that a segment is a false positive, and what each feature
adds to it. `MetaClassifier` fits what is applied here; a monitor in the field needs no more than this.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from segood.errors import UsageError
from segood.meta.storage import LINEAR, parse_model, read_model

if TYPE_CHECKING:
    from jaxtyping import Float64


@dataclass(frozen=True)
class LinearDecision:
    """A fitted linear meta classifier.

    Attributes:
        feature_names: of the m columns.
        mean, scale, coefficients: (m,) float64.
        intercept: float; the logit is intercept + Σ coefficient · (value - mean) / scale.
        threshold: a segment is removed where its probability reaches this.
        provenance: where it was fitted.

    Example:
        >>> decision = LinearDecision(("size",), np.zeros(1), np.ones(1), np.array([-2.0]), 0.0, 0.5)
        >>> decision.probabilities(np.array([[0.0], [3.0]])).round(4).tolist()
        [0.5, 0.0025]
    """

    feature_names: tuple[str, ...]
    mean: np.ndarray
    scale: np.ndarray
    coefficients: np.ndarray
    intercept: float
    threshold: float
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, path: str | Path) -> LinearDecision:
        """Read `meta.json`.

        Raises:
            DataError: the file is missing, no JSON, of another format, or a field breaks its rule.
        """
        return cls._of(read_model(path, LINEAR))

    @classmethod
    def parse(cls, content: bytes, name: str) -> LinearDecision:
        """Read the content of a `meta.json`, which errors call `name`; raises as `load`."""
        return cls._of(parse_model(content, LINEAR, name))

    @classmethod
    def _of(cls, stored: Mapping[str, Any]) -> LinearDecision:
        mean, scale, coefficients = (
            np.array(stored[name], np.float64) for name in ("mean", "scale", "coefficients")
        )
        return cls(
            tuple(stored["feature_names"]),
            mean,
            scale,
            coefficients,
            float(stored["intercept"]),
            float(stored["threshold"]),
            stored["provenance"],
        )

    def for_columns(self, names: Sequence[str]) -> LinearDecision:
        """Return the same decision for a table whose columns are called and ordered like `names`.

        Raises:
            UsageError: these are not the columns of the fit.
        """
        if tuple(names) == self.feature_names:
            return self
        if set(names) != set(self.feature_names):
            raise UsageError(
                f"the meta classifier was fitted on {len(self.feature_names)} features, of "
                f"{_count_classes(self.feature_names)} classes; here there are {len(names)}, of "
                f"{_count_classes(names)} classes: give the meta.json of a run with this network"
            )
        order = [self.feature_names.index(name) for name in names]
        mean, scale, coefficients = (values[order] for values in (self.mean, self.scale, self.coefficients))
        return replace(self, feature_names=tuple(names), mean=mean, scale=scale, coefficients=coefficients)

    def contributions(self, values: Float64[np.ndarray, "k m"]) -> Float64[np.ndarray, "k m"]:
        """Return what each feature adds to the logit of "false positive" of each segment."""
        added: np.ndarray = (values - self.mean) / self.scale * self.coefficients
        return added

    def probabilities(self, values: Float64[np.ndarray, "k m"]) -> Float64[np.ndarray, " k"]:
        """Return the probability of "false positive" per segment."""
        return self.of_logits(self.contributions(values).sum(axis=1) + self.intercept)

    @staticmethod
    def of_logits(logits: Float64[np.ndarray, " k"]) -> Float64[np.ndarray, " k"]:
        """Return 1 / (1 + exp(-logit)), stable for any finite logit."""
        small = np.exp(-np.abs(logits))
        shares: np.ndarray = np.where(logits >= 0, 1.0, small) / (1.0 + small)
        return shares


def _count_classes(names: Sequence[str]) -> int:
    return sum(name.startswith("class_probability_") for name in names)
