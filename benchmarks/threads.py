"""The one setting of threads: what more of them bring, and that workers of a `DataLoader` have one each.

Throughput of `extract_segments` in frames per second; threads as the operating system counts them (Linux).
"""

from __future__ import annotations

import multiprocessing
import time
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks.inputs import street_logits
from benchmarks.measure import median_seconds
from benchmarks.memory import in_fresh_process
from benchmarks.results import ThreadUse
from segood.compiled import num_threads, set_num_threads
from segood.segments import extract_segments

SIZE, QUICK_SIZE = (1024, 2048), (64, 128)
WORKERS = 2


class Frames(Dataset[tuple[int, int]]):
    """Extract the segments of the same frame `count` times; yields threads before and after."""

    def __init__(self, logits: Tensor, count: int) -> None:
        self.logits, self.count = logits, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[int, int]:
        before = os_threads()
        extract_segments(logits=self.logits)
        return before, os_threads()


def measure(quick: bool = False) -> list[ThreadUse]:
    """Measure 1 and 2 threads and the default, then two workers, each in a fresh process."""
    size = QUICK_SIZE if quick else SIZE
    counts = sorted({1, 2, num_threads()})
    runs, frames = (2, 4) if quick else (21, 40)
    found = [in_fresh_process(with_threads, size, count, runs, reuse=quick) for count in counts]
    return [*found, in_fresh_process(in_workers, size, frames, reuse=quick)]


def os_threads() -> int:
    """Count the threads of this process; 0 where the system does not tell."""
    tasks = Path("/proc/self/task")
    return len(list(tasks.iterdir())) if tasks.exists() else 0


def with_threads(size: tuple[int, int], count: int, runs: int) -> ThreadUse:
    """Time frames one after the other."""
    torch.set_num_threads(count)  # what runs in PyTorch follows its own setting
    logits = street_logits(*size)
    set_num_threads(1)
    extract_segments(logits=logits)  # what is imported here may start threads of its own
    set_num_threads(count)
    before = os_threads()
    seconds = median_seconds(lambda: extract_segments(logits=logits), runs)
    after = os_threads()
    return ThreadUse(f"set_num_threads({count})", 1 / seconds, after, after - before)


def in_workers(size: tuple[int, int], count: int) -> ThreadUse:
    """Time the second pass over all frames: in the first the workers start."""
    logits = street_logits(*size)
    context = "fork" if "fork" in multiprocessing.get_all_start_methods() else None
    loader = DataLoader(
        Frames(logits, count),
        batch_size=None,
        num_workers=WORKERS,
        persistent_workers=True,
        multiprocessing_context=context,
    )
    list(loader)
    start = time.perf_counter()
    threads = [(int(before), int(after)) for before, after in loader]
    rate = count / (time.perf_counter() - start)
    most = max(after for _, after in threads)
    added = max(after - before for before, after in threads)
    return ThreadUse(f"DataLoader, {WORKERS} workers (threads of each)", rate, most, added)
