"""SegmentMeIfYouCan metrics by hand, against the public evaluator, and against whole masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from segood.errors import UndefinedMetricError, UsageError
from segood.evaluation.smiyc import smiyc_segment_metrics
from segood.segments import label_components

ONE = {"min_segment_size": 1, "min_instance_size": 1}


@pytest.mark.parametrize("track", ["anomaly", "obstacle", "ties"])
def test_equal_to_the_public_evaluator(shared: Path, track: str) -> None:
    with np.load(shared / "golden" / f"smiyc_{track}.npz") as golden:
        result = smiyc_segment_metrics(
            golden["scores"],
            golden["target"],
            threshold=float(golden["threshold"]),
            min_segment_size=int(golden["min_segment_size"]),
            min_instance_size=int(golden["min_instance_size"]),
        )
        np.testing.assert_allclose(result.siou_per_instance, golden["sIoU_gt_per_instance"], atol=1e-6)
        np.testing.assert_allclose(result.ppv_per_segment, golden["PPV_per_segment"], atol=1e-6)
        assert result.siou == pytest.approx(float(golden["expected_sIoU_gt"]), abs=1e-6)
        assert result.ppv == pytest.approx(float(golden["expected_PPV"]), abs=1e-6)
        assert result.f1_mean == pytest.approx(float(golden["expected_F1_mean"]), abs=1e-6)
        np.testing.assert_allclose(result.f1, golden["expected_F1_per_threshold"], atol=1e-6)
        for tau, tp, fn, fp in zip(result.taus, result.tp, result.fn, result.fp, strict=True):
            percent = round(100 * tau)
            assert (tp, fn, fp) == tuple(int(golden[f"expected_{c}_{percent}"]) for c in ("tp", "fn", "fp"))


# score > 0.5      target                 A = 4 pixels, B = 2 pixels, one ignored pixel (-)
#   # # # . # #      A A . . - .          segment 1 = first three, meets A in 2: sIoU(A) = 2 / (4 + 1)
#   . . . . . .      A A . . . .          segment 2 = the last one (its other pixel is ignored): PPV 0
#   . . . . . .      . . . . . .
#   . # # # . .      . . B B . .          segment 3 covers B: sIoU(B) = 2 / (2 + 1), PPV 2/3
SCORES = np.zeros((4, 6))
SCORES[0, :3] = SCORES[0, 4:] = SCORES[3, 1:4] = 0.9
TARGET = np.zeros((4, 6), np.uint8)
TARGET[:2, :2] = TARGET[3, 2:4] = 1
TARGET[0, 4] = 255


def test_by_hand() -> None:
    result = smiyc_segment_metrics(SCORES, TARGET, 0.5, **ONE)
    np.testing.assert_allclose(result.siou_per_instance, [2 / 5, 2 / 3])
    np.testing.assert_allclose(result.ppv_per_segment, [2 / 3, 0, 2 / 3])
    assert result.siou == pytest.approx(8 / 15)
    assert result.ppv == pytest.approx(4 / 9)
    # tau:           .25 .30 .35 .40 .45 .50 .55 .60 .65 .70 .75
    assert result.tp == (2, 2, 2, 2, 1, 1, 1, 1, 1, 0, 0)  # 2/5 ≥ 0.40 counts
    assert result.fn == (0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2)
    assert result.fp == (1, 1, 1, 1, 1, 1, 1, 1, 1, 3, 3)
    assert result.f1_mean == pytest.approx((4 * 4 / 5 + 5 * 2 / 4) / 11)
    assert (result.num_frames, result.num_instances, result.num_segments) == (1, 2, 3)
    assert (result.threshold, result.threshold_source) == (0.5, "given")


def test_two_instances_under_one_segment() -> None:
    # the segment covers both instances; the other one's pixels are taken out of each union
    result = smiyc_segment_metrics(np.ones((1, 5)), np.array([[1, 1, 0, 1, 1]], np.uint8), 0.5, **ONE)
    np.testing.assert_allclose(result.siou_per_instance, [2 / 3, 2 / 3])
    np.testing.assert_allclose(result.ppv_per_segment, [4 / 5])


def test_sizes_drop_segments_and_instances() -> None:
    small = smiyc_segment_metrics(SCORES, TARGET, 0.5, min_segment_size=2, min_instance_size=3)
    # B (2 pixels) goes from both maps, leaving segment 3 with one pixel (labelled before, so it stays)
    np.testing.assert_allclose(small.siou_per_instance, [2 / 5])
    np.testing.assert_allclose(small.ppv_per_segment, [2 / 3, 0])
    none = smiyc_segment_metrics(SCORES, TARGET, 0.5, min_segment_size=4, min_instance_size=5)
    assert (none.num_instances, none.num_segments) == (0, 0)


def test_the_threshold_is_strict() -> None:
    assert smiyc_segment_metrics(SCORES, TARGET, 0.9, **ONE).num_segments == 0
    half = SCORES.astype(np.float16)  # 0.9 is no float16: it is compared as the score's own 0.9
    assert smiyc_segment_metrics(half, TARGET, 0.9, **ONE).num_segments == 0


def test_best_pixel_f1() -> None:
    # cut below 0.9: F1 = 2·1/(1+3) = .5; below 0.8: 2·2/(3+3) = .67; below 0.2: 2·3/(5+3) = .75
    # the cut below 0.2 is just above the highest score left out, 0.1
    scores = np.array([[0.9, 0.8, 0.8, 0.3, 0.2, 0.1, 0.95]])
    target = np.array([[1, 1, 0, 0, 1, 0, 255]], np.uint8)
    result = smiyc_segment_metrics(scores, target, **ONE)
    assert result.threshold == 0.1
    assert result.threshold_source == "best pixel F1"
    everything = smiyc_segment_metrics(np.array([[0.5, 0.5]]), np.array([[1, 0]], np.uint8), **ONE)
    assert everything.threshold < 0.5
    assert everything.num_segments == 1


@given(arrays(np.float32, 12, elements=st.sampled_from([0.0, 0.25, 0.5, 1.0])), arrays(np.bool_, 12))
@settings(max_examples=100)
def test_no_threshold_beats_the_best(scores: np.ndarray, ood: np.ndarray) -> None:
    ood[0] = True
    best = smiyc_segment_metrics(scores[None], ood[None].astype(np.uint8), **ONE).threshold

    def f1(threshold: float) -> float:
        predicted = scores > threshold
        return 2 * (predicted & ood).sum() / max(predicted.sum() + ood.sum(), 1)

    assert f1(best) == pytest.approx(max(f1(t) for t in (-1, 0.0, 0.25, 0.5, 1.0)))


def slow(score: np.ndarray, target: np.ndarray, segment_size: int, instance_size: int) -> tuple[list, list]:
    """SPEC 6 read word by word, one mask per segment and instance."""
    labels, count = label_components((score > 0.5) & (target != 255))
    truth, num_truth = label_components(target == 1)
    segments = [labels == k for k in range(1, count + 1)]
    segments = [mask for mask in segments if mask.sum() >= segment_size]
    small = np.zeros(target.shape, bool)
    instances = []
    for g in range(1, num_truth + 1):
        if (truth == g).sum() >= instance_size:
            instances.append(truth == g)
        else:
            small |= truth == g
    segments = [mask & ~small for mask in segments]
    segments = [mask for mask in segments if mask.any()]
    on_instance = np.any(instances, axis=0) if instances else small & False
    sious = []
    for mine in instances:
        meeting = [mask for mask in segments if (mask & mine).any()]
        p = np.any(meeting, axis=0) if meeting else small & False
        sious.append((mine & p).sum() / ((mine | p) & ~(p & on_instance & ~mine)).sum())
    return sious, [(mask & on_instance).sum() / mask.sum() for mask in segments]


@given(
    st.tuples(st.integers(1, 8), st.integers(1, 9)).flatmap(
        lambda shape: st.tuples(
            arrays(np.float32, shape, elements=st.sampled_from([0.0, 0.5, 1.0])),
            arrays(np.uint8, shape, elements=st.sampled_from([0, 0, 1, 1, 255])),
        )
    ),
    st.integers(0, 4),
    st.integers(0, 4),
)
@settings(max_examples=150)
def test_equal_to_whole_masks(
    pair: tuple[np.ndarray, np.ndarray], segment_size: int, instance_size: int
) -> None:
    score, target = pair
    sizes = {"min_segment_size": segment_size, "min_instance_size": instance_size}
    result = smiyc_segment_metrics(score, target, 0.5, **sizes)
    siou, ppv = slow(score, target, segment_size, instance_size)
    np.testing.assert_allclose(result.siou_per_instance, siou)
    np.testing.assert_allclose(result.ppv_per_segment, ppv)


def test_frames_are_pooled_whatever_their_container() -> None:
    other_scores, other_target = SCORES[:, ::-1], np.zeros_like(TARGET)
    stacked = smiyc_segment_metrics(
        np.stack([SCORES, other_scores]), np.stack([TARGET, other_target]), 0.5, **ONE
    )
    listed = smiyc_segment_metrics([SCORES, other_scores], [TARGET, other_target], 0.5, **ONE)
    lazy = smiyc_segment_metrics(iter([SCORES, other_scores]), iter([TARGET, other_target]), 0.5, **ONE)
    assert stacked.f1_mean == listed.f1_mean == lazy.f1_mean
    assert (stacked.num_frames, stacked.num_instances, stacked.num_segments) == (2, 2, 6)
    swapped = smiyc_segment_metrics([other_scores, SCORES], [other_target, TARGET], 0.5, **ONE)
    assert (swapped.tp, swapped.fn, swapped.fp) == (stacked.tp, stacked.fn, stacked.fp)


def test_empty_cases() -> None:
    nothing = smiyc_segment_metrics(np.zeros((3, 3)), np.zeros((3, 3), np.uint8), 0.5, **ONE)
    assert (nothing.siou, nothing.ppv, nothing.f1_mean, nothing.f1) == (None, None, None, ())
    missed = smiyc_segment_metrics(np.zeros((3, 3)), np.ones((3, 3), np.uint8), 0.5, **ONE)
    assert (missed.siou, missed.ppv, missed.f1_mean) == (0, None, 0)
    alarm = smiyc_segment_metrics(np.ones((3, 3)), np.zeros((3, 3), np.uint8), 0.5, **ONE)
    assert (alarm.siou, alarm.ppv, alarm.f1_mean) == (None, 0, 0)
    assert smiyc_segment_metrics([], [], 0.5, **ONE).num_frames == 0
    with pytest.raises(UndefinedMetricError, match="best pixel F1 is undefined: no frame has an OoD pixel"):
        smiyc_segment_metrics(np.ones((3, 3)), np.zeros((3, 3), np.uint8), **ONE)
    with pytest.raises(UndefinedMetricError, match="best pixel F1 is undefined"):
        smiyc_segment_metrics([], [], **ONE)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scores": [SCORES], "targets": []}, "as many frames; got 1 and 0"),
        ({"threshold": np.nan}, "`threshold` must be a finite number"),
        ({"min_segment_size": -1}, "`min_segment_size` must be a number of pixels, at least 0; got -1"),
        ({"scores": SCORES + np.inf}, "`scores` must be finite; frame 0"),
        ({"scores": SCORES > 0}, r"`scores` must be float maps \(H,W\); frame 0 is bool"),
        ({"targets": TARGET.T}, r"frame 0: `target` must have shape \(H,W\)=\(4, 6\) to match `scores`"),
        ({"targets": TARGET + 1}, r"frame 0: `target` must hold 0 .* got 2"),
    ],
)
def test_bad_input(arguments: dict[str, object], message: str) -> None:
    given = {"scores": SCORES, "targets": TARGET, "threshold": 0.5, **ONE, **arguments}
    with pytest.raises(UsageError, match=message):
        smiyc_segment_metrics(**given)  # type: ignore[arg-type]
