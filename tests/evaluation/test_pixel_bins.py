"""Bin layouts: rising, complete, equal for every dtype, edges that invert the index."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segood.errors import UsageError
from segood.evaluation.bins import BinLayout

LAYOUTS = [
    BinLayout((0.0, 1.0), "log", 2**12),
    BinLayout((0.0, 1.0), "log"),
    BinLayout((-3.0, 5.0), "log", 2**12),
    BinLayout((0.0, 1.0), "linear", 1000),
    BinLayout((-40.0, 7.5), "linear", 2**12),
]


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_the_index_never_falls_when_the_score_rises(layout: BinLayout) -> None:
    low, high = layout.range
    rng = np.random.default_rng(0)
    tiny = np.exp(rng.uniform(-100, 0, 20_000))
    scores = np.sort(low + (high - low) * np.concatenate([[0.0, 1.0], rng.random(20_000), tiny]))
    index = layout.index(scores)
    assert (np.diff(index) >= 0).all()
    assert index[0] == 0
    assert index[-1] < layout.num_bins


@pytest.mark.parametrize("layout", [x for x in LAYOUTS if x.range != (-3.0, 5.0)], ids=str)
def test_each_lower_edge_is_the_first_score_of_its_bin(layout: BinLayout) -> None:
    bins = np.unique(np.linspace(0, layout.num_bins - 1, 4096).astype(int))
    bins = bins[bins < layout.index(np.array([layout.range[1]]))[0] + 1]
    edges = layout.lower_edges(bins)
    assert (np.diff(edges) > 0).all()
    np.testing.assert_array_equal(layout.index(np.nextafter(edges, np.inf)), bins)
    if layout.range == (0.0, 1.0) and layout.spacing == "log":
        np.testing.assert_array_equal(layout.index(edges), bins)
        np.testing.assert_array_equal(edges, edges.astype(np.float32))


def test_log_layout_by_hand() -> None:
    # 2^9 bins: one for [0, 2^-126), one per octave up to 2^-25 (101 of them), 8 per octave up to
    # 2^-4 (21 octaves), then 16 per 1/16 up to 1.
    layout = BinLayout((0.0, 1.0), "log", 2**9)
    scores = np.array(
        [0.0, 2.0**-127, 2.0**-126, 2.0**-125, 2.0**-25, 2.0**-24, 2.0**-4, 2.0**-4 + 1 / 256, 1.0]
    )
    fine = 1 + 101 + 8 * 21
    expected = [0, 0, 1, 2, 102, 110, fine, fine + 1, fine + 16 * 15 - 1]
    assert layout.index(scores).tolist() == expected
    assert layout.index(scores.astype(np.float32)).tolist() == expected


@settings(max_examples=200)
@given(st.floats(0, 1, width=32), st.sampled_from(LAYOUTS))
def test_equal_values_of_any_dtype_share_a_bin(value: float, layout: BinLayout) -> None:
    single, double = np.array([value], np.float32), np.array([value], np.float64)
    assert layout.index(single)[0] == layout.index(double)[0]


def test_zero_has_a_sign_but_one_bin() -> None:
    assert LAYOUTS[0].index(np.array([0.0, -0.0], np.float32)).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((1.0, 0.0), "log"), "`range` must be finite with low < high"),
        (((0.0, float("inf")), "log"), "`range` must be finite"),
        (((-1e308, 1e308), "linear"), "`range` must be finite with low < high, its width too"),
        ((1.0, "log"), "`range` must be two numbers"),
        (((0.0, 1.0), "logarithmic"), "`spacing` must be one of linear, log"),
        (((0.0, 1.0), "log", 1000), "power of two"),
        (((0.0, 1.0), "linear", 1), "`num_bins` must lie in"),
    ],
)
def test_impossible_layouts_are_refused(arguments: tuple, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        BinLayout(*arguments)
