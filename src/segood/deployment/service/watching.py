"""Does the world still look like the calibration set? A drift watch fed with what the service is asked.

In: detections at the monitor's own thresholds, at most one a second, since neighbouring frames of a camera
show nearly the same. Out: population stability indices by what they compare; a line in the log when something
has moved.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from segood.deployment.detection import Detection
from segood.deployment.service.detector import Detector

_log = logging.getLogger("segood.service")
EVERY = 1.0
"""Least seconds between two images that count."""


class Watching:
    """A drift watch that is fed from one thread and read from another; idle without a calibration set.

    Args:
        monitor: whose `reference` is the distribution on the calibration set, or None.
        every: seconds between two images that count.
    """

    def __init__(self, monitor: Detector, every: float = EVERY) -> None:
        self._region = monitor.region
        self._every, self._last = every, -float("inf")
        self._lock = threading.Lock()
        self._watch: Any = None
        self._warning: str | None = None
        if monitor.reference is not None:
            from segood.deployment.drift import DriftWatch

            self._watch = DriftWatch(monitor.reference)

    @property
    def is_calibrated(self) -> bool:
        """Whether there is a calibration set to compare with."""
        return self._watch is not None

    def add(self, detection: Detection) -> None:
        """Take a detection into account, if it has a verdict and its time has come."""
        now = time.monotonic()
        if self._watch is None or detection.no_verdict is not None or now < self._last + self._every:
            return
        self._last = now
        with self._lock:
            self._watch.see(detection, self._region)
            warning = self._watch.report().warning
        if (warning is None) != (self._warning is None):
            _log.warning(warning or "what is seen looks like the calibration set again")
        self._warning = warning

    def drift(self) -> dict[str, float]:
        """Return the indices; empty without a calibration set, and before the first image."""
        if self._watch is None:
            return {}
        with self._lock:
            report = self._watch.report()
        found = {name: getattr(report, f"{name}_psi") for name in ("entropy", "flagged", "brightness")}
        return {name: value for name, value in found.items() if value is not None}
