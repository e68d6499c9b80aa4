"""What Prometheus sees. Each service has a registry of its own, nothing is global.

Labels have few values, all from lists in the code: nothing a client sends becomes a label.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from segood.deployment.detection import Detection

CONTENT_TYPE = CONTENT_TYPE_LATEST
STAGES = ("read", "decode", "queue", "network", "segments", "meta", "encode", "total")
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_SHARES = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)


class Metrics:
    """Counters, histograms and gauges of one service.

    Args:
        queue_depth: images that wait for the network.
        in_use: images inside, in any stage.
        capacity: of images inside.
        drift: population stability index by what it compares; empty without a calibration set.

    Example:
        >>> metrics = Metrics(lambda: 0, lambda: 0, 16, lambda: {})
        >>> metrics.rejected.labels("queue_full").inc()
        >>> b'segood_rejected_total{reason="queue_full"} 1.0' in metrics.exposition()
        True
    """

    def __init__(
        self,
        queue_depth: Callable[[], int],
        in_use: Callable[[], int],
        capacity: int,
        drift: Callable[[], Mapping[str, float]],
    ) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.requests = Counter(
            "segood_requests", "Answers by path and status.", ["path", "status"], registry=registry
        )
        self.accepted = Counter("segood_accepted", "Images that were taken in.", registry=registry)
        self.rejected = Counter(
            "segood_rejected", "Images or requests without a result, by code.", ["reason"], registry=registry
        )
        self.seconds = Histogram(
            "segood_stage_seconds", "Time per stage.", ["stage"], buckets=_SECONDS, registry=registry
        )
        self.batch_size = Histogram(
            "segood_batch_size", "Images per network pass.", buckets=(1, 2, 4, 8, 16, 32), registry=registry
        )
        self.objects = Counter("segood_objects", "Unknown objects reported.", registry=registry)
        self.removed = Counter("segood_removed", "Segments taken for false alarms.", registry=registry)
        self.no_verdict = Counter(
            "segood_no_verdict", "Images without a verdict, by reason.", ["reason"], registry=registry
        )
        self.flagged = Histogram(
            "segood_flagged_share", "Share of pixels over the threshold, by image.", buckets=_SHARES,
            registry=registry,
        )  # fmt: skip
        Gauge("segood_queue_depth", "Images that wait for the network.", registry=registry).set_function(
            lambda: float(queue_depth())
        )
        Gauge("segood_in_use", "Images inside, in any stage.", registry=registry).set_function(
            lambda: float(in_use())
        )
        Gauge("segood_queue_size", "Images that may be inside at most.", registry=registry).set(capacity)
        self.ready = Gauge("segood_ready", "1 if images are taken in.", registry=registry)
        self._drift = Gauge(
            "segood_drift_psi",
            "Population stability index of the last images against the calibration set.",
            ["what"],
            registry=registry,
        )
        self._read_drift = drift
        for stage in STAGES:
            self.seconds.labels(stage)

    def count(self, detection: Detection) -> None:
        """Count what a detection at the monitor's own thresholds says."""
        self.objects.inc(len(detection.objects))
        self.removed.inc(len(detection.removed))
        if detection.no_verdict is not None:
            self.no_verdict.labels(detection.no_verdict.reason).inc()
        elif detection.flagged_share == detection.flagged_share:  # not NaN
            self.flagged.observe(detection.flagged_share)

    def observe_stages(self, seconds: Mapping[str, float]) -> None:
        """Add times of known stages."""
        for stage in STAGES:
            if stage in seconds:
                self.seconds.labels(stage).observe(max(0.0, seconds[stage]))

    def exposition(self) -> bytes:
        """Return everything in the text format."""
        for what, value in self._read_drift().items():
            self._drift.labels(what).set(value)
        return generate_latest(self.registry)
