"""The routes: HTTP -> `Service` -> HTTP. Every answer of 400 and above has the form of `ErrorAnswer`.

In: a monitor and options. Out: a FastAPI application. It loads nothing from elsewhere, so the framework's
own pages (which do) are off; the schema is at `/openapi.json`.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from fastapi.security import APIKeyHeader, HTTPBearer
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from segood.deployment.detection import Detection
from segood.deployment.service import answers
from segood.deployment.service.body import MULTIPART, content_type, linger, read_body
from segood.deployment.service.core import Admission, Service
from segood.deployment.service.decoding import FORMATS
from segood.deployment.service.detector import Detector
from segood.deployment.service.forms import Upload, split_form
from segood.deployment.service.keys import KeyCheck
from segood.deployment.service.metrics import CONTENT_TYPE
from segood.deployment.service.observing import Observing, path_label
from segood.deployment.service.options import ServiceOptions
from segood.deployment.service.page import make_page
from segood.deployment.service.pictures import encode_overlay, page_pictures
from segood.deployment.service.problems import (
    ErrorAnswer,
    ServiceError,
    code_of_status,
    documented,
    error_json,
)

_BODY = ("body_timeout", "body_too_large", "unsupported_media_type", "invalid_multipart", "empty_body")
_IMAGE = ("too_many_pixels", "unsupported_format", "damaged_image", "unusable_image")
_TURN = ("queue_full", "internal_error", "starting", "self_test_failed", "draining", "deadline")
_KEY = ("key_missing", "key_wrong")
_BINARY = {"type": "string", "format": "binary"}
_HEADER = APIKeyHeader(name="X-API-Key", auto_error=False)
_BEARER = HTTPBearer(auto_error=False)


class Thresholds(BaseModel):
    """Thresholds of one request; the monitor's own where not given."""

    model_config = ConfigDict(extra="forbid")
    threshold: Annotated[
        float | None,
        Field(ge=0, le=1, allow_inf_nan=False, description="a pixel is unknown where its score reaches this"),
    ] = None
    probability_threshold: Annotated[
        float | None,
        Field(
            ge=0,
            le=1,
            allow_inf_nan=False,
            description="a segment is removed where a false alarm is this likely",
        ),
    ] = None


class BatchQuery(Thresholds):
    """What both endpoints can be asked for."""

    masks: Annotated[bool, Field(description="with the masks of all segments, as COCO run lengths")] = False


class DetectQuery(BatchQuery):
    """What `/v1/detect` is asked for."""

    format: Annotated[Literal["json", "overlay"], Field(description="`overlay`: the image drawn over")] = (
        "json"
    )
    picture: Annotated[Literal["png", "webp"], Field(description="type of the overlay")] = "png"
    detail: Annotated[
        Literal["objects", "page"], Field(description="`page`: with pictures of image, overlay and score")
    ] = "objects"


