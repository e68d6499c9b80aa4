"""Middleware: counts every answer by path and status, and adds the headers that every answer has."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from segood.deployment.service.metrics import Metrics

_PATHS = (
    *("/", "/healthz", "/readyz", "/metrics", "/openapi.json"),
    *("/v1/model", "/v1/detect", "/v1/detect/batch"),
)
_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
]


def path_label(path: str) -> str:
    """Return a path as a label: itself if it is one of the service's, else `other`.

    Example:
        >>> path_label("/healthz"), path_label("/wp-login.php")
        ('/healthz', 'other')
    """
    return path if path in _PATHS else "other"


class Observing:
    """Wrap an application.

    Args:
        app: the application.
        metrics: where answers are counted; paths that are none of the service's count as `other`.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = path_label(scope["path"])

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._metrics.requests.labels(path, str(message["status"])).inc()
                message = {**message, "headers": [*message.get("headers", ()), *_HEADERS]}
            await send(message)

        await self._app(scope, receive, counted)
