"""A meta classifier as JSON: readable by people, safe to open (no pickle), every field checked.

In: the fields of a fitted classifier, or a path. Out: a file, or checked fields.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from segood.errors import DataError, UsageError
from segood.files import write_json

FORMAT = "segood-meta-classifier"
VERSION = 1
HIDDEN_UNITS = 32
"""Of the neural classifier."""

LARGEST = 1e30
"""No number of a classifier is larger, so that what is computed from them stays finite."""
_NUMBERS = f"finite numbers up to {LARGEST:g}"

Rules = dict[str, tuple[str, Callable[[Any], bool]]]


class Kind(NamedTuple):
    """A kind of classifier.

    Attributes:
        format: what its files call themselves.
        remedy: what writes such a file.
        rules: number of features -> field -> the rule in words, and whether a value keeps it.
    """

    format: str
    remedy: str
    rules: Callable[[int], Rules]


def write_model(path: str | Path, fields: dict[str, Any], kind: Kind) -> None:
    """Write the fields with format and version, atomically.

    Args:
        path: file to write.
        fields: everything but format and version.
        kind: `LINEAR` or `NEURAL`.

    Raises:
        UsageError: a value that JSON cannot hold.
        OutputError: the file cannot be written.
    """
    try:
        write_json(path, {"format": kind.format, "version": VERSION, **fields})
    except (TypeError, ValueError) as error:
        raise UsageError(f"{path}: `provenance` must hold plain JSON values ({error})") from error


def read_model(path: str | Path, kind: Kind) -> dict[str, Any]:
    """Read and check the fields.

    Args:
        path: file that `write_model` wrote.
        kind: `LINEAR` or `NEURAL`.

    Raises:
        DataError: missing file, no JSON, another format or version, a field that is missing or
            breaks its rule; the message names the file and the field.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise DataError(
            f"{path}: cannot read the meta classifier ({error.strerror}); {kind.remedy}"
        ) from error
    return parse_model(content, kind, str(path))


def parse_model(content: bytes, kind: Kind, name: str) -> dict[str, Any]:
    """Check the fields as `read_model` does, of a file's content.

    Args:
        content: of the file.
        kind: `LINEAR` or `NEURAL`.
        name: what errors call it.

    Raises:
        DataError: as `read_model`.
    """
    remedy = kind.remedy
    try:
        stored = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # includes text that is not UTF-8
        raise DataError(f"{name}: is not JSON ({error}); {remedy}") from error
    if not isinstance(stored, dict) or stored.get("format") != kind.format:
        raise DataError(f"{name}: is not a meta classifier (no format {kind.format!r}); {remedy}")
    if stored.get("version") != VERSION:
        raise DataError(
            f"{name}: has format version {stored.get('version')!r}, this segood reads {VERSION}; {remedy}"
        )
    names = stored.get("feature_names")
    if not isinstance(names, list) or not names or not all(isinstance(feature, str) for feature in names):
        raise DataError(f"{name}: `feature_names` must be a list of names; {remedy}")
    if len(set(names)) != len(names):
        raise DataError(f"{name}: `feature_names` must not repeat a name; {remedy}")
    for field, (rule, holds) in kind.rules(len(names)).items():
        if field not in stored or not holds(stored[field]):
            raise DataError(f"{name}: `{field}` must be {rule}; {remedy}")
    return stored


def _common_rules(num_features: int) -> Rules:
    listed = f"a list of {num_features} {_NUMBERS}"
    return {
        "mean": (listed, lambda value: _are_numbers(value, num_features)),
        "scale": (
            f"a list of {num_features} finite numbers above 0, from {1 / LARGEST:g} to {LARGEST:g}",
            lambda value: _are_numbers(value, num_features) and min(value) >= 1 / LARGEST,
        ),
        "threshold": ("a number in [0, 1]", lambda value: _is_number(value) and 0 <= value <= 1),
        "num_segments": ("a count", _is_count),
        "num_false_positives": ("a count", _is_count),
        "provenance": ("a JSON object", lambda value: isinstance(value, dict)),
    }


def _linear_rules(num_features: int) -> Rules:
    listed = f"a list of {num_features} {_NUMBERS}"
    return {
        "coefficients": (listed, lambda value: _are_numbers(value, num_features)),
        "intercept": (f"a finite number up to {LARGEST:g}", _is_number),
        **_common_rules(num_features),
    }


def _neural_rules(num_features: int) -> Rules:
    def rows(value: Any) -> bool:
        if not isinstance(value, list) or len(value) != num_features:
            return False
        return all(_are_numbers(row, HIDDEN_UNITS) for row in value)

    units = (f"a list of {HIDDEN_UNITS} {_NUMBERS}", lambda value: _are_numbers(value, HIDDEN_UNITS))
    return {
        "hidden_weights": (f"{num_features} lists of {HIDDEN_UNITS} {_NUMBERS}", rows),
        "hidden_offsets": units,
        "output_weights": units,
        "output_offset": (f"a finite number up to {LARGEST:g}", _is_number),
        "seed": ("a count", _is_count),
        **_common_rules(num_features),
    }


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _are_numbers(value: Any, count: int) -> bool:
    return isinstance(value, list) and len(value) == count and all(map(_is_number, value))


def _is_number(value: Any) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return abs(value) <= LARGEST  # false for NaN and infinity


LINEAR = Kind(FORMAT, "write it with `segood meta` or `MetaClassifier.save`", _linear_rules)
NEURAL = Kind("segood-neural-meta-classifier", "write it with `NeuralMetaClassifier.save`", _neural_rules)
