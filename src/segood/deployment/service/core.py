"""The service without HTTP: who is let in, what happens to an image, when it is over.

In: bytes of images and thresholds. Out: detections, or a `ServiceError`. Everything here runs in the event
loop's thread but what is given to the worker and to the pool.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, TypeVar

import numpy as np

from segood.deployment.detection import Detection, NoVerdict
from segood.deployment.frame_checks import FrameChecks
from segood.deployment.service.decoding import decode_image
from segood.deployment.service.detector import Detector
from segood.deployment.service.metrics import Metrics
from segood.deployment.service.options import ServiceOptions
from segood.deployment.service.problems import ServiceError
from segood.deployment.service.slots import Admission, Slots
from segood.deployment.service.watching import Watching
from segood.deployment.service.worker import Job, Settings, Worker

_log = logging.getLogger("segood.service")
Result = TypeVar("Result")
State = Literal["starting", "ready", "failed", "draining", "stopped"]


class Service:
    """A monitor, its worker thread, its limits and its counters.

    Args:
        monitor: see `Detector`.
        options: the limits.
    """

    def __init__(self, monitor: Detector, options: ServiceOptions) -> None:
        self.monitor, self.options = monitor, options
        self.state: State = "starting"
        self.failure = ""
        self._checks = FrameChecks(frozen_after=None, stale_after=None)
        self.slots = Slots(options.max_queue)
        self.watching = Watching(monitor)
        self.worker = Worker(
            self._detect,
            max_batch=options.max_batch,
            batch_wait=options.batch_wait_ms / 1000,
            max_pixels=options.max_pixels,
            on_batch=lambda number, seconds: self.metrics.batch_size.observe(number),
        )
        self.metrics = Metrics(
            self.worker.depth, lambda: self.slots.used, options.max_queue, self.watching.drift
        )
        self._pool = ThreadPoolExecutor(options.decode_threads, thread_name_prefix="segood-decode")

    @property
    def settings(self) -> Settings:
        """The monitor's own thresholds."""
        return self.monitor.threshold, self.monitor.probability_threshold

    @property
    def is_idle(self) -> bool:
        """Whether everything that was let in has been answered."""
        return self.slots.used == 0

    def start(self) -> None:
        """Start the worker; the service is ready after the self-test, which is the worker's first work."""
        self.worker.start(self._self_test)

    def drain(self) -> None:
        """Let nothing in any more; what is inside is answered."""
        if self.state != "failed":
            self.state = "draining"
        self.metrics.ready.set(0)

    def stop(self, *, timeout: float | None = None) -> bool:
        """End the threads; tell whether the worker ended within `timeout` seconds."""
        self.drain()
        ended = self.worker.stop(timeout=timeout)
        self._pool.shutdown(wait=ended, cancel_futures=True)
        self.state = "stopped"
        return ended

    def check_ready(self) -> None:
        """Raise `ServiceError` unless images are taken in."""
        if self.state == "starting":
            raise ServiceError("starting", "the self-test has not ended yet", retry_after=1)
        if self.state == "failed":
            raise ServiceError("self_test_failed", f"the self-test failed: {self.failure}")
        if self.state != "ready":
            raise ServiceError("draining", "the service is being stopped", retry_after=5, close=True)

    def admit(self) -> Admission:
        """Let a request in, before a byte of its body is read.

        Raises:
            ServiceError: `queue_full`, or why the service is not ready.
        """
        self.check_ready()
        ticket = self.slots.take(1)
        if ticket is None:
            raise self._full()
        self.metrics.accepted.inc()
        start = time.monotonic()
        return Admission(ticket, start, start + self.options.timeout_s)

    def admit_more(self, admission: Admission, count: int) -> None:
        """Take places for further images of the same request.

        Raises:
            ServiceError: `queue_full`.
        """
        if count and not admission.ticket.extend(count):
            raise self._full()
        self.metrics.accepted.inc(count)

    def _full(self) -> ServiceError:
        wait = math.ceil(self.slots.used * self.worker.seconds_per_image)
        return ServiceError(
            "queue_full",
            f"{self.slots.used} of at most {self.slots.limit} images wait for their answer",
            retry_after=min(60, max(1, wait)),
        )

    async def decode(self, admission: Admission, data: bytes) -> tuple[np.ndarray, NoVerdict | None]:
        """Decode an image in the pool; return it, and why the network need not be asked.

        Raises:
            ServiceError: see `decode_image`; `deadline`.
        """

        def work() -> tuple[np.ndarray, NoVerdict | None]:
            image = decode_image(data, max_pixels=self.options.max_pixels)
            return image, self._checks.check(image) if self.options.check_frames else None

        return await self.in_pool(admission, work)

    def refuse_verdict(self, image: np.ndarray, verdict: NoVerdict) -> Detection:
        """Return the answer to an image on which the network was not asked."""
        detection = Detection.without_verdict(image, verdict.reason, verdict.message)
        self.metrics.count(detection)
        return detection

    async def in_pool(self, admission: Admission, work: Callable[[], Result]) -> Result:
        """Do something in the pool, until the deadline.

        Raises:
            ServiceError: `deadline`, or what `work` raises.
        """
        running = self._pool.submit(work)
        future = asyncio.wrap_future(running)
        done, _ = await asyncio.wait({future}, timeout=admission.left)
        if done:
            return future.result()
        if not running.cancel():  # it goes on and keeps its memory, so it keeps its place
            admission.ticket.hold_until(future)
        raise ServiceError("deadline", "there was no answer in time")

    async def detect(
        self, admission: Admission, image: np.ndarray, settings: Settings, gone: asyncio.Future[Any] | None
    ) -> tuple[Detection, float]:
        """Wait for the network's turn.

        Args:
            admission: of the request.
            image: uint8 (H,W,3), RGB.
            settings: thresholds.
            gone: done when the client has left.

        Returns:
            The detection, and the seconds in the queue.

        Raises:
            ServiceError: `deadline`, `client_gone`, `unusable_image`, `internal_error`.
        """
        future: asyncio.Future[Detection] = asyncio.get_running_loop().create_future()
        job = Job(image, settings, admission.deadline, future)
        self.worker.submit(job)
        watched: set[asyncio.Future[Any]] = {future} if gone is None else {future, gone}
        try:
            await asyncio.wait(watched, timeout=admission.left, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not future.done() and not self.worker.withdraw(job):
                admission.ticket.hold_until(future)
        if future.done():
            return future.result(), max(0.0, job.begun - job.entered)
        if gone is not None and gone.done():
            raise ServiceError("client_gone", "the client left before its answer", close=True)
        raise ServiceError("deadline", "there was no answer in time")

    def _detect(self, images: Sequence[np.ndarray], settings: Settings) -> list[Detection]:
        threshold, probability = settings
        found = self.monitor.detect_batch(
            list(images), threshold=threshold, probability_threshold=probability
        )
        if settings == self.settings:  # what somebody tries on the page says nothing about the road
            for detection in found:
                self.metrics.count(detection)
                self.watching.add(detection)
        return found

    def _self_test(self) -> None:
        """Ask the monitor once, so that it is warm, and is known to answer."""
        try:
            image = np.random.default_rng(0).integers(0, 256, (64, 128, 3), np.uint8)
            detection = self.monitor.detect_batch([image])[0]
            if detection.labels.shape != image.shape[:2]:
                raise RuntimeError("the answer has not the image's size")
        except Exception as error:
            _log.error("the self-test failed", exc_info=error)
            self.failure, self.state = " ".join(str(error).split()) or type(error).__name__, "failed"
            return
        if self.state == "starting":
            self.state = "ready"
            self.metrics.ready.set(1)
