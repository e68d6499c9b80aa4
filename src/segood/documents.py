"""YAML that anybody may have written.

In: a file. Out: plain values, or one error. Tags that would build objects are refused, as are documents that
are large, or become large once their aliases are written out (ten lines are enough for billions of values).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from segood.errors import DataError, one_line, system_says

MOST_BYTES = 2**18
"""Of a file; PyYAML takes seconds for so many."""
MOST_VALUES = 100_000
"""Of a document whose aliases are written out."""


def read_yaml(path: str | Path) -> Any:
    """Read a YAML file.

    Args:
        path: the file, UTF-8.

    Raises:
        DataError: it cannot be read, is no YAML, holds tags of a programming language, or is too large.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = (Path(folder) / "a.yaml").write_text("epochs: 3")
        ...     read_yaml(f"{folder}/a.yaml")
        {'epochs': 3}
    """
    path = Path(path)
    try:
        if path.is_file() and path.stat().st_size > MOST_BYTES:
            raise DataError(
                f"{path} is larger than {MOST_BYTES >> 10} KiB; a configuration is a page of text"
            )
        return _loaded(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path} cannot be read ({system_says(error)})") from error
    except yaml.YAMLError as error:
        raise DataError(f"{path} is not YAML: {one_line(error)}") from error
    # text that is not UTF-8, a date with a month 13, an integer of thousands of digits
    except (ValueError, OverflowError, RecursionError) as error:
        raise DataError(
            f"{path} is not YAML: {one_line(error)}; correct it, or restore the original"
        ) from error


def _loaded(text: str) -> Any:
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        if _count(node, {}) > MOST_VALUES:
            raise ValueError(f"with its aliases it holds more than {MOST_VALUES} values")
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _count(node: yaml.Node, known: dict[int, int]) -> int:
    """Count values as if each alias were a copy."""
    if id(node) in known:
        if known[id(node)] == 0:
            raise ValueError("a value contains itself")
        return known[id(node)]
    known[id(node)] = 0
    inner = node.value if isinstance(node, yaml.CollectionNode) else ()
    parts = (part for item in inner for part in (item if isinstance(item, tuple) else (item,)))
    known[id(node)] = 1 + sum(_count(part, known) for part in parts)
    return known[id(node)]
