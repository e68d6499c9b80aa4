"""The body of a request -> the bytes of its images, counted while they arrive.

In: a request. Out: images as bytes, with the names they were sent under. No byte beyond the limit is kept,
whatever `Content-Length` says or does not say; nothing touches the disk.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from typing import NamedTuple

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from segood.deployment.service.decoding import FORMATS
from segood.deployment.service.problems import ServiceError

MULTIPART = "multipart/form-data"
_LINGER = 2.0
"""Seconds in which the rest of a refused body may arrive, so that its sender lives to read the answer."""


class Upload(NamedTuple):
    """An image as it arrived: the last part of its file name (empty if it has none), and its bytes."""

    name: str
    data: bytes


class _InMemory(MultiPartParser):
    """Starlette's parser; the body is bounded already, so nothing has to be put on disk."""

    spool_max_size = 2**40


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


async def split_multipart(request: Request, body: bytes, *, field: str, max_files: int) -> list[Upload]:
    """Return the files of a multipart body, in order.

    Args:
        request: whose headers name the boundary.
        body: all of it.
        field: the only name under which files are accepted.
        max_files: more are refused.

    Raises:
        ServiceError: `invalid_multipart`, `empty_body`.
    """

    async def once() -> AsyncIterator[bytes]:
        yield body

    headers = Headers(raw=[(k, v) for k, v in request.scope["headers"] if k == b"content-type"])
    parser = _InMemory(headers, once(), max_files=max_files, max_fields=max_files)  # type: ignore[arg-type]
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise ServiceError("invalid_multipart", error.message) from error
    except (ValueError, LookupError, TypeError) as error:
        raise ServiceError("invalid_multipart", "the multipart body cannot be read") from error
    try:
        found = []
        for name, value in form.multi_items():
            if name != field or not isinstance(value, UploadFile):
                raise ServiceError(
                    "invalid_multipart", f"field {name[:80]!r}: only files are accepted, under `{field}`"
                )
            found.append(Upload(_last_part(value.filename or ""), await value.read()))
    finally:
        await form.close()
    if not found:
        raise ServiceError("empty_body", f"there is no file under `{field}` in the multipart body")
    return found


def _last_part(name: str) -> str:
    """Return a file name that is safe to show: no folders, no control characters, not too long.

    Example:
        >>> _last_part("../../etc/pass\\x00wd.png")
        'passwd.png'
    """
    return "".join(c for c in re.split(r"[/\\]", name)[-1] if c.isprintable())[:100]
