"""A Chromium that may talk to one service and to nothing else."""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Request, expect, sync_playwright
from playwright.sync_api import Error as PlaywrightError
from tests.deployment.service.client import Client
from tests.reporting.browser.conftest import QUIET
from tests.reporting.browser.opened import DESKTOP, OpenedPage

OpenService = Callable[..., OpenedPage]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The distribution's Chromium; of a module, so that it has ended when the reports' tests start theirs."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.skip("no Chromium on this machine: the page is not opened in a browser")
    options = [o.replace("~NOTFOUND", "~NOTFOUND, EXCLUDE 127.0.0.1") for o in QUIET]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=options)
        yield browser
        browser.close()


@pytest.fixture
def open_service(chromium: Browser, request: pytest.FixtureRequest) -> Iterator[OpenService]:
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
        context = chromium.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme="dark" if dark else "light",
            bypass_csp=not strict,
        )  # fmt: skip
        context.route(re.compile(rf"^(?!{re.escape(own)}|data:|blob:)"), lambda route: route.abort())
        context.set_default_timeout(60_000)
        page = OpenedPage(context.new_page())

        def note(asked: Request) -> None:
            if not asked.url.startswith((own, "data:", "blob:")):
                page.requests.append(asked.url)

        page.page.on("request", note)
        page.page.on("websocket", lambda socket: page.requests.append(socket.url))
        page.page.on("console", page._note_message)
        page.page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.page.goto(own, wait_until="load", timeout=60_000)
        expect(page.page.locator("body[data-ready=yes]")).to_be_attached()
        opened.append(page)
        return page

    yield open_service
    if getattr(request.node, "failed", False):
        folder = Path(tempfile.mkdtemp(prefix="segood-browser-"))
        for number, page in enumerate(opened):
            with contextlib.suppress(PlaywrightError):  # the failure itself is what is told
                page.photograph(folder / f"{number}.png")
        request.node.add_report_section("teardown", "screenshots", f"pages as they were: {folder}")
    for page in opened:
        page.page.context.close()
    for page in opened:
        assert page.requests == [], "the page has to be complete in itself"
        assert page.complaints == []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: Any) -> Any:
    report = yield
    if report.when == "call":
        item.failed = report.failed  # type: ignore[attr-defined]
    return report
