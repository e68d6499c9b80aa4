"""When two monitors say the same: derived by hand on frames of a few pixels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from segood.deployment.detection import Detection, UnknownObject
from segood.deployment.parity import Parity, compare
from segood.errors import UsageError
from segood.segments import label_components

T, P = 0.7, 0.5


def seen(rows: list[list[float]], probabilities: list[float] | None = None) -> Detection:
    """Make what a monitor says of these entropies, with these probabilities of being real."""
    score = np.array(rows, np.float32)
    labels, count = label_components(score >= np.float32(T))
    values = probabilities or [1.0] * count
    things = [UnknownObject(k, (0, 0, 1, 1), (0, 0), 1, 0.8, values[k - 1]) for k in range(1, count + 1)]
    return Detection(
        objects=tuple(t for t in things if 1 - t.probability < P),
        removed=tuple(t for t in things if 1 - t.probability >= P),
        score=score,
        classes=np.zeros(score.shape, np.uint8),
        labels=labels,
        feature_table=np.zeros((count, 1)),
        feature_names=("size",),
        image=np.zeros((*score.shape, 3), np.uint8),
    )


def test_the_same_is_the_same() -> None:
    one = seen([[0.9, 0.1, 0.8], [0.1, 0.1, 0.1]], [0.9, 0.2])
    found = compare(one, one, T, P)
    assert (found.entropy_difference, found.num_objects, found.num_matched) == (0, 1, 1)
    assert (found.num_borderline, found.mismatches) == (0, ())
    assert Parity((found,)).holds


def test_a_pixel_at_the_threshold_may_come_and_go() -> None:
    expected = seen([[0.9, 0.69999, 0.1, 0.70001]])
    found = compare(expected, seen([[0.9, 0.70001, 0.1, 0.69999]]), T, P)
    # the first object grows by one pixel, the second one consists of nothing else
    assert (found.num_objects, found.num_matched, found.num_borderline, found.mismatches) == (2, 1, 1, ())


def test_a_bridge_at_the_threshold_may_join_two() -> None:
    found = compare(seen([[0.9, 0.69999, 0.9]]), seen([[0.9, 0.70001, 0.9]]), T, P)
    assert (found.num_matched, found.num_borderline, found.mismatches) == (0, 1, ())


def test_anything_else_is_a_mismatch() -> None:
    expected = seen([[0.9, 0.1, 0.1, 0.1]])
    moved = compare(expected, seen([[0.9, 0.1, 0.9, 0.1]]), T, P, "a")
    assert moved.mismatches[0] == "1 pixels are flagged by one only, away from the threshold"
    assert moved.mismatches[1] == "segments [] of one are segments [2] of the other"
    parity = Parity((moved,))
    assert not parity.holds
    assert parity.mismatches[0].startswith("a: 1 pixels")
    assert parity.to_dict()["entropy_difference"] == pytest.approx(0.8)


def test_a_probability_at_its_threshold_may_flip() -> None:
    near = compare(seen([[0.9]], [0.50001]), seen([[0.9]], [0.49999]), T, P)
    assert (near.num_borderline, near.mismatches) == (1, ())
    assert near.probability_difference == pytest.approx(2e-5)
    far = compare(seen([[0.9]], [0.6]), seen([[0.9]], [0.4]), T, P)
    assert far.mismatches == ("segment 1 is reported by one only, with probability 0.6",)


def test_without_a_verdict() -> None:
    one = seen([[0.9]])
    none = Detection.without_verdict(one.image, "not_finite", "NaN")
    assert compare(one, none, T, P).mismatches == ("only one of both gives a verdict",)
    assert Parity((compare(none, none, T, P),)).holds


def test_other_sizes() -> None:
    with pytest.raises(UsageError, match=r"same size; got \(1, 1\) and \(1, 2\)"):
        compare(seen([[0.9]]), seen([[0.9, 0.1]]), T, P)


def test_a_small_difference_everywhere_is_too_much() -> None:
    one = seen([[0.9, 0.1]])
    other = replace(one, score=one.score - np.float32(2e-4))
    found = compare(one, other, T, P)
    assert found.mismatches == ()
    assert not Parity((found,)).holds
