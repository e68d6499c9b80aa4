"""A local HTTP server that does to a download what networks do."""

from __future__ import annotations

import hashlib
import http.server
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

CONTENT = bytes(range(256)) * 1200  # 307,200 bytes
OTHER = CONTENT[::-1]
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Behaviour:
    """What the server does.

    Attributes:
        answer: called with the handler and the number of the request, from 0.
        requests: path and `Range` of every request so far.
        content: what the file is now.
    """

    answer: Callable[[Handler, int], None]
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    content: bytes = CONTENT
    url: str = ""


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers as its behaviour says; `send` is a well-behaved answer with knobs."""

    behaviour: Behaviour

    def do_GET(self) -> None:
        number = len(self.behaviour.requests)
        self.behaviour.requests.append((self.path, self.headers.get("Range")))
        self.behaviour.answer(self, number)

    def log_message(self, *args: object) -> None:
        del args

    def send(
        self,
        *,
        limit: int | None = None,
        ranges: bool = True,
        etag: bool = True,
        date: bool = False,
        length: bool = True,
        extra: dict[str, str] | None = None,
        shift: int = 0,
        slow: float = 0.0,
        block: int = 4096,
    ) -> None:
        """Send the file, or the rest that was asked for.

        Args:
            limit: bytes after which the connection ends.
            ranges: understand `Range` (and `If-Range`).
            etag, date, length: send that header.
            extra: further headers.
            shift: send another part than the one promised.
            slow: seconds before each block of `block` bytes.
        """
        content = self.behaviour.content
        tag = f'"{hashlib.sha256(content).hexdigest()[:8]}"'
        asked = self.headers.get("Range") if ranges else None
        unchanged = self.headers.get("If-Range") in (None, tag, _DATE)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and unchanged else 0
        if start and start >= len(content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start + shift}-{len(content) - 1}/{len(content)}")
        if etag:
            self.send_header("ETag", tag)
        if date:
            self.send_header("Last-Modified", _DATE)
        if length:
            self.send_header("Content-Length", str(len(content) - start))
        for name, value in (extra or {}).items():
            self.send_header(name, value)
        self.end_headers()
        rest = content[start:]
        rest = rest if limit is None else rest[:limit]
        for offset in range(0, len(rest), block):
            if slow:
                time.sleep(slow)
            self.wfile.write(rest[offset : offset + block])
        self.wfile.flush()

    def fail(self, code: int, **headers: str) -> None:
        """Answer with an error."""
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()


_DATE = "Wed, 01 May 2024 00:00:00 GMT"


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *args: object) -> None:
        del args  # a client that has gone away is what the tests are about


@contextmanager
def serve(answer: Callable[[Handler, int], None]) -> Iterator[Behaviour]:
    """Serve on a free port of this machine."""
    behaviour = Behaviour(answer)
    handler = type("ThisHandler", (Handler,), {"behaviour": behaviour})
    with _Server(("127.0.0.1", 0), handler) as server:
        behaviour.url = f"http://127.0.0.1:{server.server_address[1]}/weights.pth"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield behaviour
        finally:
            server.shutdown()
            thread.join()
