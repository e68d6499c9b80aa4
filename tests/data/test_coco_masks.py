"""Run lengths and areas against hand-derived values and pycocotools."""

from __future__ import annotations

from array import array

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from segood.data.coco_json import JsonRuleError, decode_streaming
from segood.data.coco_masks import RunLengths, decode_counts, object_mask, segmentation_area

coco = pytest.importorskip("pycocotools.mask")


@given(arrays(np.bool_, st.tuples(st.integers(1, 40), st.integers(1, 40))))
@settings(max_examples=60)
def test_compressed_runs_decode_like_the_reference(mask: np.ndarray) -> None:
    runs = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    counts = decode_counts(runs["counts"].decode())
    decoded = object_mask([RunLengths(*mask.shape, counts)], *mask.shape)
    np.testing.assert_array_equal(decoded, mask)
    assert segmentation_area(RunLengths(*mask.shape, counts)) == mask.sum()


def test_long_runs() -> None:
    mask = np.zeros((700, 900), np.uint8, order="F")
    mask[3:690, 4:800] = 1
    counts = decode_counts(coco.encode(mask)["counts"].decode())
    np.testing.assert_array_equal(object_mask([RunLengths(700, 900, counts)], 700, 900), mask.astype(bool))


@pytest.mark.parametrize("text", [" ", "\x7f", "P", "PPPPPPPPPPPPPPPPPPPPPPP0", "é"])
def test_text_that_is_no_run_lengths(text: str) -> None:
    with pytest.raises(ValueError, match="run lengths"):
        decode_counts(text)


def test_polygon_area_is_the_shoelace_sum() -> None:
    triangle, square = array("d", [0, 0, 4, 0, 0, 3]), array("d", [10, 10, 12, 10, 12, 12, 10, 12])
    assert segmentation_area((triangle, square)) == 6 + 4


def test_no_segmentation_is_an_empty_mask() -> None:
    assert not object_mask([], 3, 4).any()
    assert not object_mask([()], 3, 4).any()


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        '{"a": []}',
        ' {"x": 1, "a": [1, [2], {"b": 3}] , "y": null} ',
        '{"a": {"b": 1}}',
        '{"a": [[]], "a": [1]}',
    ],
)
def test_streaming_reads_what_json_reads(text: str) -> None:
    import json

    elements: list[object] = []
    members = decode_streaming(text, "a", elements.append)
    expected = json.loads(text)
    if isinstance(expected.get("a"), list):
        assert elements[len(elements) - len(expected["a"]) :] == expected["a"]
        expected["a"] = []
    assert members == expected


@pytest.mark.parametrize(
    "text",
    ["", "{", '{"a"', '{"a" 1}', '{"a": [1,]}', '{"a": [1 2]}', '{"a": [1', '{"b": 1,}', "{1: 2}", "{} {}"],
)
def test_streaming_refuses_what_json_refuses(text: str) -> None:
    with pytest.raises((ValueError, JsonRuleError), match=r"Expecting|expecting|extra data|must hold one"):
        decode_streaming(text, "a", lambda element: None)
