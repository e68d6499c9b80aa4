"""A partition's file: `part-00012.parquet` or `part-00012.jsonl`, whole or not at all.

In: records. Out: the file, the same byte for byte for the same records, or its records and counts again.
A Parquet file has its counts in its footer, so that summing up does not read the records.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from segood.deployment.fleet.records import arrow_schema, count
from segood.errors import DataError
from segood.files import atomic_path

FORMATS = ("parquet", "jsonl")
_COUNTS = b"segood.counts"


def write_part(path: Path, records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Write a partition, in the format of the path's suffix.

    Returns:
        Its counts, see `segood.deployment.fleet.records.count`.

    Raises:
        OutputError: it cannot be written.
    """
    counts = count(records)
    with atomic_path(path) as temporary:
        if path.suffix == ".jsonl":
            lines = (
                json.dumps(r, separators=(",", ":"), ensure_ascii=False, allow_nan=False) for r in records
            )
            with temporary.open("w", encoding="utf-8", newline="\n") as file:
                file.writelines(line + "\n" for line in lines)
        else:
            import pyarrow as pa
            from pyarrow import parquet

            schema = arrow_schema().with_metadata({_COUNTS: json.dumps(counts).encode()})
            table = pa.Table.from_pylist(list(records), schema=schema)
            parquet.write_table(table, temporary, compression="zstd", row_group_size=max(len(records), 1))
    return counts


def read_part(path: str | Path) -> list[dict[str, Any]]:
    """Return the records of a partition, whichever its format.

    Raises:
        DataError: the file cannot be read.
    """
    path = Path(path)
    try:
        if path.suffix == ".jsonl":
            return [json.loads(line) for line in path.read_bytes().splitlines()]
        from pyarrow import parquet

        with parquet.ParquetFile(path) as file:
            rows: list[dict[str, Any]] = file.read().to_pylist()
            return rows
    except (OSError, ValueError) as error:  # pyarrow's errors are children of these
        raise _damaged(path) from error


def read_counts(path: Path, frames: range) -> dict[str, Any]:
    """Return the counts of a partition that is there already.

    Args:
        path: of the file.
        frames: indices that it must hold.

    Raises:
        DataError: the file cannot be read, or holds something else.
    """
    try:
        if path.suffix == ".jsonl":
            records = read_part(path)
            first, counts = records[0]["index"] if records else None, count(records)
        else:
            from pyarrow import parquet

            with parquet.ParquetFile(path) as file:
                counts = json.loads(file.schema_arrow.metadata[_COUNTS])
                first = file.metadata.row_group(0).column(_INDEX).statistics.min
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise _damaged(path) from error
    if first != frames.start or counts["frames"] != len(frames):
        raise _damaged(path)
    return dict(counts)


_INDEX = 1  # place of the column `index`; the columns before it are flat


def _damaged(path: Path) -> DataError:
    return DataError(f"{path} is damaged, or no partition of this folder; remove it and --resume")
