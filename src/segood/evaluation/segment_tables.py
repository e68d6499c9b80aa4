"""Segment tables on disk, read as if anybody had written them.

In: a Parquet file of an evaluated run. Out: the table, with the columns and types that its users rely on.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from pandas.api import types

from segood.errors import DataError, one_line

MOST_VALUES = 2**28
"""Rows times columns of a table that is read; run lengths in the file cost nothing."""

TEXTS = ("model", "dataset", "sample_id")
"""Columns of text that say whose segment a row is."""

_LABEL = "is_false_positive"
_LISTS = ("ground_truth",)


def read_table(path: str | Path, remedy: str, texts: Sequence[str] = TEXTS) -> pd.DataFrame:
    """Read and check a segment table.

    Args:
        path: the file.
        remedy: what makes it, for the error.
        texts: columns of text that it must have; others of `TEXTS` may be missing.

    Raises:
        DataError: it is missing, no Parquet, too large, or a column is missing or of another type.
    """
    from pyarrow import parquet

    try:
        described = parquet.read_metadata(path)
        values = described.num_rows * described.num_columns
        if values > MOST_VALUES:
            raise DataError(f"{path}: is no segment table: it holds {values} values; {remedy}")
        table = pd.read_parquet(path)
    except DataError:
        raise
    except Exception as error:  # PyArrow and pandas raise whatever the damaged byte leads to
        raise DataError(f"{path}: cannot read the segment table ({one_line(error)}); {remedy}") from error
    fault = _fault(table, texts)
    if fault is not None:
        raise DataError(f"{path}: is no segment table: {fault}; {remedy}")
    return table


def _fault(table: pd.DataFrame, texts: Sequence[str]) -> str | None:
    missing = [name for name in (*texts, _LABEL) if name not in table.columns]
    if missing:
        return f"the column {missing[0]} is missing"
    if not all(isinstance(name, str) for name in table.columns) or not table.columns.is_unique:
        return "its columns must have names, each another"
    for name, column in table.items() if len(table) else ():  # without rows, no type is stored
        if name in _LISTS:
            continue
        if name in TEXTS:
            fits, rule = types.is_string_dtype(column) and not column.isna().any(), "text"
        elif name == _LABEL:
            fits, rule = types.is_bool_dtype(column) and not column.isna().any(), "true or false"
        else:
            fits, rule = types.is_numeric_dtype(column), "numbers"
        if not fits:
            return f"the column {name} must hold {rule}"
    return None
