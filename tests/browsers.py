"""The machine's own Chromium for tests of pages, and what every opened page has to leave behind."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright
from playwright.sync_api import Error as PlaywrightError
from tests.reporting.browser.opened import PATIENCE_MS, OpenedPage

QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)  # fmt: skip


def find_chromium() -> str:
    """Path of the distribution's Chromium; tests are skipped where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.skip("no Chromium on this machine: pages are not opened in a browser")
    return found


def chromium(path: str) -> Iterator[Browser]:
    """Yield this Chromium, headless; it reaches this machine alone."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=QUIET, timeout=PATIENCE_MS)
        yield browser
        browser.close()


def close_pages(request: pytest.FixtureRequest, opened: Sequence[OpenedPage]) -> None:
    """Close pages, photographed if the test has failed; none may have asked anybody, or complained."""
    if getattr(request.node, "failed", False):
        folder = Path(tempfile.mkdtemp(prefix="segood-browser-"))
        for number, page in enumerate(opened):
            with contextlib.suppress(PlaywrightError):  # the failure itself is what is told
                page.photograph(folder / f"{number}.png")
        request.node.add_report_section("teardown", "screenshots", f"pages as they were: {folder}")
    for page in opened:
        page.page.context.close()
    for page in opened:
        assert page.requests == [], "a page has to be complete in itself"
        assert page.complaints == []
