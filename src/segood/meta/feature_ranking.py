"""Which features matter: the order in which least-angle regression takes them in.

In: features and labels of all segments. Out: order of entry and the coefficients along the path.
Source: Efron et al., "Least Angle Regression", Annals of Statistics 32 (2004); paper, section 3.2.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import lars_path as sklearn_lars_path

from segood.errors import UndefinedMetricError
from segood.meta.table import as_table, check_labels, finite_values, standardize

LARGEST = 10.0
"""A path ends before a coefficient exceeds this. Labels differ by 1, and features have deviation 1: beyond,
columns that are nearly sums of others (a size is that of interior and boundary) cancel each other."""


@dataclass(frozen=True)
class FeatureRanking:
    """A path of least-angle regression.

    Attributes:
        order: features by entry, first = most correlated with "false positive".
        coefficients: one row per feature, one column per step (0 = all zero), on standardised
            columns.
        alphas: largest remaining absolute covariance at each step.
        left_out: features that never entered: constant, or (nearly) a combination of those that did.
        num_segments, num_false_positives: sample counts.
    """

    order: tuple[str, ...]
    coefficients: pd.DataFrame
    alphas: np.ndarray
    left_out: tuple[str, ...]
    num_segments: int
    num_false_positives: int


def lars_path(features: Any, is_false_positive: Any) -> FeatureRanking:
    """Regress "false positive" (1 or 0) on the standardised features, one feature more per step.

    Args:
        features: DataFrame (or (K, m) array) of finite numbers, one row per segment.
        is_false_positive: (K,) bool, True where the segment contains no OoD pixel.

    Returns:
        The features in the order of their entry, and their coefficients along the path.

    Raises:
        UsageError: features that are not finite, lengths that differ.
        UndefinedMetricError: all segments have the same label.

    Reference:
        Efron et al.: Least Angle Regression, Annals of Statistics 32, 2004.

    Example:
        >>> table = pd.DataFrame({"noise": [1.0, 2, 1, 2], "signal": [0.0, 0, 1, 1.2]})
        >>> lars_path(table, [False, False, True, True]).order
        ('signal', 'noise')
    """
    table = as_table(features)
    values = finite_values(table)
    labels = check_labels(is_false_positive, len(values))
    if labels.all() or not labels.any():
        raise UndefinedMetricError(
            f"a feature ranking is undefined: all {len(labels)} segments have the same label"
        )
    scaled = standardize(values)
    varying = np.flatnonzero(~scaled.constant)
    names = np.array(table.columns)
    alphas, active, path = _path(scaled.values[:, varying], labels)
    coefficients = np.zeros((len(names), path.shape[1]))
    coefficients[varying] = path
    order = tuple(str(name) for name in names[varying[list(active)]])
    return FeatureRanking(
        order=order,
        coefficients=pd.DataFrame(coefficients, index=names, columns=range(path.shape[1])),
        alphas=np.asarray(alphas),
        left_out=tuple(str(name) for name in names if name not in order),
        num_segments=len(labels),
        num_false_positives=int(labels.sum()),
    )


def _path(values: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, list[int], np.ndarray]:
    """Return alphas, columns by entry, and coefficients (m, steps), as far as they mean something."""
    with warnings.catch_warnings():
        # Collinear columns are dropped by scikit-learn with a warning; here they are in `left_out`.
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", RuntimeWarning)
        alphas, active, path = sklearn_lars_path(values, labels - labels.mean(), method="lar")
    with np.errstate(invalid="ignore"):
        sound = (np.abs(path) <= LARGEST).all(axis=0)
    steps = len(sound) if sound.all() else int(np.argmin(sound))
    return alphas[:steps], list(active)[: steps - 1], path[:, :steps]
