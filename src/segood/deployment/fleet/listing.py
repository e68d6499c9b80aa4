"""What is to be scored: folders, images, lists, Parquet files, local or at URLs, as one fixed order.

In: what a user names. Out: a `Listed` per frame, one after the other, so that a list of 10^8 never lies in
memory; a folder's files do, since they are sorted. Nothing is looked at: a path that leads nowhere becomes a
record that says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from segood.data.index import natural_key
from segood.deployment.fleet.urls import beside, check_scheme, import_fsspec, is_url, schemes, suffix_of
from segood.deployment.sources import SUFFIXES, VIDEO_SUFFIXES, find_images
from segood.errors import DataError, UsageError, one_line

LIST_SUFFIXES = (".txt", ".lst", ".list")
"""Endings of files with a path or URL per line."""
PARQUET = ".parquet"
_BATCH = 65536  # rows of a Parquet file that are read at once


class Listed(NamedTuple):
    """A frame that is to be scored.

    Attributes:
        name: what it is called, as the user or the list does.
        source: absolute path, or URL.
    """

    name: str
    source: str


def list_frames(inputs: Sequence[str | Path], column: str = "path") -> Iterator[Listed]:
    """Yield all frames, in the order of the inputs.

    Args:
        inputs: images; folders, searched recursively, in natural order (2 before 10); lists (.txt, .lst,
            .list) with a path or URL per line, empty lines passed over; Parquet files with a column of them.
            All may be URLs. Relative paths in a list start at its folder.
        column: of the Parquet files.

    Raises:
        DataError: an input does not exist, cannot be read, or names no image.
        UsageError: a video or camera; a URL's scheme is unknown.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = (Path(folder) / "day.txt").write_text("a/1.png\\n\\nhttps://host/2.png\\n")
        ...     [frame.name for frame in list_frames([f"{folder}/day.txt"])]
        ['a/1.png', 'https://host/2.png']
    """
    known: set[str] = set()
    for word in map(str, inputs):
        count = 0
        for count, frame in enumerate(_list_one(word, column), 1):  # noqa: B007 - counted
            if is_url(frame.source):
                for scheme in schemes(frame.source):
                    if scheme not in known:
                        check_scheme(scheme, frame.source)
                        known.add(scheme)
            yield frame
        if not count:
            raise DataError(f"{word} names no image")


def _list_one(word: str, column: str) -> Iterable[Listed]:
    if word.startswith("camera:") or (suffix_of(word) in VIDEO_SUFFIXES):
        raise UsageError(f"{word} is a stream; --engine ray scores images, each by itself")
    if is_url(word):
        for scheme in schemes(word):
            check_scheme(scheme, word)
    suffix = suffix_of(word)
    if suffix == PARQUET or suffix in LIST_SUFFIXES:
        names = _column(word, column) if suffix == PARQUET else _lines(word)
        return (Listed(name, _resolve(word, name)) for name in names)
    if not is_url(word):
        return (Listed(str(path), str(path.absolute())) for path in find_images([word]))
    return [Listed(word, word)] if suffix in SUFFIXES else _url_folder(word)


def _resolve(listed_in: str, name: str) -> str:
    if is_url(name):
        return name
    if is_url(listed_in):
        return beside(listed_in, name)
    return str((Path(listed_in).parent / name).absolute())


def _lines(word: str) -> Iterator[str]:
    try:
        with _open(word) as file:
            for line in file:
                text = line.decode("utf-8-sig").strip("\r\n")
                if text.strip():
                    yield text
    except UnicodeDecodeError:
        raise DataError(f"{word} is no list: a path or URL per line, as UTF-8") from None
    except Exception as error:  # each protocol's client has its own
        raise _unreadable(word, error) from error


def _column(word: str, column: str) -> Iterator[str]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with _open(word) as file, parquet.ParquetFile(file) as table:
            names = table.schema_arrow.names
            if column not in names:
                raise DataError(f"{word} has no column {column!r}; give --column, one of {', '.join(names)}")
            kind = table.schema_arrow.field(column).type
            if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
                raise DataError(f"{word}: column {column!r} must hold text, paths or URLs; it holds {kind}")
            row = 0
            for batch in table.iter_batches(_BATCH, columns=[column]):
                for name in batch.column(0).to_pylist():
                    if not name:
                        raise DataError(f"{word}: row {row} of column {column!r} is empty")
                    yield name
                    row += 1
    except DataError:
        raise
    except Exception as error:  # each protocol's client has its own, and pyarrow several
        raise _unreadable(word, error) from error


def _url_folder(word: str) -> list[Listed]:
    fsspec = import_fsspec()
    try:
        files, root = fsspec.core.url_to_fs(word)
        found = [path for path in files.find(root) if suffix_of(path) in SUFFIXES]
        found.sort(key=lambda path: [natural_key(part) for part in path.split("/")])
        first, chained, rest = word.partition("::")
        scheme = first.partition("://")[0]
        urls = [f"{scheme}://{p}::{rest}" if chained else str(files.unstrip_protocol(p)) for p in found]
    except Exception as error:  # each protocol's client has its own
        raise _unreadable(word, error) from error
    if not urls:
        raise DataError(f"no image ({', '.join(SUFFIXES)}) under {word}")
    return [Listed(url, url) for url in urls]


def _open(word: str) -> Any:
    return import_fsspec().open(word, "rb") if is_url(word) else Path(word).open("rb")


def _unreadable(word: str, error: Exception) -> DataError:
    if isinstance(error, FileNotFoundError):
        return DataError(f"{word} does not exist")
    return DataError(f"{word} cannot be read ({type(error).__name__}: {one_line(error)})")
