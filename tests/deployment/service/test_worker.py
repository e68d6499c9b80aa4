"""The queue: who goes through the network with whom, and what is not done at all."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from tests.deployment.service.red_monitor import RedMonitor, picture

from segood.deployment.detection import Detection
from segood.deployment.service.problems import ServiceError
from segood.deployment.service.slots import Slots
from segood.deployment.service.worker import Job, Worker
from segood.errors import UsageError


class Recorded:
    """Detects as `RedMonitor`, remembers the sizes of what came together, waits for `gate`."""

    def __init__(self) -> None:
        self.seen: list[list[tuple[int, ...]]] = []
        self.gate = threading.Event()

    def __call__(self, images: Sequence[np.ndarray], settings: tuple[float, float]) -> list[Detection]:
        assert self.gate.wait(20)
        self.seen.append([image.shape[:2] for image in images])
        if any(image.shape[0] == 5 for image in images):
            raise UsageError("five rows are too few")
        return RedMonitor(*settings).detect_batch(images)


def worker(detect: Any, **options: Any) -> Worker:
    made = Worker(detect, **{"max_batch": 4, "batch_wait": 0.02, "max_pixels": 10**6, **options})
    made.start()
    return made


def job(image: np.ndarray, *, settings: tuple[float, float] = (0.7, 0.5), seconds: float = 20) -> Job:
    future: asyncio.Future[Detection] = asyncio.get_running_loop().create_future()
    return Job(image, settings, time.monotonic() + seconds, future)


def run(scenario: Any) -> Any:
    return asyncio.run(asyncio.wait_for(scenario, 30))


def test_equal_sizes_go_together_and_each_gets_its_own_answer() -> None:
    """While the first is held back, a b a a b a wait: then a a a, a+… at most 3 together, in order."""
    a, b = picture(32, 64), picture(48, 64)

    async def scenario() -> None:
        detect = Recorded()
        made = worker(detect, max_batch=3, batch_wait=0.0)
        first = job(a)
        made.submit(first)
        while made.depth():
            await asyncio.sleep(0.001)
        waiting = [job(image) for image in (a, b, a, a, b, a)]
        for item in waiting:
            made.submit(item)
        detect.gate.set()
        found = await asyncio.gather(*(item.future for item in waiting))
        assert [d.labels.shape for d in found] == [item.image.shape[:2] for item in waiting]
        assert [d.image is item.image for d, item in zip(found, waiting, strict=True)] == [True] * 6
        assert detect.seen == [[(32, 64)], [(32, 64)] * 3, [(48, 64)] * 2, [(32, 64)]]
        assert made.stop(timeout=5)

    run(scenario())


def test_settings_keep_images_apart() -> None:
    async def scenario() -> None:
        detect = Recorded()
        made = worker(detect)
        jobs = [job(picture(), settings=(t, 0.5)) for t in (0.7, 0.9, 0.7)]
        for item in jobs:
            made.submit(item)
        detect.gate.set()
        found = await asyncio.gather(*(item.future for item in jobs))
        assert [len(d.removed) for d in found] == [1, 0, 1]
        assert sorted(map(len, detect.seen)) == [1, 2]
        made.stop(timeout=5)

    run(scenario())


def test_the_pixels_of_a_batch_are_bounded() -> None:
    async def scenario() -> None:
        detect = Recorded()
        made = worker(detect, max_pixels=2 * 32 * 64)
        jobs = [job(picture()) for _ in range(4)] + [job(picture(64, 128))]
        for item in jobs:
            made.submit(item)
        detect.gate.set()
        await asyncio.gather(*(item.future for item in jobs))
        assert [len(batch) for batch in detect.seen] == [2, 2, 1]
        made.stop(timeout=5)

    run(scenario())


def test_a_full_batch_does_not_wait() -> None:
    async def scenario() -> None:
        detect = Recorded()
        detect.gate.set()
        made = worker(detect, max_batch=2, batch_wait=15.0)
        jobs = [job(picture()), job(picture())]
        for item in jobs:
            made.submit(item)
        await asyncio.wait_for(asyncio.gather(*(item.future for item in jobs)), 10)
        assert detect.seen == [[(32, 64)] * 2]
        made.stop(timeout=5)

    run(scenario())


def test_what_expired_in_the_queue_is_not_done() -> None:
    async def scenario() -> None:
        detect = Recorded()
        made = worker(detect, max_batch=1, batch_wait=0.0)
        first, late, last = job(picture()), job(picture(48), seconds=0.01), job(picture(40))
        made.submit(first)
        while made.depth():
            await asyncio.sleep(0.001)
        made.submit(late)
        made.submit(last)
        await asyncio.sleep(0.05)
        detect.gate.set()
        with pytest.raises(ServiceError, match="expired in the queue") as caught:
            await late.future
        assert caught.value.code == "deadline"
        await last.future
        assert detect.seen == [[(32, 64)], [(40, 64)]]
        made.stop(timeout=5)

    run(scenario())


def test_what_was_withdrawn_is_not_done() -> None:
    async def scenario() -> None:
        detect = Recorded()
        made = worker(detect, max_batch=1, batch_wait=0.0)
        first, second = job(picture()), job(picture(48))
        made.submit(first)
        while made.depth():
            await asyncio.sleep(0.001)
        made.submit(second)
        assert made.withdraw(second)
        assert not made.withdraw(second)
        assert not made.withdraw(first)  # begun
        detect.gate.set()
        await first.future
        assert made.stop(timeout=5)
        assert detect.seen == [[(32, 64)]]

    run(scenario())


def test_one_bad_image_does_not_spoil_its_batch() -> None:
    async def scenario() -> None:
        class OddOneOut(Recorded):
            def __call__(self, images: Sequence[np.ndarray], settings: tuple[float, float]) -> Any:
                self.seen.append([image.shape[:2] for image in images])
                if any(image[0, 0, 0] == 1 for image in images):
                    raise UsageError("a one in the corner")
                return RedMonitor(*settings).detect_batch(images)

        detect = OddOneOut()
        made = worker(detect, max_batch=3, batch_wait=5.0)
        odd = picture()
        odd[0, 0, 0] = 1
        jobs = [job(picture()), job(odd), job(picture())]
        for item in jobs:
            made.submit(item)
        found = await asyncio.gather(*(item.future for item in jobs), return_exceptions=True)
        assert [type(f) for f in found] == [Detection, ServiceError, Detection]
        assert isinstance(found[1], ServiceError)
        assert (found[1].code, found[1].message) == ("unusable_image", "a one in the corner")
        assert list(map(len, detect.seen)) == [3, 1, 1, 1]
        made.stop(timeout=5)

    run(scenario())


def test_stop_answers_what_is_queued() -> None:
    async def scenario() -> None:
        detect = Recorded()
        made = worker(detect, max_batch=1)
        jobs = [job(picture()) for _ in range(3)]
        for item in jobs:
            made.submit(item)
        assert not made.stop(timeout=0.05)
        detect.gate.set()
        await asyncio.gather(*(item.future for item in jobs))
        assert made.stop(timeout=5)

    run(scenario())


def test_places_come_back_when_the_last_holder_is_done() -> None:
    async def scenario() -> None:
        slots = Slots(3)
        ticket = slots.take(2)
        assert ticket is not None
        assert slots.take(2) is None
        assert ticket.extend(1)
        assert not ticket.extend(1)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        ticket.hold_until(future)
        ticket.release()
        assert slots.used == 3
        future.set_exception(ValueError("seen by nobody"))
        await asyncio.sleep(0)
        assert slots.used == 0

    run(scenario())
