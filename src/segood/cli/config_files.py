"""Configuration files that anybody may have written, looked at before the parser sees them.

In: the file of `--config`. Out: nothing, or one error. The parser would import whatever a file names as a
class, and read whatever other file it names; here, a section is a mapping of its parts and nothing else.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from jsonargparse import ArgumentParser

from segood.documents import read_yaml
from segood.errors import UsageError


def given_files(words: list[str]) -> list[str]:
    """Return the files that a command line names with `--config`.

    Example:
        >>> given_files(["--config", "a.yaml", "--seed", "1", "--config=b.yaml"])
        ['a.yaml', 'b.yaml']
        >>> given_files([]), given_files(["--config"])
        ([], [])
    """
    after = [word for before, word in pairwise(words) if before == "--config"]
    return after + [word[9:] for word in words if word.startswith("--config=")]


def check_config_file(path: str, parser: ArgumentParser, configs: Iterable[type]) -> None:
    """Raise unless a file holds a mapping whose sections are mappings.

    Args:
        path: the file.
        parser: of the verb.
        configs: the dataclasses whose fields are the parser's arguments.

    Raises:
        DataError: it cannot be read, or is too large.
        UsageError: it holds something else.
    """
    document = read_yaml(path)
    if document is None:
        return
    if not isinstance(document, dict) or not all(isinstance(key, str) for key in document):
        raise UsageError(f"{path} must hold `name: value` lines; got {type(document).__name__}")
    _refuse_code(document, path)
    hints = {action.dest: getattr(action, "_typehint", None) for action in parser._actions}
    for config in configs:
        hints |= typing.get_type_hints(config)
    _check(document, dict(hints), path, "")


def _refuse_code(value: Any, path: str) -> None:
    """Raise where any part names a class, which the parser would import even where it takes none."""
    if isinstance(value, dict):
        if "class_path" in value:
            raise UsageError(f"{path}: `class_path` is not taken; a configuration names no code this way")
        value = list(value.values())
    for part in value if isinstance(value, list) else ():
        _refuse_code(part, path)


def _check(values: dict[str, Any], hints: dict[str, Any], path: str, where: str) -> None:
    for name, value in values.items():
        _check_value(value, hints.get(name), path, f"{where}{name}")


def _check_value(value: Any, hint: Any, path: str, where: str) -> None:
    if value is None and not dataclasses.is_dataclass(hint):
        return
    section = next((h for h in (hint, *typing.get_args(hint)) if dataclasses.is_dataclass(h)), None)
    if section is None:
        return
    if typing.get_origin(hint) in (dict, list):
        if not isinstance(value, (dict, list)):
            raise UsageError(f"{path}: `{where}` must hold its parts; got {value!r:.80}")
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            _check_value(item, section, path, f"{where}.{key}")
    elif isinstance(value, dict):
        _check(value, typing.get_type_hints(section), path, f"{where}.")
    else:
        raise UsageError(f"{path}: `{where}` must be a mapping of its parts; got {value!r:.80}")
