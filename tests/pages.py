"""Pages of the documentation that tests execute: their blocks of code, as a reader would."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from pathlib import Path
from typing import Any

from segood.cli import main

DOCS = Path(__file__).parent.parent / "docs"
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.S | re.M)
_FILE = re.compile(r"# ([\w/]+\.(?:py|yaml))\n")
_PROMISE = re.compile(r"print\(.*\) +# (.*)")


def blocks(page: str) -> list[tuple[str, str]]:
    """Return the language and the text of each block of code of a page, such as `networks.md`."""
    return _FENCE.findall((DOCS / page).read_text(encoding="utf-8"))


def run_python(code: str, page: str, names: dict[str, Any] | None = None) -> list[str]:
    """Execute a block; what its comments promise of a print has to be printed.

    Args:
        code: the block.
        page: whose it is.
        names: what it finds defined, and where it defines its own.

    Returns:
        The lines printed.
    """
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(code, page, "exec"), {} if names is None else names)
    printed, promised = said.getvalue().splitlines(), _PROMISE.findall(code)
    if len(promised) == code.count("print("):
        assert printed == promised
    lines = iter(printed)
    assert all(line in lines for line in promised), printed
    return printed


def run_commands(text: str) -> None:
    """Call each command of a block; all have to succeed."""
    for line in text.replace("\\\n", "").splitlines():
        assert line.startswith("segood "), line
        assert main(shlex.split(line)[1:]) == 0, line


def write_file(code: str) -> Path | None:
    """Write a block that starts with the name of a file, in the working directory; None for any other."""
    named = _FILE.match(code)
    if named is None:
        return None
    path = Path(named[1])
    path.parent.mkdir(exist_ok=True)
    path.write_text(code, encoding="utf-8")
    return path


def run_page(page: str) -> dict[str, Any]:
    """Execute a page from top to bottom, in the working directory: files, commands, Python.

    Returns:
        All names that its Python has defined; blocks see those of blocks before.
    """
    names: dict[str, Any] = {}
    for kind, code in blocks(page):
        if kind == "":
            run_commands(code)
        elif kind == "python" and write_file(code) is None:
            run_python(code, page, names)
    return names
