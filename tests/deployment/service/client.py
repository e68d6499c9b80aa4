"""A client of the service: plain sockets and `http.client`, so that a test decides every byte."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import uvicorn
from fastapi import FastAPI
from tests.waiting import eventually

from segood.deployment.service.core import Service


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        assert self.headers["content-type"] == "application/json", self
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of an error, whose form is checked on the way."""
        found = self.json()
        assert set(found) == {"error"}, found
        assert set(found["error"]) == {"code", "message"}, found
        assert found["error"]["message"], found
        return str(found["error"]["code"])


@dataclass(frozen=True)
class Client:
    """Requests to one address."""

    port: int
    host: str = "127.0.0.1"
    timeout: float = 60.0

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send a request over a connection of its own."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=self.timeout)
        try:
            with contextlib.suppress(
                BrokenPipeError, ConnectionResetError
            ):  # the answer may be there already
                connection.request(method, path, body, dict(headers or {}))
            return _read(connection)
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, headers=headers)

    def detect(self, image: bytes, query: str = "", kind: str = "image/png", **headers: str) -> Answer:
        """Send one image as the body."""
        return self.ask("POST", f"/v1/detect{query}", image, {"Content-Type": kind, **headers})

    def send_files(self, path: str, files: Sequence[tuple[str, str, bytes]]) -> Answer:
        """Send a form of files: (field, file name, bytes)."""
        body, kind = form(files)
        return self.ask("POST", path, body, {"Content-Type": kind})

    def send_raw(self, data: bytes, *, end: bool = False) -> Answer | None:
        """Send these bytes as they are, and say that no more come (`end`) or say nothing.

        None where the connection is closed without an answer.
        """
        with socket.create_connection((self.host, self.port), timeout=self.timeout) as raw:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                raw.sendall(data)
                if end:
                    raw.shutdown(socket.SHUT_WR)
            response = http.client.HTTPResponse(raw)
            try:
                response.begin()
                return Answer(response.status, _headers(response), response.read())
            except (http.client.HTTPException, ConnectionResetError):
                return None

    def is_ready(self) -> bool:
        try:
            return self.get("/readyz").status == 200
        except OSError:
            return False


def _headers(response: http.client.HTTPResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in response.getheaders()}


def _read(connection: http.client.HTTPConnection) -> Answer:
    response = connection.getresponse()
    return Answer(response.status, _headers(response), response.read())


def form(files: Sequence[tuple[str, str, bytes]]) -> tuple[bytes, str]:
    """Return a multipart body and its content type."""
    boundary = "7d1f0c9e5b3a"
    parts = []
    for field, name, data in files:
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'
        parts.append(head.encode() + data + b"\r\n")
    return b"".join(parts) + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


@contextlib.contextmanager
def running(app: FastAPI, protocol: Any = "h11") -> Iterator[Client]:
    """Serve an application on a free port from a thread of this process."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(
        app, http=protocol, ws="none", lifespan="on", log_level="critical", access_log=False,
        server_header=False, timeout_graceful_shutdown=10,
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="server")
    thread.start()
    client = Client(listener.getsockname()[1])
    service: Service = app.state.service
    try:
        eventually(lambda: server.started and service.state, "ready")
        yield client
    finally:
        server.should_exit = True
        thread.join(30)
        listener.close()
        assert not thread.is_alive()
