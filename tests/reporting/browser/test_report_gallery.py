"""The report's gallery: order, filters, pages, segments and why each was kept or removed."""

from __future__ import annotations

import math
from typing import Any

import pytest
from tests.reporting.browser.expected import Place, facts, own_place, states
from tests.reporting.browser.opened import DESKTOP, PHONE, OpenedPage
from tests.waiting import eventually

from segood.evaluation.exploration import Exploration, ShownFrame, ShownSegment

pytestmark = pytest.mark.browser

PER_PAGE = 24
VISIBLE = "article.frame:not([hidden])"


@pytest.fixture
def model(report: OpenedPage) -> str:
    """The network whose segments are shown."""
    return report.page.locator("#model").input_value()


def shown_frames(page: OpenedPage) -> list[tuple[str, str]]:
    """Return data set and sample of the visible frames, in order."""
    script = "(all) => all.map((e) => [e.dataset.dataset, e.dataset.sample])"
    return [tuple(pair) for pair in page.page.locator(VISIBLE).evaluate_all(script)]  # type: ignore[misc]


def all_frames(page: OpenedPage) -> list[tuple[str, str]]:
    """Return the frames of all pages."""
    found = shown_frames(page)
    while page.page.locator("#next").is_enabled():
        page.press("#next", "Enter")
        found += shown_frames(page)
    while page.page.locator("#previous").is_enabled():
        page.press("#previous", "Enter")
    return found


def key_of(frame: ShownFrame) -> tuple[str, str]:
    return frame.dataset, frame.sample_id


def frame_selector(frame: ShownFrame) -> str:
    return f"article.frame[data-dataset='{frame.dataset}'][data-sample='{frame.sample_id}']"


def test_facts_of_every_frame(report: OpenedPage, exploration: Exploration, model: str) -> None:
    for place in (own_place(exploration), Place(1, 3)):
        report.move_sliders(*place)
        for frame in exploration.frames:
            for name, value in facts(frame, model, exploration, place).items():
                attribute = f"data-{name.replace('_', '-')}"
                assert report.numbers(frame_selector(frame), attribute) == [value], (frame.sample_id, name)


@pytest.mark.parametrize("order", ["errors", "missed_area", "false_alarm_area", "smallest_object"])
def test_sorting(report: OpenedPage, exploration: Exploration, model: str, order: str) -> None:
    place = own_place(exploration)
    sign = 1 if order == "smallest_object" else -1
    as_stored = all_frames(report)
    assert sorted(as_stored) == sorted(map(key_of, exploration.frames))
    values = {key_of(frame): facts(frame, model, exploration, place)[order] for frame in exploration.frames}

    def rank(key: tuple[str, str]) -> float:
        value = values[key]
        return math.inf if value is None else sign * value  # a frame without object comes last

    expected = sorted(as_stored, key=rank)  # equal ones as in the data set
    assert expected != as_stored
    report.page.locator("#sort").select_option(order)
    assert all_frames(report) == expected
    report.page.locator("#sort").select_option("file")
    assert all_frames(report) == as_stored


@pytest.mark.parametrize(
    ("choice", "fact"),
    [
        ("missed", "missed"),
        ("false_alarm", "false_alarms"),
        ("removed_rightly", "removed_rightly"),
        ("removed_wrongly", "removed_wrongly"),
    ],
)
def test_filters(report: OpenedPage, exploration: Exploration, model: str, choice: str, fact: str) -> None:
    def expected(place: Place) -> set[tuple[str, str]]:
        return {key_of(f) for f in exploration.frames if facts(f, model, exploration, place)[fact]}

    own = own_place(exploration)
    report.page.locator("#filter").select_option(choice)
    assert set(all_frames(report)) == expected(own)
    assert f"{len(expected(own))} of {len(exploration.frames)}" in report.words("#gallery-state")
    everything_kept = Place(own.threshold, len(exploration.probabilities) - 1)
    report.page.locator("#probability").fill(str(everything_kept.probability))
    assert set(all_frames(report)) == expected(everything_kept)
    report.page.locator("#filter").select_option("all")
    assert len(all_frames(report)) == len(exploration.frames)


