"""From the monitor's frame back to the camera's image."""

from __future__ import annotations

import numpy as np

from segood.deployment.detection import Detection, UnknownObject
from segood.deployment.enlarging import enlarged, without_small


def found() -> Detection:
    labels = np.array([[0, 1, 1], [2, 0, 0]], np.int32)
    return Detection(
        objects=(UnknownObject(1, (0, 1, 1, 3), (0.0, 1.5), 2, 0.9, None),),
        removed=(UnknownObject(2, (1, 0, 2, 1), (1.0, 0.0), 1, 0.8, None),),
        score=np.arange(6, dtype=np.float32).reshape(2, 3),
        classes=np.zeros((2, 3), np.uint8),
        labels=labels,
        feature_table=np.array([[2.0], [1.0]]),
        feature_names=("size",),
        image=np.zeros((2, 3, 3), np.uint8),
    )


def test_twice_as_large() -> None:
    image = np.ones((4, 6, 3), np.uint8)
    large = enlarged(found(), image)
    #   0 0 1 1 1 1
    #   0 0 1 1 1 1
    #   2 2 0 0 0 0
    #   2 2 0 0 0 0
    np.testing.assert_array_equal(large.labels, np.kron(found().labels, np.ones((2, 2), np.int32)))
    (thing,), (removed,) = large.objects, large.removed
    assert (thing.box, thing.area, thing.center) == ((0, 2, 2, 6), 8, (0.5, 3.5))
    assert (removed.box, removed.area) == ((2, 0, 4, 2), 4)
    assert large.image is image
    assert large.feature_table[0, 0] == 2  # what the classifier has seen


def test_the_same_size_stays_as_it_is() -> None:
    one = found()
    assert enlarged(one, one.image) is one
    image = np.ones((2, 3, 3), np.uint8)
    assert enlarged(one, image).image is image


def test_small_objects_are_removed_ones_in_the_order_of_their_numbers() -> None:
    one = found()
    assert without_small(one, 2) is one
    kept = without_small(one, 3)
    assert kept.objects == ()
    assert [thing.id for thing in kept.removed] == [1, 2]


def test_an_object_never_vanishes() -> None:
    small = enlarged(found(), np.zeros((1, 1, 3), np.uint8))
    assert [o.box for o in (*small.objects, *small.removed)] == [(0, 0, 1, 1)] * 2
    assert [o.area for o in (*small.objects, *small.removed)] == [1, 1]
    assert small.labels.tolist() == [[1]]
