"""Threads are bounded by one setting, survive forks, and keep order; a cache may be read-only."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from segood.compiled import kernels_enabled, num_threads, run_parallel, set_num_threads
from segood.errors import UsageError


@pytest.fixture(autouse=True)
def _default_threads(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    monkeypatch.delenv("SEGOOD_NUM_THREADS", raising=False)
    yield
    set_num_threads(None)


def test_the_default_is_what_torch_uses_and_settings_come_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert num_threads() == torch.get_num_threads()
    monkeypatch.setenv("SEGOOD_NUM_THREADS", "3")
    assert num_threads() == 3
    set_num_threads(5)
    assert num_threads() == 5


@pytest.mark.parametrize("setting", ["0", "-1", "two", "1.5"])
def test_bad_settings(setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGOOD_NUM_THREADS", setting)
    with pytest.raises(UsageError, match=f"SEGOOD_NUM_THREADS must be .* at least 1; got '{setting}'"):
        num_threads()


def test_no_thread_is_no_setting() -> None:
    with pytest.raises(UsageError, match="`count` must be at least 1 thread; got 0"):
        set_num_threads(0)


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_results_come_in_order_from_no_more_threads_than_set(threads: int) -> None:
    set_num_threads(threads)
    seen = set()

    def work(piece: int) -> int:
        seen.add(threading.get_ident())
        return piece * piece

    assert run_parallel(work, 100) == [piece * piece for piece in range(100)]
    assert len(seen) <= threads
    assert run_parallel(work, 0) == []


def test_the_first_error_comes_through() -> None:
    set_num_threads(2)

    def work(piece: int) -> int:
        if piece == 3:
            raise ValueError("piece 3")
        return piece

    with pytest.raises(ValueError, match="piece 3"):
        run_parallel(work, 8)
    assert run_parallel(str, 2) == ["0", "1"]


class ThreadsOfAWorker(Dataset[int]):
    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> int:
        return sum(run_parallel(lambda _: num_threads(), 5))


def test_a_data_loader_worker_has_one_thread_even_after_the_parent_used_many() -> None:
    set_num_threads(3)
    assert run_parallel(lambda _: num_threads(), 5) == [3] * 5
    loader = DataLoader(ThreadsOfAWorker(), num_workers=2, batch_size=None, multiprocessing_context="fork")
    assert [int(total) for total in loader] == [5] * 4


def _child(queue: multiprocessing.Queue[list[int]]) -> None:
    queue.put(run_parallel(lambda piece: piece, 9))


def test_a_forked_child_starts_its_own_threads() -> None:
    set_num_threads(2)
    run_parallel(str, 4)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_child, args=(queue,))
    child.start()
    assert queue.get(timeout=60) == list(range(9))
    child.join()


PROGRAM = """
import numpy as np
from segood.compiled import kernel
@kernel
def double(x):
    return 2 * x
print(double(np.float32(21)))
"""


def run_program(folder: Path, **environment: str) -> str:
    """Run the kernel in a process of its own, as a file, because only files are cached."""
    program = folder / "program.py"
    if not program.exists():
        program.write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, str(program)], env=os.environ | environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(not kernels_enabled(), reason="Numba is not installed or switched off")
def test_compiled_code_is_cached_and_a_cache_that_cannot_be_written_breaks_nothing(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    assert run_program(tmp_path, NUMBA_CACHE_DIR=str(cache)).strip() == "42.0"
    assert list(cache.rglob("*.nbc"))
    # A file where the folder should be stops even the superuser, whom permissions do not.
    blocked = tmp_path / "blocked"
    blocked.write_text("")
    home = {"HOME": str(blocked), "XDG_CACHE_HOME": str(blocked)}
    (tmp_path / "__pycache__").write_text("")
    assert run_program(tmp_path, NUMBA_CACHE_DIR=str(blocked), **home).strip() == "42.0"
    # The folder vanishes, or becomes read-only, between two calls.
    spoil = f"import shutil; shutil.rmtree({str(cache)!r}); open({str(cache)!r}, 'w').close()"
    vanishing = PROGRAM.replace("print", f"{spoil}\nprint")
    (tmp_path / "program.py").write_text(vanishing)
    assert run_program(tmp_path, NUMBA_CACHE_DIR=str(cache), **home).strip() == "42.0"


def test_switching_kernels_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGOOD_KERNELS", "0")
    assert not kernels_enabled()