def test_pages_and_data_sets(report: OpenedPage, exploration: Exploration) -> None:
    total = len(exploration.frames)
    assert total > PER_PAGE
    assert len(shown_frames(report)) == PER_PAGE
    assert report.page.locator("#previous").is_disabled()
    first = shown_frames(report)
    report.press("#next", "Enter")
    second = shown_frames(report)
    assert len(second) == total - PER_PAGE
    assert not set(first) & set(second)
    report.page.locator("#dataset").select_option("static")
    assert set(all_frames(report)) == {key_of(f) for f in exploration.frames if f.dataset == "static"}


def test_another_network_has_other_segments(report: OpenedPage, exploration: Exploration, model: str) -> None:
    other = next(sweep.model for sweep in exploration.sweeps if sweep.model != model)
    report.page.locator("#model").select_option(other)
    place, frame = own_place(exploration), exploration.frames[0]
    expected = facts(frame, other, exploration, place)
    assert report.numbers(frame_selector(frame), "data-errors") == [expected["errors"]]


def test_overlays_follow_both_sliders(report: OpenedPage, exploration: Exploration, model: str) -> None:
    visible = set(shown_frames(report))
    frame = max(
        (frame for frame in exploration.frames if key_of(frame) in visible),
        key=lambda frame: len(set(states(frame, model, exploration, own_place(exploration)).values())),
    )
    script = "(all) => all.map((e) => [e.dataset.segment, e.dataset.state])"
    own = own_place(exploration)
    seen = set()
    for place in (
        own,
        Place(own.threshold, 0),
        Place(own.threshold, len(exploration.probabilities) - 1),
        Place(2, own.probability),
    ):
        report.move_sliders(*place)
        expected = states(frame, model, exploration, place)

        def drawn() -> dict[int, str]:
            found = report.page.locator(f"{frame_selector(frame)} .segment").evaluate_all(script)
            return {int(segment): state for segment, state in found}

        eventually(drawn, expected)
        seen.add(str(expected))
    assert len(seen) > 2


def explained(exploration: Exploration, model: str, page: OpenedPage) -> tuple[ShownFrame, ShownSegment]:
    """Return the largest segment on the page with contributions."""
    place = own_place(exploration)
    visible = set(shown_frames(page))
    found = [
        (segment.area, number, frame, segment)
        for number, frame in enumerate(exploration.frames)
        if key_of(frame) in visible
        for segment in frame.segments[model][place.threshold]
        if segment.contributions
    ]
    return max(found, key=lambda item: item[:2])[2:]


def details(page: OpenedPage) -> dict[str, Any]:
    """Return the numbers of the details panel, contributions in their order."""
    script = """(panel) => {
      const read = (name) => [...panel.querySelectorAll(`[data-${name}]`)].map((e) => [
        e.dataset[name], Number(e.dataset.value)]);
      return {parts: Object.fromEntries(read('part')), contributions: read('contribution')};
    }"""
    return dict(page.page.locator("#details").evaluate(script))


def test_contributions_sum_to_the_logit(report: OpenedPage, exploration: Exploration, model: str) -> None:
    frame, segment = explained(exploration, model, report)
    selector = f"{frame_selector(frame)} .segment[data-segment='{segment.segment}']"
    report.page.locator(selector).focus()
    report.page.keyboard.press("Enter")
    assert report.page.locator("#details").is_visible()
    shown = details(report)
    parts, contributions = shown["parts"], shown["contributions"]
    total = parts["intercept"] + sum(value for _, value in contributions) + parts["rest"]
    assert total == pytest.approx(parts["logit"], abs=1e-4)
    assert parts["probability"] == pytest.approx(1 / (1 + math.exp(-parts["logit"])), abs=1e-4)
    sizes = [abs(value) for _, value in contributions]
    assert sizes == sorted(sizes, reverse=True)
    assert parts["logit"] == segment.logit
    assert contributions == [[item.feature, item.contribution] for item in segment.contributions]
    for name, _ in contributions:  # words a person understands, not names of columns
        assert name not in report.words("#details")
    report.page.keyboard.press("Escape")
    assert not report.page.locator("#details").is_visible()
    assert report.page.evaluate("document.activeElement.dataset.segment") == str(segment.segment)


