"""A small neural meta classifier: an option where a linear one is not enough, at the price of its reasons.

In: segment features. Out: probability that a segment is a false positive; no contributions per feature.
Source: the perceptron with one hidden layer, its weights found by scikit-learn's `MLPClassifier` with L-BFGS.
The penalty is that of the linear classifier: ½ Σ weight² beside the summed loss (C = 1), offsets are free.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from segood.checks import check_unit_interval
from segood.errors import UsageError
from segood.meta.folds import one_blas_thread
from segood.meta.storage import HIDDEN_UNITS, NEURAL, read_model, write_model
from segood.meta.table import (
    as_table,
    check_both_kinds,
    check_labels,
    finite_values,
    match_columns,
    standardize,
)

MAX_STEPS = 200
"""L-BFGS steps at most. Where they run out, the weights reached count: a bound on time, not an error."""


class NeuralMetaClassifier:
    """Tell false alarms from objects by the features of a segment, with one hidden layer.

    Args:
        threshold: probability in [0, 1] from which `is_removed` says yes.
        seed: of the first weights, ≥ 0; the same seed gives the same classifier.

    Attributes:
        feature_names: tuple of the m columns, in the order of the fit.
        hidden_weights: (m, 32) float64 on standardised features; 0 for columns constant in the fit.
        hidden_offsets, output_weights: (32,) float64.
        output_offset: float.
        mean, scale: (m,) float64 of the standardisation.
        threshold, seed: as given.
        num_segments, num_false_positives: what it was fitted on.
        provenance: where that came from, as the caller says: plain JSON values.

    Raises:
        UsageError: `threshold` outside [0, 1], a negative `seed`.

    Example:
        >>> corners = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]] * 10)
        >>> is_false_positive = corners[:, 0] == corners[:, 1]  # no plane separates these
        >>> NeuralMetaClassifier().fit(corners, is_false_positive).is_removed(corners[:4]).tolist()
        [True, False, False, True]
    """

    def __init__(self, threshold: float = 0.5, *, seed: int = 0) -> None:
        check_unit_interval("threshold", threshold)
        if seed < 0:
            raise UsageError(f"`seed` must not be negative; got {seed}")
        self.threshold = float(threshold)
        self.seed = int(seed)
        self.feature_names: tuple[str, ...] = ()
        self.hidden_weights = np.zeros((0, HIDDEN_UNITS))
        self.hidden_offsets = np.zeros(HIDDEN_UNITS)
        self.output_weights = np.zeros(HIDDEN_UNITS)
        self.output_offset = 0.0
        self.mean = np.zeros(0)
        self.scale = np.zeros(0)
        self.num_segments = 0
        self.num_false_positives = 0
        self.provenance: dict[str, Any] = {}

    def fit(
        self, features: Any, is_false_positive: Any, provenance: dict[str, Any] | None = None
    ) -> NeuralMetaClassifier:
        """Fit on all given segments, whose order does not matter, and return self.

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
        # The optimiser enlarges rounding, so that the order of the rows would decide digits: sort them.
        order = np.lexsort((labels, *values.T))
        labels, scaled = labels[order], standardize(values[order])
        network = MLPClassifier(
            (HIDDEN_UNITS,), solver="lbfgs", alpha=1.0, max_iter=MAX_STEPS, random_state=self.seed
        )
        with warnings.catch_warnings(), one_blas_thread():
            warnings.simplefilter("ignore", ConvergenceWarning)  # see MAX_STEPS
            network.fit(scaled.values, labels)
        self.feature_names = tuple(table.columns)
        self.hidden_weights = np.where(scaled.constant[:, None], 0.0, network.coefs_[0])
        self.hidden_offsets = network.intercepts_[0]
        self.output_weights = network.coefs_[1][:, 0]
        self.output_offset = float(network.intercepts_[1][0])
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
        if not self.feature_names:
            raise UsageError("the meta classifier is not fitted; call `fit` or `load` first")
        values = finite_values(match_columns(as_table(features), self.feature_names))
        hidden = (values - self.mean) / self.scale @ self.hidden_weights + self.hidden_offsets
        return expit(np.maximum(hidden, 0.0) @ self.output_weights + self.output_offset)

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
        fields = {"feature_names": list(self.feature_names)}
        for name in _ARRAYS:
            fields[name] = getattr(self, name).tolist()
        for name in _PLAIN:
            fields[name] = getattr(self, name)
        write_model(path, fields, NEURAL)

    @classmethod
    def load(cls, path: str | Path) -> NeuralMetaClassifier:
        """Read what `save` wrote; predictions are the same to the last bit.

        Args:
            path: file that `save` wrote.

        Returns:
            The fitted classifier.

        Raises:
            DataError: the file is missing, no JSON, of another format, or a field breaks its rule.
        """
        stored = read_model(path, NEURAL)
        model = cls(stored["threshold"], seed=stored["seed"])
        model.feature_names = tuple(stored["feature_names"])
        for name in _ARRAYS:
            setattr(model, name, np.array(stored[name], np.float64))
        for name in _PLAIN:
            setattr(model, name, stored[name])
        return model


_ARRAYS = ("hidden_weights", "hidden_offsets", "output_weights", "mean", "scale")
_PLAIN = ("output_offset", "threshold", "seed", "num_segments", "num_false_positives", "provenance")
