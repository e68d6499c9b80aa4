"""A network drive that vanishes, for input or for output: one line that says so, then it goes on."""

from __future__ import annotations

import errno
import itertools
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.faults.conftest import Expected
from tests.faults.injected import Drive, call, facts, leftovers, small_drive
from tests.faults.jobs import JOBS, copy_input

pytestmark = pytest.mark.usefixtures("one_thread")

CODES = (errno.EIO, errno.ESTALE, errno.ETIMEDOUT)
# share of all accesses that still work
QUICK_READS = [
    *itertools.product(("train", "evaluate", "score", "predict", "coco"), (0.0, 0.5, 0.95)),
    ("compare", 0.7), ("calibrate", 0.5),
]  # fmt: skip
QUICK_WRITES = [
    *itertools.product(("train", "evaluate", "score", "predict", "coco"), (0.1, 0.6)),
    ("cityscapes", 0.5), ("meta", 0.5), ("calibrate", 0.0), ("report", 0.2), ("compare", 0.3),
]  # fmt: skip
READERS = ("train", "evaluate", "calibrate", "score", "compare", "predict", "coco", "export")
LONG_SHARES = [step / 24 for step in range(24)]


def _long(names: tuple[str, ...]) -> list[object]:
    return [pytest.param(*case, marks=pytest.mark.long) for case in itertools.product(names, LONG_SHARES)]


@pytest.fixture(scope="module")
def accesses(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, bool], int]:
    """How often an undisturbed job touches its drive, as far as known."""
    return {}


def _count(
    name: str, data: Path, out: Path, prefix: Path, known: dict[tuple[str, bool], int], *, writes: bool
) -> int:
    if (name, writes) not in known:
        JOBS[name].prepare(data, out)
        with Drive(prefix, 10**9, writes=writes) as drive:
            assert call(*JOBS[name].argv(data, out)).code == 0
        known[name, writes] = 10**9 - drive.left
        shutil.rmtree(out)
        out.mkdir()
    return known[name, writes]


@pytest.mark.parametrize(("name", "share"), [*QUICK_READS, *_long(READERS)])
def test_input_that_vanishes(
    name: str,
    share: float,
    small_data: Path,
    expected: Expected,
    accesses: dict[tuple[str, bool], int],
    tmp_path: Path,
) -> None:
    data, out, job, wanted = tmp_path / "data", tmp_path / "out", JOBS[name], expected(name)
    copy_input(small_data, data)
    out.mkdir()
    total = _count(name, data, out, data, accesses, writes=False)
    job.prepare(data, out)
    older = facts(out)
    at = int(total * share)
    with Drive(data, at, CODES[at % len(CODES)]) as drive:
        said = call(*job.argv(data, out))
    assert drive.hits
    line = said.error(data, *(() if name == "export" else ("is its drive still there",)))
    assert any(text in line for text in ("Input/output error", "Stale file handle", "timed out")), line
    assert not leftovers(out)
    assert older.items() <= facts(out).items()
    again = call(*job.argv(data, out), *job.again_if_begun(out))
    assert again.code == 0, again.stderr
    assert facts(out) == wanted


@pytest.mark.parametrize(("name", "share"), [*QUICK_WRITES, *_long(tuple(JOBS))])
def test_output_that_vanishes(
    name: str,
    share: float,
    small_data: Path,
    expected: Expected,
    accesses: dict[tuple[str, bool], int],
    tmp_path: Path,
) -> None:
    out, job, wanted = tmp_path / "out", JOBS[name], expected(name)
    out.mkdir()
    total = _count(name, small_data, out, out, accesses, writes=True)
    job.prepare(small_data, out)
    older = facts(out)
    at = int(total * share)
    code = (*CODES, errno.EROFS)[at % 4]  # the system makes a broken drive read-only
    with Drive(out, at, code, writes=True) as drive:
        said = call(*job.argv(small_data, out))
    assert drive.hits
    if said.code:  # what is only tidied up at the end may fail
        line = said.error(out)
        assert "is its drive still there" in line or "Read-only file system; " in line, line
    # names of temporary files stay where the drive took no command any more
    visible = {key: value for key, value in facts(out).items() if ".part" not in key}
    # between two renames: what vouches for the older results has gone, so nobody takes a mixture for any
    if not older.items() <= visible.items():
        assert "run/metrics.json" in older.keys() - visible.keys()
    again = call(*job.argv(small_data, out), *job.again_if_begun(out))
    assert again.code == 0, again.stderr
    assert {key: value for key, value in facts(out).items() if ".part" not in key} == wanted


@pytest.mark.parametrize("name", ["predict", "score", "evaluate"])
def test_input_that_is_unmounted(name: str, small_data: Path, expected: Expected, tmp_path: Path) -> None:
    """Nothing is where the drive was: files are missing rather than broken."""
    out, job, wanted = tmp_path / "out", JOBS[name], expected(name)
    out.mkdir()
    with small_drive() as place:
        data = place / "data"
        copy_input(small_data, data)
        job.prepare(data, out)

        class Unmounted(Drive):
            def fail(self, path: str) -> None:
                if self.hits == 1:
                    subprocess.run(["umount", "-l", place], check=True)

        with Unmounted(data / "fishyscapes/images/0001.png", 1):
            said = call(*job.argv(data, out))
        said.error(data)
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], check=True)
        copy_input(small_data, data)
        again = call(*job.argv(data, out), *job.again_if_begun(out))
        assert again.code == 0, again.stderr
        assert facts(out) == wanted
