"""The fixed list of frames as a Parquet file, of which a row group is a partition.

In: frames, one after the other. Out: the file and its digest, or the frames of one partition, without the
others being read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from segood.deployment.fleet.listing import Listed
from segood.errors import DataError
from segood.files import atomic_path


def write_inputs(path: Path, frames: Iterable[Listed], size: int) -> tuple[int, str]:
    """Write the list.

    Args:
        path: of the file.
        frames: in order; gone through once.
        size: frames per partition.

    Returns:
        Number of frames, and SHA-256 over their names and sources, hexadecimal.

    Raises:
        DataError: a name is not UTF-8.
        OutputError: the file cannot be written.
    """
    import pyarrow as pa
    from pyarrow import parquet

    digest, count = hashlib.sha256(), 0
    schema = pa.schema({"name": pa.string(), "source": pa.string()})
    with atomic_path(path) as temporary, parquet.ParquetWriter(temporary, schema, compression="zstd") as file:
        for rows in _chunks(frames, size):
            _add(digest, rows)
            count += len(rows)
            columns = [pa.array(column) for column in zip(*rows, strict=True)]
            file.write_table(pa.Table.from_arrays(columns, schema=schema), row_group_size=size)
    return count, digest.hexdigest()


def digest_inputs(frames: Iterable[Listed]) -> tuple[int, str]:
    """Return number and SHA-256 of frames, as `write_inputs` does."""
    digest, count = hashlib.sha256(), 0
    for rows in _chunks(frames, 1024):
        _add(digest, rows)
        count += len(rows)
    return count, digest.hexdigest()


def read_inputs(path: Path, partition: int) -> list[Listed]:
    """Return the frames of one partition."""
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        columns = file.read_row_group(partition).to_pydict()
    return list(map(Listed, columns["name"], columns["source"]))


def _add(digest: Any, rows: list[Listed]) -> None:
    text = "".join(f"{len(name)} {name}{source}\n" for name, source in rows)
    try:
        digest.update(text.encode())
    except UnicodeEncodeError as error:
        around = text[max(0, error.start - 40) : error.end + 10]
        raise DataError(f"a file's name is not UTF-8: …{around!r}…; rename it") from None


def _chunks(frames: Iterable[Listed], size: int) -> Iterator[list[Listed]]:
    frames = iter(frames)
    while rows := list(islice(frames, size)):
        yield rows
