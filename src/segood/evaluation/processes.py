"""Several processes share frames: those that `--processes` starts here, or those of torchrun or SLURM.

In: work, as a function of plain configuration. Out: its files; the processes share nothing else. One that is
killed costs what it had not finished.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NamedTuple

from segood.errors import SegoodError, UsageError

_POLL = 0.2  # seconds
_Work = Callable[[int, int, Callable[[str], None]], None]


class Team(NamedTuple):
    """The processes that somebody else has started for one call: torchrun, or SLURM's srun."""

    rank: int = 0
    processes: int = 1

    @classmethod
    def of_environment(cls) -> Team:
        """Return this process' place, from what the launcher says in the environment.

        Raises:
            UsageError: it does not make sense.
        """
        # a batch script that starts one process itself has SLURM_NTASKS, too; only srun sets the step's
        for rank, processes in (("RANK", "WORLD_SIZE"), ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS")):
            if rank in os.environ and processes in os.environ:
                try:
                    team = cls(int(os.environ[rank]), int(os.environ[processes]))
                except ValueError:
                    team = cls(-1)
                if not 0 <= team.rank < team.processes:
                    raise UsageError(f"{rank} and {processes} must be numbers, 0 <= {rank} < {processes}")
                return team
        return cls()


ALONE = Team()


def check_processes(processes: int) -> None:
    """Raise `UsageError` unless it is a number of processes."""
    if not 1 <= processes <= 1024:
        raise UsageError(f"`processes` must lie in [1, 1024]; got {processes}")


def wait_for(paths: list[Path], alive: Callable[[], None] = lambda: None) -> None:
    """Wait until all files are there; `alive` is called now and then, and may raise."""
    missing = list(paths)
    while missing := [path for path in missing if not path.exists()]:
        alive()
        time.sleep(_POLL)


def work_in_processes(work: _Work, processes: int, ticks: Mapping[str, Callable[[], None]]) -> None:
    """Run `work(rank, processes, tick)` in new processes and wait for all.

    Args:
        work: a function that can be pickled, such as `functools.partial` of a module's function; it calls
            `tick(key)` after every item.
        processes: how many.
        ticks: by key, called here.

    Raises:
        SegoodError: what `work` raised first, or a process was killed.
    """
    context = multiprocessing.get_context("spawn")  # no fork: threads and GPUs do not survive it
    messages: Any = context.Queue()
    started = [
        context.Process(target=_run, args=(work, rank, processes, messages), daemon=True)
        for rank in range(processes)
    ]
    try:
        for process in started:
            process.start()
        while any(process.is_alive() for process in started) or not messages.empty():
            _receive(messages, ticks)
            _check_alive(started, messages, ticks)
    finally:
        for process in started:
            if process.is_alive():
                process.terminate()
        for process in started:
            process.join()


def _receive(messages: Any, ticks: Mapping[str, Callable[[], None]]) -> None:
    try:
        kind, content = messages.get(timeout=_POLL)
    except queue.Empty:
        return
    if kind == "error":
        raise content
    ticks[content]()


def _check_alive(
    started: Sequence[BaseProcess], messages: Any, ticks: Mapping[str, Callable[[], None]]
) -> None:
    for rank, process in enumerate(started):
        if process.exitcode in (0, None):
            continue
        while not messages.empty():
            _receive(messages, ticks)  # it may have said why
        code = process.exitcode or 0
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        raise SegoodError(
            f"process {rank + 1} of {len(started)} was {how}, as the system does when memory is short; "
            "what is finished is kept: repeat the command, perhaps with fewer --processes"
        )


def _run(work: _Work, rank: int, processes: int, messages: Any) -> None:
    os.environ["LOCAL_RANK"] = str(rank)  # chooses the GPU
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the caller's, who ends us
    if "OMP_NUM_THREADS" not in os.environ:
        import torch

        torch.set_num_threads(max(1, (os.cpu_count() or 1) // processes))
    try:
        work(rank, processes, lambda key: messages.put(("tick", key)))
    except SegoodError as error:
        messages.put(("error", error))
    messages.close()
    messages.join_thread()
