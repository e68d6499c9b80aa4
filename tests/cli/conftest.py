"""The command line as a user runs it: a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from segood.cli import main

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def segood() -> Run:
    """Run `segood ...` in a new process; returns exit code and both outputs."""

    def run(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "segood.cli", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=1200, check=False, **options)  # type: ignore[call-overload,no-any-return]

    return run


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Call `segood ...`, require one line of error and the exit code, and return that line."""

    def run(*arguments: object, code: int) -> str:
        capsys.readouterr()
        status = main([str(a) for a in arguments])
        stderr = capsys.readouterr().err
        assert status == code, stderr
        lines = stderr.strip().splitlines()
        assert len(lines) == 1, stderr
        assert lines[0].startswith("segood: error: ")
        return lines[0]

    return run
