"""The monitor behind HTTP: images in, unknown objects out; bounded in memory, time and what it believes.

In: a monitor and `ServiceOptions`. Out: an ASGI application, or a running server. Needs the extra `serve`;
no PyTorch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from segood.lazy import attach

if TYPE_CHECKING:
    from segood.deployment.service.app import create_app as create_app
    from segood.deployment.service.options import ServiceOptions as ServiceOptions
    from segood.deployment.service.server import serve as serve

_HOMES = {"ServiceOptions": "options", "create_app": "app", "serve": "server"}
__all__ = sorted(_HOMES)
__getattr__, __dir__ = attach(__name__, _HOMES)
