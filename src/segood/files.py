"""Writing files so that no half-written one is ever found (temporary name, flush, rename); hashing them."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import io
import json
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segood.errors import DataError, OutputError, system_says

if TYPE_CHECKING:
    from PIL.Image import Image


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success flush it to disk and rename it to `path`.

    Args:
        path: final place; its folder is created. The temporary name keeps the suffix, since
            writers such as Pillow choose the format by it.

    Raises:
        OutputError: the operating system refuses (disk full, no permission); the temporary
            file is gone, an older file at `path` stays as it was.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with atomic_path(Path(folder) / "a.txt") as temporary:
        ...         _ = temporary.write_text("done")
        ...     sorted(p.name for p in Path(folder).iterdir())
        ['a.txt']
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
    except OSError as error:
        raise OutputError(
            f"cannot write {path}: {system_says(error, 'free space or permission?')}"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def is_unfinished(path: Path) -> bool:
    """Return whether a file has the temporary name of `atomic_path`.

    Example:
        >>> is_unfinished(Path("a/.b.0123abcd.part.json")), is_unfinished(Path(".b.part.json"))
        (True, False)
    """
    return re.fullmatch(r"\..*\.[0-9a-f]{8}\.part(\.[^.]*)?", path.name, re.S) is not None


def remove_unfinished(path: Path) -> None:
    """Remove what processes left that were killed while they wrote with `atomic_path`.

    Nobody else may be writing there.

    Args:
        path: a folder, for all in it and its subfolders; or a file that they were about to write.
    """
    if path.is_dir():
        found = path.rglob(".*.part*")
    else:
        name = f".{glob.escape(path.stem)}.????????.part{glob.escape(path.suffix)}"
        found = path.parent.glob(name)
    for left in list(found):
        if is_unfinished(left):
            with contextlib.suppress(OSError):
                left.unlink()


def write_text(path: str | Path, text: str) -> None:
    """Write `text` as UTF-8 to `path`, atomically (see `atomic_path`)."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write bytes to `path`, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_image(path: str | Path, image: Image, **options: Any) -> None:
    """Write a Pillow image to `path`, atomically, in the format of its suffix.

    It is encoded first and then written: on a full disk Pillow itself leaves a shorter file without an error.

    Args:
        path: the file.
        image: the image.
        options: of `image.save`.
    """
    from PIL import Image as pillow

    pillow.init()
    content = io.BytesIO()
    image.save(content, pillow.EXTENSION[Path(path).suffix.lower()], **options)
    write_bytes(path, content.getvalue())


def write_json(path: str | Path, value: Any, *, indent: int | None = 2) -> None:
    """Write `value` as JSON to `path`, atomically; NaN and infinity are refused.

    Args:
        path: the file.
        value: what JSON can hold.
        indent: spaces per level, for people; None for one line without any.
    """
    separators = (",", ":") if indent is None else None
    write_text(path, json.dumps(value, indent=indent, separators=separators, allow_nan=False) + "\n")


def file_hash(path: str | Path) -> str:
    """Return the SHA-256 of a file, hexadecimal.

    Raises:
        DataError: the file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with Path(path).open("rb") as handle:
            while block := handle.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({system_says(error)})") from error
    return digest.hexdigest()
