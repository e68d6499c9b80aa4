"""Regions of interest, derived by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segood.errors import UsageError
from segood.segments import Region
from segood.segments.region import same_region


def test_a_polygon_holds_the_pixels_whose_centres_lie_in_it() -> None:
    # corners (0,0), (0,4), (4,0) of a 4×4 image: centres with row + col + 1 ≤ 4
    triangle = Region(polygon=((0, 0), (0, 1), (1, 0)))
    expected = np.add.outer(np.arange(4), np.arange(4)) + 1 <= 4
    np.testing.assert_array_equal(triangle.inside((4, 4)), expected)
    assert triangle.inside((8, 16)).mean() == pytest.approx(0.5, abs=0.07)


def test_a_mask_follows_the_size_of_the_frame() -> None:
    mask = np.zeros((2, 3), bool)
    mask[1, 1:] = True
    region = Region.from_mask(mask)
    np.testing.assert_array_equal(region.inside((2, 3)), mask)
    np.testing.assert_array_equal(region.inside((4, 6)), np.kron(mask, np.ones((2, 2), bool)))


def test_the_ground_is_the_hull_of_its_largest_part() -> None:
    classes = np.array(
        [
            [1, 1, 1, 1, 0, 1],
            [1, 1, 1, 1, 1, 1],
            [1, 0, 0, 0, 1, 1],
            [1, 0, 2, 0, 1, 1],
            [0, 0, 0, 0, 0, 1],
        ]
    )
    expected = np.array(
        [
            [0, 0, 0, 0, 0, 0],
            [0, 0, 0, 0, 0, 0],
            [0, 1, 1, 1, 0, 0],
            [0, 1, 1, 1, 0, 0],
            [1, 1, 1, 1, 1, 0],
        ],
        bool,
    )
    inside = Region(classes=(0,)).inside((5, 6), classes)
    # a pixel that the hull's edge touches may be taken in, the object on the road must be
    assert (inside >= expected).all()
    assert not inside[:2].any()
    assert not inside[:, 5].any()
    assert not Region(classes=(7,)).inside((5, 6), classes).any()


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**31))
def test_plain_data_and_back(rows: int, columns: int, seed: int) -> None:
    mask = np.random.default_rng(seed).random((rows, columns)) < 0.5
    mask[0, 0] = True
    region = Region.from_mask(mask)
    again = Region.from_dict(region.to_dict())
    assert same_region(region, again)
    np.testing.assert_array_equal(again.inside((rows, columns)), mask)


def test_regions_differ() -> None:
    one, other = Region(classes=(0, 1)), Region(classes=(0,))
    assert same_region(None, None)
    assert not same_region(one, None)
    assert not same_region(one, other)
    assert same_region(one, Region(classes=(1, 0, 0)))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "a region is"),
        ({"polygon": [[0, 0], [1, 1]]}, "at least three corners"),
        ({"polygon": [[0, 0], [0, 2], [1, 0]]}, "as shares of the image"),
        ({"polygon": [[0, float("nan")], [0, 1], [1, 0]]}, "as shares of the image"),
        ({"classes": []}, "must be train ids"),
        ({"classes": [0.5]}, "must be train ids"),
        ({"classes": "road"}, "must be train ids"),
        ({"mask": {"size": [2, 2], "runs": [1]}}, "must cover its 2×2 pixels"),
        ({"mask": {"size": [2**20, 2**20], "runs": [2**40]}}, "must cover"),
        ({"mask": {"size": [2, 2], "runs": [-4, 8]}}, "whole numbers"),
        ({"mask": 3}, "one of them"),
        ({"polygon": None, "classes": [0]}, "one of them"),
    ],
)
def test_bad_regions(values: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Region.from_dict(values)


def test_bad_masks_and_frames() -> None:
    with pytest.raises(UsageError, match="nothing inside"):
        Region.from_mask(np.zeros((2, 2), bool))
    with pytest.raises(UsageError, match="needs those of the frame"):
        Region(classes=(0,)).inside((2, 2))
    with pytest.raises(UsageError, match="one of them; got polygon and classes"):
        Region(polygon=((0, 0), (0, 1), (1, 0)), classes=(0,))
