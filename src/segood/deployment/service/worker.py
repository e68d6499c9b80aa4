"""One thread that owns the network: takes what waits, images of one size together, and answers.

In: jobs from the event loop. Out: their futures, resolved in the event loop. One thread, because the network
already uses every core; more would only make each answer later. What has expired is not begun.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from segood.deployment.detection import Detection
from segood.deployment.service.problems import ServiceError
from segood.errors import SegoodError

_log = logging.getLogger("segood.service")

Settings = tuple[float, float]
"""Threshold and probability threshold."""

Detect = Callable[[Sequence[np.ndarray], Settings], list[Detection]]


@dataclass(eq=False)
class Job:
    """An image that waits for its detection.

    Attributes:
        image: uint8 (H,W,3), RGB.
        settings: only images with the same ones go through together.
        deadline: on the clock of `time.monotonic`.
        future: gets the `Detection`, or a `ServiceError`; belongs to the event loop.
        entered: when it was queued.
        begun: when the worker took it; 0 while it waits.
    """

    image: np.ndarray
    settings: Settings
    deadline: float
    future: asyncio.Future[Detection]
    entered: float = field(default_factory=time.monotonic)
    begun: float = 0.0

    @property
    def key(self) -> tuple[Any, ...]:
        """What must be equal for two images to go through the network together."""
        return (*self.image.shape, *self.settings)


class Worker:
    """The thread and its queue.

    Args:
        detect: images of equal size and settings -> one detection each.
        max_batch: images at once.
        batch_wait: seconds the first image waits for others.
        max_pixels: of all images at once; a single image may have more.
        on_batch: told the number of images and the seconds they took, from the worker's thread.
    """

    def __init__(
        self,
        detect: Detect,
        *,
        max_batch: int,
        batch_wait: float,
        max_pixels: int,
        on_batch: Callable[[int, float], None] = lambda number, seconds: None,
    ) -> None:
        self._detect, self._on_batch = detect, on_batch
        self._max_batch, self._batch_wait, self._max_pixels = max_batch, batch_wait, max_pixels
        self._queue: deque[Job] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self.seconds_per_image = 0.1
        """A running mean; what `Retry-After` is computed from."""

    def start(self, first: Callable[[], None] = lambda: None) -> None:
        """Start the thread; it calls `first` before it takes a job."""
        self._thread = threading.Thread(target=self._run, args=(first,), name="segood-worker", daemon=True)
        self._thread.start()

    def stop(self, *, timeout: float | None = None) -> bool:
        """Let the thread end after what is queued; tell whether it did within `timeout` seconds."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread is None:
            return True
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def submit(self, job: Job) -> None:
        """Queue a job."""
        with self._changed:
            self._queue.append(job)
            self._changed.notify_all()

    def withdraw(self, job: Job) -> bool:
        """Take a job out of the queue; tell whether it was still there."""
        with self._changed, contextlib.suppress(ValueError):
            self._queue.remove(job)
            return True
        return False

    def depth(self) -> int:
        """Return how many jobs wait."""
        return len(self._queue)

    def _run(self, first: Callable[[], None]) -> None:
        first()
        while batch := self._take():
            try:
                self._answer(batch)
            except Exception:  # whatever it is, the next ones shall be answered
                _log.exception("the worker stumbled; its images get no answer in time")

    def _take(self) -> list[Job]:
        """Return jobs that go through together, the oldest among them; none when it is time to end."""
        with self._changed:
            while True:
                while not self._queue and not self._stopping:
                    self._changed.wait()
                self._wait_for_company()
                for job in [j for j in self._queue if j.deadline <= time.monotonic()]:
                    self._queue.remove(job)
                    _resolve(job, ServiceError("deadline", "the request expired in the queue"))
                if self._queue:
                    return self._collect()
                if self._stopping:
                    return []

    def _wait_for_company(self) -> None:
        until = time.monotonic() + self._batch_wait
        while self._queue and not self._stopping and (left := until - time.monotonic()) > 0:
            if len(self._collect(remove=False)) >= self._max_batch:
                return
            self._changed.wait(left)

    def _collect(self, *, remove: bool = True) -> list[Job]:
        oldest = self._queue[0]
        room = max(1, min(self._max_batch, self._max_pixels // max(1, oldest.image[..., 0].size)))
        batch = [job for job in self._queue if job.key == oldest.key][:room]
        if remove:
            for job in batch:
                self._queue.remove(job)
                job.begun = time.monotonic()
        return batch

    def _answer(self, batch: list[Job]) -> None:
        start = time.monotonic()
        try:
            found: Sequence[Detection | ServiceError] = self._detect(
                [job.image for job in batch], batch[0].settings
            )
            if len(found) != len(batch):
                raise RuntimeError(f"{len(found)} detections for {len(batch)} images")
        except Exception as error:
            # One image must not spoil the answers of those it happened to travel with.
            found = [self._alone(job) for job in batch] if len(batch) > 1 else [_as_problem(error)]
        seconds = time.monotonic() - start
        self.seconds_per_image += 0.1 * (seconds / len(batch) - self.seconds_per_image)
        for job, detection in zip(batch, found, strict=True):
            _resolve(job, detection)
        self._on_batch(len(batch), seconds)

    def _alone(self, job: Job) -> Detection | ServiceError:
        try:
            return self._detect([job.image], job.settings)[0]
        except Exception as error:
            return _as_problem(error)


def _as_problem(error: Exception) -> ServiceError:
    if isinstance(error, ServiceError):
        return error
    if isinstance(error, SegoodError):
        return ServiceError("unusable_image", str(error))
    _log.error("the monitor failed on an image", exc_info=error)
    return ServiceError("internal_error", "the monitor failed on this image; the service's log says more")


def _resolve(job: Job, result: Detection | ServiceError) -> None:
    def in_the_loop() -> None:
        if job.future.done():
            return
        if isinstance(result, ServiceError):
            job.future.set_exception(result)
        else:
            job.future.set_result(result)

    with contextlib.suppress(RuntimeError):  # the loop is gone: the server was forced to end
        job.future.get_loop().call_soon_threadsafe(in_the_loop)
