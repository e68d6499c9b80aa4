"""Pages that may talk to one service and to nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Request, expect
from tests.browsers import close_pages
from tests.deployment.service.client import Client
from tests.reporting.browser.opened import DESKTOP, PATIENCE_MS, OpenedPage

OpenService = Callable[..., OpenedPage]
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture
def open_service(browser: Browser, request: pytest.FixtureRequest) -> Iterator[OpenService]:
    """Open a service's page; `strict` keeps its security policy, which also hinders a test's own scripts.

    What it asked of others and what it complained of must be nothing at the end."""
    opened: list[OpenedPage] = []

    def open_service(
        client: Client,
        *,
        size: tuple[int, int] = DESKTOP,
        dark: bool = False,
        strict: bool = False,
    ) -> OpenedPage:
        own = f"http://127.0.0.1:{client.port}/"
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme="dark" if dark else "light",
            bypass_csp=not strict,
        )  # fmt: skip
        context.route(re.compile(rf"^(?!{re.escape(own)}|data:|blob:)"), lambda route: route.abort())
        context.set_default_timeout(PATIENCE_MS)
        page = OpenedPage(context.new_page())

        def note(asked: Request) -> None:
            if not asked.url.startswith((own, "data:", "blob:")):
                page.requests.append(asked.url)

        page.page.on("request", note)
        page.page.on("websocket", lambda socket: page.requests.append(socket.url))
        page.page.on("console", page._note_message)
        page.page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.page.goto(own, wait_until="load")
        expect(page.page.locator("body[data-ready=yes]")).to_be_attached()
        opened.append(page)
        return page

    yield open_service
    close_pages(request, opened)
