"""The report's sliders: at the run's own values they show `metrics.json`, elsewhere `exploration.json`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.reporting.browser.expected import Place, numbers, numbers_of_metrics, own_place
from tests.reporting.browser.opened import ALL_DRAWN, PHONE, OpenedPage
from tests.waiting import eventually

from segood import runs
from segood.evaluation import RunResults
from segood.evaluation.exploration import Exploration, ModelSweep

pytestmark = pytest.mark.browser


def shown(page: OpenedPage, sweep: ModelSweep) -> dict[str, float | None]:
    return page.report_numbers(sweep.dataset, sweep.model)


def test_own_values_are_those_of_the_metrics(
    report: OpenedPage, exploration: Exploration, evaluated_run: Path
) -> None:
    results = RunResults.load(evaluated_run / runs.METRICS)
    own = own_place(exploration)
    sliders = [report.page.locator(f"#{name}").input_value() for name in ("threshold", "probability")]
    assert [int(value) for value in sliders] == list(own)
    assert len(results.segment) == 4
    for result in results.segment:
        expected = numbers_of_metrics(result)
        found = report.report_numbers(result.dataset, result.model)
        assert {name: found[name] for name in expected} == expected, (result.model, result.dataset)
        where = (result.model, result.dataset)
        sweep = next(s for s in exploration.sweeps if (s.model, s.dataset) == where)
        pixel = next(p for p in results.pixel if (p.model, p.dataset) == where)
        assert (sweep.num_in, sweep.num_ood) == (pixel.num_in, pixel.num_ood)


def test_everywhere_else_they_are_those_of_the_exploration(
    report: OpenedPage, exploration: Exploration
) -> None:
    last = Place(len(exploration.thresholds) - 1, len(exploration.probabilities) - 1)
    own = own_place(exploration)
    places = [
        Place(0, own.probability), Place(0, last.probability), Place(1, own.probability // 2),
        Place(own.threshold, last.probability), Place(last.threshold, 0), last, own,
    ]  # fmt: skip
    seen = set()
    for place in places:
        report.move_sliders(*place)
        for sweep in exploration.sweeps:
            eventually(lambda sweep=sweep: shown(report, sweep), numbers(sweep, place))
        seen.add(str(shown(report, exploration.sweeps[0])))
    assert len(seen) > 3  # the places differ


def test_what_is_read_is_what_is_counted(report: OpenedPage, exploration: Exploration) -> None:
    report.move_sliders(own_place(exploration).threshold, len(exploration.probabilities) - 1)
    cells = report.page.locator("[data-number]")
    texts = cells.evaluate_all("(all) => all.map((e) => [e.dataset.number, e.dataset.value, e.innerText])")
    assert len(texts) == 10 * len(exploration.sweeps)
    for name, value, text in texts:
        if not value:
            assert text.strip() == "–"
        elif name in ("precision", "recall"):
            assert text.strip() == f"{float(value):.3f}"
        elif name == "flagged_share":
            assert text.strip() == f"{100 * float(value):.2f} %"
        else:
            assert text.strip() == f"{int(value):,}"


def test_words_follow_the_sliders(report: OpenedPage, exploration: Exploration) -> None:
    place = Place(1, len(exploration.probabilities) - 1)
    report.move_sliders(*place)
    threshold = f"{exploration.thresholds[1]:g}"
    assert report.words("#threshold-value") == threshold
    assert report.page.locator("#threshold").get_attribute("aria-valuetext") == threshold
    assert report.words("#probability-value") == "keep all"
    model = report.page.locator("#model").input_value()
    errors = [numbers(sweep, place)["errors"] for sweep in exploration.sweeps if sweep.model == model]
    at_rest = f"t = {threshold}, no segment removed"  # a slow test may rest between the two sliders as well
    report.wait_for(f"document.getElementById('state').textContent.includes('{at_rest}')")
    for count in errors:
        assert f"{count:,} error" in report.words("#state")


def test_a_phone_shows_the_errors_in_full(open_page: Callable[..., OpenedPage], evaluated_run: Path) -> None:
    page = open_page(evaluated_run / "report.html", size=PHONE)
    page.wait_for("document.getElementById('state').textContent.includes('errors on')")
    assert page.words("#state").count("errors on") == 2
    assert page.page.locator("#state").evaluate("(e) => e.scrollHeight <= e.clientHeight")


def test_the_colour_bar_marks_the_threshold(report: OpenedPage, exploration: Exploration) -> None:
    bar = "document.querySelector('.colorbar i').getBoundingClientRect()"
    mark = "document.querySelector('.colorbar b').getBoundingClientRect()"
    for threshold, value in enumerate(exploration.thresholds):
        report.move_sliders(threshold, 0)
        assert f"mark: t = {value:g}" in report.words(".colorbar")
        share = report.page.evaluate(f"({mark}.left + {mark}.width / 2 - {bar}.left) / {bar}.width")
        assert share == pytest.approx(value, abs=0.01)  # entropy is shown from 0 to 1


def test_sliders_move_by_keyboard(report: OpenedPage, exploration: Exploration) -> None:
    for name, count in (
        ("threshold", len(exploration.thresholds)), ("probability", len(exploration.probabilities)),
    ):  # fmt: skip
        slider = report.page.locator(f"#{name}")
        start = int(slider.input_value())
        for key, expected in (
            ("ArrowRight", start + 1),
            ("ArrowLeft", start),
            ("End", count - 1),
            ("Home", 0),
        ):
            report.press(f"#{name}", key)
            assert int(slider.input_value()) == expected, (name, key)
    for sweep in exploration.sweeps:
        eventually(lambda sweep=sweep: shown(report, sweep), numbers(sweep, Place(0, 0)))
    report.press("#reset", "Enter")
    own = own_place(exploration)
    assert int(report.page.locator("#threshold").input_value()) == own.threshold
    assert int(report.page.locator("#probability").input_value()) == own.probability
    for sweep in exploration.sweeps:
        eventually(lambda sweep=sweep: shown(report, sweep), numbers(sweep, own))


def test_an_undefined_meta_classification_says_why(report: OpenedPage, exploration: Exploration) -> None:
    sweep, threshold = next(
        (sweep, number)
        for sweep in exploration.sweeps
        for number, reason in enumerate(sweep.undefined)
        if reason
    )
    report.move_sliders(threshold, own_place(exploration).probability)
    row = report.page.locator(f"[data-undefined][data-dataset='{sweep.dataset}'][data-model='{sweep.model}']")
    assert row.is_visible()
    assert str(sweep.undefined[threshold]) in row.inner_text()


def operating_points_come_to(report: OpenedPage, exploration: Exploration, place: Place) -> None:
    """Assert that the curves of the first data set come to mark where the sliders stand."""
    script = """([id, model]) => {
      const trace = document.getElementById(id).data.find((one) => one.meta?.operating === model);
      return [trace.x[0], trace.y[0]];
    }"""
    for sweep in (sweep for sweep in exploration.sweeps if sweep.dataset == "laf"):
        found, pixels = numbers(sweep, place), sweep.pixels[place.threshold]
        points = {"roc-0": [pixels.fp / sweep.num_in, found["recall"]]}
        points["pr-0"] = [found["recall"], found["precision"]]
        for chart, point in points.items():
            eventually(lambda c=chart, m=sweep.model: report.page.evaluate(script, [c, m]), point)


def test_operating_points_move_with_the_threshold(report: OpenedPage, exploration: Exploration) -> None:
    report.wait_for(ALL_DRAWN)
    for threshold in (0, len(exploration.thresholds) - 1):
        place = Place(threshold, own_place(exploration).probability)
        report.move_sliders(*place)
        operating_points_come_to(report, exploration, place)


def test_operating_points_never_lie_over_words(report: OpenedPage, exploration: Exploration) -> None:
    script = """() => [...document.querySelectorAll('[id^=roc-], [id^=pr-]')].flatMap((chart) => {
      const boxes = (selector) => [...chart.querySelectorAll(selector)].map((e) => e.getBoundingClientRect());
      const words = boxes('.annotation text, .legendtext');
      return boxes('.scatterlayer .point').map((p) => words.some((w) =>
        p.left < w.right && w.left < p.right && p.top < w.bottom && w.top < p.bottom));
    })"""
    report.wait_for(ALL_DRAWN)
    for threshold in range(len(exploration.thresholds)):
        place = Place(threshold, own_place(exploration).probability)
        report.move_sliders(*place)
        operating_points_come_to(report, exploration, place)
        report.page.wait_for_timeout(300)  # what they stand on is drawn
        over = report.page.evaluate(script)
        assert len(over) >= 4
        assert not any(over), exploration.thresholds[threshold]


def test_other_views_of_the_charts(report: OpenedPage) -> None:
    def kinds() -> set[str]:
        return set(
            report.page.evaluate("document.getElementById('scores-0').data.map((one) => one.type ?? '')")
        )

    report.wait_for("document.getElementById('scores-0').dataset.drawn === 'yes'")
    before = report.page.locator("#scores-0").evaluate("(place) => place.dataset.chart")
    report.press("#view-violin", "ArrowRight")
    assert report.page.locator("#view-histogram").is_checked()
    eventually(lambda: report.page.locator("#scores-0").evaluate("(p) => p.dataset.chart") != before, True)
    assert kinds()
    report.press("#log-fpr", "Space")
    eventually(lambda: report.page.evaluate("document.getElementById('roc-0').layout.xaxis.type"), "log")