def test_a_click_explains_a_segment(report: OpenedPage, exploration: Exploration, model: str) -> None:
    frame, segment = explained(exploration, model, report)
    selector = f"{frame_selector(frame)} .segment[data-segment='{segment.segment}']"
    report.page.locator(selector).dispatch_event("click")
    assert details(report)["parts"]["logit"] == segment.logit
    report.press("#details-close", "Enter")
    assert not report.page.locator("#details").is_visible()


@pytest.mark.parametrize("size", [DESKTOP, (800, 1000), PHONE])
def test_the_panel_leaves_its_segment_in_sight(
    report: OpenedPage, exploration: Exploration, model: str, size: tuple[int, int]
) -> None:
    report.page.set_viewport_size({"width": size[0], "height": size[1]})
    frame, segment = explained(exploration, model, report)
    chosen = report.page.locator(f"{frame_selector(frame)} .segment[data-segment='{segment.segment}']")
    chosen.scroll_into_view_if_needed()
    chosen.dispatch_event("click")
    script = """(segment) => {
      const box = segment.querySelector('.shape').getBoundingClientRect();
      const at = document.elementFromPoint((box.left + box.right) / 2, (box.top + box.bottom) / 2);
      return Boolean(at?.closest('svg.overlay') === segment.closest('svg.overlay'));
    }"""
    eventually(lambda: chosen.evaluate(script), True)  # the page may still be scrolling


def test_arrow_keys_walk_through_the_segments_of_a_frame(
    report: OpenedPage, exploration: Exploration, model: str
) -> None:
    place = own_place(exploration)
    visible = set(shown_frames(report))
    frame = next(
        frame
        for frame in exploration.frames
        if key_of(frame) in visible and len(frame.segments[model][place.threshold]) > 2
    )
    segments = report.page.locator(f"{frame_selector(frame)} .segment")
    assert segments.evaluate_all("(all) => all.filter((e) => e.tabIndex === 0).length") == 1
    segments.first.focus()
    visited = []
    for _ in range(segments.count()):
        visited.append(report.page.evaluate("document.activeElement.dataset.segment"))
        report.page.keyboard.press("ArrowRight")
    assert sorted(map(int, visited)) == sorted(s.segment for s in frame.segments[model][place.threshold])
    assert report.page.evaluate("document.activeElement.dataset.segment") == visited[0]


def test_pictures_enlarge_and_give_the_focus_back(report: OpenedPage) -> None:
    button = report.page.locator(f"{VISIBLE} button.zoom").first
    name = button.get_attribute("aria-label")
    button.focus()
    report.page.keyboard.press("Enter")
    viewer = report.page.locator("#viewer")
    assert viewer.is_visible()
    words = viewer.inner_text()
    report.page.keyboard.press("ArrowRight")
    assert viewer.inner_text() != words
    report.page.keyboard.press("ArrowLeft")
    assert viewer.inner_text() == words
    report.page.keyboard.press("Escape")
    assert not viewer.is_visible()
    assert report.page.evaluate("document.activeElement.getAttribute('aria-label')") == name


def test_larger_pictures(report: OpenedPage) -> None:
    def width() -> float:
        box = report.page.locator(f"{VISIBLE} img").first.bounding_box()
        assert box is not None
        return box["width"]

    before = width()
    report.press("#large", "Space")
    assert width() > before
