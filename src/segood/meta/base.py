"""What all meta classifiers share: standardised features, checks, removal, JSON.

In: segment features. Out: probability that a segment is a false positive. A subclass says how it is fitted on
standardised values, how it predicts, and which of its attributes are stored.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np

from segood.checks import check_unit_interval
from segood.errors import UsageError
from segood.meta.storage import Kind, read_model, write_model
from segood.meta.table import (
    Standardized,
    as_table,
    check_both_kinds,
    check_labels,
    finite_values,
    match_columns,
    standardize,
)

Self = TypeVar("Self", bound="SegmentClassifier")


class SegmentClassifier(ABC):
    """Tell false alarms from objects by the features of a segment.

    Args:
        threshold: probability in [0, 1] from which `is_removed` says yes.

    Attributes:
        feature_names: tuple of the m columns, in the order of the fit.
        mean, scale: (m,) float64 of the standardisation.
        threshold: as given.
        num_segments, num_false_positives: what it was fitted on.
        provenance: where that came from, as the caller says: plain JSON values.

    Raises:
        UsageError: `threshold` outside [0, 1].
    """

    kind: ClassVar[Kind]
    arrays: ClassVar[tuple[str, ...]]
    """Attributes that are stored as arrays, besides `mean` and `scale`."""
    numbers: ClassVar[tuple[str, ...]]
    """Attributes that are stored as numbers, besides those of this class."""

    def __init__(self, threshold: float = 0.5) -> None:
        check_unit_interval("threshold", threshold)
        self.threshold = float(threshold)
        self.feature_names: tuple[str, ...] = ()
        self.mean = np.zeros(0)
        self.scale = np.zeros(0)
        self.num_segments = 0
        self.num_false_positives = 0
        self.provenance: dict[str, Any] = {}

    def fit(
        self: Self, features: Any, is_false_positive: Any, provenance: dict[str, Any] | None = None
    ) -> Self:
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
        order = self._order(values, labels)
        scaled = standardize(values[order])
        self._fit(scaled, labels[order])
        self.feature_names = tuple(table.columns)
        self.mean, self.scale = scaled.mean, scaled.scale
        self.num_segments, self.num_false_positives = len(labels), int(labels.sum())
        self.provenance = dict(provenance or {})
        return self

    @abstractmethod
    def predict_proba(self, features: Any) -> np.ndarray:
        """Return the probability of "false positive" per segment.

        Args:
            features: DataFrame with the columns of the fit, in any order; or (K, m) array in their order.

        Returns:
            (K,) float64 in [0, 1], in row order.

        Raises:
            UsageError: not fitted, missing or unexpected columns, values that are not finite.
        """

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
        fields: dict[str, Any] = {"feature_names": list(self.feature_names)}
        fields |= {name: getattr(self, name).tolist() for name in (*self.arrays, *_ARRAYS)}
        fields |= {name: getattr(self, name) for name in (*self.numbers, *_PLAIN)}
        write_model(path, fields, self.kind)

    @classmethod
    def load(cls: type[Self], path: str | Path) -> Self:
        """Read what `save` wrote; predictions are the same to the last bit.

        Args:
            path: file that `save` wrote.

        Returns:
            The fitted classifier.

        Raises:
            DataError: the file is missing, no JSON, of another format, or a field breaks its rule.
        """
        stored = read_model(path, cls.kind)
        model = cls(stored["threshold"])
        model.feature_names = tuple(stored["feature_names"])
        for name in (*cls.arrays, *_ARRAYS):
            setattr(model, name, np.array(stored[name], np.float64))
        for name in (*cls.numbers, *_PLAIN):
            setattr(model, name, stored[name])
        return model

    def _order(self, values: np.ndarray, labels: np.ndarray) -> Any:
        """Return the order in which segments are fitted; theirs by default."""
        del values, labels
        return slice(None)

    @abstractmethod
    def _fit(self, scaled: Standardized, labels: np.ndarray) -> None:
        """Fit on standardised values (K, m) and labels (K,) of both kinds."""

    def _columns(self, features: Any) -> Any:
        """Return the features as a table with the columns of the fit, in its order."""
        if not self.feature_names:
            raise UsageError("the meta classifier is not fitted; call `fit` or `load` first")
        return match_columns(as_table(features), self.feature_names)


_ARRAYS = ("mean", "scale")
_PLAIN = ("threshold", "num_segments", "num_false_positives", "provenance")
