"""Peak extra memory of a call, in a process of its own, and what memory is read at.

In: a function that prepares the call. Out: how far the process grew beyond what it held before the call,
whoever allocated it (NumPy, PyTorch, compiled code, our result), and the time of further calls.

On Linux the kernel's high-water mark (`VmHWM`) is reset right before the call. Elsewhere it cannot be, so a
higher peak during preparation would hide the call's: the amount is then a lower bound.
"""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import statistics
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, TypeVar

import torch

from benchmarks.measure import Call, seconds_of

Result = TypeVar("Result")

BANDWIDTH_BYTES = 2**29


class Work(NamedTuple):
    """A call, and a small one of the same kind that compiles and imports what it needs."""

    call: Call
    warm_up: Call


class Cost(NamedTuple):
    """Median seconds of a call, and bytes by which it raised the peak of its process."""

    seconds: float
    peak_bytes: int


def cost(prepare: Callable[..., Work], *args: object, runs: int = 5, reuse: bool = False) -> Cost:
    """Measure a call in a fresh process.

    Args:
        prepare: function of a module, called with `args` over there; makes the input.
        args: plain data.
        runs: timed calls after the one whose memory is measured; with 0 that one is timed.
        reuse: take the process of the last such call: quicker, but it may hold freed memory that
            hides a part of the peak.
    """
    return in_fresh_process(_measure, prepare, args, runs, reuse=reuse)


def in_fresh_process(function: Callable[..., Result], *args: object, reuse: bool = False) -> Result:
    """Call a function of a module with picklable arguments in a process that has done nothing else."""
    if reuse:
        return _kept_process().submit(function, *args).result()
    with _process() as process:
        return process.submit(function, *args).result()


def _process() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))


@lru_cache(maxsize=1)
def _kept_process() -> ProcessPoolExecutor:
    return _process()


def _measure(prepare: Callable[..., Work], args: tuple[object, ...], runs: int) -> Cost:
    work = prepare(*args)
    work.warm_up()
    _return_freed_memory()
    before = _reset_peak()
    first = seconds_of(work.call)
    peak = max(0, _peak() - before)
    return Cost(statistics.median([seconds_of(work.call) for _ in range(runs)] or [first]), peak)


def _return_freed_memory() -> None:
    with contextlib.suppress(OSError, AttributeError):  # not glibc
        ctypes.CDLL(None).malloc_trim(0)


def _reset_peak() -> int:
    """Make the present size the peak, and return it."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _peak()


def _peak() -> int:
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


@lru_cache(maxsize=1)
def read_bandwidth() -> float:
    """Return bytes per second at which memory is read: the best of 10 sums of 512 MiB by PyTorch.

    The best, because a floor that is too low is honest, and one that is too high is not.
    """
    array = torch.ones(BANDWIDTH_BYTES // 4)
    return BANDWIDTH_BYTES / min(seconds_of(array.sum) for _ in range(10))


def floor_seconds(moved_bytes: float) -> float:
    """Return the physical floor: what a call must read and write, at the measured bandwidth."""
    return moved_bytes / read_bandwidth()
