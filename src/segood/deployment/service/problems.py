"""What the service answers in place of a result: a status, a code for machines, a line for people.

Every answer of 400 and above is `{"error": {"code": ..., "message": ...}}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

PROBLEMS: dict[str, tuple[int, str]] = {
    "bad_request": (400, "The request is not valid HTTP."),
    "key_missing": (401, "The service asks for an API key and the request has none."),
    "key_wrong": (403, "The API key is not one of the service's."),
    "not_found": (404, "There is nothing under this path."),
    "method_not_allowed": (405, "The path exists, but not for this method."),
    "body_timeout": (408, "The body did not arrive in time."),
    "body_too_large": (413, "The body has more bytes than allowed."),
    "too_many_pixels": (413, "The image's header announces more pixels than allowed."),
    "unsupported_media_type": (415, "The content type, or its encoding, is not accepted."),
    "unsupported_format": (415, "The bytes are none of PNG, JPEG, WebP, BMP."),
    "invalid_parameter": (422, "A query parameter is unknown or out of its range."),
    "invalid_multipart": (422, "The multipart body is damaged, or its fields are not the expected ones."),
    "empty_body": (422, "There is no image in the request."),
    "damaged_image": (422, "The image cannot be decoded, or its pixels have no 8-bit meaning."),
    "unusable_image": (422, "The image was decoded, but the monitor cannot use it."),
    "queue_full": (429, "As many images as allowed wait for their answer."),
    "internal_error": (500, "A bug; the service's log has the traceback."),
    "overlay_unavailable": (501, "Overlays need OpenCV, which the service does not have."),
    "starting": (503, "The self-test has not ended."),
    "self_test_failed": (503, "The self-test failed; the service's log says why."),
    "draining": (503, "The service is being stopped and accepts nothing new."),
    "deadline": (503, "The answer was not ready in time; what had not begun was not done."),
    "client_gone": (503, "The client left before the answer; nobody reads this."),
}
"""Code -> (status, meaning)."""


class ErrorBody(BaseModel):
    """Why there is no result."""

    model_config = ConfigDict(extra="forbid")
    code: str = Field(description="one word, for machines")
    message: str = Field(description="one line, for people")


class ErrorAnswer(BaseModel):
    """Any answer of status 400 and above."""

    model_config = ConfigDict(extra="forbid")
    error: ErrorBody


class ServiceError(Exception):
    """A request that gets no result.

    Args:
        code: one of `PROBLEMS`.
        message: what exactly, which rule, what would be right.
        retry_after: seconds after which to come again.
        close: the connection is closed behind the answer.
    """

    def __init__(
        self, code: str, message: str, *, retry_after: int | None = None, close: bool = False
    ) -> None:
        super().__init__(message)
        self.code, self.message = code, message
        self.status = PROBLEMS[code][0]
        self.retry_after, self.close = retry_after, close

    def headers(self) -> dict[str, str]:
        """Return the headers that belong to the answer."""
        headers = {}
        if self.retry_after is not None:
            headers["Retry-After"] = str(self.retry_after)
        if self.close:
            headers["Connection"] = "close"
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return headers


def error_json(code: str, message: str) -> dict[str, Any]:
    """Return the body of an answer of status 400 and above."""
    return {"error": {"code": code, "message": " ".join(message.split())}}


def code_of_status(status: int) -> str:
    """Return the code of a problem that the framework found, by its status.

    Example:
        >>> code_of_status(405), code_of_status(418)
        ('method_not_allowed', 'bad_request')
    """
    by_status = {404: "not_found", 405: "method_not_allowed", 415: "unsupported_media_type"}
    by_status |= {413: "body_too_large", 422: "invalid_parameter"}
    return by_status.get(status, "bad_request" if status < 500 else "internal_error")


def documented(*codes: str) -> dict[int | str, dict[str, Any]]:
    """Return OpenAPI's `responses` for these codes, grouped by status.

    Example:
        >>> sorted(documented("queue_full", "deadline", "draining"))
        [429, 503]
    """
    found: dict[int | str, dict[str, Any]] = {}
    for code in codes:
        status, meaning = PROBLEMS[code]
        entry = found.setdefault(status, {"model": ErrorAnswer, "description": ""})
        entry["description"] = f"{entry['description']} `{code}`: {meaning}".strip()
        if status in (429, 503):
            entry["headers"] = _RETRY_AFTER
    return found


_RETRY_AFTER: Mapping[str, Any] = {
    "Retry-After": {
        "description": "seconds after which to come again",
        "schema": {"type": "integer", "minimum": 1},
    }
}


def phrase(status: int) -> str:
    """Return the standard phrase of a status."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
