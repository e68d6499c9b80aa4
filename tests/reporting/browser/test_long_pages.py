"""The reports of the demo and of the README's real run, as a reader opens them: `make test-long`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.reporting.browser.expected import Place, numbers, numbers_of_metrics, own_place
from tests.reporting.browser.opened import ALL_DRAWN, PHONE, OpenedPage
from tests.waiting import eventually

from segood import runs
from segood.demo import DemoResult
from segood.evaluation import RunResults
from segood.evaluation.exploration import FILE, Exploration
from segood.reporting import build_report

pytestmark = [pytest.mark.browser, pytest.mark.long, pytest.mark.timeout(3600)]

Open = Callable[..., OpenedPage]


def check_report(open_page: Open, run: Path, report: Path, load_limit: float) -> None:
    """Look at a report as the tests of the small one do, in one go."""
    page = open_page(report)
    assert report.stat().st_size < 25e6
    assert page.seconds_to_load() < load_limit
    page.wait_for("document.documentElement.dataset.ready === 'yes'")
    page.wait_for(ALL_DRAWN)
    exploration = Exploration.load(run / FILE)
    for result in RunResults.load(run / runs.METRICS).segment:
        expected = numbers_of_metrics(result)
        found = page.report_numbers(result.dataset, result.model)
        assert {name: found[name] for name in expected} == expected, (result.model, result.dataset)
    own, last = own_place(exploration), len(exploration.probabilities) - 1
    for place in (Place(0, own.probability), Place(own.threshold, 0), Place(1, last), own):
        page.move_sliders(*place)
        for sweep in exploration.sweeps:
            eventually(lambda s=sweep: page.report_numbers(s.dataset, s.model), numbers(sweep, place))
    segment = page.page.locator("article.frame:not([hidden]) .segment[tabindex='0']").first
    segment.focus()
    page.page.keyboard.press("Enter")
    values = page.numbers(
        "#details [data-part=intercept], #details [data-contribution], #details [data-part=rest]",
        "data-value",
    )
    assert sum(value or 0 for value in values) == pytest.approx(
        page.numbers("#details [data-part=logit]", "data-value")[0], abs=1e-4
    )
    assert page.serious_violations() == []
    page.page.keyboard.press("Escape")
    assert page.not_reached_by_tab() == []
    phone = open_page(report, size=PHONE, dark=True)
    assert phone.overflow() <= 0


def test_the_report_of_the_demo(open_page: Open, full_demo: DemoResult, load_limit: float) -> None:
    check_report(open_page, full_demo.run, full_demo.report, load_limit)


def test_the_report_of_the_real_run(open_page: Open, real_run: Path, load_limit: float) -> None:
    check_report(open_page, real_run, build_report(real_run), load_limit)
