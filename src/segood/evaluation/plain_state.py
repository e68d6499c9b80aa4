"""Intermediate results in one file, as data and never as code: nested lists and dicts with arrays and tables.

In: a state. Out: a NumPy archive, written whole or not at all, and the very same state again.
"""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from segood.errors import DataError
from segood.files import atomic_path

_ARRAY, _TABLE, _TREE = "array", "table", "tree"


def save_state(path: str | Path, state: Any) -> None:
    """Write a state.

    Args:
        path: the file.
        state: its leaves are arrays of numbers, data frames with an index from 0, and what JSON can hold.

    Raises:
        OutputError: the file cannot be written.
    """
    arrays: dict[str, np.ndarray] = {}
    tree = json.dumps(_without_arrays(state, arrays), allow_nan=False)
    arrays[_TREE] = np.frombuffer(tree.encode(), np.uint8)
    with atomic_path(path) as temporary, temporary.open("wb") as handle:
        np.savez(handle, **arrays)  # type: ignore[arg-type]  # the arrays' names are ours


def load_state(path: str | Path) -> Any:
    """Read what `save_state` wrote.

    Raises:
        DataError: it is missing, damaged, or something else.
    """
    try:
        with Path(path).open("rb") as handle, np.load(handle, allow_pickle=False) as archive:
            arrays = dict(archive)
        return _with_arrays(json.loads(arrays[_TREE].tobytes()), arrays)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: not an intermediate result of segood ({error}); remove it") from error


def _without_arrays(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(value, dict):
        return {key: _without_arrays(item, arrays) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_arrays(item, arrays) for item in value]
    name = f"{len(arrays)}"
    if isinstance(value, np.ndarray):
        arrays[name] = value
        return {_ARRAY: name}
    if isinstance(value, pd.DataFrame):
        buffer = io.BytesIO()
        value.to_parquet(buffer, index=False, compression="zstd")
        arrays[name] = np.frombuffer(buffer.getvalue(), np.uint8)
        return {_TABLE: name}
    return value


def _with_arrays(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(value, list):
        return [_with_arrays(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {_ARRAY}:
        return arrays[value[_ARRAY]]
    if value.keys() == {_TABLE}:
        return pd.read_parquet(io.BytesIO(arrays[value[_TABLE]].tobytes()))
    return {key: _with_arrays(item, arrays) for key, item in value.items()}
