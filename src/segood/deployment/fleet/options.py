"""How a mass scoring is run, checked before anything is read."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from segood.checks import check_choice
from segood.deployment.fleet.parts import FORMATS
from segood.deployment.frame_checks import FrameChecks
from segood.errors import UsageError

MOST_IN_A_PARTITION = 100_000
ALONE = FrameChecks(frozen_after=None, stale_after=None)
"""Checks of an image by itself: nothing is frozen or stale that has no neighbours and no time."""


@dataclass(frozen=True)
class FleetOptions:
    """How a mass scoring is run.

    Args:
        checks: what an image has to be; `None` asks the network whatever comes. What looks at more than one
            image is left out.
        partition_size: frames per partition, 1..100,000: the most that a killed worker loses.
        format: of the partitions, `parquet` or `jsonl`.
        column: of Parquet lists: paths or URLs.
        address: of a Ray cluster: `auto`, `host:port`; `None` starts one on this machine for this call.
        workers: actors; as many as the cluster has CPUs for if `None`.
        threads_per_worker: CPUs of each.

    Raises:
        UsageError: a value breaks its rule.

    Example:
        >>> FleetOptions(partition_size=0)
        Traceback (most recent call last):
        segood.errors.UsageError: `partition_size` must be a whole number in 1..100000; got 0
    """

    checks: FrameChecks | None = ALONE
    partition_size: int = 128
    format: str = "parquet"
    column: str = "path"
    address: str | None = None
    workers: int | None = None
    threads_per_worker: int = 1

    def __post_init__(self) -> None:
        check_choice("format", self.format, FORMATS)
        _check_count("partition_size", self.partition_size, MOST_IN_A_PARTITION)
        _check_count("threads_per_worker", self.threads_per_worker, 1024)
        if self.workers is not None:
            _check_count("workers", self.workers, 100_000)
        if self.checks is not None:
            alone = dataclasses.replace(self.checks, frozen_after=None, stale_after=None)
            object.__setattr__(self, "checks", alone)

    def that_decide(self) -> dict[str, Any]:
        """Return what the partitions depend on, as plain data."""
        return {
            "checks": None if self.checks is None else dataclasses.asdict(self.checks),
            "partition_size": self.partition_size,
            "format": self.format,
            "threads_per_worker": self.threads_per_worker,
        }


def _check_count(name: str, value: Any, most: int) -> None:
    if type(value) is not int or not 1 <= value <= most:
        raise UsageError(f"`{name}` must be a whole number in 1..{most}; got {value!r}")
