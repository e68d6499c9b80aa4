"""The body of a request, counted while it arrives.

In: a request. Out: its bytes. None beyond the limit is kept, whatever `Content-Length` says or does not say.
"""

from __future__ import annotations

import asyncio
import time

from starlette.requests import ClientDisconnect, Request

from segood.deployment.service.decoding import FORMATS
from segood.deployment.service.problems import ServiceError

MULTIPART = "multipart/form-data"
_LINGER = 2.0
"""Seconds in which the rest of a refused body may arrive, so that its sender lives to read the answer."""


def content_type(request: Request) -> str:
    """Return the content type without parameters, in lower case; what is not accepted is refused.

    Raises:
        ServiceError: `unsupported_media_type`.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in (*FORMATS, MULTIPART):
        raise ServiceError(
            "unsupported_media_type",
            f"content type {kind[:80]!r} is not accepted; send {', '.join(FORMATS)} or {MULTIPART}",
        )
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding != "identity":
        raise ServiceError(
            "unsupported_media_type", f"content encoding {encoding[:80]!r} is not accepted; send plain bytes"
        )
    return kind


async def read_body(request: Request, *, max_bytes: int, deadline: float) -> bytes:
    """Return the whole body.

    Args:
        request: of which nothing was read.
        max_bytes: more are refused, as soon as it is known.
        deadline: on the clock of `time.monotonic`.

    Raises:
        ServiceError: `body_too_large`, `body_timeout`, `client_gone`.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > max_bytes:
        await linger(request, max_bytes)
        raise _too_large(max_bytes)
    body = bytearray()

    async def collect() -> None:
        async for chunk in request.stream():
            body.extend(chunk)
            if len(body) > max_bytes:
                return

    try:
        await asyncio.wait_for(collect(), max(0.001, deadline - time.monotonic()))
    except (asyncio.TimeoutError, TimeoutError) as error:
        raise ServiceError(
            "body_timeout", f"the body did not arrive in time; {len(body)} bytes did", close=True
        ) from error
    except ClientDisconnect as error:
        raise ServiceError("client_gone", "the client left while it sent the body", close=True) from error
    if len(body) > max_bytes:
        body.clear()
        await linger(request, max_bytes)
        raise _too_large(max_bytes)
    return bytes(body)


def _too_large(max_bytes: int) -> ServiceError:
    return ServiceError("body_too_large", f"a body may have at most {max_bytes} bytes", close=True)


async def linger(request: Request, max_bytes: int) -> None:
    """Let up to `max_bytes` of a refused body pass by for a moment.

    A connection closed over unread bytes is reset, and a client that still sends never sees the answer.
    """
    if request.headers.get("expect", "").lower() == "100-continue":
        return  # the client asks before it sends, and has its answer now

    async def drop() -> None:
        passed = 0
        while passed <= max_bytes:
            message = await request.receive()
            passed += len(message.get("body", b""))
            if message["type"] != "http.request" or not message.get("more_body"):
                return

    try:
        await asyncio.wait_for(drop(), _LINGER)
    except (asyncio.TimeoutError, TimeoutError):
        return
