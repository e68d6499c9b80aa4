"""Faults of the machine, put in on purpose, and what may be left after one.

In: a verb's arguments. Out: what `segood` said and its exit code; full, read-only and vanished drives,
another user, a clock that jumps; checks that a message is one good line, and that all files in a folder are
whole.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch
import yaml
from PIL import Image

from segood.cli import main

BAD = ("Traceback", "bug in segood", "Exception ignored", "Exception in thread", "#000:", "terminate called")
VOLATILE = {
    "created", "command", "seconds", "milliseconds", "this_call", "packages", "run", "name", "data_root",
    "root", "latency", "latency_ms", "environment", "config", "video",
}  # fmt: skip
"""What differs between two undisturbed runs, or tells where they lie."""


@dataclass(frozen=True)
class Said:
    """How a call of `segood` ended."""

    code: int
    stderr: str

    @property
    def lines(self) -> list[str]:
        """What it said on stderr, without progress bars."""
        shown = [part.strip() for part in re.split(r"[\r\n]", self.stderr)]
        return [line for line in shown if line and not re.search(r"it/s|\?it|\| *\d+/\d+|\[A|frame/s", line)]

    def error(self, *words: object) -> str:
        """Return the one line of an error that names all `words`; raise where it is anything else."""
        assert self.code in (1, 2), (self.code, self.stderr)
        assert not [word for word in BAD if word in self.stderr], self.stderr
        errors = [line for line in self.lines if "segood: error: " in line]
        others = [line for line in self.lines if line not in errors and "segood: warning: " not in line]
        assert len(errors) == 1, self.stderr
        assert not others, self.stderr
        for word in words:
            assert str(word) in errors[0], (word, errors[0])
        return errors[0]


def call(*argv: object) -> Said:
    """Run `segood ARGV` in this process; what libraries write to file descriptor 2 counts, too."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as file, io.TextIOWrapper(file, write_through=True) as text:
        os.dup2(file.fileno(), 2)
        try:
            with contextlib.redirect_stderr(text), contextlib.redirect_stdout(io.StringIO()):
                code = main([str(word) for word in argv])
        finally:
            os.dup2(kept, 2)
            os.close(kept)
        file.seek(0)
        return Said(code, file.read().decode(errors="replace"))


def succeed(*argv: object) -> None:
    """Run `segood ARGV`, which has to work."""
    said = call(*argv)
    assert said.code == 0, (argv, said.stderr)


@contextlib.contextmanager
def small_drive(size: str = "64m") -> Iterator[Path]:
    """Mount a drive of a size; skip the test where that is not allowed."""
    place = Path(tempfile.mkdtemp(prefix="drive"))
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place], capture_output=True, check=False
    )
    if done.returncode:
        place.rmdir()
        pytest.skip("this process may not mount a small drive")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], capture_output=True, check=False)
        place.rmdir()


@contextlib.contextmanager
def nearly_full(drive: Path, free: int) -> Iterator[None]:
    """Leave so many bytes free on a drive."""
    filler = drive / "filler"
    state = os.statvfs(drive)
    bulk = max(0, state.f_bavail - -(-free // state.f_frsize)) * state.f_frsize
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, bulk))
    try:
        yield
    finally:
        filler.unlink()


def remount(drive: Path, how: str) -> None:
    """Make a drive read-only (`ro`) or not (`rw`)."""
    subprocess.run(["mount", "-o", f"remount,{how}", drive], check=True)


