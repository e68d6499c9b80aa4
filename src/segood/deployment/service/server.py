"""The service as a process: a socket, signals, and an end that keeps its promises.

In: a monitor, options, an address. Out: the exit code. The first SIGTERM or SIGINT drains: nothing new is let
in (503, `Connection: close`), `/readyz` says so, everything accepted is answered, then the process ends with
0. The second one ends it at once, with 1.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from segood.deployment.service.answers import to_json
from segood.deployment.service.app import create_app
from segood.deployment.service.core import Service
from segood.deployment.service.detector import Detector
from segood.deployment.service.options import ServiceOptions
from segood.deployment.service.problems import error_json
from segood.errors import SegoodError, UsageError

DRAIN_SECONDS = 1.0
"""From the signal, and from the last answer, to the end: load balancers and late clients see the 503."""


def open_socket(host: str, port: int) -> socket.socket:
    """Return a listening socket; who comes before the service is ready waits for it.

    Args:
        host: name or address.
        port: 1 to 65535, or 0 for any that is free.

    Raises:
        UsageError: the port is out of range, the host is unknown.
        SegoodError: the address is in use, or not for this user.
    """
    if not 0 <= port <= 65535:
        raise UsageError(f"`port` must lie in 1..65535, or be 0 for any free one; got {port}")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, UnicodeError) as error:
        raise UsageError(f"`host` {host!r} is no address of this machine") from error
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(256)  # two that only bind do not see each other
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE:
            raise SegoodError(f"port {port} of {host} is in use; choose another one with --port") from error
        if error.errno in (errno.EACCES, errno.EPERM):
            raise SegoodError(
                f"port {port} of {host} is not for this user; ports from 1024 on are"
            ) from error
        raise UsageError(f"`host` {host!r} is no address of this machine ({error.strerror})") from error
    bound.set_inheritable(True)
    return bound


def serve(
    monitor: Detector,
    options: ServiceOptions,
    listener: socket.socket,
    *,
    say: Callable[[str], None] = lambda line: None,
) -> bool:
    """Answer requests until a signal ends it.

    Args:
        monitor: see `create_app`.
        options: likewise.
        listener: from `open_socket`.
        say: told in one line when the service is ready.

    Returns:
        Whether everything that was accepted has been answered; False after a second signal.

    Raises:
        SegoodError: the self-test failed.
    """
    # It writes a line for every byte out of place; the client is told, and the log is not theirs to fill.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    app = create_app(monitor, options)
    service: Service = app.state.service
    config = uvicorn.Config(
        app,
        http=ServiceProtocol,
        ws="none",
        lifespan="on",
        loop="asyncio",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=int(options.timeout_s) + 5,
    )
    host, port = listener.getsockname()[:2]
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    server = _DrainingServer(config, service, lambda: say(f"listening on {address}"))
    server.run(sockets=[listener])
    if service.failure:
        raise SegoodError(f"the monitor's self-test failed: {service.failure}")
    return not server.force_exit


class _DrainingServer(uvicorn.Server):
    """Uvicorn's server, with an end in two steps and its own exit code."""

    def __init__(self, config: uvicorn.Config, service: Service, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._service, self._on_ready = service, on_ready
        self._said = False
        self._quiet_since: float | None = None  # while draining

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain; at the second signal, end at once. The signal is not raised again afterwards."""
        if self._quiet_since is not None:
            self.force_exit = self.should_exit = True
        else:
            self._quiet_since = time.monotonic()
            self._service.drain()

    async def on_tick(self, counter: int) -> bool:
        if self._service.state == "ready" and not self._said:
            self._said = True
            self._on_ready()
        if self._service.state == "failed":
            self.should_exit = True
        if self._quiet_since is not None:
            if not self._service.is_idle:
                self._quiet_since = time.monotonic()
            elif time.monotonic() >= self._quiet_since + DRAIN_SECONDS:
                self.should_exit = True
        return await super().on_tick(counter)


class ServiceProtocol(H11Protocol):
    """Uvicorn's protocol, with a time in which a request has to begin and an answer for what is no HTTP.

    A connection on which somebody writes a letter of a header now and then is closed after `header_seconds`.
    What is no HTTP is refused in the form of all other errors.
    """

    header_seconds = 10.0
    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._forget()

    def _watch(self) -> None:
        """Start the clock where no request is under way, stop it where one is."""
        if self.transport.is_closing() or (self.cycle is not None and not self.cycle.response_complete):
            self._forget()
        elif self._waiting is None:
            self._waiting = self.loop.call_later(self.header_seconds, self._too_slow)

    def _forget(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _too_slow(self) -> None:
        self._waiting = None
        if self.cycle is None or self.cycle.response_complete:
            self.timeout_keep_alive_handler()

    def send_400_response(self, msg: str) -> None:
        body = to_json(error_json("bad_request", "the request is not valid HTTP/1.1"))
        headers: list[tuple[bytes, bytes]] = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        events: list[Any] = [
            h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
            h11.Data(data=body),
            h11.EndOfMessage(),
        ]
        with contextlib.suppress(h11.LocalProtocolError):  # it was answered already, or is being answered
            for event in events:
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
