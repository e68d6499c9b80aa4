"""A small neural meta classifier: an option where a linear one is not enough, at the price of its reasons.

In: segment features. Out: probability that a segment is a false positive; no contributions per feature.
Source: the perceptron with one hidden layer, its weights found by scikit-learn's `MLPClassifier` with L-BFGS.
The penalty is that of the linear classifier: ½ Σ weight² beside the summed loss (C = 1), offsets are free.
"""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

import numpy as np
from scipy.special import expit
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from segood.errors import UsageError
from segood.meta.base import SegmentClassifier
from segood.meta.folds import one_blas_thread
from segood.meta.storage import HIDDEN_UNITS, NEURAL, Kind
from segood.meta.table import Standardized, finite_values

MAX_STEPS = 200
"""L-BFGS steps at most. Where they run out, the weights reached count: a bound on time, not an error."""


class NeuralMetaClassifier(SegmentClassifier):
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

    kind: ClassVar[Kind] = NEURAL
    arrays: ClassVar[tuple[str, ...]] = ("hidden_weights", "hidden_offsets", "output_weights")
    numbers: ClassVar[tuple[str, ...]] = ("output_offset", "seed")

    def __init__(self, threshold: float = 0.5, *, seed: int = 0) -> None:
        super().__init__(threshold)
        if seed < 0:
            raise UsageError(f"`seed` must not be negative; got {seed}")
        self.seed = int(seed)
        self.hidden_weights = np.zeros((0, HIDDEN_UNITS))
        self.hidden_offsets = np.zeros(HIDDEN_UNITS)
        self.output_weights = np.zeros(HIDDEN_UNITS)
        self.output_offset = 0.0

    def predict_proba(self, features: Any) -> np.ndarray:
        """Return the probability of "false positive" per segment, as the base class says."""
        values = finite_values(self._columns(features))
        hidden = (values - self.mean) / self.scale @ self.hidden_weights + self.hidden_offsets
        return expit(np.maximum(hidden, 0.0) @ self.output_weights + self.output_offset)

    def _order(self, values: np.ndarray, labels: np.ndarray) -> Any:
        # The optimiser enlarges rounding, so that the order of the rows would decide digits: sort them.
        return np.lexsort((labels, *values.T))

    def _fit(self, scaled: Standardized, labels: np.ndarray) -> None:
        network = MLPClassifier(
            (HIDDEN_UNITS,), solver="lbfgs", alpha=1.0, max_iter=MAX_STEPS, random_state=self.seed
        )
        with warnings.catch_warnings(), one_blas_thread():
            warnings.simplefilter("ignore", ConvergenceWarning)  # see MAX_STEPS
            network.fit(scaled.values, labels)
        self.hidden_weights = np.where(scaled.constant[:, None], 0.0, network.coefs_[0])
        self.hidden_offsets = network.intercepts_[0]
        self.output_weights = network.coefs_[1][:, 0]
        self.output_offset = float(network.intercepts_[1][0])
