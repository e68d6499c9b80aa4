"""Too much, too late, gone: overload, deadlines, disconnects, the end: all over real sockets."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from tests.deployment.service.client import Answer, Client, running
from tests.deployment.service.conftest import Start
from tests.deployment.service.red_monitor import RedMonitor, encoded, picture
from tests.waiting import eventually

from segood.deployment.service.app import create_app
from segood.deployment.service.core import Service
from segood.deployment.service.server import ServiceProtocol


@pytest.fixture
def held() -> RedMonitor:
    """A monitor that answers nothing before its gate is opened, once the self-test is over."""
    return RedMonitor()


def fill(pool: ThreadPoolExecutor, client: Client, service: Service, count: int) -> list[Future[Answer]]:
    """Send `count` images and wait until all are inside."""
    waiting = [pool.submit(client.detect, encoded()) for _ in range(count)]
    eventually(lambda: service.slots.used, count)
    return waiting


def raw_head(length: str, *more: str) -> bytes:
    lines = ["POST /v1/detect HTTP/1.1", "Host: a", "Content-Type: image/png", length, *more]
    return ("\r\n".join(line for line in lines if line) + "\r\n\r\n").encode()


def test_a_full_queue_says_so_before_the_body_is_sent(start: Start, held: RedMonitor) -> None:
    client, service = start(held, max_queue=3, max_files=1)
    held.gate.clear()
    with ThreadPoolExecutor(8) as pool:
        waiting = fill(pool, client, service, 3)
        answer = client.send_raw(raw_head("Content-Length: 1000000"))  # and not a byte of it
        assert answer is not None
        assert (answer.status, answer.code) == (429, "queue_full")
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        assert client.detect(b"not even an image").status == 429
        assert client.get("/healthz").status == 200
        held.gate.set()
        assert [f.result().status for f in waiting] == [200] * 3
    eventually(lambda: service.slots.used, 0)
    assert client.detect(encoded()).status == 200


def test_a_batch_needs_as_many_places_as_it_has_images(start: Start, held: RedMonitor) -> None:
    client, service = start(held, max_queue=3, max_files=3)
    held.gate.clear()
    files = [("files", "a.png", encoded())] * 3
    with ThreadPoolExecutor(2) as pool:
        waiting = fill(pool, client, service, 1)
        answer = client.send_files("/v1/detect/batch", files)
        assert (answer.status, answer.code) == (429, "queue_full")
        assert service.slots.used == 1
        held.gate.set()
        assert waiting[0].result().status == 200
    eventually(lambda: service.slots.used, 0)
    assert client.send_files("/v1/detect/batch", files).status == 200


def test_equal_sizes_travel_together(start: Start, held: RedMonitor) -> None:
    client, service = start(held, max_queue=8, max_batch=4, batch_wait_ms=1.0)
    held.gate.clear()
    with ThreadPoolExecutor(8) as pool:
        waiting = fill(pool, client, service, 1)
        eventually(lambda: held.asked, 2)  # the first is the self-test: this one travels alone
        waiting += [pool.submit(client.detect, encoded()) for _ in range(6)]
        eventually(service.worker.depth, 6)
        held.gate.set()
        assert [f.result().status for f in waiting] == [200] * 7
    assert held.batches[-3:] == [1, 4, 2]


def test_bytes_are_counted_with_and_without_a_length(start: Start) -> None:
    client, service = start(max_bytes=10_000)
    body = encoded() + bytes(20_000)
    answer = client.detect(body)
    assert (answer.status, answer.code) == (413, "body_too_large")
    chunk = b"1000\r\n" + bytes(4096) + b"\r\n"
    for chunks in (3, 200):  # barely too many, and far too many: then the connection may be cut
        answer_or_none = client.send_raw(
            raw_head("Transfer-Encoding: chunked") + chunk * chunks + b"0\r\n\r\n"
        )
        if chunks == 3:
            assert answer_or_none is not None
            assert (answer_or_none.status, answer_or_none.code) == (413, "body_too_large")
            assert answer_or_none.headers["connection"] == "close"
    answer_or_none = client.send_raw(raw_head("Content-Length: 99999999999999", "Expect: 100-continue"))
    assert answer_or_none is not None
    assert (answer_or_none.status, answer_or_none.code) == (413, "body_too_large")
    eventually(lambda: service.slots.used, 0)
    assert client.detect(encoded()).status == 200


def test_pixels_are_counted_before_decoding(start: Start) -> None:
    client, _ = start(max_pixels=2000)
    answer = client.detect(encoded())
    assert (answer.status, answer.code) == (413, "too_many_pixels")
    assert "32 × 64" in answer.json()["error"]["message"]


def test_an_answer_that_comes_too_late_is_a_503(start: Start, held: RedMonitor) -> None:
    client, service = start(held, timeout_s=2.0, max_batch=1)
    held.gate.clear()
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(client.detect, encoded(picture(32 + i))) for i in range(3)]
        answers = [f.result() for f in waiting]
    assert [(a.status, a.code) for a in answers] == [(503, "deadline")] * 3
    assert service.slots.used == 1  # the one that the worker has begun keeps its place
    assert service.worker.depth() == 0  # the others are not done at all
    asked = len(held.batches)
    held.gate.set()
    eventually(lambda: service.slots.used, 0)
    assert client.detect(encoded()).status == 200
    assert len(held.batches) == asked + 2


def test_a_body_that_does_not_arrive_is_a_408(start: Start) -> None:
    client, service = start(timeout_s=2.0)
    with socket.create_connection(("127.0.0.1", client.port), timeout=10) as raw:
        raw.sendall(raw_head("Content-Length: 100") + b"abc")
        eventually(lambda: service.slots.used, 1)
        with raw.makefile("rb") as stream:
            answer = stream.read()  # to the end: head and body may come in two pieces
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"body_timeout"' in answer
    eventually(lambda: service.slots.used, 0)


@pytest.mark.parametrize("stage", ["body", "queue", "worker"])
def test_clients_that_leave_give_their_place_back(start: Start, held: RedMonitor, stage: str) -> None:
    client, service = start(held, max_batch=1)
    held.gate.clear()
    with ThreadPoolExecutor(1) as pool:
        first = fill(pool, client, service, 1) if stage == "queue" else []
        before = service.slots.used
        if first:
            eventually(lambda: held.asked, 2)  # the first is the self-test
        raw = socket.create_connection(("127.0.0.1", client.port), timeout=10)
        image = encoded()
        raw.sendall(raw_head(f"Content-Length: {len(image)}") + (image[:50] if stage == "body" else image))
        eventually(lambda: service.slots.used, before + 1)
        if stage == "queue":
            eventually(service.worker.depth, 1)
        elif stage == "worker":
            eventually(lambda: held.asked, 2)  # the first is the self-test
        raw.close()
        if stage == "worker":
            time.sleep(0.1)
            assert service.slots.used == 1  # it cannot be stopped, so it still takes room
        else:
            eventually(lambda: service.slots.used, before)
            assert service.worker.depth() == 0
        held.gate.set()
        assert [f.result().status for f in first] == [200] * len(first)
    eventually(lambda: service.slots.used, 0)
    assert client.detect(encoded()).status == 200


def test_draining_refuses_the_new_and_answers_the_old(start: Start, held: RedMonitor) -> None:
    client, service = start(held)
    held.gate.clear()
    with ThreadPoolExecutor(4) as pool:
        waiting = fill(pool, client, service, 3)
        service.drain()
        ready = client.get("/readyz")
        assert (ready.status, ready.code) == (503, "draining")
        refused = client.detect(encoded())
        assert (refused.status, refused.code) == (503, "draining")
        assert refused.headers["connection"] == "close"
        assert client.get("/healthz").status == 200
        assert not service.is_idle
        held.gate.set()
        assert [f.result().status for f in waiting] == [200] * 3
    eventually(lambda: service.is_idle, True)


def test_not_ready_before_the_self_test_has_passed(start: Start) -> None:
    held = RedMonitor()
    held.gate.clear()
    opener = threading.Timer(0.5, held.gate.set)
    opener.start()
    client, service = start(held)  # waits until it is ready
    assert client.get("/readyz").status == 200
    service.state = "starting"
    answer = client.detect(encoded())
    assert (answer.status, answer.code) == (503, "starting")


def test_a_failed_self_test_is_told(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    client, service = start()
    service.failure, service.state = "no objects", "failed"
    answer = client.get("/readyz")
    assert (answer.status, answer.code) == (503, "self_test_failed")
    assert "no objects" in answer.json()["error"]["message"]
    service.state = "ready"


def test_connections_are_kept_after_a_refusal(start: Start, held: RedMonitor) -> None:
    """A refused body of the announced length is passed over; the same connection asks again."""
    client, service = start(held, max_queue=1, max_files=1)
    held.gate.clear()
    connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=10)

    def ask() -> int:
        connection.request("POST", "/v1/detect", encoded(), {"Content-Type": "image/png"})
        response = connection.getresponse()
        response.read()
        return response.status

    with ThreadPoolExecutor(1) as pool:
        waiting = fill(pool, client, service, 1)
        assert ask() == 429
        first = connection.sock
        held.gate.set()
        assert waiting[0].result().status == 200
        eventually(lambda: service.slots.used, 0)
        assert ask() == 200
        assert connection.sock is first
    connection.close()


class Hurried(ServiceProtocol):
    header_seconds = 0.4


def test_a_request_has_to_begin_in_time() -> None:
    with running(create_app(RedMonitor()), Hurried) as client:
        for first in (b"", b"GET / HTTP/1.1\r\n", b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", client.port), timeout=10) as raw:
                raw.sendall(first)
                start = time.monotonic()
                if first.endswith(b"\r\n\r\n"):
                    assert raw.recv(10_000).startswith(b"HTTP/1.1 200 ")
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    while time.monotonic() < start + 8:  # a letter now and then
                        raw.sendall(b"X")
                        raw.settimeout(0.1)
                        with contextlib.suppress(TimeoutError):
                            if raw.recv(100) == b"":
                                break
                assert time.monotonic() < start + 5
        assert client.get("/healthz").status == 200


def test_a_bug_is_a_500_in_the_same_form(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    client, service = start()
    service.slots.take = None  # type: ignore[assignment]
    answer = client.detect(encoded())
    assert (answer.status, answer.code) == (500, "internal_error")
    assert b'segood_requests_total{path="/v1/detect",status="500"} 1.0' in client.get("/metrics").body
