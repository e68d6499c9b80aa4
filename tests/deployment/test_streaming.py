"""One answer per frame, whatever happens: reasons, deadlines, tracking, and the numbers over all frames."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.deployment.painted import RedMonitor, street

from segood.deployment.detection import Detection
from segood.deployment.frame_checks import FrameChecks, StreamGuard
from segood.deployment.frame_record import frame_record
from segood.deployment.latency import LatencyHistogram
from segood.deployment.sources import Arrays
from segood.deployment.streaming import FrameResult, StreamSummary, stream
from segood.deployment.tracking import Tracker
from segood.errors import DataError, UsageError


class Clock:
    """Time that passes only when somebody says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class SlowMonitor(RedMonitor):
    """Takes a stated time per frame."""

    def __init__(self, clock: Clock, seconds: Iterable[float]) -> None:
        super().__init__()
        self._clock, self._seconds = clock, iter(seconds)

    def __call__(self, image: np.ndarray) -> Detection:
        self._clock.now += next(self._seconds)
        return super().__call__(image)


def reasons(results: Iterable[FrameResult]) -> list[str | None]:
    verdicts = [r.detection.no_verdict for r in results]
    return [None if v is None else v.reason for v in verdicts]


RED = (10, 10, 20, 20)


def test_every_frame_has_one_answer_in_order() -> None:
    dark = (street(RED) * 0.05).astype(np.uint8)
    bright = np.clip(street(RED).astype(int) * 9, 0, 255).astype(np.uint8)
    frames: list[Any] = [street(RED), dark, None, bright, street(RED, (30, 30, 40, 40)), street()]
    monitor = RedMonitor()
    results = list(stream(monitor, frames))
    assert [r.index for r in results] == list(range(6))
    assert reasons(results) == [None, "black", "unreadable", "exposure", None, None]
    assert [len(r.detection.objects) for r in results] == [1, 0, 0, 0, 2, 0]
    assert monitor.asked == 3  # the network is not asked for nothing
    assert results[1].digest is not None
    assert results[2].digest is None
    assert np.isnan(results[1].detection.score).all()
    assert results[1].detection.score.shape == (48, 64)


def test_frozen_and_backward_frames() -> None:
    checks = FrameChecks(frozen_after=3)
    same = [street(RED)] * 4
    assert reasons(stream(RedMonitor(), same, checks=checks)) == [None, None, "frozen", "frozen"]
    timed = [(1.0, street(RED)), (0.9, street()), (2.0, street(RED))]
    assert reasons(stream(RedMonitor(), timed, checks=checks)) == [None, "stale", None]
    broken: list[Any] = [street(RED), street(RED), None, street(RED), street(RED)]
    assert reasons(stream(RedMonitor(), broken, checks=checks))[3:] == [None, None]


def test_without_checks_the_network_is_asked_whatever_comes() -> None:
    frames = [np.zeros((8, 8, 3), np.uint8)] * 9
    assert reasons(stream(RedMonitor(), frames, checks=None)) == [None] * 9


def test_an_answer_after_its_deadline_is_withheld() -> None:
    clock = Clock()
    monitor = SlowMonitor(clock, [0.1, 0.25, 0.1])
    results = list(
        stream(monitor, [street(RED, (5, n, 6, n + 1)) for n in (30, 40, 50)], deadline=0.2, clock=clock)
    )
    assert reasons(results) == [None, "deadline", None]
    late = results[1].detection
    assert late.objects == late.removed == ()
    assert late.no_verdict is not None
    assert late.no_verdict.message == "the answer took 250 ms; 200 ms are allowed"
    assert [r.latency for r in results] == pytest.approx([0.1, 0.25, 0.1])


def test_a_live_frame_is_as_old_as_it_is() -> None:
    # each frame is taken at its time; reading and answering make the clock go on
    clock = Clock()

    def bus() -> Iterator[tuple[float, np.ndarray]]:
        for waited, red in ((0.05, RED), (0.05, (9, 9, 19, 19)), (0.7, (8, 8, 18, 18))):
            taken = clock.now
            clock.now += waited  # in some queue
            yield taken, street(red)

    monitor = SlowMonitor(clock, [0.1, 0.2])
    results = list(
        stream(
            monitor,
            Arrays(bus(), live=True, name="bus"),
            checks=FrameChecks(stale_after=0.5),
            deadline=0.2,
            clock=clock,
        )
    )
    assert reasons(results) == [None, "deadline", "stale"]
    assert [r.latency for r in results] == pytest.approx([0.15, 0.25, 0.7])
    assert monitor.asked == 2
    assert results[2].detection.no_verdict is not None
    assert results[2].detection.no_verdict.message == "700 ms old at its turn; 500 ms are allowed"


