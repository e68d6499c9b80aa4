"""`segood serve` under load: nothing accepted is lost, memory stays, overload is refused, it ends cleanly."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.deployment.service.load import Load, ask_for
from tests.deployment.service.process import Served, served, write_bundle
from tests.deployment.service.red_monitor import encoded
from tests.waiting import eventually

Record = Callable[[str, object], None]
LIMITS = ("--max_queue", 8, "--max_files", 4, "--max_batch", 4, "--timeout_s", 30)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("bundle") / "small.segood")


@pytest.fixture
def service(bundle: Path) -> Iterator[Served]:
    with served(bundle, *LIMITS) as service:
        yield service


@pytest.fixture(scope="module")
def images() -> list[bytes]:
    """Frames of 128 × 256 with structure, so that something is found."""
    rng = np.random.default_rng(3)
    coarse = rng.integers(0, 256, (6, 8, 16, 3), np.uint8)
    return [encoded(np.kron(frame, np.ones((16, 16, 1), np.uint8))) for frame in coarse]


class Memory:
    """Reads the process's memory twice a second, until it is told to stop."""

    def __init__(self, service: Served) -> None:
        self.values: list[float] = []
        self._service, self._stop = service, threading.Event()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        while not self._stop.wait(0.5):
            self.values.append(self._service.rss())

    def stop(self) -> list[float]:
        self._stop.set()
        self._thread.join()
        return self.values


def overload(service: Served, images: list[bytes], seconds: float) -> tuple[Load, Load, list[float]]:
    """Warm up, ask at capacity, then far above; return what both saw, and the memory in MiB over time."""
    for clients in (1, 4, 8):  # batches of every size have been seen once
        ask_for(service.client.port, images, clients=clients, seconds=1.5)
    before = {name: service.metric(name) for name in ACCEPTED}
    memory = Memory(service)
    at = ask_for(service.client.port, images, clients=8, seconds=0.4 * seconds)
    above = ask_for(service.client.port, images, clients=24, seconds=0.6 * seconds, pause=0.05)
    values = memory.stop()
    after = {name: service.metric(name) - before[name] for name in ACCEPTED}
    results, refused = at.statuses[200] + above.statuses[200], at.statuses[429] + above.statuses[429]
    assert after == dict(zip(ACCEPTED, (results, refused, results), strict=True))
    return at, above, values


ACCEPTED = (
    "segood_accepted_total",
    'segood_rejected_total{reason="queue_full"}',
    'segood_requests_total{path="/v1/detect",status="200"}',
)


def check_load(at: Load, above: Load, memory: list[float], record: Record) -> None:
    record("at_capacity", at.words())
    record("above_capacity", above.words())
    record("memory_mib", [round(value, 1) for value in memory])
    print(f"\nat capacity: {at.words()}\nabove it: {above.words()}")  # noqa: T201
    print(f"memory in MiB: {[round(v, 1) for v in memory[:: max(1, len(memory) // 20)]]}")  # noqa: T201
    assert at.lost == above.lost == []
    assert set(at.statuses) == {200}
    assert set(above.statuses) == {200, 429}
    assert above.statuses[429] > 10
    assert above.rate > 0.25 * at.rate  # refusing costs little
    assert above.quantile(429, 0.5) < at.quantile(200, 0.5)
    fifth = max(1, len(memory) // 5)
    assert np.median(memory[-fifth:]) < 1.05 * np.median(memory[:fifth]) + 5, memory


def test_load(service: Served, images: list[bytes], record_property: Record) -> None:
    check_load(*overload(service, images, 57), record_property)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_load_for_ten_minutes(service: Served, images: list[bytes], record_property: Record) -> None:
    check_load(*overload(service, images, 600), record_property)


def test_term_in_the_middle_of_load(service: Served, images: list[bytes], record_property: Record) -> None:
    """Every client gets answers until it is told 503; none is left without."""
    client, seen = service.client, []
    loads: list[Load] = []
    load = threading.Thread(
        target=lambda: loads.append(
            ask_for(client.port, images, clients=16, seconds=60, pause=0.02, until=lambda s: s == 503)
        )
    )
    load.start()
    eventually(lambda: service.metric("segood_accepted_total") > 20, True)
    service.process.send_signal(signal.SIGTERM)
    start = time.monotonic()
    while not seen and time.monotonic() < start + 10:
        answer = client.get("/readyz")
        seen = [answer.code] if answer.status == 503 else []
    load.join(60)
    assert service.process.wait(30) == 0
    (found,) = loads
    record_property("term", found.words())
    print(f"\nterm: {found.words()}, exit after {time.monotonic() - start:.1f} s")  # noqa: T201
    assert seen == ["draining"]
    assert found.lost == []
    assert found.statuses[503] == 16
    assert set(found.statuses) == {200, 429, 503}
    eventually(lambda: service.lines[-1:], ["everything accepted has been answered\n"])


def test_a_second_signal_ends_at_once(bundle: Path, images: list[bytes]) -> None:
    with served(bundle, *LIMITS) as service:
        large = encoded(
            np.kron(np.eye(32, 64, dtype=np.uint8)[..., None] * 200, np.ones((64, 64, 3), np.uint8))
        )
        asking = threading.Thread(
            target=lambda: ask_for(service.client.port, [large], clients=4, seconds=0.1)
        )
        asking.start()
        eventually(lambda: service.metric("segood_in_use") > 0, True)
        service.process.send_signal(signal.SIGINT)
        eventually(lambda: service.client.get("/readyz").status, 503)  # it has been heard
        service.process.send_signal(signal.SIGINT)
        assert service.process.wait(60) == 1
        asking.join(30)
        eventually(lambda: "ended by a second signal" in "".join(service.lines), True)


def test_the_service_needs_no_pytorch(bundle: Path) -> None:
    with served(bundle) as service:
        maps = Path(f"/proc/{service.process.pid}/maps").read_text()
        assert "onnxruntime" in maps
        for name in ("/torch/", "/pandas/", "/sklearn/"):
            assert name not in maps
        assert json.loads(service.client.get("/v1/model").body)["card"] == {"network": "random"}
        os.kill(service.process.pid, signal.SIGTERM)
        assert service.process.wait(30) == 0