@contextlib.contextmanager
def another_user(uid: int = 65534) -> Iterator[None]:
    """Be nobody, to whom permissions apply."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)


class Drive:
    """A network drive that is gone from the n-th access on: every call below `prefix` fails.

    Only what Python itself opens, renames, lists and flushes, not what libraries read in C.

    Args:
        prefix: the drive.
        after: accesses that still work.
        code: of the error.
        kinds: events that count, see `sys.audit`; all if empty.
        once: fail at this access alone.
    """

    def __init__(
        self, prefix: Path, after: int, code: int = errno.EIO, *, writes: bool = False, once: bool = False
    ) -> None:
        self.prefix, self.left, self.code, self.writes, self.once = str(prefix), after, code, writes, once
        self.hits = 0

    def __enter__(self) -> Drive:
        global _drive
        _install()
        _drive = self
        return self

    def __exit__(self, *error: object) -> None:
        global _drive
        _drive = None

    def access(self, path: object, *, writes: bool) -> None:
        """Count an access; raise where the drive is gone."""
        if isinstance(path, int):
            path = _name_of(path)
        if not isinstance(path, (str, bytes, os.PathLike)) or (self.writes and not writes):
            return
        if not os.fsdecode(path).startswith(self.prefix):
            return
        self.left -= 1
        if self.left < 0 and not (self.once and self.hits):
            self.hits += 1
            self.fail(os.fsdecode(path))

    def fail(self, path: str) -> None:
        """Fail at an access."""
        raise OSError(self.code, os.strerror(self.code), path)


_drive: Drive | None = None
_installed = False
_CHANGES = ("os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.truncate")
_LOOKS = ("os.listdir", "os.scandir")


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _drive is None:
        return
    if event == "open":
        flags = arguments[2] or 0
        _drive.access(arguments[0], writes=bool(flags & (os.O_WRONLY | os.O_RDWR)))
    elif event in _CHANGES:
        _drive.access(arguments[0], writes=True)
    elif event in _LOOKS:
        _drive.access(arguments[0], writes=False)


def _install() -> None:
    global _installed
    if _installed:
        return
    _installed = True
    sys.addaudithook(_hook)

    def watched(name: str, *, writes: bool) -> None:
        plain: Callable[..., Any] = getattr(os, name)

        def checked(path: Any, *arguments: Any, **options: Any) -> Any:
            if _drive is not None:
                _drive.access(path, writes=writes)
            return plain(path, *arguments, **options)

        setattr(os, name, checked)

    for name, writes in (("stat", False), ("fsync", True), ("write", True)):
        watched(name, writes=writes)


def _name_of(file: int) -> str | None:
    try:
        return str(Path(f"/proc/self/fd/{file}").readlink())
    except OSError:
        return None


@contextlib.contextmanager
def jumping_clock(seed: int) -> Iterator[None]:
    """Let `time.time` jump by hours, to and fro, at every look."""
    drawn, plain = random.Random(seed), time.time
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: plain() + drawn.uniform(-7200, 7200))
        yield


def leftovers(folder: Path) -> list[str]:
    """Return what a failed call must not leave: temporary names."""
    names = (".part", ".evaluation.staged", ".lock")
    return sorted(str(p) for p in folder.rglob("*") if any(name in p.name for name in names))


def check_whole(folder: Path) -> int:
    """Read every file in a folder; raise where one is half-written. Returns how many were read."""
    assert not leftovers(folder)
    files = [p for p in sorted(folder.rglob("*")) if p.is_file() and p.name != "filler"]
    return sum(_facts(path) is not None for path in files)


def facts(folder: Path) -> dict[str, str]:
    """Return what files in a folder say, without times and places, by their names."""
    files = [
        p for p in sorted(folder.rglob("*")) if p.is_file() and p.name != "filler" and "logs" not in p.parts
    ]
    found = {str(path.relative_to(folder)): _facts(path) for path in files}
    return {name: digest for name, digest in found.items() if digest is not None}


def _facts(path: Path) -> str | None:
    kind = path.suffix
    if kind == ".json":
        return _digest(_lasting(json.loads(path.read_text())))
    if kind == ".yaml":
        return _digest(_lasting(yaml.safe_load(path.read_text())))
    if kind == ".jsonl":
        text = path.read_text()
        assert text == "" or text.endswith("\n"), path
        return _digest([_lasting(json.loads(line)) for line in text.splitlines()])
    if kind in (".png", ".jpg"):
        with Image.open(path) as image:
            image.load()
            return _digest(np.asarray(image).tobytes())
    if kind == ".hdf5":
        with h5py.File(path) as file:
            return _digest(file["value"][()].tobytes())
    if kind == ".npz":
        with np.load(path) as arrays:
            return _digest([(name, arrays[name].tobytes()) for name in sorted(arrays.files)])
    if kind == ".parquet":
        return _digest(pd.read_parquet(path).to_csv(index=False))
    if kind == ".safetensors":
        tensors = safetensors.torch.load_file(path)
        return _digest([(name, tensors[name].numpy().tobytes()) for name in sorted(tensors)])
    if kind == ".ckpt":
        torch.load(path, weights_only=True)
        return None
    if kind == ".segood":
        from segood.deployment.bundle import Bundle

        parts = Bundle.read(path).parts
        lasting = [name for name in ("network.onnx", "meta.json") if name in parts]
        return _digest({name: hashlib.sha256(parts[name]).hexdigest() for name in lasting})
    if kind == ".html":
        assert path.read_text().rstrip().endswith("</html>"), path
        return None
    if kind in (".avi", ".mp4"):
        import cv2

        assert cv2.VideoCapture(str(path)).read()[0], path
        return _digest(path.read_bytes())
    return None


def _lasting(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _lasting(item) for key, item in value.items() if key not in VOLATILE}
    if isinstance(value, list):
        return [_lasting(item) for item in value]
    return value


def _digest(value: Any) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()[:16]
