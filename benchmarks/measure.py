"""Time two calls in turns, so that whatever disturbs the machine disturbs both.

In: our call and the peer's on the same input. Out: all times; their ratio is that of the medians, its
spread the quartiles of the ratios of the single rounds.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

Call = Callable[[], object]


class Comparison(NamedTuple):
    """Seconds of every run, in the order of the rounds."""

    ours: tuple[float, ...]
    peer: tuple[float, ...]

    @property
    def our_median(self) -> float:
        """Median of our times, seconds."""
        return statistics.median(self.ours)

    @property
    def peer_median(self) -> float:
        """Median of the peer's times, seconds."""
        return statistics.median(self.peer)

    @property
    def ratio(self) -> float:
        """Our median over the peer's: below 1, we are faster."""
        return self.our_median / self.peer_median

    @property
    def spread(self) -> tuple[float, float]:
        """Quartiles of the rounds' ratios; a round without a run of the peer's takes its median."""
        peer = self.peer if len(self.peer) == len(self.ours) else [self.peer_median] * len(self.ours)
        low, high = np.quantile([a / b for a, b in zip(self.ours, peer, strict=True)], [0.25, 0.75])
        return float(low), float(high)

    def with_peer_times(self, factor: float) -> Comparison:
        """Multiply the peer's times: it was timed on a part of the work."""
        return Comparison(self.ours, tuple(factor * seconds for seconds in self.peer))


def seconds_of(call: Call) -> float:
    """Time one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def compare(ours: Call, peer: Call, rounds: int = 9, *, peer_runs: int | None = None) -> Comparison:
    """Run both in turns, ours first, after one call of each to warm up.

    Args:
        ours: our call.
        peer: the call to compare with.
        rounds: how often ours runs.
        peer_runs: the peer runs in the first so many rounds only, and is not warmed up: for peers
            that take so long that neither matters.

    Returns:
        The times of all rounds.
    """
    ours()
    if peer_runs is None:
        peer()
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(rounds):
        gc.collect()
        times[0].append(seconds_of(ours))
        if peer_runs is None or turn < peer_runs:
            times[1].append(seconds_of(peer))
    return Comparison(tuple(times[0]), tuple(times[1]))


def median_seconds(call: Call, runs: int = 5) -> float:
    """Return the median time of `runs` calls, after one to warm up."""
    call()
    return statistics.median(seconds_of(call) for _ in range(runs))


def as_time(seconds: float) -> str:
    """Write a time with three digits.

    Example:
        >>> as_time(0.0412), as_time(61.0), as_time(0.00052), as_time(740)
        ('41.2 ms', '61 s', '0.52 ms', '12.3 min')
    """
    if seconds >= 600:
        return f"{seconds / 60:.1f} min"
    return f"{seconds:.3g} s" if seconds >= 0.9995 else f"{1e3 * seconds:.3g} ms"


def as_bytes(count: float) -> str:
    """Write an amount of memory in megabytes (10⁶ bytes).

    Example:
        >>> as_bytes(159_400_000), as_bytes(1_230_000), as_bytes(40_000)
        ('159 MB', '1.2 MB', '0.0 MB')
    """
    return f"{count / 1e6:.0f} MB" if count >= 10e6 else f"{count / 1e6:.1f} MB"
