"""The page of a run in a real browser: complete, quick, drawn, usable by everyone."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from tests.reporting.browser.opened import ALL_DRAWN, DESKTOP, PHONE, OpenedPage
from tests.waiting import eventually

from segood.reporting import build_report

pytestmark = pytest.mark.browser

Open = Callable[..., OpenedPage]


def test_opens_quickly_and_draws_every_chart(load_limit: float, report: OpenedPage) -> None:
    assert report.seconds_to_load() < load_limit
    charts = report.page.locator("[data-chart]")
    assert charts.count() == len({*charts.evaluate_all("(all) => all.map((e) => e.dataset.chart)")}) > 8
    report.wait_for(ALL_DRAWN)
    assert report.page.locator("[data-chart] .main-svg").count() >= charts.count()


def test_keyboard_reaches_every_control(report: OpenedPage) -> None:
    report.wait_for(ALL_DRAWN)
    assert report.not_reached_by_tab() == []


def test_the_command_is_copied_or_selected(report: OpenedPage) -> None:
    button = report.page.locator("[data-copy]").first
    button.focus()
    report.page.keyboard.press("Enter")
    eventually(lambda: button.inner_text() in ("Copied", "Selected"), True)
    eventually(button.inner_text, "Copy")


@pytest.mark.parametrize(("size", "dark"), [(DESKTOP, False), (DESKTOP, True), (PHONE, False)])
def test_looks(
    open_page: Open, evaluated_run: Path, tmp_path: Path, size: tuple[int, int], dark: bool
) -> None:
    page = open_page(evaluated_run / "report.html", size=size, dark=dark)
    page.wait_for(f"document.documentElement.dataset.ready === 'yes' && {ALL_DRAWN}")
    picture = tmp_path / f"report_{size[0]}_{'dark' if dark else 'light'}.png"
    page.photograph(picture)
    assert page.overflow() <= 0, picture
    with Image.open(picture) as image:
        grey = image.convert("L").resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    assert (grey < 110) == dark, picture  # type: ignore[operator]


@pytest.mark.parametrize("dark", [False, True])
def test_no_serious_barrier(open_page: Open, evaluated_run: Path, dark: bool) -> None:
    page = open_page(evaluated_run / "report.html", dark=dark)
    page.wait_for(f"document.documentElement.dataset.ready === 'yes' && {ALL_DRAWN}")
    segment = page.page.locator("article.frame:not([hidden]) .segment[tabindex='0']").first
    segment.focus()
    page.page.keyboard.press("Enter")  # the panel that explains a segment is part of the page
    assert page.page.locator("#details").is_visible()
    assert page.serious_violations() == []


def test_a_run_without_exploration_says_so(open_page: Open, evaluated_run: Path, tmp_path: Path) -> None:
    older = Path(shutil.copytree(evaluated_run, tmp_path / "older"))
    (older / "exploration.json").unlink()
    page = open_page(build_report(older))
    page.wait_for("document.documentElement.dataset.ready === 'yes'")
    assert page.page.locator("#no-sliders").is_visible()
    assert page.page.locator("#threshold").count() == 0
    page.page.locator("#sort").select_option("errors")
    errors = page.numbers("article.frame:not([hidden])", "data-errors")
    assert errors == sorted(errors, reverse=True)  # type: ignore[type-var]
    page.wait_for(ALL_DRAWN)  # a chart brings buttons of its own
    assert page.not_reached_by_tab() == []


def test_a_fabricated_run_on_a_phone(open_page: Open, run_dir: Path) -> None:
    page = open_page(build_report(run_dir), size=PHONE)
    page.wait_for(ALL_DRAWN)
    assert page.page.locator("[data-chart]").count() >= 8
    assert page.overflow() <= 0
