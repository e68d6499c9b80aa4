"""Everything that goes wrong, the framework's own errors included, in one form."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from segood.deployment.service.metrics import Metrics
from segood.deployment.service.observing import path_label
from segood.deployment.service.problems import ErrorAnswer, ServiceError, code_of_status, error_json


def add_error_answers(app: FastAPI, metrics: Metrics) -> None:
    """Make an application answer errors in the form of `ErrorAnswer`, and count them by code."""

    def answer(status: int, code: str, message: str, headers: Any = None) -> JSONResponse:
        metrics.rejected.labels(code).inc()
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
        metrics.requests.labels(path_label(request.url.path), "500").inc()
        return answer(500, "internal_error", "a bug in segood; the service's log has the traceback")
