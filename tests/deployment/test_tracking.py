"""Tracking: reported after k of n frames, numbers that stay, bounded state; by hand and as properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segood.deployment.detection import UnknownObject
from segood.deployment.tracking import Tracked, Tracker
from segood.errors import UsageError


def thing(row: int, col: int, height: int = 10, width: int = 10, id: int = 1) -> UnknownObject:
    center = (row + height / 2, col + width / 2)
    return UnknownObject(id, (row, col, row + height, col + width), center, height * width, 0.9, None)


def numbers(found: Tracked) -> tuple[list[int | None], list[int | None]]:
    """Return the track numbers of what is reported, and of what waits."""
    return [o.track for o in found.reported], [o.track for o in found.pending]


def test_two_of_three_by_hand() -> None:
    # frame      1  2  3  4  5  6  7
    # seen       x  .  x  .  .  x  x
    # of last 3  1  1  2  1  1  1  2
    tracker = Tracker(report_after=2, window=3)
    seen = [True, False, True, False, False, True, True]
    found = [tracker.update([thing(5, 5)] if s else []) for s in seen]
    assert [len(f.reported) for f in found] == [0, 0, 1, 0, 0, 0, 1]
    assert [len(f.pending) for f in found] == [1, 0, 0, 0, 0, 1, 0]
    assert {o.track for f in found for o in f.reported + f.pending} == {1}


def test_a_track_ends_after_a_window_without_it() -> None:
    tracker = Tracker(report_after=1, window=3)
    for gap, number in ((0, 1), (2, 1), (3, 2)):
        for _ in range(gap):
            tracker.update([])
        assert numbers(tracker.update([thing(5, 5)])) == ([number], [])
    assert len(tracker) == 1


def test_one_frame_is_enough_where_k_is_one() -> None:
    assert numbers(Tracker(report_after=1, window=1).update([thing(0, 0), thing(50, 50)])) == ([1, 2], [])


def test_a_frame_without_verdict_neither_confirms_nor_ends() -> None:
    tracker = Tracker(report_after=2, window=2)
    tracker.update([thing(5, 5)])
    for _ in range(100):
        tracker.skip()
    assert len(tracker) == 1
    assert numbers(tracker.update([thing(5, 5)])) == ([1], [])
    tracker.update([])
    tracker.skip()
    assert len(tracker) == 1  # one of two frames with a verdict lacks it
    tracker.update([])
    assert len(tracker) == 0


def test_the_rest_of_an_object_stays_as_it_is() -> None:
    given_, tracker = thing(5, 5, id=7), Tracker(report_after=1)
    (found,) = tracker.update([given_]).reported
    assert given_.track is None
    assert (found.id, found.box, found.score, found.track) == (7, given_.box, 0.9, 1)


def test_small_fast_objects_keep_their_number_without_overlap() -> None:
    # 10 x 10 boxes, diagonal 14.1; half of it per frame is 7.07: the first step must not exceed it,
    # later ones are measured from where the motion so far leads
    tracker = Tracker(report_after=1, min_iou=1.0)
    for col in (0, 7, 18, 29, 40, 51):
        assert numbers(tracker.update([thing(0, col)])) == ([1], [])
    tracker = Tracker(report_after=1, min_iou=1.0)
    assert [numbers(tracker.update([thing(0, col)]))[0] for col in (0, 8)] == [[1], [2]]


def test_motion_goes_on_while_an_object_is_not_seen() -> None:
    tracker = Tracker(report_after=1, window=5, max_shift=0.0, min_iou=0.9)
    tracker.update([thing(0, 0, width=40)])
    # overlap of boxes 40 wide that are shifted by 2: 38 / 42 = 0.905
    assert numbers(tracker.update([thing(0, 2, width=40)])) == ([1], [])
    tracker.update([])
    tracker.skip()
    assert numbers(tracker.update([thing(0, 8, width=40)])) == ([1], [])  # three frames on, 2 each


def test_overlap_decides_before_distance_and_the_best_pair_first() -> None:
    tracker = Tracker(report_after=1)
    tracker.update([thing(0, 0), thing(0, 12)])
    # the first moves to 4, the second to 14: of 4 with 12 the overlap is 2 / 18, with 0 it is 6 / 14
    assert numbers(tracker.update([thing(0, 14), thing(0, 4)])) == ([2, 1], [])


def test_two_objects_that_merge_keep_the_larger_overlap() -> None:
    tracker = Tracker(report_after=1)
    tracker.update([thing(0, 0, width=30), thing(0, 32, width=10)])
    assert numbers(tracker.update([thing(0, 0, width=42)])) == ([1], [])
    assert numbers(tracker.update([thing(0, 0, width=30), thing(0, 32, width=10)])) == ([1, 2], [])


def test_near_but_of_quite_another_size_is_another_object() -> None:
    tracker = Tracker(report_after=1, min_iou=0.5, max_growth=4.0)
    tracker.update([thing(0, 0, 10, 10)])
    assert numbers(tracker.update([thing(0, 0, 20, 20)])) == ([1], [])  # four times the area
    assert numbers(tracker.update([thing(0, 0, 41, 41)])) == ([2], [])


def test_beyond_the_limit_the_largest_new_objects_are_followed() -> None:
    tracker = Tracker(report_after=1, window=3, max_tracks=2)
    crowd = [thing(0, 0, 2, 2), thing(0, 50, 9, 9), thing(50, 0, 5, 5)]
    assert numbers(tracker.update(crowd)) == ([1, 2], [None])
    # what is seen again keeps its track; the new one takes the place of the one that is missing
    assert numbers(tracker.update([crowd[1], thing(90, 90)])) == ([1, 3], [])
    assert len(tracker) == 2


def test_bad_options() -> None:
    for k, n in ((0, 3), (4, 3), (1, 65)):
        with pytest.raises(UsageError, match=f"1 <= report_after <= window <= 64; got {k} of {n}"):
            Tracker(k, n)
    with pytest.raises(UsageError, match=r"`min_iou` must lie in \[0, 1\]; got 2"):
        Tracker(min_iou=2)
    with pytest.raises(UsageError, match="`max_shift` must be at least 0 and `max_growth` at least 1"):
        Tracker(max_growth=0.5)
    with pytest.raises(UsageError, match="`max_tracks` must be at least 1; got 0"):
        Tracker(max_tracks=0)


boxes = st.tuples(*[st.integers(0, 30)] * 2, *[st.integers(1, 20)] * 2)
frames = st.lists(st.none() | st.lists(boxes, max_size=8), max_size=25)


@given(frames, st.integers(1, 5), st.integers(0, 4), st.integers(1, 6))
def test_whatever_comes_the_state_is_bounded_and_the_rule_holds(
    stream: list[list[tuple[int, int, int, int]] | None], k: int, more: int, most: int
) -> None:
    tracker, window = Tracker(k, k + more, max_tracks=most), k + more
    history: list[set[int]] = []  # numbers seen, per frame with a verdict
    for frame in stream:
        if frame is None:
            tracker.skip()
            continue
        objects = [thing(*box) for box in frame]
        found = tracker.update(objects)
        assert len(tracker) <= most
        assert sorted(o.box for o in found.reported + found.pending) == sorted(o.box for o in objects)
        seen = [o.track for o in found.reported + found.pending if o.track is not None]
        assert len(set(seen)) == len(seen)
        assert len(seen) == min(len(objects), most)
        history.append(set(seen))
        for thing_, is_reported in [(o, True) for o in found.reported] + [(o, False) for o in found.pending]:
            if thing_.track is not None:
                times = sum(thing_.track in numbers_ for numbers_ in history[-window:])
                assert is_reported == (times >= k)


def test_a_frame_full_of_objects_takes_milliseconds() -> None:
    rng, tracker = np.random.default_rng(0), Tracker(report_after=2, max_tracks=256)
    corners = rng.integers(0, 2000, (400, 2))
    for shift in range(3):
        found = tracker.update([thing(int(r) + shift, int(c)) for r, c in corners])
    assert len(tracker) == 256
    assert len(found.reported) == 256
