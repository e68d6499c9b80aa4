"""From the label values on disk to segood's label values: one table of 256 entries per rule.

In: a label map uint8 (H,W) as its owner wrote it. Out: a target uint8 (H,W) in train ids or in
evaluation values, or an error that names file, value and rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from segood.errors import DataError, UsageError

# Lies between the largest train id that makes sense and OOD = 254, so no target ever holds it.
_UNKNOWN = 253


class LabelLookup:
    """Maps label values by a table and refuses values that the table does not know.

    Args:
        mapping: `{value on disk: value in the target}`, both 0..255; a target value of 253 is reserved.
        rule: what the values mean, in words; ends the error message.

    Raises:
        UsageError: a key or value is not a whole number in its range.

    Example:
        >>> import numpy as np
        >>> lookup = LabelLookup({0: 255, 1: 0, 2: 1}, "0 ignore, 1 free, 2 object")
        >>> lookup(np.array([[0, 1, 2]], np.uint8), "a.png")
        array([[255, 0, 1]], dtype=uint8)
        >>> lookup(np.array([[0, 7, 7]], np.uint8), "a.png")
        Traceback (most recent call last):
        segood.errors.DataError: a.png: unknown label value 7 (2 pixels); rule: 0 ignore, 1 free, 2 object
    """

    def __init__(self, mapping: Mapping[int, int], rule: str) -> None:
        table = np.full(256, _UNKNOWN, np.uint8)
        clean = {}
        for key, value in mapping.items():
            number, target = _whole(key), _whole(value)
            if not 0 <= number <= 255 or not 0 <= target <= 255 or target == _UNKNOWN:
                raise UsageError(
                    "`mapping` must lead from 0..255 to a train id, 254 (OoD) or 255 (ignore); "
                    f"got {key}: {value}"
                )
            table[number] = target
            clean[number] = target
        self.mapping = clean
        self.rule = rule
        self._table = table

    def __call__(self, labels: np.ndarray, path: str | Path) -> np.ndarray:
        """Return the target of a label map.

        Args:
            labels: uint8 (H,W), values as on disk; not changed.
            path: the file they come from, for the message.

        Returns:
            uint8 (H,W).

        Raises:
            DataError: a value is not in the table.
        """
        target = cv2.LUT(np.ascontiguousarray(labels), self._table)
        if (target == _UNKNOWN).any():
            values, counts = np.unique(labels[target == _UNKNOWN], return_counts=True)
            worst = int(counts.argmax())
            others = f" and {len(values) - 1} more unknown values" if len(values) > 1 else ""
            raise DataError(
                f"{path}: unknown label value {values[worst]} ({counts[worst]} pixels){others}; "
                f"rule: {self.rule}"
            )
        return np.asarray(target, np.uint8)

    def unknown_values(self, values: np.ndarray) -> list[int]:
        """Return those of `values` (integers 0..255) that the table does not know."""
        return [int(value) for value in values if self._table[value] == _UNKNOWN]


def _whole(number: object) -> int:
    """Return `number` as int; YAML keys may arrive as text."""
    try:
        whole = int(number)  # type: ignore[call-overload]
        if whole == float(number):  # type: ignore[arg-type]
            return int(whole)
    except (TypeError, ValueError):
        pass
    raise UsageError(f"`mapping` must hold whole numbers only; got {number!r}")
