"""One request, from its arrival to its answer: let in, read, decoded, seen, encoded.

In: a request and the service. Out: detections with the seconds of their stages, and answers in the form that
was asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from segood.deployment.detection import Detection
from segood.deployment.service import answers
from segood.deployment.service.body import MULTIPART, content_type, linger, read_body
from segood.deployment.service.core import Service
from segood.deployment.service.forms import Upload, split_form
from segood.deployment.service.pictures import encode_overlay, page_pictures
from segood.deployment.service.problems import ServiceError, error_json
from segood.deployment.service.queries import BatchQuery, DetectQuery
from segood.deployment.service.slots import Admission


@contextlib.asynccontextmanager
async def inside(service: Service, request: Request) -> AsyncIterator[Admission]:
    """Let a request in, and out again when all of it is done."""
    try:
        admission = service.admit()
    except ServiceError as error:
        if error.close:
            await linger(request, service.options.max_bytes)
        raise
    try:
        yield admission
    finally:
        admission.ticket.release()


@contextlib.asynccontextmanager
async def client_of(request: Request) -> AsyncIterator[asyncio.Future[Any]]:
    """Give a future that is done when the client has left; the body must have been read."""

    async def left() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    watch = asyncio.ensure_future(left())
    try:
        yield watch
    finally:
        watch.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watch


async def read_uploads(
    service: Service, request: Request, admission: Admission, *, single: bool
) -> list[Upload]:
    """Return the images of the body, still encoded."""
    kind = content_type(request)
    if not single and kind != MULTIPART:
        raise ServiceError("unsupported_media_type", f"a batch is {MULTIPART}; got {kind}")
    body = await read_body(request, max_bytes=service.options.max_bytes, deadline=admission.deadline)
    if kind == MULTIPART:
        field, most = ("file", 1) if single else ("files", service.options.max_files)
        full_type = request.headers["content-type"]
        return await service.in_pool(
            admission, lambda: split_form(full_type, body, field=field, max_files=most)
        )
    if not body:
        raise ServiceError("empty_body", "the body is empty; send the bytes of an image")
    return [Upload("", body)]


async def look_at(
    service: Service,
    admission: Admission,
    upload: Upload,
    query: BatchQuery,
    gone: asyncio.Future[Any],
) -> tuple[Detection, dict[str, float]]:
    """Decode an image and wait for its detection; return it with the seconds of the stages."""
    read = time.monotonic()
    image, verdict = await service.decode(admission, upload.data)
    seconds = {"decode": time.monotonic() - read}
    if verdict is None:
        detection, queued = await service.detect(admission, image, _settings(service, query), gone)
        seconds |= {**detection.seconds, "queue": queued}
    else:
        detection = service.refuse_verdict(image, verdict)
    seconds["total"] = time.monotonic() - admission.start
    service.metrics.observe_stages({**seconds, "read": read - admission.start})
    return detection, seconds


async def batch_item(
    service: Service,
    admission: Admission,
    index: int,
    upload: Upload,
    query: BatchQuery,
    gone: asyncio.Future[Any],
) -> dict[str, Any]:
    """Return one image's place in the answer of a batch."""
    item: dict[str, Any] = {"index": index, "name": upload.name, "result": None, "error": None}
    try:
        detection, seconds = await look_at(service, admission, upload, query, gone)
        item["result"] = await service.in_pool(admission, lambda: _data(service, detection, query, seconds))
    except ServiceError as error:
        service.metrics.rejected.labels(error.code).inc()
        item |= error_json(error.code, error.message)
    return item


def _settings(service: Service, query: BatchQuery) -> tuple[float, float]:
    threshold, probability = service.settings
    return (
        threshold if query.threshold is None else query.threshold,
        probability if query.probability_threshold is None else query.probability_threshold,
    )


def _data(
    service: Service, detection: Detection, query: BatchQuery, seconds: dict[str, float]
) -> dict[str, Any]:
    threshold, probability = _settings(service, query)
    return answers.detection_data(
        detection,
        threshold=threshold,
        probability_threshold=probability,
        seconds=seconds,
        masks=query.masks,
    )


def respond(
    service: Service, detection: Detection, query: DetectQuery, seconds: dict[str, float]
) -> Response:
    """Encode a detection as it was asked for; runs in the pool."""
    if query.format == "overlay":
        content = encode_overlay(detection, query.picture.upper())
        verdict = detection.no_verdict
        facts = {
            "X-Segood-Objects": str(len(detection.objects)),
            "X-Segood-No-Verdict": "none" if verdict is None else verdict.reason,
        }
        return Response(content, media_type=f"image/{query.picture}", headers=facts)
    data = _data(service, detection, query, seconds)
    if query.detail == "page":
        data["pictures"] = page_pictures(detection)
    return Response(answers.to_json(data), media_type="application/json")
