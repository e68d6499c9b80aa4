"""Ray Data as the engine: a pool of actors, each with the bundle, and the partitions that are missing.

In: a plan and the numbers of partitions. Out: a worker's report per partition, as they are finished. Only
numbers and reports go through Ray's object store; images and records never do.

An actor that dies is started again, by Ray Data, on whatever machine there is, and its partition is done
again. https://docs.ray.io/en/latest/data/transforming-data.html
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segood.deployment.fleet.worker import Worker
from segood.errors import DataError, UsageError, one_line

if TYPE_CHECKING:
    from segood.deployment.fleet.options import FleetOptions
    from segood.deployment.fleet.plan import Plan

_STORE_BYTES = 80 * 2**20  # little more than the least that Ray accepts
_CONNECT_SECONDS = 10
_MOST_TASKS = 10_000  # Ray Data keeps some kilobytes for each
_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",  # Ray's core writes on the terminal what its Python part handles
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
}


class PartitionWorker:
    """`Worker` as Ray Data calls it: a batch of numbers in, a batch of reports out."""

    def __init__(self, out: str, identity: str, threads: int) -> None:
        self._worker = Worker(out, identity, threads)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[str]]:
        """Do the partitions of a batch."""
        return {"report": [json.dumps(self._worker.do(int(number))) for number in batch["partition"]]}


def run_on_ray(plan: Plan, missing: Sequence[int], options: FleetOptions) -> Iterator[dict[str, Any]]:
    """Do partitions, and yield the report of each; within `connected`.

    Args:
        plan: of the folder, which all machines of the cluster have to see.
        missing: numbers of the partitions.
        options: workers, threads.

    Raises:
        UsageError: the cluster has too few CPUs.
        DataError: Ray has given up.
    """
    ray = import_ray()
    with _quiet():
        cpus = int(ray.cluster_resources().get("CPU", 0))
        threads = options.threads_per_worker
        if cpus < threads:
            raise UsageError(
                f"the Ray cluster has {cpus} CPUs, a worker needs {threads}; choose less --threads_per_worker"
            )
        workers = min(options.workers or cpus // threads, len(missing))
        rows = [{"partition": number} for number in missing]
        try:
            todo = ray.data.from_items(rows, override_num_blocks=min(len(rows), _MOST_TASKS)).map_batches(
                PartitionWorker,
                fn_constructor_args=(str(plan.out.absolute()), plan.identity, threads),
                batch_size=1,
                num_cpus=threads,
                compute=ray.data.ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=1),
            )
            for row in todo.iter_rows():
                yield json.loads(row["report"])
        except (ray.exceptions.RayError, ConnectionError) as error:
            raise DataError(
                f"Ray has given up ({type(error).__name__}: {one_line(error)}); "
                "finished partitions are kept, --resume goes on"
            ) from error


def import_ray() -> Any:
    """Return the module Ray, with `ray.data`; it reports to its makers only where the user wants that.

    Raises:
        UsageError: it is not installed.
    """
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import ray
            import ray.data
    except ModuleNotFoundError as error:
        raise UsageError(
            f"--engine ray needs {error.name}, which is not installed; pip install 'segood[ray]'"
        ) from None
    return ray


@contextlib.contextmanager
def connected(options: FleetOptions) -> Iterator[None]:
    """Join a cluster, or start one on this machine and end it on leaving.

    A Ray that this process has started or joined already is used as it is, and left running.

    Raises:
        UsageError: Ray is not installed, or there is no cluster at the address.
    """
    ray = import_ray()
    if ray.is_initialized():
        yield
        return
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if options.address is None:
        cpus = (options.workers or 0) * options.threads_per_worker or _cpus()
        quiet |= {"num_cpus": cpus, "include_dashboard": False, "object_store_memory": _STORE_BYTES}
    else:
        _check_reachable(options.address)
    try:
        with _quiet(), _no_stderr():  # Ray's core says there that it was told to be quiet
            ray.init(address=options.address or "local", **quiet)
    except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
        where = "on this machine" if options.address is None else f"at {options.address}"
        raise UsageError(f"no Ray cluster {where} ({one_line(error)})") from error
    try:
        yield
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    """Raise `UsageError` unless something listens at `host:port`, which Ray itself tries for many minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not port.isdecimal():
        return  # auto, which Ray looks for on this machine
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise UsageError(f"no Ray cluster at {address} ({error}); `ray status` there tells") from error


def _cpus() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


@contextlib.contextmanager
def _no_stderr() -> Iterator[None]:
    """Drop what native code writes on stderr."""
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Ray from writing on the terminal: what matters is in the reports and errors."""
    loggers = [logging.getLogger(name) for name in ("ray", "ray.data")]
    levels = [logger.level for logger in loggers]
    with (
        warnings.catch_warnings(),
        Path(os.devnull).open("w") as nowhere,
        contextlib.redirect_stdout(nowhere),  # there, among results, Ray tells of workers that died
    ):
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
