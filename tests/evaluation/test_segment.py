"""Segment matching by hand, against flood filling, and the published adjusted IoU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from segood.errors import UsageError
from segood.evaluation.adjusted_iou import adjusted_iou
from segood.evaluation.results import SegmentErrors
from segood.evaluation.segment import errors_after_removal, ground_truth_features, match_segments, sum_errors
from segood.segments import extract_segments, label_components

pairs = st.tuples(st.integers(1, 8), st.integers(1, 9)).flatmap(
    lambda shape: st.tuples(
        arrays(np.bool_, shape), arrays(np.uint8, shape, elements=st.sampled_from([0, 0, 1, 1, 255]))
    )
)

# prediction          target               ground-truth segments
#   1 1 1 . . . 2       . x x x . . .         A = 4 pixels at the top, B = 2 pixels at the bottom right
#   . . . . . . .       . . x . . . .
#   3 3 . 4 . . .       - - . x . . .         3 lies on ignored pixels only; C = the pixel at (2,3)
#   . . . . . . .       . . . . . x x
LABELS = np.zeros((4, 7), np.int32)
LABELS[0, :3], LABELS[0, 6], LABELS[2, :2], LABELS[2, 3] = 1, 2, 3, 4
TARGET = np.zeros((4, 7), np.uint8)
TARGET[0, 1:4] = TARGET[1, 2] = TARGET[2, 3] = TARGET[3, 5:] = 1
TARGET[2, :2] = 255


def test_match_by_hand() -> None:
    # (1,2) and (2,3) touch at a corner, so A and C are one ground-truth segment of 5 pixels
    match = match_segments(LABELS, TARGET)
    expected = pd.DataFrame(
        {
            "num_ood_pixels": [2, 0, 1],
            "iou": [2 / (3 + 5 - 2), 0, 1 / (1 + 5 - 1)],
            # segment 1: of the truth 3 pixels are free of prediction but one is segment 4's: (0,3), (1,2)
            "adjusted_iou": [2 / (3 + 2), 0, 1 / (1 + 2)],
            "is_false_positive": [False, True, False],
        },
        index=pd.Index([1, 2, 4], name="segment"),
    )
    pd.testing.assert_frame_equal(match.segments, expected)
    assert match.ground_truth.to_dict("list") == {
        "area": [5, 2],
        "recall": [3 / 5, 0],
        "detected": [True, False],
    }
    assert match.overlaps.to_numpy().tolist() == [[1, 1, 2], [4, 1, 1]]
    assert match.touched.to_dict() == {1: [1], 2: [], 4: [1]}
    assert match.errors == SegmentErrors(num_predicted=3, false_positives=1, false_negatives=1, errors=2)
    assert (match.num_predicted, match.num_ground_truth) == (3, 2)


@pytest.mark.parametrize(
    ("removed", "expected"),
    [
        ([False, True, False], SegmentErrors(2, 0, 1, 1)),  # the false alarm goes
        ([True, False, False], SegmentErrors(2, 1, 1, 2)),  # segment 4 still finds the first object
        ([True, True, True], SegmentErrors(0, 0, 2, 2)),
    ],
)
def test_errors_after_removal(removed: list[bool], expected: SegmentErrors) -> None:
    match = match_segments(LABELS, TARGET)
    assert errors_after_removal(match, removed) == expected
    assert errors_after_removal(match, np.array(removed)) == expected
    assert errors_after_removal(match, pd.Series(removed, match.segments.index)) == expected


@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_published_adjusted_iou(shared: Path, name: str) -> None:
    with np.load(shared / "golden" / f"segments_{name}.npz") as golden:
        target = np.where(golden["target"] == 254, 1, golden["target"])
        segments = extract_segments(
            logits=golden["logits"], threshold=float(golden["threshold"]), ignore=target == 255
        )
        match = match_segments(segments.labels, target)
        truth = ground_truth_features(segments.labels, target)
        np.testing.assert_array_equal(label_components(target == 1)[0], golden["gt_components"])
        for key, ours in {
            "pred_iou": match.segments["adjusted_iou"],
            "pred_iou0": match.segments["is_false_positive"],
            "gt_iou": truth["adjusted_iou"],
            "gt_iou0": ~truth["detected"],
            "gt_rec": truth["recall"],
            "gt_S": truth["area"],
            "gt_S_in": truth["area_interior"],
            "gt_S_bd": truth["area_boundary"],
        }.items():
            difference = np.abs(ours.to_numpy(float) - golden[key])
            assert (difference <= 2e-3 * (1e-3 + np.abs(golden[key]))).all(), key
        np.testing.assert_array_equal(match.ground_truth["recall"], truth["recall"])


def flood(labels: np.ndarray, k: int, free: np.ndarray) -> set[tuple[int, int]]:
    """Pixels of `free` that connect, through such pixels, to segment k."""
    found: set[tuple[int, int]] = set()
    todo = [tuple(at) for at in np.argwhere(labels == k)]
    while todo:
        row, col = todo.pop()
        for r in range(max(row - 1, 0), min(row + 2, free.shape[0])):
            for c in range(max(col - 1, 0), min(col + 2, free.shape[1])):
                if free[r, c] and (r, c) not in found:
                    found.add((r, c))
                    todo.append((r, c))
    return found


@given(pairs)
@settings(max_examples=150)
def test_equal_to_definitions(pair: tuple[np.ndarray, np.ndarray]) -> None:
    mask, target = pair
    labels, count = label_components(mask & (target != 255))
    truth, num_truth = label_components(target == 1)
    match = match_segments(labels, target)
    assert list(match.segments.index) == list(range(1, count + 1))
    for k, row in match.segments.iterrows():
        segment = labels == k
        met = np.isin(truth, truth[segment & (truth > 0)])
        met &= truth > 0
        hit = int((segment & (target == 1)).sum())
        assert row["num_ood_pixels"] == hit
        assert row["is_false_positive"] == (hit == 0)
        assert row["iou"] == pytest.approx((segment & met).sum() / (segment | met).sum())
        union = segment.sum() + len(flood(labels, int(str(k)), (target == 1) & (labels == 0)))
        assert row["adjusted_iou"] == pytest.approx(hit / union)
        assert 0 <= row["adjusted_iou"] <= 1
    missed = [g for g in range(1, num_truth + 1) if not mask[truth == g].any()]
    assert match.num_false_negatives == len(missed)
    assert match.errors.errors == match.num_false_positives + len(missed)
    assert errors_after_removal(match, np.ones(count, bool)).errors == num_truth


@given(pairs)
@settings(max_examples=50)
def test_flipping_keeps_the_counts(pair: tuple[np.ndarray, np.ndarray]) -> None:
    mask, target = pair
    counts = [
        match_segments(label_components(m)[0], t).errors for m, t in (pair, (mask[:, ::-1], target[:, ::-1]))
    ]
    assert counts[0] == counts[1]


def test_a_fragmented_prediction_is_not_punished_for_its_siblings() -> None:
    # one object of 5 pixels, found in two fragments; each pays only for the gap of one pixel
    labels = np.array([[1, 1, 0, 2, 2]], np.int32)
    np.testing.assert_allclose(adjusted_iou(labels, 2, np.ones((1, 5), bool)), [2 / 3, 2 / 3])
    assert match_segments(labels, np.ones((1, 5), np.uint8)).segments["iou"].tolist() == [2 / 5, 2 / 5]


@pytest.mark.parametrize("shape", [(1, 1), (3, 4)])
def test_empty_cases(shape: tuple[int, int]) -> None:
    nothing, everything = np.zeros(shape, np.int32), np.ones(shape, np.int32)
    none, all_ood, ignored = (np.full(shape, value, np.uint8) for value in (0, 1, 255))
    assert match_segments(nothing, none).errors == SegmentErrors(0, 0, 0, 0)
    assert match_segments(nothing, all_ood).errors == SegmentErrors(0, 0, 1, 1)
    assert match_segments(everything, none).errors == SegmentErrors(1, 1, 0, 1)
    assert match_segments(everything, all_ood).segments["adjusted_iou"].tolist() == [1]
    assert match_segments(everything, ignored).errors == SegmentErrors(0, 0, 0, 0)
    assert len(ground_truth_features(everything, none)) == 0
    assert match_segments(nothing, none).touched.tolist() == []
    dtypes = match_segments(everything, all_ood).segments.dtypes
    assert match_segments(nothing, none).segments.dtypes.equals(dtypes)


def test_sum_errors_of_no_frame() -> None:
    assert sum_errors([]) == SegmentErrors(0, 0, 0, 0)


def test_inputs_are_not_changed() -> None:
    labels, target = LABELS.copy(), TARGET.copy()
    match_segments(labels, target)
    np.testing.assert_array_equal(labels, LABELS)
    np.testing.assert_array_equal(target, TARGET)


@pytest.mark.parametrize(
    ("labels", "target", "message"),
    [
        (LABELS, TARGET[:3], r"`target` must have shape \(H,W\)=\(4, 7\) to match `labels`; got \(3, 7\)"),
        (LABELS, TARGET + 254 * (TARGET == 0), "or 255 .ignore.; got 254"),
        (LABELS[None], TARGET, r"`labels` must be an integer array \(H,W\); got int32 \(1, 4, 7\)"),
        (LABELS * 1.0, TARGET, "`labels` must be an integer array"),
        (-LABELS, TARGET, "segment ids, 0 for none; got -4"),
        (LABELS, None, "got NoneType"),
        (None, TARGET, "got NoneType"),
    ],
)
def test_bad_input(labels: np.ndarray, target: np.ndarray, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        match_segments(labels, target)


@pytest.mark.parametrize("removed", [[True], [0, 1, 0], [[True, False, True]]])
def test_bad_removal(removed: list[object]) -> None:
    with pytest.raises(UsageError, match="`removed` must hold one boolean for each of the 3 segments"):
        errors_after_removal(match_segments(LABELS, TARGET), removed)
