"""The questions that are asked of every page, asked of a page that gets each of them wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser
from tests.reporting.browser.opened import PHONE, OpenedPage
from tests.waiting import eventually

pytestmark = pytest.mark.browser

FAULTY = """<!DOCTYPE html><html><head><title>Faulty</title></head><body>
<a href="#there" id="first">there</a> <button id="good">good</button>
<button id="after">behind the good one</button>
<input type="radio" name="r" id="one" aria-label="one" checked>
<input type="radio" name="r" id="two" aria-label="two">
<button id="closed" hidden>hidden</button>
<p style="color: #ccc; background: #fff">hardly readable</p>
<img src="https://example.invalid/picture.png"><div style="width: 700px; height: 9px"></div>
<script>
console.log("nothing to complain of");
console.error("a complaint");
new WebSocket("wss://example.invalid/socket");
fetch("http://example.invalid/data.json").catch(() => null);
setTimeout(() => missing.value, 0);
</script></body></html>"""


@pytest.fixture
def faulty(browser: Browser, tmp_path: Path) -> OpenedPage:
    path = tmp_path / "faulty.html"
    path.write_text(FAULTY)
    return OpenedPage.open(browser, path, size=PHONE)


def test_requests_are_noticed_and_refused(faulty: OpenedPage) -> None:
    def hosts() -> set[str]:
        faulty.page.wait_for_timeout(20)  # events are noticed while it waits
        return {request.split("/")[-1] for request in faulty.requests}

    eventually(hosts, {"picture.png", "socket", "data.json"})


def test_complaints_are_noticed(faulty: OpenedPage) -> None:
    def script_failed() -> bool:
        faulty.page.wait_for_timeout(20)
        return any("missing is not defined" in text for text in faulty.complaints)

    eventually(script_failed, True)
    assert "a complaint" in faulty.complaints
    assert "nothing to complain of" not in faulty.complaints


def test_what_the_keyboard_cannot_reach_is_named(faulty: OpenedPage) -> None:
    assert faulty.not_reached_by_tab() == []  # the hidden button and the second radio button are no stops
    faulty.page.evaluate("""document.addEventListener('keydown', (event) => {
      if (document.activeElement.id === 'good') event.preventDefault();
    })""")
    assert faulty.not_reached_by_tab() == ["#after", "#one"]


def test_barriers_are_named(faulty: OpenedPage) -> None:
    found = " ".join(faulty.serious_violations())
    for rule in ("image-alt", "color-contrast", "html-has-lang"):
        assert f"{rule}:" in found


def test_a_page_wider_than_its_window_is_noticed(faulty: OpenedPage) -> None:
    assert faulty.overflow() > 200
