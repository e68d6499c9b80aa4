"""The service around `RedMonitor`, on a socket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from tests.deployment.service.client import Client, running
from tests.deployment.service.red_monitor import RedMonitor

from segood.deployment.service.app import create_app
from segood.deployment.service.core import Service
from segood.deployment.service.options import ServiceOptions
from segood.deployment.service.server import ServiceProtocol

Start = Callable[..., tuple[Client, Service]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Serve a monitor with options; returns a client and the service behind it."""
    with ExitStack() as stack:

        def start(monitor: Any = None, **options: Any) -> tuple[Client, Service]:
            app = create_app(monitor or RedMonitor(), ServiceOptions(**options))
            client = stack.enter_context(running(app, ServiceProtocol))
            return client, app.state.service

        yield start


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """A service with the options it has by itself, for the tests of a module."""
    app = create_app(RedMonitor())
    with running(app, ServiceProtocol) as client:
        yield client
