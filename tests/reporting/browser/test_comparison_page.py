"""The page of a comparison in a real browser: complete, true to `results.json`, usable by everyone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from tests.reporting.browser.opened import DESKTOP, PHONE, OpenedPage
from tests.waiting import eventually

from segood.evaluation.comparison.results import ComparisonResults, Row

pytestmark = pytest.mark.browser

Open = Callable[..., OpenedPage]
DATASETS = ("laf", "static")
COLUMNS = ("auroc", "average_precision", "fpr95", "errors", "milliseconds")


@pytest.fixture(scope="module")
def results(compared: Path) -> ComparisonResults:
    return ComparisonResults.load(compared / "results.json")


@pytest.fixture
def page(open_page: Open, compared: Path) -> OpenedPage:
    return open_page(compared / "report.html")


def value_of(row: Row, column: str) -> float | None:
    value = getattr(row, column)
    return value if column == "milliseconds" else value.value


def shown_methods(page: OpenedPage, table: int) -> list[str]:
    """Return the methods of a table from top to bottom, those that are hidden left out."""
    script = "(rows) => rows.filter((row) => !row.hidden).map((row) => row.dataset.method)"
    return list(page.page.locator(f"#table-{table} tbody tr").evaluate_all(script))


def test_opens_quickly(open_page: Open, compared: Path, load_limit: float) -> None:
    opened = open_page(compared / "report.html")
    assert opened.seconds_to_load() < load_limit


def test_every_chart_is_drawn_when_it_comes_into_view(page: OpenedPage) -> None:
    charts = page.page.locator("[data-chart]")
    assert charts.count() == len({key.split("/")[0] for key in page.data("charts")}) > 6
    for number in range(charts.count()):
        charts.nth(number).scroll_into_view_if_needed()
        page.wait_for(f"document.querySelectorAll('[data-chart]')[{number}].dataset.drawn === 'yes'")
        assert charts.nth(number).locator(".main-svg").count() > 0


def test_tables_hold_the_stored_numbers(page: OpenedPage, results: ComparisonResults) -> None:
    for number, dataset in enumerate(DATASETS):
        for row in (row for row in results.rows if row.dataset == dataset):
            line = f"#table-{number} tr[data-method='{row.method}']"
            for column in COLUMNS:
                stored = value_of(row, column)
                shown = page.numbers(f"{line} td[data-column={column}]", "data-value")
                assert shown == [stored], (row.method, column)
                if stored is not None and column == "auroc":
                    assert page.words(f"{line} td[data-column=auroc] .value") == f"{stored:.3f}"
                    interval = [
                        page.numbers(f"{line} td[data-column=auroc]", f"data-{end}")
                        for end in ("low", "high")
                    ]
                    assert interval == [[row.auroc.low], [row.auroc.high]]


@pytest.mark.parametrize("column", COLUMNS)
def test_columns_sort_best_first_then_worst_first(page: OpenedPage, column: str) -> None:
    best_is_high = column in ("auroc", "average_precision")
    button = f"#sort-0-{column}"
    for press, falling in (("Enter", best_is_high), ("Space", not best_is_high)):
        page.press(button, press)
        values = page.numbers(f"#table-0 td[data-column={column}]", "data-value")
        known = [value for value in values if value is not None]
        assert len(known) > 2
        assert known == sorted(known, reverse=falling)
        assert values[len(known) :] == [None] * (len(values) - len(known))  # undefined stays last
        direction = page.page.locator(f"#table-0 th:has({button})").get_attribute("aria-sort")
        assert direction == ("descending" if falling else "ascending")


def test_ticking_methods_changes_tables_and_charts(page: OpenedPage, results: ComparisonResults) -> None:
    everything = shown_methods(page, 0)
    page.press("#method-picker summary", "Enter")
    box = "input.tick[value='after/entropy']"
    page.press(box, "Space")
    assert shown_methods(page, 0) == [key for key in everything if key != "after/entropy"]
    count = len(results.methods)
    assert page.words("#method-count") == f"{count - 1} of {count}"
    page.page.locator("#roc-0").scroll_into_view_if_needed()
    page.wait_for("document.getElementById('roc-0').dataset.drawn === 'yes'")
    eventually(lambda: "after/entropy" in drawn_methods(page, "roc-0"), False)
    page.press(box, "Space")
    eventually(lambda: "after/entropy" in drawn_methods(page, "roc-0"), True)
    assert shown_methods(page, 0) == everything
    page.press("#methods-none", "Enter")
    assert shown_methods(page, 0) == []
    page.press("#network-0", "Space")
    network = page.page.locator("#network-0").get_attribute("data-network")
    assert shown_methods(page, 0) == [key for key in everything if key.startswith(f"{network}/")]
    page.press("#methods-main", "Enter")
    assert {key.split("/")[1] for key in shown_methods(page, 0)} == {results.main.split("/")[1]}
    page.press("#methods-all", "Enter")
    assert shown_methods(page, 0) == everything


def drawn_methods(page: OpenedPage, chart: str) -> list[str]:
    script = "(id) => document.getElementById(id).data.map((trace) => trace.meta).filter(Boolean)"
    return list(page.page.evaluate(script, chart))


def test_the_best_is_that_of_the_methods_shown(page: OpenedPage) -> None:
    page.press("#sort-0-auroc", "Enter")
    first, second = shown_methods(page, 0)[:2]
    tops = "#table-0 tr:not([hidden]) td.top[data-column=auroc]"
    before = page.page.locator(f"#table-0 tr[data-method='{first}'] td.top[data-column=auroc]").count()
    assert before == 1
    page.press("#method-picker summary", "Enter")
    page.press(f"input.tick[value='{first}']", "Space")
    best = page.page.locator(tops).first.evaluate("(cell) => cell.closest('tr').dataset.method")
    assert best == second


def test_columns_and_intervals_can_be_hidden(page: OpenedPage) -> None:
    cells = page.page.locator("#table-0 tr[data-method='after/entropy'] td[data-column=auroc]")
    interval = cells.locator(".interval")
    assert interval.is_visible()
    page.press("#show-intervals", "Space")
    assert not interval.is_visible()
    assert cells.is_visible()
    page.press("#group-pixel", "Space")
    assert not cells.is_visible()


def test_a_test_set_can_be_chosen(page: OpenedPage) -> None:
    page.page.locator("#dataset").select_option("static")
    assert not page.page.locator("#table-0").is_visible()
    assert page.page.locator("#table-1").is_visible()
    assert page.page.locator("article.frame[data-dataset=laf]").first.is_hidden()
    page.page.locator("#dataset").select_option("")
    assert page.page.locator("#table-0").is_visible()


def test_an_empty_cell_says_why(page: OpenedPage, results: ComparisonResults) -> None:
    reason = next(method.undefined for method in results.methods if method.score == "mc_dropout")
    assert reason is not None
    assert reason in page.words("#best")
    cell = page.page.locator("td[data-reason] .why[tabindex='0']").first
    cell.focus()
    tip = page.page.locator("#tip")
    assert tip.is_visible()
    assert tip.inner_text() == cell.evaluate("(why) => why.closest('td').dataset.reason")
    page.page.keyboard.press("Escape")
    assert not tip.is_visible()


def pair_numbers(page: OpenedPage, dataset: str, metric: str) -> list[float | None]:
    row = f"#pair-table tbody tr[data-dataset='{dataset}'][data-metric='{metric}']"
    return [page.numbers(row, f"data-{name}")[0] for name in ("value", "low", "high", "share")]


def test_pairs_are_those_that_were_drawn(page: OpenedPage, results: ComparisonResults) -> None:
    for pair in results.pairs:
        page.page.locator("#pair-a").select_option(pair.a)
        page.page.locator("#pair-b").select_option(pair.b)
        stored = [pair.difference.value, pair.difference.low, pair.difference.high, pair.share_better]
        assert pair_numbers(page, pair.dataset, pair.metric) == pytest.approx(stored)
    last = results.pairs[-1]
    page.press("#pair-swap", "Enter")
    assert page.page.locator("#pair-a").input_value() == last.b
    value, low, high, share = pair_numbers(page, last.dataset, last.metric)
    turned = [-value, -high, -low, 1 - share]  # type: ignore[operator]
    stored = [last.difference.value, last.difference.low, last.difference.high, last.share_better]
    assert turned == pytest.approx(stored)


def test_a_pair_that_was_not_drawn_is_called_so(page: OpenedPage, results: ComparisonResults) -> None:
    drawn = {frozenset((pair.a, pair.b)) for pair in results.pairs}
    usable = [method.key for method in results.methods if not method.undefined]
    first, second = next((a, b) for a in usable for b in usable if a != b and frozenset((a, b)) not in drawn)
    assert page.page.locator("#pair-missing").is_hidden()
    page.page.locator("#pair-a").select_option(first)
    page.page.locator("#pair-b").select_option(second)
    assert page.page.locator("#pair-missing").is_visible()
    rows = {row.method: row for row in results.rows if row.dataset == "laf"}
    difference = rows[first].auroc.value - rows[second].auroc.value  # type: ignore[operator]
    assert pair_numbers(page, "laf", "auroc") == [pytest.approx(difference), None, None, None]


def test_the_divider_moves_by_keyboard(page: OpenedPage) -> None:
    divider = page.page.locator("#divider-0")

    def place() -> str | None:
        return divider.get_attribute("aria-valuenow")

    assert place() == "50"
    steps = (
        ("ArrowRight", "52"),
        ("PageUp", "62"),
        ("ArrowLeft", "60"),
        ("PageDown", "50"),
        ("End", "100"),
        ("Home", "0"),
    )
    for key, expected in steps:
        page.press("#divider-0", key)
        assert place() == expected, key
    left = page.page.locator("#stage-0 img.left")
    assert left.count() == 1
    box = page.page.locator("#stage-0").bounding_box()
    assert box is not None
    page.page.locator("#stage-0").click(position={"x": 0.75 * box["width"], "y": 0.5 * box["height"]})
    assert place() == "75"


def test_frames_blink_until_stopped(page: OpenedPage) -> None:
    stage = page.page.locator("#stage-0")
    page.page.evaluate("""() => {
      const stage = document.getElementById('stage-0');
      window.sides = [];
      new MutationObserver(() => window.sides.push(stage.dataset.shown))
        .observe(stage, { attributes: true, attributeFilter: ['data-shown'] });
    }""")
    page.press("#blink-0", "Enter")
    assert page.page.locator("#blink-0").get_attribute("aria-pressed") == "true"
    page.wait_for("window.sides.join(' ').includes('left right left')")
    page.press("#blink-0", "Enter")
    assert stage.get_attribute("data-blinking") is None
    assert page.page.locator("#blink-0").get_attribute("aria-pressed") == "false"


def test_nothing_blinks_for_who_prefers_less_motion(open_page: Open, compared: Path) -> None:
    page = open_page(compared / "report.html", calm=True)
    stage = page.page.locator("#stage-0")
    page.press("#blink-0", "Enter")
    first = stage.get_attribute("data-shown")
    page.page.wait_for_timeout(700)
    assert stage.get_attribute("data-shown") == first
    page.press("#blink-0", "Enter")
    assert stage.get_attribute("data-shown") != first


def test_layer_and_networks_of_the_gallery(page: OpenedPage) -> None:
    def pictures() -> list[str]:
        sides = (page.page.locator(f"#stage-0 img.{side}") for side in ("left", "right"))
        return [f"{p.get_attribute('data-network')} {p.get_attribute('data-layer')}" for p in sides]

    assert pictures() == ["before score", "after score"]
    page.press("#gallery-layer", "ArrowDown")
    assert pictures() == ["before segments", "after segments"]
    page.page.locator("#gallery-left").select_option("after")
    page.page.locator("#gallery-right").select_option("before")
    assert pictures() == ["after segments", "before segments"]


def test_axes_and_scores_of_the_charts(page: OpenedPage) -> None:
    for chart in ("violin-0", "roc-0"):
        page.page.locator(f"#{chart}").scroll_into_view_if_needed()
        page.wait_for(f"document.getElementById('{chart}').dataset.drawn === 'yes'")
    page.press("#log-fpr", "Space")
    eventually(lambda: page.page.evaluate("document.getElementById('roc-0').layout.xaxis.type"), "log")
    score = page.page.locator("#violin-score").input_value()
    page.page.locator("#violin-0").scroll_into_view_if_needed()
    page.press("#violin-score", "ArrowDown")
    assert page.page.locator("#violin-score").input_value() != score
    eventually(lambda: {key.split("/")[1] for key in drawn_methods(page, "violin-0")} == {score}, False)


def test_the_command_is_copied_or_selected(page: OpenedPage) -> None:
    page.press("#copy-command", "Enter")
    eventually(lambda: page.words("#copy-command") in ("Copied", "Selected"), True)
    eventually(lambda: page.words("#copy-command"), "Copy")


def test_keyboard_reaches_every_control(page: OpenedPage) -> None:
    assert page.not_reached_by_tab() == []


@pytest.mark.parametrize(("size", "dark"), [(DESKTOP, False), (DESKTOP, True), (PHONE, False)])
def test_looks(open_page: Open, compared: Path, tmp_path: Path, size: tuple[int, int], dark: bool) -> None:
    page = open_page(compared / "report.html", size=size, dark=dark)
    picture = tmp_path / f"comparison_{size[0]}_{'dark' if dark else 'light'}.png"
    page.photograph(picture)
    assert page.overflow() <= 0, picture
    with Image.open(picture) as image:
        grey = image.convert("L").resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    assert (grey < 110) == dark, picture  # type: ignore[operator]


@pytest.mark.parametrize("dark", [False, True])
def test_no_serious_barrier(open_page: Open, compared: Path, dark: bool) -> None:
    page = open_page(compared / "report.html", dark=dark)
    page.press("#method-picker summary", "Enter")
    assert page.serious_violations() == []
