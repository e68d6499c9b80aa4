"""A meta classifier as JSON: readable by people, safe to open (no pickle), every field checked.

In: the fields of a fitted classifier, or a path. Out: a file, or checked fields.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from segood.errors import DataError, UsageError
from segood.files import write_json

FORMAT = "segood-meta-classifier"
VERSION = 1


def write_model(path: str | Path, fields: dict[str, Any]) -> None:
    """Write the fields with format and version, atomically.

    Raises:
        UsageError: a value that JSON cannot hold.
        OutputError: the file cannot be written.
    """
    try:
        write_json(path, {"format": FORMAT, "version": VERSION, **fields})
    except (TypeError, ValueError) as error:
        raise UsageError(f"{path}: `provenance` must hold plain JSON values ({error})") from error


def read_model(path: str | Path) -> dict[str, Any]:
    """Read and check the fields.

    Raises:
        DataError: missing file, no JSON, another format or version, a field that is missing or
            breaks its rule; the message names the file and the field.
    """
    remedy = "write it with `segood meta` or `MetaClassifier.save`"
    try:
        stored = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path}: cannot read the meta classifier ({error.strerror}); {remedy}") from error
    except ValueError as error:  # includes text that is not UTF-8
        raise DataError(f"{path}: is not JSON ({error}); {remedy}") from error
    if not isinstance(stored, dict) or stored.get("format") != FORMAT:
        raise DataError(f"{path}: is not a meta classifier (no format {FORMAT!r}); {remedy}")
    if stored.get("version") != VERSION:
        raise DataError(
            f"{path}: has format version {stored.get('version')!r}, this segood reads {VERSION}; {remedy}"
        )
    names = stored.get("feature_names")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise DataError(f"{path}: `feature_names` must be a list of names; {remedy}")
    if len(set(names)) != len(names):
        raise DataError(f"{path}: `feature_names` must not repeat a name; {remedy}")
    for field, (rule, holds) in _rules(len(names)).items():
        if field not in stored or not holds(stored[field]):
            raise DataError(f"{path}: `{field}` must be {rule}; {remedy}")
    return stored


def _rules(num_features: int) -> dict[str, tuple[str, Callable[[Any], bool]]]:
    def numbers(value: Any) -> bool:
        return isinstance(value, list) and len(value) == num_features and all(map(_is_number, value))

    def count(value: Any) -> bool:
        return type(value) is int and value >= 0

    listed = f"a list of {num_features} finite numbers"
    return {
        "coefficients": (listed, numbers),
        "mean": (listed, numbers),
        "scale": (f"{listed} above 0", lambda value: numbers(value) and min(value) > 0),
        "intercept": ("a finite number", _is_number),
        "threshold": ("a number in [0, 1]", lambda value: _is_number(value) and 0 <= value <= 1),
        "num_segments": ("a count", count),
        "num_false_positives": ("a count", count),
        "provenance": ("a JSON object", lambda value: isinstance(value, dict)),
    }


def _is_number(value: Any) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return abs(value) <= sys.float_info.max  # false for NaN, infinity and ints beyond float
