"""Counts per score: by hand, against scikit-learn, and both ways of counting against each other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from segood.errors import UndefinedMetricError, UsageError
from segood.evaluation import curves
from segood.evaluation.level_codes import LevelCodes
from segood.evaluation.score_codes import HalfCodes, as_half, count_codes
from segood.evaluation.score_counts import ScoreCounts
from segood.evaluation.score_levels import MAX_LEVELS, LevelLearner, level_bounds
from segood.evaluation.smiyc import smiyc_segment_metrics

# score   -1.0  0.0  -0.0   2.0   2.0   nan
# target     0    1     0     1     0    255      the zeros are one score
SCORE = np.array([[-1.0, 0.0, -0.0, 2.0, 2.0, np.nan]], np.float16)
TARGET = np.array([[0, 1, 0, 1, 0, 255]], np.uint8)


def maps(rng: np.random.Generator, dtype: type = np.float16, shape: tuple[int, int] = (40, 60)) -> tuple:
    """Ties, negative numbers, zeros of both signs, a third kind of label."""
    score = rng.normal(0, 2, shape).astype(dtype)
    score[rng.random(shape) < 0.2] = 0.0
    score[rng.random(shape) < 0.1] = -0.0
    score[rng.random(shape) < 0.1] = 1.5
    target = rng.choice(np.array([0, 1, 255], np.uint8), shape, p=[0.7, 0.2, 0.1])
    score[target == 1] += dtype(0.5)
    return score, target


def reference(score: np.ndarray, target: np.ndarray) -> list[float]:
    kept = target != 255
    truth, values = target[kept], score[kept].astype(np.float64)
    fpr, tpr, _ = roc_curve(truth, values, drop_intermediate=False)
    return [
        roc_auc_score(truth, values),
        average_precision_score(truth, values),
        float(fpr[np.argmax(tpr >= 0.95)]),
    ]


def found(counts: ScoreCounts) -> list[float | None]:
    return [getattr(counts.numbers(), name) for name in curves.METRICS]


@pytest.fixture(params=["1", "0"], ids=["kernels", "plain"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SEGOOD_KERNELS", request.param)
    return


def test_by_hand(either_way: None) -> None:
    for dtype in (np.float16, np.float32, np.float64):
        counts = ScoreCounts.of(SCORE.astype(dtype), TARGET)
        assert counts.scores.tolist() == [-1, 0, 2]
        assert counts.num_in.tolist() == [1, 1, 1]
        assert counts.num_ood.tolist() == [0, 1, 1]
        # pairs: OoD 0.0 wins against -1, ties 0; OoD 2 wins against two, ties 2: 1.5 + 2.5 of 6
        assert counts.numbers().auroc == pytest.approx(4 / 6)
        # recall 1/2 at precision 1/2, then 1 at 2/4
        assert counts.numbers().average_precision == pytest.approx(0.5)
        assert counts.numbers().fpr95 == pytest.approx(2 / 3)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_equal_to_scikit_learn(dtype: type, either_way: None) -> None:
    rng = np.random.default_rng(3)
    pairs = [maps(rng, dtype) for _ in range(3)]
    counts = ScoreCounts.of(*pairs[0]) + ScoreCounts.of(*pairs[1]) + ScoreCounts.of(*pairs[2])
    score, target = (np.concatenate([pair[i] for pair in pairs]) for i in range(2))
    assert found(counts) == pytest.approx(reference(score, target), abs=1e-12)
    assert counts.exact
    assert counts.dtype == dtype
    backwards = ScoreCounts.of(*pairs[2]) + (ScoreCounts.of(*pairs[1]) + ScoreCounts.of(*pairs[0]))
    assert found(backwards) == found(counts)


@given(
    st.tuples(st.integers(1, 6), st.integers(1, 7)).flatmap(
        lambda shape: st.tuples(
            arrays(np.float16, shape, elements=st.floats(width=16)),
            arrays(np.uint8, shape, elements=st.sampled_from([0, 1, 255, 255, 7])),
        )
    )
)
@settings(max_examples=150)
def test_kernel_counts_as_the_plain_way(pair: tuple[np.ndarray, np.ndarray]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        fast = HalfCodes().count(*pair)
        patch.setenv("SEGOOD_KERNELS", "0")
        plain = HalfCodes().count(*pair)
        assert (fast is None) == (plain is None)
        if fast is None or plain is None:
            kept = pair[1] != 255
            assert (pair[1] == 7).any() or not np.isfinite(pair[0][kept]).all()
            return
        again = count_codes(plain[0], pair[1] == 1)
    for a, b in zip(fast, plain, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(again, plain[1])
    np.testing.assert_array_equal(count_codes(plain[0], pair[1] == 1), plain[1])


def test_codes_rise_with_the_scores() -> None:
    bits = np.arange(2**16, dtype=np.uint16).view(np.float16)
    numbers = np.sort(bits[np.isfinite(bits)])[None]
    counted = HalfCodes().count(numbers, np.zeros(numbers.shape, np.uint8))
    assert counted is not None
    codes = counted[0][0].astype(int)
    assert (np.diff(codes) >= 0).all()
    assert (np.diff(codes) == 0).sum() == 1  # the zeros
    np.testing.assert_array_equal(HalfCodes().values[codes], numbers[0].astype(np.float64))


def test_a_view_and_a_read_only_map_count_the_same() -> None:
    score, target = maps(np.random.default_rng(0))
    turned = ScoreCounts.of(score.T, target.T)
    score.flags.writeable = False
    assert found(ScoreCounts.of(score, target)) == found(turned)
    other_order = score.astype(">f2"), target.astype(np.int64)
    assert found(ScoreCounts.of(*other_order)) == found(turned)


def test_best_threshold_is_that_of_the_segment_metrics() -> None:
    rng = np.random.default_rng(5)
    for dtype in (np.float16, np.float32):
        for _ in range(20):
            score, target = maps(rng, dtype, (6, 8))
            target[0, 0] = 1
            sizes = {"min_segment_size": 1, "min_instance_size": 1}
            whole = smiyc_segment_metrics(score, target, **sizes)
            assert ScoreCounts.of(score, target).best_f1_threshold() == whole.threshold
    everything = np.array([[0.5, 0.5]], np.float16), np.array([[1, 0]], np.uint8)
    lower = ScoreCounts.of(*everything).best_f1_threshold()
    assert lower == np.nextafter(np.float16(0.5), np.float16(-1))
    with pytest.raises(UndefinedMetricError, match="no frame has an OoD pixel; give `threshold`"):
        ScoreCounts.of(everything[0], np.zeros((1, 2), np.uint8)).best_f1_threshold()


def test_distribution() -> None:
    rng = np.random.default_rng(0)
    target = np.zeros((50, 100), np.uint8)
    target[0] = 1
    unit = ScoreCounts.of(rng.random((50, 100)).astype(np.float16), target).distribution(10)
    assert (unit.edges[0], unit.edges[-1]) == (0.0, 1.0)
    assert (sum(unit.in_distribution), sum(unit.ood)) == (4900, 100)
    narrow = ScoreCounts.of((0.01 * rng.random((50, 100))).astype(np.float16), target)
    assert narrow.default_range()[1] <= 0.01
    wide = rng.normal(size=(50, 100)).astype(np.float32)
    wide[3, :2] = [-1e6, 1e6]  # two pixels of 4,900 must not decide the picture
    counts = ScoreCounts.of(wide, target)
    low, high = counts.default_range()
    assert -5 < low < -2 < 2 < high < 5
    shown = counts.distribution(20)
    assert (sum(shown.in_distribution), sum(shown.ood)) == (4900, 100)
    chosen = counts.distribution(4, range=(-1.0, 1.0))
    assert chosen.edges == [-1, -0.5, 0, 0.5, 1]
    assert sum(chosen.in_distribution) == 4900
    constant = ScoreCounts.of(np.full((50, 100), 3.0), target)
    assert constant.default_range() == (2.5, 3.5)
    with pytest.raises(UsageError, match="`num_bins` must be at least 1 and `range` rise"):
        counts.distribution(0)


def learned(frames: list[tuple[np.ndarray, np.ndarray]], threshold: float | None = None) -> LevelCodes:
    learner = LevelLearner()
    for frame in frames:
        learner.update(*frame)
    return learner.codes(threshold)


def counted(codes: LevelCodes, frames: list[tuple[np.ndarray, np.ndarray]]) -> ScoreCounts:
    tables = [codes.count(*frame) for frame in frames]
    return ScoreCounts.of_table(sum(table for _, table in tables), codes)  # type: ignore[misc, arg-type]


def test_few_wide_scores_stay_exact() -> None:
    rng = np.random.default_rng(2)
    frames = [(np.float32(0.1) * rng.integers(-9, 9, (20, 30)), maps(rng, shape=(20, 30))[1]) for _ in "ab"]
    frames[1][0][frames[1][1] == 255] = np.nan  # ignored pixels may hold anything
    assert as_half(frames[0][0]) is None
    codes = learned(frames)
    assert codes.exact
    score, target = (np.concatenate([frame[i] for frame in frames]) for i in range(2))
    score[target == 255] = 0
    assert found(counted(codes, frames)) == pytest.approx(reference(score, target), abs=1e-12)


def test_many_wide_scores_are_bounded() -> None:
    rng = np.random.default_rng(2)
    frames = [maps(rng, np.float64, (300, 400)) for _ in range(2)]
    codes, turned = learned(frames, 0.25), learned(frames[::-1], 0.25)
    np.testing.assert_array_equal(codes.cuts, turned.cuts)  # the order of frames does not matter
    assert not codes.exact
    assert len(codes.cuts) <= MAX_LEVELS
    counts = counted(codes, frames)
    truth = reference(*(np.concatenate([frame[i] for frame in frames]) for i in range(2)))
    bounds = counts.numbers().error_bound
    for name, value, wanted in zip(curves.METRICS, found(counts), truth, strict=True):
        assert abs(value - wanted) <= bounds[name] < 1e-4  # type: ignore[operator]
    # ties of many pixels have levels of their own, and a cut lies at the threshold
    assert {0.0, 1.5} <= set(codes.cuts.tolist())
    assert np.nextafter(0.25, 1) in codes.cuts
    at = np.searchsorted(counts.scores, 0.0)
    zeros = sum(int(((s == 0) & (t == 0)).sum()) for s, t in frames)
    assert counts.num_in[at] == zeros


@pytest.mark.parametrize(
    ("score", "target", "message"),
    [
        (SCORE[0], TARGET[0], r"frame a: `score` must be a float map \(H,W\)"),
        (SCORE > 0, TARGET, r"must be a float map \(H,W\); got bool"),
        (
            SCORE,
            TARGET[:, :4],
            r"frame a: score map is 6x1 but its labels are 4x1 .* at the size of the labels",
        ),
        (SCORE, TARGET * 0, r"frame a: `score` holds NaN at 1 counted pixels"),
        (SCORE, TARGET + 2, r"must hold 0, 1 or 255 .* found 2"),
        (SCORE, TARGET.astype(int) + 300, r"must hold 0, 1 or 255 .* found 300"),
        (
            np.where(TARGET == 1, np.float16(np.inf), SCORE),
            TARGET,
            "infinite at 2 counted .* float16 ends at 65504",
        ),
        (np.where(TARGET == 1, np.float32(-np.inf), 0.1), TARGET, "`score` must be finite at counted pixels"),
        (SCORE, TARGET.astype(float), "`target` must hold integers"),
    ],
)
def test_bad_input(score: np.ndarray, target: np.ndarray, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ScoreCounts.of(score, target, "a")


def test_bounds_of_levels() -> None:
    rng = np.random.default_rng(0)
    points = curves.OperatingPoints.from_counts(
        np.arange(50.0), rng.integers(0, 9, 50) + 1, rng.integers(0, 4, 50)
    )
    no_ties, all_ties = np.zeros(50, bool), np.ones(50, bool)
    assert level_bounds(points, no_ties) == pytest.approx(curves.error_bounds(points), abs=1e-15)
    assert level_bounds(points, all_ties) == dict.fromkeys(curves.METRICS, curves.ROUNDING)


def test_levels_do_not_add_up() -> None:
    frames = [maps(np.random.default_rng(0), np.float64, (300, 400))]
    levels = counted(learned(frames), frames)
    with pytest.raises(UsageError, match="only exact counts add up"):
        levels + levels


@given(
    arrays(np.float32, st.integers(1, 40), elements=st.floats(-9, 9, width=32), unique=True),
    arrays(np.float32, 60, elements=st.floats(-10, 10, width=32)),
    st.sampled_from([1.0, 1e-30, 1e30]),
)
@settings(max_examples=150)
def test_levels_are_found_as_by_search(cuts: np.ndarray, scores: np.ndarray, unit: float) -> None:
    cuts, scores = np.sort(cuts) * np.float32(unit), scores * np.float32(unit)
    scores[: len(cuts)] = cuts[:60]
    cuts = np.unique(cuts)
    for dtype in (np.float32, np.float64):
        codes = LevelCodes(cuts.astype(dtype), exact=True)._find(scores[None].astype(dtype))
        np.testing.assert_array_equal(codes[0], np.searchsorted(cuts, scores, side="right"))
