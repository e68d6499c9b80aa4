"""Frozen dataclasses as JSON: what each field has to be is told from its annotation, nested records included.

In: a file that `write_json(path, dataclasses.asdict(record))` wrote. Out: the record, or one error. Every
value is looked at, so that whoever gets a record can rely on its types; numbers are finite.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import sys
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from segood.errors import DataError

Record = TypeVar("Record")
_Reader = Callable[[Any], Any]


def from_dict(cls: type[Record], raw: dict[str, Any]) -> Record:
    """Build a dataclass from what `dataclasses.asdict` made of it; lists and optional parts included.

    Raises:
        TypeError: a field is missing, unknown, or holds a value of another type.
    """
    if not isinstance(raw, dict):
        raise TypeError(f"must be an object; got {type(raw).__name__}")
    readers, values = _readers(cls), {}  # type: ignore[arg-type]  # classes can be hashed
    for name, value in raw.items():
        reader = readers.get(name)
        if reader is None:
            raise TypeError(f"there is no {name[:80]!r}")
        try:
            values[name] = reader(value)
        except TypeError as error:
            raise TypeError(f"`{name}` {error}") from None
    return cls(**values)


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
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise DataError(
            f"{path}: not a segood metrics file of format {number} ({error}); {remedy}"
        ) from error
    return record


# A record of a hundred frames holds tens of thousands of others: each class is looked at once.
@functools.cache
def _readers(cls: Any) -> dict[str, _Reader]:
    hints = typing.get_type_hints(cls)
    return {f.name: _reader(hints[f.name]) for f in dataclasses.fields(cls)}


@functools.cache
def _reader(hint: Any) -> _Reader:
    """Return what checks a value of this kind and returns it as the record holds it."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        return functools.partial(from_dict, hint)  # type: ignore[arg-type]
    if origin in (typing.Union, types.UnionType):
        return _one_of([_reader(a) for a in arguments if a is not type(None)], type(None) in arguments)
    if origin is list:
        return _list_of(_reader(arguments[0]))
    if origin is dict:
        return _dict_of(_reader(arguments[1]))
    if origin is tuple:
        return _tuple_of([_reader(a) for a in arguments if a is not ...], ... in arguments)
    return _PLAIN.get(hint, _as_it_is)


def _one_of(readers: list[_Reader], none: bool) -> _Reader:
    def read(value: Any) -> Any:
        if value is None and none:
            return None
        for reader in readers[:-1]:
            try:
                return reader(value)
            except TypeError:
                continue
        return readers[-1](value)

    return read


def _list_of(reader: _Reader) -> _Reader:
    def read(value: Any) -> Any:
        if not isinstance(value, (list, tuple)):
            raise TypeError(f"must be a list; got {type(value).__name__}")
        return [reader(item) for item in value]

    return read


def _tuple_of(readers: list[_Reader], any_number: bool) -> _Reader:
    def read(value: Any) -> Any:
        if not isinstance(value, (list, tuple)) or not (any_number or len(value) == len(readers)):
            raise TypeError(f"must be a list{'' if any_number else f' of {len(readers)}'}; got {value!r:.40}")
        if any_number:
            return tuple(readers[0](item) for item in value)
        return tuple(reader(item) for reader, item in zip(readers, value, strict=True))

    return read


def _dict_of(reader: _Reader) -> _Reader:
    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            raise TypeError(f"must be an object; got {type(value).__name__}")
        return {key: reader(item) for key, item in value.items()}

    return read


def _number(value: Any) -> Any:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max:
        return value
    raise TypeError(f"must be a number; got {value!r:.40}")


def _whole_number(value: Any) -> Any:
    if type(value) is int:
        return value
    raise TypeError(f"must be a whole number; got {value!r:.40}")


def _text(value: Any) -> Any:
    if isinstance(value, str):
        return value
    raise TypeError(f"must be text; got {value!r:.40}")


def _truth(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    raise TypeError(f"must be true or false; got {value!r:.40}")


def _as_it_is(value: Any) -> Any:
    return value


_PLAIN: dict[Any, _Reader] = {float: _number, int: _whole_number, str: _text, bool: _truth}
