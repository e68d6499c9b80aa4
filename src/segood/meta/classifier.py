"""The meta classifier: a linear model whose every decision decomposes into its features.

In: segment features. Out: probability that a segment is a false positive; contributions per feature.
Source: paper, section 3.2: standardised features, logistic regression (L2, C = 1, intercept not penalised).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit

from segood.checks import check_unit_interval
from segood.errors import UsageError
from segood.meta.logistic import fit_logistic, penalties, with_intercept
from segood.meta.storage import read_model, write_model
from segood.meta.table import (
    as_table,
    check_both_kinds,
    check_labels,
    finite_values,
    match_columns,
    standardize,
)


class MetaClassifier:
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

    def __init__(self, threshold: float = 0.5) -> None:
        check_unit_interval("threshold", threshold)
        self.threshold = float(threshold)
        self.feature_names: tuple[str, ...] = ()
        self.coefficients = np.zeros(0)
        self.intercept = 0.0
        self.mean = np.zeros(0)
        self.scale = np.zeros(0)
        self.num_segments = 0
        self.num_false_positives = 0
        self.provenance: dict[str, Any] = {}

    def fit(
        self, features: Any, is_false_positive: Any, provenance: dict[str, Any] | None = None
    ) -> MetaClassifier:
        """Fit on all given segments and return self.

        Args:
            features: DataFrame (or (K, m) array) of finite numbers, one row per segment.
            is_false_positive: (K,) bool, True where the segment contains no OoD pixel.
            provenance: what to write down about the data (data set, model, date …).

        Returns:
            This classifier, fitted.

        Raises:
            UsageError: features that are not finite (column and row are named), lengths that differ.
            UndefinedMetricError: no segments, or all of them with the same label.
        """
        table = as_table(features)
        values = finite_values(table)
        labels = check_labels(is_false_positive, len(values))
        check_both_kinds(labels)
        scaled = standardize(values)
        penalty = penalties(values.shape[1], penalize_intercept=False)
        beta = fit_logistic(with_intercept(scaled.values), labels, penalty)
        self.feature_names = tuple(table.columns)
        self.coefficients = np.where(scaled.constant, 0.0, beta[:-1])
        self.intercept = float(beta[-1])
        self.mean, self.scale = scaled.mean, scaled.scale
        self.num_segments, self.num_false_positives = len(labels), int(labels.sum())
        self.provenance = dict(provenance or {})
        return self

    def predict_proba(self, features: Any) -> np.ndarray:
        """Return the probability of "false positive" per segment.

        Args:
            features: DataFrame with the columns of the fit, in any order; or (K, m) array in their order.

        Returns:
            (K,) float64 in [0, 1], in row order.

        Raises:
            UsageError: not fitted, missing or unexpected columns, values that are not finite.
        """
        return expit(self.explain(features).to_numpy().sum(axis=1) + self.intercept)

    def is_removed(self, features: Any) -> np.ndarray:
        """Return which segments are taken for false alarms: those whose probability reaches the threshold.

        Args:
            features: as for `predict_proba`.

        Returns:
            (K,) bool, in row order.

        Raises:
            UsageError: as `predict_proba`.
        """
        return self.predict_proba(features) >= self.threshold

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
        if not self.feature_names:
            raise UsageError("the meta classifier is not fitted; call `fit` or `load` first")
        table = match_columns(as_table(features), self.feature_names)
        contributions = (finite_values(table) - self.mean) / self.scale * self.coefficients
        return pd.DataFrame(contributions, index=table.index, columns=list(self.feature_names))

    def save(self, path: str | Path) -> None:
        """Write everything as JSON, atomically.

        Args:
            path: file to write; its folder is created.

        Raises:
            UsageError: not fitted, or a provenance that JSON cannot hold.
            OutputError: the file cannot be written.
        """
        if not self.feature_names:
            raise UsageError("the meta classifier is not fitted; call `fit` before `save`")
        write_model(
            path,
            {
                "feature_names": list(self.feature_names),
                "coefficients": self.coefficients.tolist(),
                "intercept": self.intercept,
                "mean": self.mean.tolist(),
                "scale": self.scale.tolist(),
                "threshold": self.threshold,
                "num_segments": self.num_segments,
                "num_false_positives": self.num_false_positives,
                "provenance": self.provenance,
            },
        )

    @classmethod
    def load(cls, path: str | Path) -> MetaClassifier:
        """Read what `save` wrote; predictions are the same to the last bit.

        Args:
            path: file that `save` wrote.

        Returns:
            The fitted classifier.

        Raises:
            DataError: the file is missing, no JSON, of another format, or a field breaks its rule.
        """
        stored = read_model(path)
        model = cls(stored["threshold"])
        model.feature_names = tuple(stored["feature_names"])
        for name in ("coefficients", "mean", "scale"):
            setattr(model, name, np.array(stored[name], np.float64))
        model.intercept = float(stored["intercept"])
        model.num_segments, model.num_false_positives = stored["num_segments"], stored["num_false_positives"]
        model.provenance = stored["provenance"]
        return model
