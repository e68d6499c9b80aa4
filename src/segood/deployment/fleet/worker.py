"""What an actor of the fleet does: it holds the bundle, and turns numbers of partitions into files.

In: a partition's number. Out: its file, and a report as plain data, which also says what went wrong. A worker
may be killed at any moment: a file is there whole or not at all, and whoever does the partition again writes
the same bytes.
"""

from __future__ import annotations

import contextlib
import os
import platform
import time
from collections.abc import Callable, Iterator
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segood.compiled import set_num_threads
from segood.deployment.fleet.parts import read_counts, write_part
from segood.deployment.fleet.plan import BUNDLE, Plan
from segood.deployment.fleet.scoring import score_frames
from segood.deployment.frame_checks import FrameChecks
from segood.errors import DataError, OutputError, SegoodError

if TYPE_CHECKING:
    from segood.deployment.monitor import Monitor

ATTEMPTS = "attempts"
GIVEN_UP = "given up"
MOST_ATTEMPTS = 5
"""A partition that so many workers have died on is given up, the others are done."""


class Worker:
    """One worker; a Ray actor makes one and keeps it.

    Args:
        out: the folder of the plan, as this machine sees it.
        identity: of the plan.
        threads: for ONNX Runtime and for the kernels.
    """

    def __init__(self, out: str, identity: str, threads: int) -> None:
        self.out, self.identity, self.threads = Path(out), identity, threads

    def do(self, partition: int) -> dict[str, Any]:
        """Score a partition, unless its file is there, and say how it went.

        Returns:
            `partition`, `counts`, and where work was done, `attempt` and `timing`; or in their place an
            `error` and its `kind`.
        """
        try:
            plan = self._plan
            if plan.part(partition).exists():
                return {
                    "partition": partition,
                    "counts": read_counts(plan.part(partition), plan.indices(partition)),
                }
            with _attempt(plan, partition) as (number, note):
                return {"partition": partition, "attempt": number, **self._score(plan, partition, note)}
        except _GivenUp as error:
            return {"partition": partition, "error": str(error), "kind": GIVEN_UP}
        except SegoodError as error:
            return {"partition": partition, "error": str(error), "kind": type(error).__name__}

    def _score(self, plan: Plan, partition: int, note: Callable[[int], object]) -> dict[str, Any]:
        monitor = self._monitor  # loading it, once, is not the partition's time
        begin, busy = time.perf_counter(), time.process_time()
        checks = plan.settings["checks"]
        scored = score_frames(
            monitor,
            plan.inputs(partition),
            start=plan.indices(partition).start,
            checks=None if checks is None else FrameChecks(**checks),
            note=note,
        )
        written = time.perf_counter()
        counts = write_part(plan.part(partition), scored.records)
        end = time.perf_counter()
        timing = {
            "frames": len(scored.records),
            "seconds": {**scored.seconds, "write": round(end - written, 4), "all": round(end - begin, 4)},
            "cpu_seconds": round(time.process_time() - busy, 4),
            "host": platform.node(),
            "process": os.getpid(),
        }
        return {"counts": counts, "timing": timing}

    @cached_property
    def _plan(self) -> Plan:
        here = f"worker on {platform.node()}"
        try:
            plan = Plan.read(self.out)
        except DataError as error:
            raise DataError(
                f"{here} does not see {self.out}: with --address it must be a folder that all machines share"
            ) from error
        if plan.identity != self.identity:
            raise DataError(f"{here} sees another {self.out}; it must be a folder that all machines share")
        if version("segood") != plan.settings["segood"]:
            raise DataError(
                f"{here} has segood {version('segood')}, the call {plan.settings['segood']}; install one"
            )
        return plan

    @cached_property
    def _monitor(self) -> Monitor:
        from segood.deployment.monitor import Monitor

        set_num_threads(self.threads)
        digest = self._plan.settings["monitor"]["bundle_sha256"]
        return Monitor.load(self.out / BUNDLE, sha256=digest)


class _GivenUp(DataError):
    """A partition that workers die on."""


@contextlib.contextmanager
def _attempt(plan: Plan, partition: int) -> Iterator[tuple[int, Callable[[int], object]]]:
    """Keep a file while a partition is worked on, of who does and at which frame; it survives a kill."""
    path = plan.out / ATTEMPTS / plan.part(partition).stem
    path.parent.mkdir(exist_ok=True)
    before = path.read_text().splitlines() if path.exists() else []
    died = sum(line.startswith("process") for line in before)
    if died >= MOST_ATTEMPTS:
        frame = next((int(line) for line in reversed(before) if line.isdecimal()), None)
        where = "" if frame is None else f", the last at {plan.inputs(partition)[frame % plan.size].name}"
        raise _GivenUp(f"partition {partition} was given up: {MOST_ATTEMPTS} workers died on it{where}")
    try:
        with path.open("a", buffering=1) as file:
            file.write(f"process {os.getpid()} {platform.node()}\n")
            yield died + 1, lambda index: file.write(f"{index}\n")
    except OSError as error:
        raise OutputError(
            f"cannot write {path}: {error.strerror or error}; free space or permission?"
        ) from error
    path.unlink(missing_ok=True)