def test_tracking_holds_back_and_gaps_neither_confirm_nor_end() -> None:
    moving = [street((10, 10 + 2 * n, 20, 20 + 2 * n)) for n in range(6)]
    frames: list[Any] = [moving[0], None, moving[2], np.zeros((48, 64, 3), np.uint8), moving[4], moving[5]]
    results = list(stream(RedMonitor(), frames, tracker=Tracker(3, 3)))
    assert [[o.track for o in r.detection.objects] for r in results] == [[], [], [], [], [1], [1]]
    assert [[o.track for o in r.pending] for r in results] == [[1], [], [1], [], [], []]


def test_withheld_objects_do_not_confirm_a_track() -> None:
    clock = Clock()
    monitor = SlowMonitor(clock, [0.1, 0.9, 0.1])
    frames = [street((10, 10 + n, 20, 20 + n)) for n in range(3)]
    results = list(stream(monitor, frames, tracker=Tracker(2, 2), deadline=0.5, clock=clock))
    assert [len(r.detection.objects) for r in results] == [0, 0, 1]
    assert [len(r.pending) for r in results] == [1, 0, 0]


def test_what_the_monitor_cannot_read_stops_nothing_and_bugs_are_not_hidden() -> None:
    class Picky(RedMonitor):
        def __init__(self, error: Exception) -> None:
            super().__init__()
            self._error = error

        def __call__(self, image: np.ndarray) -> Detection:
            if image.shape[0] < 10:
                raise self._error
            return super().__call__(image)

    frames = [street()[:8], street()]
    results = list(stream(Picky(DataError("too small")), frames))
    assert reasons(results) == ["unreadable", None]
    assert results[0].detection.no_verdict is not None
    assert results[0].detection.no_verdict.message == "too small"
    with pytest.raises(ZeroDivisionError, match="bug"):
        list(stream(Picky(ZeroDivisionError("bug")), frames))


def test_bad_deadline() -> None:
    with pytest.raises(UsageError, match="`deadline` must be a time above 0 s, or none; got 0"):
        stream(RedMonitor(), [], deadline=0)


def test_a_guard_that_has_seen_earlier_frames_goes_on() -> None:
    guard = StreamGuard(FrameChecks(frozen_after=3))
    for expected in ([None, None], ["frozen"]):
        assert reasons(stream(RedMonitor(), [street()] * len(expected), checks=guard)) == expected


def summarized(
    results: Iterable[FrameResult], add: Callable[[StreamSummary, FrameResult], None]
) -> dict[str, Any]:
    summary = StreamSummary()
    for result in results:
        add(summary, result)
    return summary.to_dict()


def test_summary_by_hand_and_from_its_records() -> None:
    blue = street(RED, blue=[(30, 30, 33, 40)])
    frames: list[Any] = [
        street(RED, (30, 30, 40, 40)),
        None,
        blue,
        street(),
        np.zeros((8, 8, 3), np.uint8),
        7,
    ]
    clock = Clock()
    monitor = SlowMonitor(clock, [0.1, 0.3, 0.2])
    results = list(stream(monitor, frames, clock=clock))
    found = summarized(results, lambda summary, result: summary.add(result))
    assert (found["frames"], found["verdicts"]) == (6, 3)
    assert found["no_verdicts"] == {"black": 1, "unreadable": 2}
    assert (found["objects"], found["frames_with_objects"], found["removed"]) == (3, 2, 1)
    assert found["first_unreadable"][0] == "frame#1"
    assert found["latency_ms"]["mean"] == pytest.approx(100)
    assert found["latency_ms"]["max"] == pytest.approx(300)
    assert found["seconds"] == {"network": 0.003, "total": 0.006}
    again = summarized(results, lambda summary, result: summary.add_record(frame_record(result)))
    assert again == found


def test_summary_of_nothing() -> None:
    found = StreamSummary().to_dict()
    assert found["frames"] == found["verdicts"] == 0
    assert found["latency_ms"] == {"mean": None, "p50": None, "p99": None, "max": None}


@given(st.lists(st.floats(1e-5, 1e4), min_size=1, max_size=200), st.floats(0, 1))
def test_quantiles_are_right_to_one_percent(times: list[float], share: float) -> None:
    histogram = LatencyHistogram()
    for seconds in times:
        histogram.add(seconds)
    exact = sorted(times)[max(1, math.ceil(share * len(times) - 1e-9)) - 1]
    assert histogram.quantile(share) == pytest.approx(exact, rel=0.0101)
    assert histogram.mean == pytest.approx(sum(times) / len(times))
    assert histogram.max == max(times)


def test_extreme_times_are_counted_at_the_ends() -> None:
    histogram = LatencyHistogram()
    for seconds in (0.0, 1e9):
        histogram.add(seconds)
    assert histogram.quantile(0.5) < 1.1e-5
    assert 9e4 < histogram.quantile(1.0) <= 1e9
    assert histogram.count == 2
    assert math.isnan(LatencyHistogram().quantile(0.5))
    with pytest.raises(UsageError, match=r"`share` must lie in \[0, 1\]"):
        histogram.quantile(1.5)
