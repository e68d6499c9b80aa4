"""A process killed for memory, and memory that runs out: one line that names the remedy."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faults.conftest import Expected
from tests.faults.injected import BAD, Said, call, facts
from tests.faults.jobs import JOBS

pytestmark = pytest.mark.usefixtures("one_thread")


def _children(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError, IndexError):
            number = int(entry.name)
            if int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1]) == pid:
                found.append(number)
    return found


def _is_worker(pid: int, words: str) -> bool:
    try:
        return words in Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return False


@contextlib.contextmanager
def _killing(words: str, after: float = 0.0) -> Iterator[list[int]]:
    """Kill one child of this process whose command has these words, as the kernel does: SIGKILL."""
    known, killed, stop = set(_children(os.getpid())), [], threading.Event()

    def watch() -> None:
        while not stop.wait(0.02):
            for pid in _children(os.getpid()):
                if pid not in known and not killed and _is_worker(pid, words):
                    time.sleep(after)
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                        killed.append(pid)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield killed
    finally:
        stop.set()
        thread.join()


def test_a_process_that_loads_data(small_data: Path, expected: Expected, tmp_path: Path) -> None:
    job = JOBS["train"]
    argv = (*job.argv(small_data, tmp_path), "--num_workers", "1", "--epochs", "40")
    with _killing("python") as killed:
        said = call(*argv)
    assert killed
    line = said.error(tmp_path / "run", "was killed", "memory", "num_workers", "--resume")
    assert "finished epochs are kept" in line
    again = call(*job.argv(small_data, tmp_path), "--num_workers", "1", *job.again_if_begun(tmp_path))
    assert again.code == 0, again.stderr
    wanted = {key: value for key, value in expected("train").items() if not key.endswith(".yaml")}
    assert wanted.items() <= facts(tmp_path).items()


@pytest.mark.parametrize("after", [0.0, pytest.param(6.0, marks=pytest.mark.long)])
def test_a_process_that_evaluates(after: float, small_data: Path, expected: Expected, tmp_path: Path) -> None:
    job = JOBS["evaluate"]
    job.prepare(small_data, tmp_path)
    older = facts(tmp_path)
    with _killing("spawn_main", after) as killed:
        said = call(*job.argv(small_data, tmp_path), "--processes", "2")
    assert killed
    said.error("was killed by SIGKILL", "memory", "repeat the command", "fewer --processes")
    assert {key: value for key, value in facts(tmp_path).items() if "/.evaluation" not in key} == older
    again = call(*job.argv(small_data, tmp_path))
    assert again.code == 0, again.stderr
    assert facts(tmp_path) == expected("evaluate")


STARVED = """
import resource, sys
import numba, torch
import scipy.linalg.cython_blas  # OpenBLAS waits for ever if it is loaded when memory is short
from segood.cli import main
import segood.cli.{verb}, {modules}
torch.set_num_threads(1)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + {bulk}, resource.RLIM_INFINITY))
sys.exit(main())
"""
MODULES = {
    "score": "segood.evaluation.score_maps, segood.models.unet, h5py",
    "predict": "segood.deployment.predict, segood.deployment.monitor, cv2, segood.models.unet",
    "train": "segood.training.fit, segood.training.trainer, torch.utils.tensorboard, segood.models.unet",
}


@pytest.mark.parametrize(
    ("verb", "megabytes"),
    [
        ("score", 40),
        *[
            pytest.param(verb, megabytes, marks=pytest.mark.long)
            for verb in MODULES
            for megabytes in (20, 40, 60, 120)
        ],
    ],
)
def test_memory_that_runs_out(verb: str, megabytes: int, small_data: Path, tmp_path: Path) -> None:
    script = STARVED.format(verb=verb, modules=MODULES[verb], bulk=megabytes << 20)
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, JOBS[verb].argv(small_data, tmp_path))],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENCV_LOG_LEVEL": "SILENT"},
    )
    if done.returncode:  # where there was enough there is nothing to tell
        said = Said(done.returncode, done.stderr)
        if said.code in (-signal.SIGABRT, -signal.SIGSEGV):  # compiled code of a library that cannot go on
            assert "segood: error: this is a bug" not in said.stderr
            return
        (line,) = [line for line in said.lines if line.startswith("segood: error: ")]
        assert said.code == 1
        assert "memory" in line
        assert not [word for word in BAD if word in said.stderr], said.stderr
