"""First lines of meta classification: a table of features in, checked float64 arrays out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from segood.errors import UndefinedMetricError, UsageError


class Standardized(NamedTuple):
    """Columns with mean 0 and variance 1; constant columns are all 0 with scale 1.

    Attributes:
        values: (K, m) float64.
        mean: (m,) float64.
        scale: (m,) float64, population standard deviation.
        constant: (m,) bool.
    """

    values: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    constant: np.ndarray


def as_table(features: Any) -> pd.DataFrame:
    """Return a frame with text column names; a bare (K, m) array gets `feature_0` and so on.

    Raises:
        UsageError: not a table, no column, a name that occurs twice.
    """
    if not isinstance(features, pd.DataFrame):
        array = np.asarray(features)
        if array.ndim != 2:
            raise UsageError(f"`features` must be a DataFrame or have shape (K, m); got shape {array.shape}")
        features = pd.DataFrame(array, columns=[f"feature_{j}" for j in range(array.shape[1])])
    names = [str(name) for name in features.columns]
    if not names:
        raise UsageError("`features` must have at least one column; got none")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"`features` must have distinct column names; occurring twice: {', '.join(twice)}")
    return features.set_axis(names, axis="columns")


def finite_values(features: pd.DataFrame) -> np.ndarray:
    """Return the values as float64 (K, m).

    Raises:
        UsageError: a value is no finite number; the message names its column and row.
    """
    try:
        values = features.to_numpy(np.float64)
    except (TypeError, ValueError):
        wrong = [str(name) for name in features.columns if not _is_numeric(features[name])]
        raise UsageError(f"`features` must hold numbers; not so in column {', '.join(wrong)}") from None
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        row, column = bad[0]
        raise UsageError(
            f"`features` must be finite; found {values[row, column]} in column {features.columns[column]}, "
            f"row {features.index[row]} ({len(bad)} in all)"
        )
    return values


def match_columns(features: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Return the columns in the order of `names`.

    Raises:
        UsageError: columns are missing or unexpected; both are named.
    """
    missing = [name for name in names if name not in features.columns]
    unexpected = [name for name in features.columns if name not in set(names)]
    if missing or unexpected:
        parts = [
            f"{word}: {_shortened(columns)}"
            for word, columns in (("missing", missing), ("unexpected", unexpected))
            if columns
        ]
        raise UsageError(f"`features` must have the {len(names)} columns of the fit; {'; '.join(parts)}")
    return features[list(names)]


def check_labels(is_false_positive: Any, num_segments: int) -> np.ndarray:
    """Return the labels as bool (K,).

    Raises:
        UsageError: another length, or a value that is neither true nor false.
    """
    labels = np.asarray(is_false_positive)
    if labels.shape != (num_segments,):
        raise UsageError(
            f"`is_false_positive` must have one entry per row of `features`, ({num_segments},); "
            f"got shape {labels.shape}"
        )
    if not np.isin(labels, [0, 1]).all():
        raise UsageError("`is_false_positive` must hold true and false only")
    return labels.astype(bool)


def check_both_kinds(labels: np.ndarray) -> None:
    """Raise unless there are false positives and objects to learn from.

    Args:
        labels: (K,) bool.

    Raises:
        UndefinedMetricError: no segments, or all of them with the same label.
    """
    if not len(labels) or labels.all() or not labels.any():
        kind = "false positives" if len(labels) and labels.all() else "objects"
        what = f"all {len(labels)} segments are {kind}" if len(labels) else "there is no segment"
        raise UndefinedMetricError(f"a meta classifier needs segments of both kinds; {what}")


def standardize(values: np.ndarray) -> Standardized:
    """Centre and scale each column; a column whose spread is mere rounding counts as constant.

    The rule for the latter is scikit-learn's, so that both see the same constant columns.
    """
    count = len(values)
    mean = values.mean(axis=0)
    centred = values - mean
    # The second pass removes the rounding of the first mean.
    centred -= centred.mean(axis=0)
    variance = np.mean(centred**2, axis=0)
    eps = np.finfo(np.float64).eps
    constant = variance <= count * eps * variance + (count * mean * eps) ** 2
    scale = np.where(constant, 1.0, np.sqrt(variance))
    centred[:, constant] = 0.0
    return Standardized(centred / scale, mean, scale, constant)


def _is_numeric(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not column.isna().any()


def _shortened(names: list[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
