"""Counts per bin: compiled and plain are equal to the pixel, for any input, layout and number of threads."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segood.compiled import kernels_enabled, set_num_threads
from segood.errors import UsageError
from segood.evaluation import counts as counts_module
from segood.evaluation.binned import numbers_of_bins, points_of_bins
from segood.evaluation.bins import BinLayout
from segood.evaluation.counts import BinCounts
from segood.evaluation.inputs import blocks, checked_arrays
from segood.evaluation.pixel import PixelMetrics

LAYOUTS = [
    BinLayout((0.0, 1.0), "log", 2**9),
    BinLayout((0.0, 1.0), "log", 2**16),
    BinLayout((0.0, 1.0), "log"),
    BinLayout((-3.0, 5.0), "log", 2**12),
    BinLayout((0.0, 1.0), "linear", 1000),
    BinLayout((0.0, 1.0), "linear"),
    BinLayout((-40.0, 7.3), "linear", 4097),
]
DTYPES = [np.float16, np.float32, np.float64, np.longdouble, np.int8, np.int64, np.uint16]


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """A context in which no kernel is used."""

    def off() -> None:
        monkeypatch.setenv("SEGOOD_KERNELS", "0")

    yield off
    monkeypatch.delenv("SEGOOD_KERNELS", raising=False)


def counted(layout: BinLayout, score: np.ndarray, target: np.ndarray) -> tuple[list, list] | None:
    counts = BinCounts(layout)
    if not counts.add(score, target):
        assert not any(kind.any() for kind in counts.totals())
        return None
    return tuple(kind.tolist() for kind in counts.totals())  # type: ignore[return-value]


def by_definition(layout: BinLayout, score: np.ndarray, target: np.ndarray) -> tuple[list, list]:
    score = score.astype(np.float32 if score.dtype == np.float16 else score.dtype)
    return tuple(  # type: ignore[return-value]
        np.bincount(layout.index(score[target == kind]), minlength=layout.num_bins).tolist()
        for kind in (0, 1)
    )


def special_scores(layout: BinLayout) -> list[float]:
    low, high = layout.range
    slack = 0.9e-6 * (high - low)
    edges = layout.lower_edges(np.unique(np.linspace(0, layout.num_bins - 1, 50).astype(int)))
    near = [np.nextafter(edges, -np.inf), edges, np.nextafter(edges, np.inf)]
    single = [np.nextafter(np.float32(e), d) for e in edges.astype(np.float32) for d in (-9.0, 9.0)]
    powers = low + (high - low) * 2.0 ** -np.arange(160)
    ends = [low, -0.0, 0.0, 1e-45, 2e-40, 2.0**-126, high, low - slack, high + slack]
    values = np.concatenate([*near, np.array(single, float), powers, ends])
    return [float(v) for v in values if low - slack <= v <= high + slack]


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_edges_ends_and_subnormals_fall_where_the_layout_says(layout: BinLayout, dtype: type) -> None:
    low, high = layout.range
    values = np.array(special_scores(layout))
    with np.errstate(over="ignore", under="ignore"):
        score = values.astype(dtype)
    score = score[(score >= low) & (score <= high)] if np.dtype(dtype).kind in "iu" else score
    slack = 1e-6 * (high - low)
    wide = score.astype(np.float64)
    score = score[(wide >= low - slack) & (wide <= low + (high - low) + slack)]
    target = np.arange(score.size) % 2
    assert counted(layout, score, target) == by_definition(layout, score, target)


@settings(max_examples=60)
@given(
    st.lists(st.floats(-0.5, 1.5, width=32), min_size=1, max_size=40),
    st.sampled_from(LAYOUTS),
    st.sampled_from([np.float16, np.float32, np.float64]),
    st.sampled_from([np.uint8, np.int64, np.int8, np.uint16]),
    st.integers(0, 2**32 - 1),
)
def test_compiled_and_plain_counts_are_equal(
    values: list[float], layout: BinLayout, dtype: type, kinds: type, seed: int
) -> None:
    score = np.array(values).astype(dtype)
    target = np.random.default_rng(seed).choice([0, 1, 255 if kinds != np.int8 else 1], score.size)
    target = target.astype(kinds)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEGOOD_KERNELS", "0")
        expected = counted(layout, score, target)
    assert counted(layout, score, target) == expected


FRAME = np.random.default_rng(1).random((60, 83))
LABELS = np.random.default_rng(2).choice([0, 0, 1, 255], FRAME.shape)


@pytest.mark.parametrize(
    ("score", "target"),
    [
        (FRAME[:, ::-1], LABELS[:, ::-1]),
        (FRAME[::2, 1::3], LABELS[::2, 1::3]),
        (np.asfortranarray(FRAME), LABELS),
        (FRAME.T, LABELS.T),
        (np.broadcast_to(FRAME[:1], FRAME.shape), LABELS),
        (FRAME.astype(">f8"), LABELS.astype(">i4")),
        (FRAME.astype(np.float32).astype("<f4"), LABELS.astype(np.uint8)),
        (FRAME[3, 4], LABELS[3, 4]),
        (FRAME > 0.5, LABELS == 1),
    ],
    ids=["flipped", "strided", "fortran", "transposed", "broadcast", "swapped", "plain", "scalar", "bool"],
)
@pytest.mark.parametrize("kernels", ["0", "1"])
def test_the_layout_in_memory_does_not_matter(
    score: np.ndarray, target: np.ndarray, kernels: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGOOD_KERNELS", kernels)
    score, target = np.asarray(score), np.asarray(target)
    score = score.astype(np.uint8) if score.dtype == bool else score
    layout = BinLayout((0.0, 1.0), "linear", 501)
    expected = by_definition(layout, np.array(score, np.float64).ravel(), np.array(target).ravel())
    assert counted(layout, score, target) == expected


def test_read_only_and_unaligned_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    layout = BinLayout((0.0, 1.0), "log", 2**12)
    fixed = FRAME.copy()
    fixed.flags.writeable = False
    raw = np.zeros(FRAME.size * 8 + 1, np.uint8)
    unaligned = raw[1:].view(np.float64).reshape(FRAME.shape)
    unaligned[:] = FRAME
    expected = counted(layout, FRAME, LABELS)
    assert counted(layout, fixed, LABELS) == counted(layout, unaligned, LABELS) == expected


def test_tensors_in_any_precision_count_as_what_they_hold() -> None:
    layout = BinLayout((0.0, 1.0), "linear", 777)
    for dtype in (torch.bfloat16, torch.float16, torch.float32):
        tensor = torch.from_numpy(FRAME).to(dtype)
        arrays = checked_arrays(tensor, torch.from_numpy(LABELS), "")
        assert counted(layout, *arrays) == by_definition(layout, tensor.double().numpy(), LABELS)


def test_bins_that_pass_256_and_65536_pixels() -> None:
    counts = BinCounts(BinLayout((0.0, 1.0), "linear", 10))
    score = np.repeat(np.array([0.05, 0.55, 0.95], np.float32), [255, 256, 200_001])
    target = np.zeros(score.size, np.uint8)
    target[-70_000:] = 1
    assert counts.add(score, target)
    assert counts.add(score, target)
    num_in, num_ood = counts.totals()
    assert num_in.tolist() == [510, 0, 0, 0, 0, 512, 0, 0, 0, 260_002]
    assert num_ood.tolist() == [0] * 9 + [140_000]


@pytest.mark.parametrize("threads", [1, 2, 3, 9])
def test_the_number_of_threads_does_not_matter(threads: int) -> None:
    rng = np.random.default_rng(3)
    score = rng.beta(1, 30, 2_500_000).astype(np.float32)
    target = (rng.random(score.size) < 0.1).astype(np.uint8)
    layout = BinLayout((0.0, 1.0), "log", 2**12)
    counts = BinCounts(layout)
    set_num_threads(threads)
    counts.add(score, target)
    numbers = numbers_of_bins(counts)
    set_num_threads(None)
    assert tuple(kind.tolist() for kind in counts.totals()) == by_definition(layout, score, target)
    assert numbers == numbers_of_bins(counts)


@pytest.mark.parametrize("position", [0, 700_000, 2_100_000, 4_999_999])
@pytest.mark.parametrize("bad", ["nan", "above", "label"])
@pytest.mark.parametrize("view", [True, False], ids=["contiguous", "copied"])
def test_a_bad_pixel_anywhere_leaves_all_counts_alone(position: int, bad: str, view: bool) -> None:
    rng = np.random.default_rng(4)
    score = rng.random(5_000_000, np.float32)
    target = (rng.random(score.size) < 0.1).astype(np.uint8)
    metrics = PixelMetrics(num_bins=2**10)  # 5 M pixels on 1024 bins: every byte wraps many times
    metrics.update(score, target)
    before = metrics.state_dict()
    if bad == "label":
        target[position] = 254
    else:
        score[position] = np.nan if bad == "nan" else 1.5
    if not view:
        score, target = score.reshape(2, -1)[:, ::-1], target.reshape(2, -1)[:, ::-1]
    set_num_threads(2)
    with pytest.raises(UsageError, match=r"frame 7: .*(NaN at 1 counted|found 1.5|found 254)"):
        metrics.update(score, target, name="7")
    after = metrics.state_dict()
    np.testing.assert_array_equal(before["num_in"], after["num_in"])
    np.testing.assert_array_equal(before["num_ood"], after["num_ood"])


def test_all_missing_scores_of_a_frame_are_told() -> None:
    score = np.full((2000, 1000), 0.5, np.float32)
    score[::2] = np.nan
    with pytest.raises(UsageError, match="frame a: `score` holds NaN at 1000000 counted pixels"):
        PixelMetrics(num_bins=512).update(score, np.zeros(score.shape, np.uint8), "a")


def test_wide_targets_do_not_alias_labels() -> None:
    # 256 = 0 and 257 = 1 modulo 256; -1 would be 255, ignore.
    for label in (256, 257, -1, 2**40 + 1):
        with pytest.raises(UsageError, match=f"must hold 0, 1 or 255.*found {label}"):
            PixelMetrics(num_bins=512).update(np.array([0.5, 0.5]), np.array([0, label]))
    with pytest.raises(UsageError, match="found -1"):
        PixelMetrics(num_bins=512).update(np.array([0.5]), np.array([-1], np.int8))


def test_merging_counts_carries() -> None:
    layout = BinLayout((0.0, 1.0), "linear", 3)
    first, second = BinCounts(layout), BinCounts(layout)
    first.add(np.full(200, 0.1), np.zeros(200, int))
    second.add(np.full(1000, 0.1), np.ones(1000, int))
    second.add(np.full(300, 0.1), np.zeros(300, int))
    first.merge(second)
    assert [kind.tolist() for kind in first.totals()] == [[500, 0, 0], [1000, 0, 0]]
    assert [kind.tolist() for kind in second.totals()] == [[300, 0, 0], [1000, 0, 0]]


def test_counts_far_beyond_32_bits() -> None:
    layout = BinLayout((0.0, 1.0), "linear", 4)
    counts = BinCounts(layout)
    huge = np.array([3, 2**41 + 7, 0, 2**50])
    counts.replace(huge, huge[::-1].copy())
    counts.add(np.full(1000, 0.3, np.float32), np.zeros(1000, np.uint8))
    counts.merge(counts)
    num_in, num_ood = counts.totals()
    assert num_in.tolist() == [6, 2 * (2**41 + 1007), 0, 2**51]
    assert num_ood.tolist() == (2 * huge[::-1]).tolist()
    assert numbers_of_bins(counts).num_in == num_in.sum()


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("ood", [0.0, 0.001, 0.5, 1.0])
def test_compiled_metrics_bounds_and_points_equal_the_plain_ones(
    layout: BinLayout, ood: float, plain: object
) -> None:
    if not kernels_enabled():
        pytest.skip("no Numba here: there is only the plain form")
    rng = np.random.default_rng(5)
    low, high = layout.range
    score = low + (high - low) * rng.beta(1, 6, 300_000)
    counts = BinCounts(layout)
    counts.add(score, rng.random(score.size) < ood)
    compiled, points = numbers_of_bins(counts), points_of_bins(counts)
    plain()  # type: ignore[operator]
    expected, expected_points = numbers_of_bins(counts), points_of_bins(counts)
    for name in ("thresholds", "tp", "fp"):
        np.testing.assert_array_equal(getattr(points, name), getattr(expected_points, name))
    assert (compiled.num_in, compiled.num_ood) == (expected.num_in, expected.num_ood)
    if expected.auroc is None:
        assert compiled.auroc is None
        return
    assert compiled.fpr95 == expected.fpr95
    assert compiled.auroc == pytest.approx(expected.auroc, abs=1e-13)
    assert compiled.average_precision == pytest.approx(expected.average_precision, abs=1e-13)
    assert compiled.error_bound == pytest.approx(expected.error_bound, abs=1e-13)


def test_blocks_are_views_where_they_can_be() -> None:
    score, target = FRAME.astype(np.float32), LABELS.astype(np.uint8)
    (some, kinds), *others = blocks(score, target)
    assert not others
    assert np.shares_memory(some, score)
    assert np.shares_memory(kinds, target)


def test_state_stays_below_64_mb_for_up_to_2_22_bins() -> None:
    for bins in (2**21, 2**22):
        counts = BinCounts(BinLayout((0.0, 1.0), "linear", bins))
        assert counts.low.nbytes + counts.high.nbytes < 64e6
        assert len(counts.low) >= 2


def test_frames_may_be_counted_from_another_thread() -> None:
    metrics = PixelMetrics(num_bins=512)
    thread = threading.Thread(target=metrics.update, args=(FRAME, LABELS))
    thread.start()
    thread.join()
    assert metrics.state_dict()["num_in"].sum() == (LABELS == 0).sum()


def test_the_trash_entries_are_as_many_in_both_forms() -> None:
    if not kernels_enabled():
        pytest.skip("no Numba here")
    from segood.evaluation import pixel_kernels

    assert pixel_kernels.TRASH == counts_module._TRASH


def test_a_long_stream_counts_every_pixel_in_the_memory_of_the_first_frame() -> None:
    rng = np.random.default_rng(6)
    score = rng.beta(1, 8, 2**20).astype(np.float32)
    target = (rng.random(score.size) < 0.02).astype(np.uint8)
    metrics = PixelMetrics()
    metrics.update(score, target)
    once = metrics.state_dict()
    tables = metrics._counts.low, metrics._counts.high
    for _ in range(99 if kernels_enabled() else 2):
        metrics.update(score, target)
    times = 100 if kernels_enabled() else 3
    assert metrics._counts.low is tables[0]
    assert metrics._counts.high is tables[1]
    state = metrics.state_dict()
    np.testing.assert_array_equal(state["num_in"], times * once["num_in"])
    np.testing.assert_array_equal(state["num_ood"], times * once["num_ood"])


def test_metrics_and_curves_of_two_million_filled_bins_take_no_time() -> None:
    counts = np.arange(2**21) % 7 + 1
    metrics = PixelMetrics()
    metrics.load_state_dict(metrics.state_dict() | {"num_in": counts, "num_ood": counts[::-1].copy()})
    metrics.to_result(model="m", dataset="d", score="s")
    start = time.process_time()
    result = metrics.to_result(model="m", dataset="d", score="s")
    assert time.process_time() - start < 5.0  # 0.1 s on two idle cores
    assert result.roc is not None
    assert len(result.roc.x) <= 1000
    assert result.fpr95 in result.roc.x
