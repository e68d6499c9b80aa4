"""All numbers of stored score maps: by hand, against the public evaluator and scikit-learn, however read."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from segood.errors import UsageError
from segood.evaluation import curves
from segood.evaluation.bootstrap import Bootstrap, share_better
from segood.evaluation.exchange_files import read_map
from segood.evaluation.map_bootstrap import coarse_levels, draw_numbers
from segood.evaluation.map_counts import count_maps
from segood.evaluation.map_numbers import BEST_F1, MapFrame, MapNumbers, SegmentProtocol, measure_maps
from segood.evaluation.protocols import default_protocol
from segood.evaluation.report import pixel_report
from segood.evaluation.score_codes import count_codes
from segood.evaluation.score_maps import write_score_map
from segood.evaluation.smiyc import smiyc_segment_metrics

ONE = SegmentProtocol(1, 1)


def scene(rng: np.random.Generator, dtype: type = np.float16, size: tuple[int, int] = (48, 64)) -> tuple:
    """A few objects, an ignored rim, scores of both signs with ties."""
    target = np.zeros(size, np.uint8)
    for _ in range(rng.integers(0, 4)):
        row, col = rng.integers(0, size[0] - 12), rng.integers(0, size[1] - 12)
        target[row : row + rng.integers(3, 12), col : col + rng.integers(3, 12)] = 1
    target[-4:] = 255
    score = rng.normal(-1, 1, size) + 1.5 * (target == 1)
    score[rng.random(size) < 0.1] = 0
    return score.astype(dtype), target


def scenes(count: int, seed: int = 0, dtype: type = np.float16) -> list[MapFrame]:
    rng = np.random.default_rng(seed)
    return [MapFrame(*scene(rng, dtype), f"frame {index:02d}") for index in range(count)]


def values_of(found: MapNumbers) -> dict[str, object]:
    plain = dataclasses.asdict(found)
    return {name: value for name, value in plain.items() if name not in ("images", "draws", "notes")}


@pytest.mark.parametrize("track", ["anomaly", "obstacle", "ties"])
@pytest.mark.parametrize("given", [True, False], ids=["threshold", "best F1"])
def test_equal_to_the_public_evaluator_through_files(
    shared: Path, tmp_path: Path, track: str, given: bool
) -> None:
    with np.load(shared / "golden" / f"smiyc_{track}.npz") as file:
        golden = {name: file[name] for name in file.files}
    for index, score in enumerate(golden["scores"]):
        write_score_map(tmp_path / f"{index}.hdf5", score)

    def frames() -> Iterator[MapFrame]:
        for index, target in enumerate(golden["target"]):
            yield MapFrame(read_map(tmp_path / f"{index}.hdf5"), target, str(index))

    sizes = {name: int(golden[name]) for name in ("min_segment_size", "min_instance_size")}
    threshold = float(golden["threshold"]) if given else None
    found = measure_maps(frames, SegmentProtocol(**sizes, threshold=threshold), bootstrap_draws=100)
    assert found.auroc.value == pytest.approx(float(golden["expected_AUROC"]), abs=1e-6)
    assert found.average_precision.value == pytest.approx(float(golden["expected_AP"]), abs=1e-6)
    assert found.fpr95.value == pytest.approx(float(golden["expected_FPR95"]), abs=1e-6)
    if given:
        assert found.siou.value == pytest.approx(float(golden["expected_sIoU_gt"]), abs=1e-6)
        assert found.ppv.value == pytest.approx(float(golden["expected_PPV"]), abs=1e-6)
        assert found.f1_mean.value == pytest.approx(float(golden["expected_F1_mean"]), abs=1e-6)
        assert found.smiyc_threshold_source == "given"
    else:
        whole = smiyc_segment_metrics(golden["scores"], golden["target"], **sizes)
        assert found.smiyc_threshold == whole.threshold
        assert (found.siou.value, found.ppv.value, found.f1_mean.value) == (
            pytest.approx(whole.siou),
            pytest.approx(whole.ppv),
            pytest.approx(whole.f1_mean),
        )
        assert found.smiyc_threshold_source == BEST_F1 == "best pixel F1 on the same data"
    for number in (found.auroc, found.average_precision, found.fpr95, found.siou, found.ppv, found.f1_mean):
        assert number.low <= number.value <= number.high  # type: ignore[operator]
        assert number.num_images == len(golden["target"])


# score      .9 .9 .1 .5    target  1  0  0  -     a: one segment of two pixels, one of them OoD
#            .1 .1 .1 .1            0  0  0  0     (.5 is ignored)
# score      .1 .1 .9 .1    target  0  0  0  0     b: one segment, a false one, and nothing to find
A = MapFrame(
    np.array([[0.9, 0.9, 0.1, 0.5], [0.1, 0.1, 0.1, 0.1]], np.float16),
    np.array([[1, 0, 0, 255], [0, 0, 0, 0]], np.uint8),
    "a",
)
B = MapFrame(np.array([[0.1, 0.1, 0.9, 0.1]], np.float16), np.zeros((1, 4), np.uint8), "b")


def test_by_hand() -> None:
    found = measure_maps([A, B], ONE, bootstrap_draws=400)
    assert (found.num_in, found.num_ood) == (10, 1)
    assert found.auroc.value == pytest.approx((8 + 2 / 2) / 10)
    assert found.average_precision.value == pytest.approx(1 / 3)
    assert found.fpr95.value == pytest.approx(2 / 10)
    assert found.smiyc_threshold == np.float16(0.1)  # best F1: all of 0.9; the next score below is 0.1
    assert found.siou.value == pytest.approx(1 / 2)
    assert found.ppv.value == pytest.approx((1 / 2 + 0) / 2)
    # tau up to .50: TP 1, FN 0, FP 1 (b's; a's PPV is 1/2), later TP 0, FN 1, FP 2
    assert found.f1_mean.value == pytest.approx(6 / 11 * 2 / 3)
    # drawn are aa, ab (twice) or bb; bb has no OoD pixel and no instance: undefined but for PPV and F1
    assert 250 < found.auroc.num_draws < 350
    assert found.auroc.num_draws == found.siou.num_draws == np.isfinite(found.draws["auroc"]).sum()
    assert found.ppv.num_draws == found.f1_mean.num_draws == 400
    assert set(np.round(found.draws["fpr95"][np.isfinite(found.draws["fpr95"])], 6)) == {0.2, 0.166667}
    assert (found.ppv.low, found.ppv.high) == (0.0, 0.5)
    a, b = found.images
    assert (a.sample_id, a.num_in, a.num_ood, a.auroc) == ("a", 6, 1, pytest.approx((5 + 0.5) / 6))
    assert (b.sample_id, b.num_in, b.num_ood, b.auroc, b.fpr95) == ("b", 4, 0, None, None)
    assert found.distribution is not None
    assert sum(found.distribution.in_distribution) == 10
    assert found.roc is not None
    assert found.error_bound == {}


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_equal_to_the_functions_for_arrays(dtype: type) -> None:
    frames = scenes(6, dtype=dtype)
    found = measure_maps(frames, SegmentProtocol(3, 9), bootstrap_draws=0)
    score, target = (np.stack([frame[i] for frame in frames]) for i in range(2))
    kept = target != 255
    fpr, tpr, _ = roc_curve(target[kept], score[kept], drop_intermediate=False)
    assert found.auroc.value == pytest.approx(roc_auc_score(target[kept], score[kept]), abs=1e-12)
    expected = average_precision_score(target[kept], score[kept])
    assert found.average_precision.value == pytest.approx(expected, abs=1e-12)
    assert found.fpr95.value == pytest.approx(fpr[np.argmax(tpr >= 0.95)], abs=1e-12)
    whole = smiyc_segment_metrics(score, target, min_segment_size=3, min_instance_size=9)
    assert found.smiyc_threshold == whole.threshold
    assert found.siou.value == pytest.approx(whole.siou)
    assert found.f1_mean.value == pytest.approx(whole.f1_mean)
    for record, frame in zip(found.images, frames, strict=True):
        report = pixel_report(frame.score, frame.target)
        assert (record.num_in, record.num_ood) == (report.num_in, report.num_ood)
        for name in curves.METRICS:
            assert getattr(record, name) == pytest.approx(getattr(report, name))
    assert found.auroc.low is None
    assert found.draws == {}


@pytest.mark.parametrize("kernels", ["1", "0"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_one_or_two_reads_and_any_order(dtype: type, kernels: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGOOD_KERNELS", kernels)
    frames = scenes(7, dtype=dtype)
    reads = []

    def read() -> Iterable[MapFrame]:
        reads.append(len(frames))
        return iter(frames)

    once = measure_maps(read, ONE, bootstrap_draws=50)
    first = len(reads)
    twice = measure_maps(read, ONE, bootstrap_draws=50, memory=10_000)
    assert len(reads) - first == first + 1
    if dtype == np.float16:
        assert first == 1
    assert values_of(twice) == values_of(once)
    turned = measure_maps(frames[::-1], ONE, bootstrap_draws=50)
    assert values_of(turned) == values_of(once)
    assert turned.images == once.images[::-1]
    for name, drawn in once.draws.items():
        np.testing.assert_array_equal(turned.draws[name], drawn)
        np.testing.assert_array_equal(twice.draws[name], drawn)


def test_a_monotone_map_keeps_the_ranking() -> None:
    frames = scenes(4)
    double = [frame._replace(score=2 * frame.score.astype(np.float32) + 3) for frame in frames]
    first, second = (measure_maps(f, ONE, bootstrap_draws=50) for f in (frames, double))
    for name in (*curves.METRICS, "siou", "ppv", "f1_mean"):
        assert getattr(first, name).value == pytest.approx(getattr(second, name).value)
    np.testing.assert_allclose(first.draws["auroc"], second.draws["auroc"], equal_nan=True)


def test_many_wide_scores_have_bounds() -> None:
    rng = np.random.default_rng(1)
    frames = [MapFrame(*scene(rng, np.float64, (300, 300)), str(i)) for i in range(2)]
    found = measure_maps(frames, SegmentProtocol(20, 20, threshold=0.25), bootstrap_draws=20)
    score, target = (np.stack([frame[i] for frame in frames]) for i in range(2))
    report = pixel_report(score, target)
    assert set(found.error_bound) == set(curves.METRICS)
    for name in curves.METRICS:
        difference = abs(getattr(found, name).value - getattr(report, name))
        assert difference <= found.error_bound[name] < 1e-3
    whole = smiyc_segment_metrics(score, target, 0.25, min_segment_size=20, min_instance_size=20)
    assert found.siou.value == pytest.approx(whole.siou)
    assert found.ppv.value == pytest.approx(whole.ppv)
    assert found.images[1].auroc == pixel_report(score[1], target[1]).auroc
    best = measure_maps(frames, SegmentProtocol(20, 20), bootstrap_draws=0)
    threshold = best.smiyc_threshold
    again = smiyc_segment_metrics(score, target, threshold, min_segment_size=20, min_instance_size=20)
    assert best.siou.value == pytest.approx(again.siou)


def test_coarse_histograms_agree_with_the_exact_metric() -> None:
    rng = np.random.default_rng(0)
    frames = []
    for index in range(4):
        target = (rng.random((300, 400)) < 0.003).astype(np.uint8)  # rare, as obstacles are
        score = rng.normal(0, 1, target.shape) + 3 * target * rng.random(target.shape)
        frames.append(MapFrame(score.astype(np.float16), target, str(index)))
    found = measure_maps(frames, ONE, bootstrap_draws=300)
    counted = count_maps(frames)
    levels = coarse_levels(counted.table)
    assert len(levels) <= 2010
    images = np.stack([np.add.reduceat(count_codes(c, o), levels) for c, o, _ in counted.again()])
    once = Bootstrap(4, num_draws=1)
    once.weights[:] = 1
    for name, value in draw_numbers(once, images).items():
        number = getattr(found, name)
        assert value[0] == pytest.approx(number.value, abs=2e-3)
        assert number.low < number.value < number.high


def test_draws_are_paired() -> None:
    frames = scenes(12)
    better = [f._replace(score=(f.score + np.float16(0.03125) * (f.target == 1))) for f in frames]
    a, b = (measure_maps(f, ONE, bootstrap_draws=200, seed=5) for f in (better, frames))
    assert share_better(a.draws["auroc"], b.draws["auroc"], higher_is_better=True) == 1.0
    assert a.auroc.low < b.auroc.high  # type: ignore[operator]  # though the intervals overlap
    again = measure_maps(frames, ONE, bootstrap_draws=200, seed=5)
    assert again.auroc == b.auroc
    other = measure_maps(frames, ONE, bootstrap_draws=200, seed=6)
    assert other.auroc != b.auroc


def test_without_a_kind_of_pixel() -> None:
    empty = [f._replace(target=np.where(f.target == 1, np.uint8(0), f.target)) for f in scenes(3)]
    found = measure_maps(empty, ONE, bootstrap_draws=20)
    assert found.undefined is not None
    assert "no OoD pixel among" in found.undefined
    assert found.auroc.value is found.auroc.low is found.roc is found.siou.value is None
    assert found.smiyc_threshold is None
    assert "give a threshold" in found.smiyc_threshold_source
    assert found.distribution is not None
    assert len(found.images) == 3
    given = measure_maps(empty, SegmentProtocol(1, 1, threshold=0.5), bootstrap_draws=20)
    assert (given.ppv.value, given.siou.value, given.f1_mean.value) == (0, None, 0)
    known = [f._replace(target=np.full_like(f.target, 1)) for f in scenes(2)]
    assert "no in-distribution pixel" in (measure_maps(known, ONE, bootstrap_draws=20).undefined or "")
    ignored = [f._replace(target=np.full_like(f.target, 255)) for f in scenes(2)]
    nothing = measure_maps(ignored, ONE, bootstrap_draws=20)
    assert nothing.distribution is None
    assert nothing.notes == ["2 frames (frame 00, frame 01): every pixel is ignored"]


def test_constant_frames_are_noted() -> None:
    frames = scenes(3)
    frames[1] = frames[1]._replace(score=np.full_like(frames[1].score, 0.5))
    assert measure_maps(frames, ONE, bootstrap_draws=0).notes == ["1 frame (frame 01): the score is constant"]


def changed(**values: object) -> list[MapFrame]:
    return [A, B._replace(**values)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("frames", "options", "message"),
    [
        ([], {}, "`frames` is empty, or an iterator that was used up"),
        (changed(score=np.zeros((2, 2))), {}, "frame b: score map is 2x2 but its labels are 4x1"),
        (changed(score=np.full((1, 4), np.nan)), {}, "frame b: `score` holds NaN at 4 counted pixels"),
        (
            changed(score=np.full((1, 4), np.inf, np.float16)),
            {},
            "frame b: .* float16 ends at 65504; rescale",
        ),
        (changed(score=np.full((1, 4), np.inf)), {}, "frame b: `score` must be finite at counted pixels"),
        (changed(target=np.full((1, 4), 3)), {}, "frame b: `target` must hold 0, 1 or 255"),
        (changed(sample_id="a"), {}, "`frames` yields frame a twice"),
        (
            [f._replace(score=f.score * 0) for f in (A, B)],
            {},
            r"all 2 score maps are constant \(first: frame a\)",
        ),
        ([A, B], {"bootstrap_draws": -1}, "`bootstrap_draws` must be a number of draws, 0 for none; got -1"),
    ],
)
def test_bad_input(frames: list[MapFrame], options: dict[str, int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        measure_maps(frames, ONE, **options)


def test_frames_have_to_be_the_same_each_time() -> None:
    with pytest.raises(UsageError, match="give a list, or a function that returns a new iterator"):
        measure_maps(iter([A, B]), ONE, memory=0)
    turns = iter([[A, B], [B, A]])
    with pytest.raises(UsageError, match="frame b was not there, or another one, when the maps were first"):
        measure_maps(lambda: next(turns), ONE, memory=0)


def test_protocols() -> None:
    assert default_protocol("road_anomaly_21") == SegmentProtocol(
        500, 100, source="anomaly track of SegmentMeIfYouCan"
    )
    assert default_protocol("fishyscapes_static").min_segment_size == 50
    with pytest.raises(UsageError, match="no segment sizes are usual for data set 'folder'; give"):
        default_protocol("folder")
    with pytest.raises(
        UsageError, match="`min_instance_size` must be a number of pixels, at least 0; got -1"
    ):
        SegmentProtocol(1, -1)
    with pytest.raises(UsageError, match="`threshold` must be a finite number; got nan"):
        SegmentProtocol(1, 1, float("nan"))
