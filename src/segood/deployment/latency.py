"""Quantiles of times in bounded memory: a histogram with bins of equal ratio.

In: times in seconds. Out: mean and maximum, exact, and quantiles to 1 %. 1164 counters, 10 µs to 100,000 s.
"""

from __future__ import annotations

import math

import numpy as np

from segood.checks import check_unit_interval

_SHORTEST, _RATIO, _BINS = 1e-5, 1.02, 1164  # 1.02 ** 1164 = 1.02e10


class LatencyHistogram:
    """Count times.

    A quantile is the geometric middle of the bin in which it lies: at most 1 % off, for times from 10 µs to
    100,000 s; shorter and longer ones count as these.

    Example:
        >>> histogram = LatencyHistogram()
        >>> for milliseconds in range(1, 101):
        ...     histogram.add(milliseconds / 1000)
        >>> histogram.count, round(histogram.mean, 4), bool(abs(histogram.quantile(0.5) - 0.05) < 0.0005)
        (100, 0.0505, True)
    """

    def __init__(self) -> None:
        self._counts = np.zeros(_BINS, np.int64)
        self._sum = 0.0
        self.max = 0.0

    def add(self, seconds: float) -> None:
        """Count one time of at least 0 s."""
        place = int(math.log(max(seconds, _SHORTEST) / _SHORTEST) / math.log(_RATIO))
        self._counts[min(place, _BINS - 1)] += 1
        self._sum += seconds
        self.max = max(self.max, seconds)

    @property
    def count(self) -> int:
        """How many times were counted."""
        return int(self._counts.sum())

    @property
    def mean(self) -> float:
        """Mean in seconds; NaN without any."""
        return self._sum / self.count if self.count else float("nan")

    def quantile(self, share: float) -> float:
        """Return the least time, to 1 %, that at least this share of the counted ones do not exceed.

        Args:
            share: in [0, 1].

        Returns:
            Seconds; NaN without any counted time.
        """
        check_unit_interval("share", share)
        if not self.count:
            return float("nan")
        rank = max(1, math.ceil(share * self.count - 1e-9))
        place = int(np.searchsorted(np.cumsum(self._counts), rank))
        return min(_SHORTEST * _RATIO ** (place + 0.5), self.max)

    def to_dict(self) -> dict[str, float | None]:
        """Return mean, median, 99th percentile and maximum in milliseconds; `None` without any time."""
        values = {"mean": self.mean, "p50": self.quantile(0.5), "p99": self.quantile(0.99), "max": self.max}
        return {name: round(value * 1000, 3) if self.count else None for name, value in values.items()}
