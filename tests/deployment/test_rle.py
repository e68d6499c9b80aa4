"""Run lengths of masks, by hand and against pycocotools."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco

from segood.data.coco_masks import decode_counts
from segood.deployment.rle import decode_mask, encode_segment
from segood.errors import DataError


def box_of(mask: np.ndarray) -> tuple[int, int, int, int]:
    rows, cols = np.nonzero(mask)
    return int(rows.min()), int(cols.min()), int(rows.max()) + 1, int(cols.max()) + 1


def test_by_hand() -> None:
    # . 5 5      down the columns: . . | 5 5 | 5 .
    # . 5 .
    labels = np.array([[0, 5, 5], [0, 5, 0]])
    assert encode_segment(labels, 5, (0, 1, 2, 3)) == {"size": [2, 3], "counts": [2, 3, 1]}
    # the first pixel inside: no pixel outside before it; the last inside: none after it
    assert encode_segment(np.ones((2, 2), int), 1, (0, 0, 2, 2))["counts"] == [0, 4]
    assert encode_segment(np.array([[0, 0], [0, 1]]), 1, (1, 1, 2, 2))["counts"] == [3, 1]
    # another segment within the box is not part of it
    assert encode_segment(np.array([[1, 2], [2, 1]]), 1, (0, 0, 2, 2))["counts"] == [0, 1, 2, 1]


@given(arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_as_pycocotools_has_it(mask: np.ndarray) -> None:
    if not mask.any():
        return
    ours = encode_segment(mask.astype(np.int32) * 3, 3, box_of(mask))
    theirs = coco.encode(np.asfortranarray(mask, np.uint8))
    assert ours["size"] == theirs["size"]
    assert ours["counts"] == decode_counts(theirs["counts"].decode()).tolist()
    read = coco.frPyObjects(ours, *ours["size"])
    assert read["counts"] == theirs["counts"]
    assert coco.area(read) == mask.sum()
    np.testing.assert_array_equal(decode_mask(ours), mask)


def test_counts_that_do_not_cover_the_mask() -> None:
    with pytest.raises(DataError, match="run lengths add up to 5, the mask has 2×3 pixels"):
        decode_mask({"size": [2, 3], "counts": [2, 3]})
