"""The page at `/` in a browser: what it shows are the service's answers, for eyes and screen readers."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect
from tests.deployment.service.browser.conftest import OpenService
from tests.deployment.service.client import Client, running
from tests.deployment.service.red_monitor import RedMonitor, encoded, picture
from tests.reporting.browser.opened import DESKTOP, PHONE, OpenedPage
from tests.waiting import eventually

from segood.deployment.service.app import create_app
from segood.deployment.service.options import ServiceOptions

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with running(create_app(RedMonitor())) as client:
        yield client


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "street <b>.png"
    path.write_bytes(encoded(picture(128, 256)))
    return path


def choose(page: OpenedPage, path: Path) -> None:
    page.page.set_input_files("#file", str(path))
    page.wait_for("document.body.dataset.answered === '1'")


def rows(page: OpenedPage) -> list[list[str]]:
    script = "(all) => all.map((r) => [...r.cells].slice(0, 6).map((c) => c.innerText))"
    return list(page.page.locator("#rows tr").evaluate_all(script))


def shown(page: OpenedPage) -> np.ndarray:
    source = page.page.locator("#picture").get_attribute("src") or ""
    with Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))) as image:
        return np.array(image)


def test_a_chosen_image_shows_what_the_service_answers(
    client: Client, open_service: OpenService, photo: Path
) -> None:
    page = open_service(client)
    assert page.words("header b") == "red <network>"
    choose(page, photo)
    expect(page.page.locator("#status")).to_contain_text("1 unknown object · 1 segment removed")
    assert rows(page) == [
        ["1", "reported", "60", "1.000", "4–9, 8–17", "75.0 %"],
        ["2", "removed", "6", "0.800", "20–21, 30–32", "25.0 %"],
    ]
    overlay = shown(page)
    assert overlay.shape == (128, 256, 3)
    assert np.abs(overlay[7, 13].astype(int) - picture(128, 256)[7, 13]).max() > 40
    assert page.page.locator("#picture").get_attribute("alt") == (
        "street <b>.png with 1 unknown object marked and 1 removed segments hatched"
    )
    assert page.page.locator("#marks text").all_text_contents() == ["1"]
    page.page.check("input[value=score]")
    assert np.array_equal(shown(page), picture(128, 256)[..., 0])
    page.page.check("input[value=image]")
    assert np.abs(shown(page).astype(int) - picture(128, 256)).mean() < 3


def test_sliders_ask_the_service_again(client: Client, open_service: OpenService, photo: Path) -> None:
    asked: list[str] = []
    page = open_service(client)
    page.page.on("request", lambda request: asked.append(request.url))
    choose(page, photo)
    page.page.locator("#threshold").fill("0.9")
    eventually(lambda: len(rows(page)), 1)
    page.page.locator("#threshold").fill("0.5")
    eventually(lambda: len(rows(page)), 3)  # the bright end of the ramp, above 127
    page.page.locator("#probability").fill("0.8")
    eventually(lambda: [row[1] for row in rows(page)], ["reported"] * 3)
    assert page.words("#threshold-value") == "0.50"
    assert "threshold=0.5&probability_threshold=0.8" in asked[-1]
    page.page.click("#reset")
    eventually(lambda: [row[1] for row in rows(page)], ["reported", "removed"])
    assert page.page.locator("#threshold").input_value() == "0.7"
    answered = client.detect(photo.read_bytes()).json()
    assert [row[0] for row in rows(page)] == [
        str(o["id"]) for o in (*answered["objects"], *answered["removed"])
    ]


def test_an_image_can_be_dropped(client: Client, open_service: OpenService, photo: Path) -> None:
    page = open_service(client)
    transfer = page.page.evaluate_handle(
        """(text) => {
          const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
          const transfer = new DataTransfer();
          transfer.items.add(new File([bytes], "dropped.png", {type: "image/png"}));
          return transfer;
        }""",
        base64.b64encode(photo.read_bytes()).decode(),
    )
    page.page.dispatch_event("main", "dragover", {"dataTransfer": transfer})
    page.page.dispatch_event("main", "drop", {"dataTransfer": transfer})
    page.wait_for("document.body.dataset.answered === '1'")
    assert page.words("#chosen").startswith("dropped.png, ")
    assert len(rows(page)) == 2


def test_what_cannot_be_done_is_said(
    client: Client, open_service: OpenService, tmp_path: Path, photo: Path
) -> None:
    page = open_service(client)
    broken = tmp_path / "broken.png"
    broken.write_bytes(encoded()[:80])
    page.page.set_input_files("#file", str(broken))
    expect(page.page.locator("#error")).to_contain_text("Not done: damaged or truncated PNG image")
    black = tmp_path / "black.png"
    black.write_bytes(encoded(np.zeros((16, 16, 3), np.uint8)))
    choose(page, black)
    expect(page.page.locator("#error")).to_be_hidden()
    expect(page.page.locator("#verdict")).to_contain_text("This does not mean that the road is free")
    # the browser itself notes the 422 on its console
    assert [c for c in page.complaints if "422" not in c] == []
    page.complaints.clear()


def test_a_key_is_asked_for_where_one_is_needed(open_service: OpenService, photo: Path) -> None:
    with running(create_app(RedMonitor(), ServiceOptions(api_keys=("secret",)))) as client:
        page = open_service(client)
        page.page.fill("#key", "secret")
        choose(page, photo)
        assert len(rows(page)) == 2
        page.page.context.close()


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_for_everybody(
    client: Client, open_service: OpenService, photo: Path, size: tuple[int, int], dark: bool
) -> None:
    page = open_service(client, size=size, dark=dark)
    assert page.serious_violations() == []
    assert page.overflow() == 0
    choose(page, photo)
    assert page.serious_violations() == []
    assert page.overflow() == 0
    assert page.not_reached_by_tab() == []


def test_the_keyboard_is_enough(client: Client, open_service: OpenService, photo: Path) -> None:
    page = open_service(client)
    choose(page, photo)
    page.press("#threshold", *["ArrowRight"] * 20)  # 0.70 -> 0.90
    eventually(lambda: len(rows(page)), 1)
    page.press("input[value=overlay]", "ArrowRight")
    assert page.page.locator("input[value=score]").is_checked()
    assert np.array_equal(shown(page), picture(128, 256)[..., 0])


def test_the_page_works_under_its_own_policy(client: Client, open_service: OpenService, photo: Path) -> None:
    page = open_service(client, strict=True)
    page.page.set_input_files("#file", str(photo))
    expect(page.page.locator("#rows tr")).to_have_count(2)
    page.page.locator("#threshold").fill("0.9")
    expect(page.page.locator("#rows tr")).to_have_count(1)
    expect(page.page.locator("#marker")).to_have_attribute("style", "left: 90%;")


def test_the_page_allows_itself_only(client: Client) -> None:
    answer = client.get("/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    text = answer.body.decode()
    assert "{{" not in text
    assert "https://" not in text
    assert "red &lt;network&gt;" in text
    assert (
        json.loads(text.partition('data-facts="')[2].partition('"')[0].replace("&quot;", '"'))["threshold"]
        == 0.7
    )
