"""Threads are bounded by one setting, survive forks, and keep order; a cache may be read-only."""

from __future__ import annotations

import multiprocessing
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from segood import compiled
from segood.compiled import kernels_enabled, num_threads, run_parallel, set_num_threads
from segood.errors import UsageError


@pytest.fixture(autouse=True)
def _default_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEGOOD_NUM_THREADS", raising=False)


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


@pytest.mark.parametrize("count", [0, -1, 2.5, "2"])
def test_no_thread_is_no_setting(count: Any) -> None:
    message = re.escape(f"`count` must be a number of threads, at least 1; got {count!r}")
    with pytest.raises(UsageError, match=message):
        set_num_threads(count)


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


@pytest.mark.parametrize("piece", [0, 5])
def test_after_an_error_no_piece_is_begun_and_none_runs(piece: int) -> None:
    set_num_threads(3)
    begun, ended = [], []

    def work(number: int) -> None:
        begun.append(number)
        if number == piece:
            raise ValueError(f"piece {number}")
        time.sleep(0.02)
        ended.append(number)

    with pytest.raises(ValueError, match=f"piece {piece}"):
        run_parallel(work, 3000)
    assert len(begun) == len(ended) + 1
    assert len(begun) < 300


def test_work_that_calls_for_threads_itself_from_several_threads() -> None:
    set_num_threads(2)
    sums: list[list[int]] = []

    def outer(_: int) -> int:
        return sum(run_parallel(lambda piece: (time.sleep(0.002), piece)[1], 4))

    callers = [
        threading.Thread(target=lambda: sums.append(run_parallel(outer, 4)), daemon=True) for _ in range(4)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(timeout=30)
    assert sums == [[6] * 4] * 4


def test_work_of_one_caller_does_not_wait_for_that_of_another() -> None:
    set_num_threads(2)
    release = threading.Event()
    blocking = [
        threading.Thread(target=lambda: run_parallel(lambda _: release.wait(30), 2), daemon=True)
        for _ in range(2)
    ]
    for caller in blocking:
        caller.start()
    time.sleep(0.1)  # both threads of the pool are taken
    start = time.perf_counter()
    assert run_parallel(lambda piece: piece, 4) == [0, 1, 2, 3]
    assert time.perf_counter() - start < 10
    release.set()
    for caller in blocking:
        caller.join(timeout=30)


AFTER_THE_MAIN_THREAD = """
import atexit, threading
from segood.compiled import run_parallel, set_num_threads
set_num_threads(2)
run_parallel(str, 4)
def late():
    threading.main_thread().join()
    print(run_parallel(str, 3))
threading.Thread(target=late).start()
atexit.register(lambda: print(run_parallel(str, 3)))
"""


def test_work_goes_on_when_the_main_thread_has_ended() -> None:
    command = [sys.executable, "-c", AFTER_THE_MAIN_THREAD]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["['0', '1', '2']"] * 2


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
    assert queue.get(timeout=300) == list(range(9))
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


ONE_KERNELS = """
from segood.compiled import kernel
@kernel
def one(x):
    return x + 1
"""
TWO_KERNELS = """
from segood.compiled import kernel
from segood.one_kernels import one
@kernel
def two(x):
    return one(x) * 2
"""
CALL_TWO = "from segood.two_kernels import two as t; print(t(3), sum(t.stats.cache_hits.values()))"


@pytest.mark.skipif(not kernels_enabled(), reason="Numba is not installed or switched off")
def test_the_cache_knows_kernels_of_other_files_and_the_flags(tmp_path: Path) -> None:
    package = tmp_path / "segood"
    package.mkdir()
    for name in ("compiled.py", "errors.py"):
        shutil.copy(Path(compiled.__file__).with_name(name), package)
    (package / "__init__.py").write_text("")
    (package / "two_kernels.py").write_text(TWO_KERNELS)

    def result_and_hits(source: str) -> str:
        (package / "one_kernels.py").write_text(source)
        environment = {"PYTHONPATH": str(tmp_path), "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
        done = subprocess.run(
            [sys.executable, "-c", CALL_TWO], env=os.environ | environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    assert result_and_hits(ONE_KERNELS) == "8 0"
    assert result_and_hits(ONE_KERNELS) == "8 1"
    changed = ONE_KERNELS.replace("x + 1", "x + 5")
    assert result_and_hits(changed) == "16 0"
    source = (package / "compiled.py").read_text()
    assert 'flags = {"reassoc", ' in source
    (package / "compiled.py").write_text(source.replace('flags = {"reassoc", ', "flags = {"))
    assert result_and_hits(changed) == "16 0"


WITHOUT_NUMBA = """
import sys, warnings
import numpy as np
warnings.simplefilter("error")
{block}
from segood.segments import extract_segments
from segood.evaluation import PixelMetrics
from segood.meta import cross_validate
from segood.training import loss_terms
import torch
print(len(extract_segments(logits=np.zeros((3, 2, 2), np.float32))))
metrics = PixelMetrics(num_bins=512)
metrics.update(np.array([0.1, 0.9]), np.array([0, 1]))
print(metrics.compute().auroc)
rows = np.array([[0.0], [0.2], [0.3], [0.7], [0.8], [1.0]])
print(cross_validate(rows, [0, 0, 0, 1, 1, 1], protocol="leave-one-out").auroc)
logits = torch.zeros(1, 2, 1, 1, requires_grad=True)
loss_terms(logits, torch.zeros(1, 1, 1, dtype=torch.long)).in_sum.backward()
print(logits.grad.flatten().tolist())
"""
BLOCKS = {
    "not installed": """
class Finder:
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] == "numba":
            raise ModuleNotFoundError("No module named 'numba'", name="numba")
sys.meta_path.insert(0, Finder())
""",
    "hidden": 'sys.modules["numba"] = None',
    "for another NumPy": """
from pathlib import Path
Path("numba.py").write_text("raise ImportError('Numba needs NumPy 2.2 or less')")
sys.path.insert(0, "")
warnings.filterwarnings("ignore", "Numba is installed, but cannot be imported, .*: Numba needs NumPy 2.2")
""",
}


@pytest.mark.parametrize("block", BLOCKS)
def test_everything_works_without_numba(block: str, tmp_path: Path) -> None:
    program = WITHOUT_NUMBA.format(block=BLOCKS[block])
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True,
        env={name: value for name, value in os.environ.items() if name != "SEGOOD_KERNELS"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n") == ["1", "1.0", "1.0", "[-0.5, 0.5]", ""]


def test_switching_kernels_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGOOD_KERNELS", "0")
    assert not kernels_enabled()
