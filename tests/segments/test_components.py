"""Labels, their order, and the boundary."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from segood.errors import UsageError
from segood.segments import boundary_mask, label_components

masks = st.tuples(st.integers(1, 9), st.integers(1, 12)).flatmap(lambda shape: arrays(np.bool_, shape))


def test_order_is_of_first_pixels_and_corners_connect() -> None:
    # . . 1 . 2      the left hook is met first in row 0 (its top right corner),
    # 1 1 . . 2      the right bar next; the lone pixel last
    # . . . 3 .  ->  here the pixel touches the bar's lower end: same segment
    mask = np.array(
        [[0, 0, 1, 0, 1], [1, 1, 0, 0, 1], [0, 0, 0, 1, 0], [0, 0, 0, 0, 0], [1, 0, 0, 0, 0]], bool
    )
    labels, count = label_components(mask)
    assert count == 3
    assert labels.dtype == np.int32
    assert labels.tolist() == [
        [0, 0, 1, 0, 2],
        [1, 1, 0, 0, 2],
        [0, 0, 0, 2, 0],
        [0, 0, 0, 0, 0],
        [3, 0, 0, 0, 0],
    ]


@given(masks)
@settings(max_examples=200)
def test_equal_to_scipy(mask: np.ndarray) -> None:
    labels, count = label_components(mask)
    expected, number = scipy.ndimage.label(mask, np.ones((3, 3)))  # also in order of first pixels
    assert count == number
    np.testing.assert_array_equal(labels, expected)
    assert labels.flags.c_contiguous


@given(masks)
@settings(max_examples=200)
def test_boundary_by_definition(mask: np.ndarray) -> None:
    boundary = boundary_mask(mask)
    padded = np.pad(~mask, 1)  # outside the image is nobody's neighbour
    for row, col in np.ndindex(mask.shape):
        assert boundary[row, col] == (mask[row, col] and padded[row : row + 3, col : col + 3].any())


def test_many_segments_keep_their_order() -> None:
    mask = np.zeros((400, 600), bool)
    mask[::2, ::2] = True
    labels, count = label_components(mask)
    assert count == 60000
    np.testing.assert_array_equal(labels[mask], np.arange(1, 60001))


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.zeros((2, 3), np.uint8), "`mask` must be a boolean array; got uint8"),
        (np.zeros((2, 3, 1), bool), r"`mask` must have shape \(H,W\).*got \(2, 3, 1\)"),
        (np.zeros((0, 3), bool), r"H and W at least 1; got \(0, 3\)"),
        ([[True]], "must be a boolean array; got list"),
    ],
)
def test_bad_masks(mask: object, message: str) -> None:
    for function in (label_components, boundary_mask):
        with pytest.raises(UsageError, match=message):
            function(mask)  # type: ignore[operator]
