"""Frozen dataclasses as JSON: nested records are told from their annotations.

In: a file that `write_json(path, dataclasses.asdict(record))` wrote. Out: the record, or one error.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

from segood.errors import DataError

Record = TypeVar("Record")


def from_dict(cls: type[Record], raw: dict[str, Any]) -> Record:
    """Build a dataclass from what `dataclasses.asdict` made of it; lists and optional parts included.

    Raises:
        TypeError: a field is missing or unknown.
    """
    hints = _hints(cls)  # type: ignore[arg-type]  # classes can be hashed
    if not isinstance(raw, dict):
        raise TypeError(f"{cls.__name__} must be an object; got {type(raw).__name__}")
    return cls(**{name: _revived(hints.get(name), value) for name, value in raw.items()})


def read_json(cls: type[Record], path: str | Path, *, remedy: str) -> Record:
    """Read a record whose class has a `format` with a default, and refuse other formats.

    Args:
        cls: the dataclass.
        path: the file.
        remedy: what makes the file, for the error.

    Raises:
        DataError: the file is missing, not JSON, or does not hold such a record.
    """
    path = Path(path)
    number = next(f.default for f in dataclasses.fields(cls) if f.name == "format")  # type: ignore[arg-type]
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        record = from_dict(cls, raw)
        if record.format != number:  # type: ignore[attr-defined]
            raise ValueError(f"format {record.format}")  # type: ignore[attr-defined]
    except OSError as error:
        raise DataError(f"{path}: cannot read results ({error.strerror}); {remedy}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path}: not a segood metrics file of format {number} ({error}); {remedy}"
        ) from error
    return record


# A record of a hundred frames holds tens of thousands of others: each class is looked at once.
@functools.cache
def _hints(cls: Any) -> dict[str, Any]:
    return typing.get_type_hints(cls)


@functools.cache
def _is_plain(hint: Any) -> bool:
    """Tell whether JSON's own values are already of this kind: numbers, text, and lists of them."""
    if dataclasses.is_dataclass(hint) or typing.get_origin(hint) is tuple or hint is tuple:
        return False
    return all(_is_plain(part) for part in typing.get_args(hint))


def _revived(hint: Any, value: Any) -> Any:
    if value is None or hint is None or _is_plain(hint):
        return value
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return from_dict(hint, value)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        inner = [a for a in arguments if a is not type(None)]
        return _revived(inner[0], value) if len(inner) == 1 else value
    if origin is list:
        return [_revived(arguments[0], item) for item in value]
    if origin is dict:
        return {key: _revived(arguments[1], item) for key, item in value.items()}
    if origin is tuple:
        return tuple(value)
    return value
