"""The meta classifier: a linear model whose every decision decomposes into its features.

In: segment features. Out: probability that a segment is a false positive; contributions per feature.
Source: paper, section 3.2: standardised features, logistic regression (L2, C = 1, intercept not penalised).
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pandas as pd

from segood.meta.base import SegmentClassifier
from segood.meta.decision import LinearDecision
from segood.meta.logistic import fit_logistic, penalties, with_intercept
from segood.meta.storage import LINEAR, Kind
from segood.meta.table import Standardized, finite_values


class MetaClassifier(SegmentClassifier):
    """Tell false alarms from objects by the features of a segment.

    Args:
        threshold: probability in [0, 1] from which `is_removed` says yes.

    Attributes:
        feature_names: tuple of the m columns, in the order of the fit.
        coefficients: (m,) float64 on standardised features; 0 for columns constant in the fit.
        intercept: float.
        mean, scale: (m,) float64 of the standardisation.
        threshold: as given.
        num_segments, num_false_positives: what it was fitted on.
        provenance: where that came from, as the caller says: plain JSON values.

    Raises:
        UsageError: `threshold` outside [0, 1].

    Example:
        >>> table = pd.DataFrame({"size": [3.0, 5, 40, 60], "entropy": [0.7, 0.9, 0.8, 0.9]})
        >>> classifier = MetaClassifier().fit(table, [True, True, False, False])
        >>> classifier.is_removed(table).tolist()
        [True, True, False, False]
        >>> parts = classifier.explain(table)
        >>> logit = parts.sum(axis=1) + classifier.intercept
        >>> bool(np.allclose(1 / (1 + np.exp(-logit)), classifier.predict_proba(table)))
        True
    """

    kind: ClassVar[Kind] = LINEAR
    arrays: ClassVar[tuple[str, ...]] = ("coefficients",)
    numbers: ClassVar[tuple[str, ...]] = ("intercept",)

    def __init__(self, threshold: float = 0.5) -> None:
        super().__init__(threshold)
        self.coefficients = np.zeros(0)
        self.intercept = 0.0

    def predict_proba(self, features: Any) -> np.ndarray:
        """Return the probability of "false positive" per segment, as the base class says."""
        return self.decision().probabilities(finite_values(self._columns(features)))

    def explain(self, features: Any) -> pd.DataFrame:
        """Return how much each feature adds to the logit of each segment.

        Args:
            features: DataFrame with the columns of the fit, in any order.

        Returns:
            (K, m) frame, same index, columns in the order of the fit; the sum of a row plus
            `intercept` is the logit of the probability.

        Raises:
            UsageError: as `predict_proba`.
        """
        table = self._columns(features)
        contributions = self.decision().contributions(finite_values(table))
        return pd.DataFrame(contributions, index=table.index, columns=list(self.feature_names))

    def decision(self) -> LinearDecision:
        """Return what was fitted, as a monitor applies it."""
        return LinearDecision(
            self.feature_names,
            self.mean,
            self.scale,
            self.coefficients,
            self.intercept,
            self.threshold,
            self.provenance,
        )

    def _fit(self, scaled: Standardized, labels: np.ndarray) -> None:
        penalty = penalties(scaled.values.shape[1], penalize_intercept=False)
        beta = fit_logistic(with_intercept(scaled.values), labels, penalty)
        self.coefficients = np.where(scaled.constant, 0.0, beta[:-1])
        self.intercept = float(beta[-1])