def create_app(monitor: Detector, options: ServiceOptions | None = None) -> FastAPI:
    """Return the service around a monitor.

    Args:
        monitor: from `Monitor.load`, or anything that answers like it.
        options: the limits.

    Returns:
        An application with its `Service` under `app.state.service`. Its lifespan starts and ends the
        worker; `/readyz` tells when the self-test has passed.
    """
    options = options or ServiceOptions()
    service = Service(monitor, options)
    check_key = KeyCheck(options.api_keys)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service.start()
        try:
            yield
        finally:
            await asyncio.to_thread(service.stop, timeout=options.timeout_s)

    app = FastAPI(
        title="segood",
        version="1",
        description="Unknown objects in images. Limits and meanings: docs/service.md of segood.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        responses=documented("bad_request", "not_found", "method_not_allowed"),
    )
    app.state.service = service
    app.add_middleware(Observing, metrics=service.metrics)
    _add_error_answers(app, service)
    guarded = _guard(check_key) if check_key.needed else []
    key_errors = _KEY if check_key.needed else ()

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    async def page() -> Response:
        content, policy = make_page(service, needs_key=check_key.needed)
        return HTMLResponse(content, headers={"Content-Security-Policy": policy})

    @app.get("/healthz", operation_id="healthz")
    async def health() -> answers.HealthAnswer:
        """The process answers; nothing is said about the network."""
        return answers.HealthAnswer(status="ok")

    @app.get(
        "/readyz", operation_id="readyz", responses=documented("starting", "self_test_failed", "draining")
    )
    async def ready() -> answers.ReadyAnswer:
        """The self-test has passed and images are taken in."""
        service.check_ready()
        return answers.ReadyAnswer(status="ready")

    @app.get(
        "/metrics",
        operation_id="metrics",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    async def metrics() -> Response:
        """Counters, histograms and gauges for Prometheus."""
        return Response(service.metrics.exposition(), headers={"Content-Type": CONTENT_TYPE})

    @app.get("/v1/model", operation_id="model", dependencies=guarded, responses=documented(*key_errors))
    async def model() -> answers.ModelAnswer:
        """What is behind the service: thresholds, classes, model card, limits."""
        return _model(service)

    @app.post(
        "/v1/detect",
        operation_id="detect",
        dependencies=guarded,
        response_model=answers.DetectionAnswer,
        responses={
            200: {"content": {f"image/{kind}": {"schema": _BINARY} for kind in ("png", "webp")}},
            **documented(*key_errors, *_BODY, *_IMAGE, "invalid_parameter", *_TURN, "overlay_unavailable"),
        },
        openapi_extra={"requestBody": _request_body(single=True, max_files=options.max_files)},
    )
    async def detect(request: Request, query: Annotated[DetectQuery, Query()]) -> Response:
        """Find unknown objects in one image: the body itself, or the file of a form."""
        async with _inside(service, request) as admission:
            uploads = await _uploads(service, request, admission, single=True)
            async with _client(request) as gone:
                result, seconds = await _one(service, admission, uploads[0], query, gone)

            def encode() -> Response:
                return _response(service, result, query, seconds)

            start = time.monotonic()
            response = await service.in_pool(admission, encode)
            service.metrics.observe_stages({"encode": time.monotonic() - start})
            return response

    @app.post(
        "/v1/detect/batch",
        operation_id="detect_batch",
        dependencies=guarded,
        response_model=answers.BatchAnswer,
        responses=documented(*key_errors, *_BODY, "invalid_parameter", *_TURN),
        openapi_extra={"requestBody": _request_body(single=False, max_files=options.max_files)},
    )
    async def detect_batch(request: Request, query: Annotated[BatchQuery, Query()]) -> Response:
        """Find unknown objects in several images; each has a result or an error of its own."""
        async with _inside(service, request) as admission:
            uploads = await _uploads(service, request, admission, single=False)
            service.admit_more(admission, len(uploads) - 1)
            async with _client(request) as gone:
                found = await asyncio.gather(
                    *(_item(service, admission, i, upload, query, gone) for i, upload in enumerate(uploads))
                )
            content = await service.in_pool(admission, lambda: answers.to_json({"results": found}))
            return Response(content, media_type="application/json")

    return app


@contextlib.asynccontextmanager
async def _inside(service: Service, request: Request) -> AsyncIterator[Admission]:
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
async def _client(request: Request) -> AsyncIterator[asyncio.Future[Any]]:
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


async def _uploads(service: Service, request: Request, admission: Admission, *, single: bool) -> list[Upload]:
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


async def _one(
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


async def _item(
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
        detection, seconds = await _one(service, admission, upload, query, gone)
    except ServiceError as error:
        service.metrics.rejected.labels(error.code).inc()
        item |= error_json(error.code, error.message)
    else:
        item["result"] = await service.in_pool(admission, lambda: _data(service, detection, query, seconds))
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


def _response(
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


def _model(service: Service) -> answers.ModelAnswer:
    monitor = service.monitor
    limits = {name: getattr(service.options, name) for name in answers.LimitsAnswer.model_fields}
    return answers.ModelAnswer(
        label=monitor.label,
        threshold=monitor.threshold,
        probability_threshold=monitor.probability_threshold,
        class_names=list(monitor.class_names),
        has_meta=monitor.meta is not None,
        region=None if monitor.region is None else monitor.region.to_dict(),
        calibrated=service.watching.is_calibrated,
        card=dict(monitor.card),
        limits=answers.LimitsAnswer(**limits),
    )


def _guard(check_key: KeyCheck) -> list[Any]:
    """Return the dependency that asks for an API key; it comes before anything else of the request."""

    async def guard(key: Annotated[Any, Depends(_HEADER)], token: Annotated[Any, Depends(_BEARER)]) -> None:
        check_key(key, None if token is None else token.credentials)

    return [Depends(guard)]


def _request_body(*, single: bool, max_files: int) -> dict[str, Any]:
    """Return OpenAPI's words for the body, which the framework cannot know: it is read by hand."""
    files: dict[str, Any] = {"type": "array", "items": _BINARY, "minItems": 1, "maxItems": max_files}
    form = {
        "type": "object",
        "properties": {"file": _BINARY} if single else {"files": files},
        "required": ["file" if single else "files"],
        "additionalProperties": False,
    }
    content: dict[str, Any] = {MULTIPART: {"schema": form}}
    if single:
        content |= {kind: {"schema": _BINARY} for kind in FORMATS}
    return {"required": True, "content": content}


def _add_error_answers(app: FastAPI, service: Service) -> None:
    """Bring everything that goes wrong, the framework's own errors included, into one form."""

    def answer(status: int, code: str, message: str, headers: Any = None) -> JSONResponse:
        service.metrics.rejected.labels(code).inc()
        return JSONResponse(
            ErrorAnswer.model_validate(error_json(code, message)).model_dump(), status, headers=headers
        )

    @app.exception_handler(ServiceError)
    async def own(request: Request, error: ServiceError) -> JSONResponse:
        return answer(error.status, error.code, error.message, error.headers())

    @app.exception_handler(HTTPException)
    async def of_the_framework(request: Request, error: HTTPException) -> JSONResponse:
        detail = str(error.detail)
        if error.status_code == 405:
            detail = f"{request.method[:20]} is not allowed here"
        return answer(error.status_code, code_of_status(error.status_code), detail, error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part)[:80] for part in first["loc"])
        return answer(422, "invalid_parameter", f"{where}: {first['msg']}")

    @app.exception_handler(Exception)
    async def bug(request: Request, error: Exception) -> JSONResponse:
        # This answer does not pass through the middleware.
        service.metrics.requests.labels(path_label(request.url.path), "500").inc()
        return answer(500, "internal_error", "a bug in segood; the service's log has the traceback")
