"""The second pass: equal to scikit-learn on all pixels, in any memory, and only for the very same frames."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

from segood.errors import UndefinedMetricError, UsageError
from segood.evaluation.bins import BinLayout
from segood.evaluation.distinct import DistinctScores, GapCounts
from segood.evaluation.exact import resolve
from segood.evaluation.pixel import PixelMetrics
from segood.evaluation.report import pixel_report

SMALL = 2**9
LEAST = 2**16
Frame = tuple[np.ndarray, np.ndarray, str]


def frames_of(score: np.ndarray, target: np.ndarray, number: int = 4) -> list[Frame]:
    pairs = zip(np.array_split(score, number), np.array_split(target, number), strict=True)
    return [(s, t, f"frame {i}") for i, (s, t) in enumerate(pairs)]


def refined(frames: list[Frame], memory: int = 2**24, **options: object) -> PixelMetrics:
    metrics = PixelMetrics(exact=True, **{"num_bins": SMALL, **options})  # type: ignore[arg-type]
    for frame in frames:
        metrics.update(*frame)
    metrics.refine(frames, memory=memory)
    return metrics


def reference(score: np.ndarray, target: np.ndarray) -> tuple[float, float, float]:
    score, target = score[target != 255].astype(np.float64), target[target != 255]
    fpr, tpr, _ = roc_curve(target, score, drop_intermediate=False)
    return (
        roc_auc_score(target, score),
        average_precision_score(target, score),
        float(fpr[np.argmax(tpr >= 0.95)]),
    )


def numbers(metrics: PixelMetrics) -> tuple[float | None, float | None, float | None]:
    report = metrics.compute()
    return report.auroc, report.average_precision, report.fpr95


def bell(size: int = 60_000, ood: float = 0.05, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    target = (rng.random(size) < ood).astype(np.uint8)
    score = np.clip(rng.normal(0.5 + 0.05 * target, 0.02), 0, 1).astype(np.float32)
    target[rng.random(size) < 0.1] = 255
    return score, target


CASES = {
    "bell": bell(),
    "balanced": bell(ood=0.5),
    "mostly OoD": bell(ood=0.97),
    "tied": (np.random.default_rng(1).integers(0, 40, 5000) / 4096 + 0.5, bell(5000)[1]),
    "constant": (np.full(1000, 0.3), bell(1000, 0.3)[1]),
    "saturated": (np.round(bell()[0] * 8 - 3.5).clip(0, 1), bell()[1]),
    "one bin": (0.5 + bell(3000)[0] * 1e-4, bell(3000, 0.2)[1]),
    "beyond the end": (np.r_[1.0, 1 + 5e-7, 1 + 2e-7, -5e-7, 0.0], np.array([0, 1, 0, 0, 1])),
    "integers": (np.random.default_rng(2).integers(0, 2, 500), bell(500, 0.4)[1]),
    "half": (bell()[0].astype(np.float16), bell()[1]),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("memory", [LEAST, 2**24])
@pytest.mark.parametrize("spacing", ["linear", "log"])
@pytest.mark.parametrize("kernels", ["0", "1"])
def test_equal_to_scikit_learn_on_all_pixels(
    case: str, memory: int, spacing: str, kernels: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGOOD_KERNELS", kernels)
    score, target = CASES[case]
    metrics = refined(frames_of(score, target), memory, spacing=spacing)
    assert numbers(metrics) == pytest.approx(reference(score, target), abs=1e-12)
    assert max(metrics.compute().error_bound.values()) <= 1e-12
    assert metrics.compute().warnings == ()


@settings(max_examples=150)
@given(st.data(), st.integers(2, 60), st.sampled_from(["log", "linear"]))
def test_equal_to_scikit_learn_in_heavy_bins(data: st.DataObject, size: int, spacing: str) -> None:
    value = st.integers(0, 12).map(lambda i: 0.5 + i / 2048)
    score = np.array(data.draw(st.lists(value, min_size=size, max_size=size)))
    target = np.array(data.draw(st.lists(st.sampled_from([0, 1, 255]), min_size=size, max_size=size)))
    target[:2] = [0, 1]
    metrics = refined(frames_of(score, target, 2), spacing=spacing)
    assert numbers(metrics) == pytest.approx(reference(score, target), abs=1e-12)
    precision, recall, thresholds = precision_recall_curve(target[target != 255], score[target != 255])
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-300)
    best = metrics.best_f1()
    assert best.f1 == pytest.approx(f1.max())
    report = pixel_report(score, target)
    assert (report.auroc, report.average_precision) == pytest.approx(numbers(metrics)[:2], abs=1e-12)
    del thresholds


def test_ties_among_ood_pixels_alone_matter_to_average_precision() -> None:
    # One bin holds three OoD pixels, an in-distribution pixel lies above.
    #   scores .9(in) | .5000 .5001 .5002 (OoD): precisions 1/2, 2/3, 3/4; all tied: 3/4 three times
    score = np.array([0.9, 0.5, 0.5001, 0.5002])
    target = np.array([0, 1, 1, 1])
    binned = PixelMetrics(num_bins=SMALL, spacing="linear")
    binned.update(score, target)
    assert binned.compute().average_precision == pytest.approx(3 / 4)
    exact = refined([(score, target, "a")], spacing="linear")
    assert exact.compute().average_precision == pytest.approx((1 / 2 + 2 / 3 + 3 / 4) / 3)


def test_a_small_memory_takes_more_passes_for_the_same_result() -> None:
    score, target = bell()
    frames = frames_of(score, target)
    metrics = PixelMetrics(num_bins=SMALL, exact=True)
    for frame in frames:
        metrics.update(*frame)
    one, many = (resolve(metrics._counts, frames, memory) for memory in (2**24, LEAST))
    assert (one.num_passes, many.num_passes > 3) == (1, True)
    assert many.fpr95 == one.fpr95
    assert many.best_f1 == one.best_f1
    assert many.numbers.auroc == pytest.approx(one.numbers.auroc, abs=1e-13)
    assert many.numbers.average_precision == pytest.approx(one.numbers.average_precision, abs=1e-13)


def test_frames_come_from_a_list_a_function_or_once_from_an_iterator() -> None:
    score, target = bell()
    frames = frames_of(score, target)
    metrics = refined(frames)
    expected = numbers(metrics)
    calls = []

    def again() -> Iterator[Frame]:
        calls.append(1)
        yield from frames

    metrics.refine(again, memory=LEAST)
    assert len(calls) > 3
    assert numbers(metrics) == pytest.approx(expected, abs=1e-13)
    metrics.refine((s, t) for s, t, _ in reversed(frames))
    assert numbers(metrics) == expected
    with pytest.raises(UsageError, match="`frames` can be read only once, and `memory` is too small"):
        metrics.refine(iter(frames), memory=LEAST)
    assert numbers(metrics) == expected


def test_best_f1_and_curves_are_exact_operating_points() -> None:
    score, target = bell()
    metrics = refined(frames_of(score, target))
    counted = target != 255
    precision, recall, thresholds = precision_recall_curve(target[counted], score[counted])
    f1 = (2 * precision * recall / np.maximum(precision + recall, 1e-300))[:-1]
    best = metrics.best_f1()
    assert best.f1 == pytest.approx(f1.max())
    assert best.threshold == thresholds[np.argmax(f1)]
    fpr, tpr, _ = roc_curve(target[counted], score[counted], drop_intermediate=False)
    for max_points in (20, 10**6):
        roc, pr = metrics.roc_curve(max_points), metrics.pr_curve(max_points)
        assert {(round(x, 12), round(y, 12)) for x, y in zip(roc.x, roc.y, strict=True)} <= {
            (round(x, 12), round(y, 12)) for x, y in zip(fpr, tpr, strict=True)
        }
        assert metrics.compute().fpr95 in roc.x
        assert best.threshold in pr.thresholds
        assert (best.recall, best.precision) in set(zip(pr.x, pr.y, strict=True))
        for curve in (roc, pr):
            assert (np.diff(curve.thresholds) < 0).all()
        at = roc.x.index(metrics.compute().fpr95)
        assert (score[counted & (target == 1)] >= roc.thresholds[at]).mean() == pytest.approx(roc.y[at])


def test_one_kind_of_pixel_is_undefined_here_too() -> None:
    score, target = np.linspace(0, 1, 50), np.zeros(50, int)
    metrics = refined([(score, target, "a")])
    assert "no OoD pixel" in str(metrics.compute().undefined)
    with pytest.raises(UndefinedMetricError, match="no OoD pixel"):
        metrics.best_f1()
    assert metrics.to_result(model="m", dataset="d", score="s").roc is None
    assert PixelMetrics(num_bins=SMALL).compute().num_in == 0
    empty = PixelMetrics(num_bins=SMALL, exact=True)
    empty.refine([])
    assert "among 0 counted" in str(empty.compute().undefined)


def test_numbers_wait_for_the_second_pass() -> None:
    frames = frames_of(*bell(2000))
    metrics = PixelMetrics(num_bins=SMALL, exact=True)
    other = PixelMetrics(num_bins=SMALL, exact=True)
    metrics.update(*frames[0])
    for ask in (metrics.compute, metrics.roc_curve, metrics.pr_curve, metrics.best_f1):
        with pytest.raises(UsageError, match=r"`exact=True` needs a second pass: call `refine\(frames\)`"):
            ask()
    metrics.refine(frames[:1])
    metrics.compute()
    metrics.update(*frames[1])
    with pytest.raises(UsageError, match="needs a second pass"):
        metrics.compute()
    metrics.refine(frames[:2])
    metrics.merge(other)
    with pytest.raises(UsageError, match="needs a second pass"):
        metrics.compute()
    with pytest.raises(UsageError, match="`refine` is for metrics built with `exact=True`"):
        PixelMetrics(num_bins=SMALL).refine(frames)


def test_merged_first_passes_are_refined_together() -> None:
    score, target = bell()
    frames = frames_of(score, target)
    parts = [PixelMetrics(num_bins=SMALL, exact=True) for _ in frames]
    for part, frame in zip(parts, frames, strict=True):
        part.update(*frame)
    for order in (parts, parts[::-1]):
        merged = PixelMetrics(num_bins=SMALL, exact=True)
        for part in order:
            merged.merge(part)
        merged.refine(frames)
        assert merged.compute() == refined(frames).compute()


def test_the_state_keeps_what_the_second_pass_found() -> None:
    frames = frames_of(*bell(3000))
    metrics = refined(frames)
    other = PixelMetrics(num_bins=SMALL, exact=True)
    other.load_state_dict(metrics.state_dict())
    assert other.compute() == metrics.compute()
    assert other.best_f1() == metrics.best_f1()
    bare = {k: v for k, v in metrics.state_dict().items() if k != "resolved"}
    other.load_state_dict(bare)
    with pytest.raises(UsageError, match="needs a second pass"):
        other.compute()
    plain = PixelMetrics(num_bins=SMALL)
    plain.load_state_dict(metrics.state_dict())
    assert plain.compute().error_bound["auroc"] > 1e-9
    with pytest.raises(UsageError, match="second pass of another version"):
        other.load_state_dict(bare | {"resolved": {"numbers": {}}})


def changed(frames: list[Frame], how: str) -> list[Frame]:
    score, target, name = (item.copy() if isinstance(item, np.ndarray) else item for item in frames[1])
    assert isinstance(score, np.ndarray)
    assert isinstance(target, np.ndarray)
    if how == "score":
        score[np.flatnonzero(target == 0)[0]] = 0.9
    elif how == "label":
        target[np.flatnonzero(target == 0)[0]] = 1
    elif how == "missing":
        return frames[1:]
    elif how == "twice":
        return [*frames, frames[0]]
    elif how == "nan":
        score[np.flatnonzero(target == 0)[0]] = np.nan
    return [frames[0], (score, target, str(name)), *frames[2:]]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("score", "as many pixels, but other scores"),
        ("label", "counted were .* in-distribution and .* OoD pixels; the frames hold"),
        ("missing", "the frames hold"),
        ("twice", "the frames hold"),
        ("nan", "it breaks a rule that it kept in the first pass"),
    ],
)
def test_other_frames_are_refused_and_leave_the_numbers_alone(how: str, message: str) -> None:
    frames = frames_of(*bell(3000))
    metrics = refined(frames)
    before = metrics.compute()
    with pytest.raises(UsageError, match=f"`frames` must be those that were counted.*{message}"):
        metrics.refine(changed(frames, how))
    assert metrics.compute() == before


def test_scores_that_move_inside_their_bin_between_passes_are_noticed() -> None:
    score, target = bell()
    frames = frames_of(score, target)
    metrics = refined(frames)
    calls: list[int] = []

    def drifting() -> Iterator[Frame]:
        calls.append(1)
        for s, t, name in frames:
            moved = metrics.layout.lower_edges(metrics.layout.index(s))
            yield (moved if len(calls) > 1 else s, t, name)

    with pytest.raises(UsageError, match="their scores differ from one pass to the next"):
        metrics.refine(drifting, memory=LEAST)


@pytest.mark.parametrize("frame", [np.zeros(3), (np.zeros(3),), "abc"])
def test_frames_that_are_no_pairs(frame: object) -> None:
    metrics = PixelMetrics(num_bins=SMALL, exact=True)
    with pytest.raises(UsageError, match=r"`frames` must yield \(score, target\)"):
        metrics.refine([frame])  # type: ignore[list-item]
    with pytest.raises(UsageError, match="frame x: `target` must have the shape"):
        metrics.refine([(np.zeros(3), np.zeros(4, int), "x")])


def test_too_little_memory_is_refused() -> None:
    with pytest.raises(UsageError, match="`memory` must be at least 65536 bytes; got 100"):
        refined(frames_of(*bell(100)), memory=100)


def test_distinct_scores_give_up_the_other_kind_first_and_then_the_lowest() -> None:
    rng = np.random.default_rng(0)
    many, few = rng.integers(0, 5000, 20_000) / 5000, rng.integers(0, 300, 900) / 300
    for unknown, raised in ((few, False), (many, True)):
        scores = DistinctScores(LEAST, np.inf)  # room for 1024
        for part in range(10):
            scores.add(many[part * 2000 :][:2000], unknown[part * len(unknown) // 10 :][: len(unknown) // 10])
        values, num_in, num_ood = scores.take()
        assert not scores.complete
        assert (scores.floor > -np.inf) == raised
        expected = np.unique(unknown)
        np.testing.assert_array_equal(values, expected[expected >= scores.floor][::-1])
        np.testing.assert_array_equal(num_ood, [(unknown == v).sum() for v in values])
        assert not num_in.any()
        assert 256 <= len(values) <= 512


def test_gaps_by_hand() -> None:
    # bins   [0, .5)          [.5, 1]
    # OoD     .2               .6      .8
    # in     .1 .2 .3 .4      .5 .6 .7 .8 .8 .9
    layout = BinLayout((0.0, 1.0), "linear", 2)
    gaps = GapCounts(layout, np.array([0.8, 0.6, 0.2]), np.array([1, 1, 5]))
    for part in ([0.9, 0.1, 0.8, 0.5], [0.2, 0.3, 0.4, 0.6, 0.7, 0.8]):
        gaps.add(np.array(part))
    places, values, num_in, num_ood = gaps.portions()
    assert places.tolist() == [1] * 6 + [0] * 3
    assert values.tolist() == [0.8] * 3 + [0.6] * 3 + [0.2] * 3
    assert num_in.tolist() == [1, 2, 0, 1, 1, 1, 2, 1, 1]
    assert num_ood.tolist() == [0, 1, 0, 0, 1, 0, 0, 5, 0]
    assert gaps.orphans == 0
    rest = GapCounts(layout, np.array([0.8]), np.array([1]))
    rest.add(np.array([0.1, 0.9]))
    assert rest.orphans == 1
    none = GapCounts(layout, np.empty(0), np.empty(0, int))
    none.add(np.array([0.1, 0.9]))
    assert none.orphans == 2


def test_two_more_passes_are_enough_where_the_ood_scores_fit() -> None:
    score, target = bell(size=200_000, ood=0.002)
    frames = frames_of(score, target)
    metrics = refined(frames, LEAST)
    assert metrics._resolved is not None
    assert metrics._resolved.num_passes == 2
    assert numbers(metrics) == pytest.approx(reference(score, target), abs=1e-12)
