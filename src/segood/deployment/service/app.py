"""The routes: HTTP -> `Service` -> HTTP. Every answer of 400 and above has the form of `ErrorAnswer`.

In: a monitor and options. Out: a FastAPI application. It loads nothing from elsewhere, so the framework's
own pages (which do) are off; the schema is at `/openapi.json`.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query, Request
from fastapi.responses import HTMLResponse, Response
from fastapi.security import APIKeyHeader, HTTPBearer

from segood.deployment.service import answers
from segood.deployment.service.core import Service
from segood.deployment.service.detector import Detector
from segood.deployment.service.failures import add_error_answers
from segood.deployment.service.handling import (
    batch_item,
    client_of,
    inside,
    look_at,
    read_uploads,
    respond,
)
from segood.deployment.service.keys import KeyCheck
from segood.deployment.service.metrics import CONTENT_TYPE
from segood.deployment.service.observing import Observing
from segood.deployment.service.options import ServiceOptions
from segood.deployment.service.page import make_page
from segood.deployment.service.problems import documented
from segood.deployment.service.queries import BINARY, BatchQuery, DetectQuery, request_body

_BODY = ("body_timeout", "body_too_large", "unsupported_media_type", "invalid_multipart", "empty_body")
_IMAGE = ("too_many_pixels", "unsupported_format", "damaged_image", "unusable_image")
_TURN = ("queue_full", "internal_error", "starting", "self_test_failed", "draining", "deadline")
_KEY = ("key_missing", "key_wrong")
_HEADER = APIKeyHeader(name="X-API-Key", auto_error=False)
_BEARER = HTTPBearer(auto_error=False)


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
    add_error_answers(app, service.metrics)
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
            200: {"content": {f"image/{kind}": {"schema": BINARY} for kind in ("png", "webp")}},
            **documented(*key_errors, *_BODY, *_IMAGE, "invalid_parameter", *_TURN, "overlay_unavailable"),
        },
        openapi_extra={"requestBody": request_body(single=True, max_files=options.max_files)},
    )
    async def detect(request: Request, query: Annotated[DetectQuery, Query()]) -> Response:
        """Find unknown objects in one image: the body itself, or the file of a form."""
        async with inside(service, request) as admission:
            uploads = await read_uploads(service, request, admission, single=True)
            async with client_of(request) as gone:
                result, seconds = await look_at(service, admission, uploads[0], query, gone)

            def encode() -> Response:
                return respond(service, result, query, seconds)

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
        openapi_extra={"requestBody": request_body(single=False, max_files=options.max_files)},
    )
    async def detect_batch(request: Request, query: Annotated[BatchQuery, Query()]) -> Response:
        """Find unknown objects in several images; each has a result or an error of its own."""
        async with inside(service, request) as admission:
            uploads = await read_uploads(service, request, admission, single=False)
            service.admit_more(admission, len(uploads) - 1)
            async with client_of(request) as gone:
                found = await asyncio.gather(
                    *(
                        batch_item(service, admission, i, upload, query, gone)
                        for i, upload in enumerate(uploads)
                    )
                )
            content = await service.in_pool(admission, lambda: answers.to_json({"results": found}))
            return Response(content, media_type="application/json")

    return app


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
