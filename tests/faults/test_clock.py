"""A clock that jumps by hours, and files from the future: the results are the same."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from tests.faults.conftest import Expected
from tests.faults.injected import call, facts, jumping_clock, nearly_full, small_drive
from tests.faults.jobs import JOBS, copy_input

pytestmark = pytest.mark.usefixtures("one_thread")

SLOW = ("export", "compare", "figures")
VERBS = [pytest.param(name, marks=pytest.mark.long) if name in SLOW else name for name in JOBS]


def _from_the_future(folder: Path) -> None:
    for number, path in enumerate(sorted(folder.rglob("*"))):
        there = time.time() + (86_400 * number if number % 2 else -86_400 * number)
        os.utime(path, (there, there))


@pytest.mark.parametrize("name", VERBS)
def test_a_clock_that_jumps(name: str, small_data: Path, expected: Expected, tmp_path: Path) -> None:
    data, out, job, wanted = tmp_path / "data", tmp_path / "out", JOBS[name], expected(name)
    copy_input(small_data, data)
    out.mkdir()
    job.prepare(data, out)
    _from_the_future(tmp_path)
    with jumping_clock(seed=1):
        said = call(*job.argv(data, out))
    assert said.code == 0, said.stderr
    assert facts(out) == wanted


@pytest.mark.parametrize(("name", "free"), [("train", 800_000), ("predict", 5 * 4096), ("evaluate", 300_000)])
def test_going_on_while_the_clock_jumps(name: str, free: int, small_data: Path, expected: Expected) -> None:
    job, wanted = JOBS[name], expected(name)
    with small_drive() as drive:
        job.prepare(small_data, drive)
        with jumping_clock(seed=2):
            with nearly_full(drive, free):
                call(*job.argv(small_data, drive)).error("cannot write")
            _from_the_future(drive)
            said = call(*job.argv(small_data, drive), *job.again_if_begun(drive))
        assert said.code == 0, said.stderr
        assert facts(drive) == wanted
