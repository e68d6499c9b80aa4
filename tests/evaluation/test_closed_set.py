"""Closed-set IoU against a matrix drawn by hand and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import jaccard_score

from segood.errors import UsageError
from segood.evaluation import ClosedSetMetrics


def test_by_hand() -> None:
    # target     0 0 0 1 1 254 255        class 0: TP 2, FN 1 (as 2), FP 1 -> 2/4
    # predicted  0 0 2 1 0  2   0         class 1: TP 1, FN 1         -> 1/2
    # flagged    x . x . .  x   x         class 2: never in the target -> None
    metrics = ClosedSetMetrics(3, ["road", "car", "sky"])
    metrics.update(
        np.array([[0, 0, 2, 1, 0, 2, 0]]),
        np.array([[0, 0, 0, 1, 1, 254, 255]], np.uint8),
        flagged=np.array([[1, 0, 1, 0, 0, 1, 1]], bool),
    )
    report = metrics.compute()
    assert report.iou == {"road": 0.5, "car": 0.5, "sky": None}
    assert report.miou == 0.5
    assert report.flagged_share == 2 / 5
    assert (report.num_pixels, report.num_frames) == (5, 1)


def test_equals_scikit_learn_pooled_over_frames_and_merged() -> None:
    rng = np.random.default_rng(0)
    target, predicted = rng.integers(0, 19, (2, 4, 30, 40))
    parts = [ClosedSetMetrics(19), ClosedSetMetrics(19)]
    for i in range(4):
        parts[i % 2].update(predicted[i], torch.from_numpy(target[i]))
    report = parts[0].merge(parts[1]).compute()
    expected = jaccard_score(target.ravel(), predicted.ravel(), average=None)
    np.testing.assert_allclose(list(report.iou.values()), expected)
    assert report.miou == pytest.approx(expected.mean())
    assert report.flagged_share is None
    assert report.num_frames == 4


def test_renaming_the_classes_permutes_the_numbers() -> None:
    rng = np.random.default_rng(1)
    target, predicted = rng.integers(0, 5, (2, 20, 20))
    order = rng.permutation(5)
    plain, renamed = ClosedSetMetrics(5), ClosedSetMetrics(5)
    plain.update(predicted, target)
    renamed.update(order[predicted], order[target])
    for old, new in enumerate(order):
        assert plain.compute().iou[str(old)] == renamed.compute().iou[str(new)]


def test_nothing_labelled_is_none() -> None:
    metrics = ClosedSetMetrics(2)
    metrics.update(np.zeros((2, 2), int), np.full((2, 2), 255), np.ones((2, 2), bool))
    report = metrics.compute()
    assert (report.miou, report.flagged_share, report.num_pixels) == (None, None, 0)
    assert report.iou == {"0": None, "1": None}


FRAME = np.zeros((2, 2), int)


@pytest.mark.parametrize(
    ("predicted", "target", "flagged", "message"),
    [
        (FRAME + 3, FRAME, None, r"frame f: `predicted` must hold train ids 0..2; found 3"),
        (FRAME, FRAME + 7, None, r"frame f: `target` must hold train ids 0..2, 254 or 255; found 7"),
        (FRAME[:1], FRAME, None, r"`predicted` must have the shape of `target`, \(2, 2\); got \(1, 2\)"),
        (FRAME, FRAME, np.zeros(4, bool), "`flagged` must have the shape"),
        (FRAME, FRAME, FRAME, "`flagged` must be bool"),
        (FRAME.astype(float), FRAME, None, "`predicted` must hold integers; got float64"),
    ],
)
def test_bad_frames_are_named(
    predicted: np.ndarray, target: np.ndarray, flagged: object, message: str
) -> None:
    metrics = ClosedSetMetrics(3)
    with pytest.raises(UsageError, match=message):
        metrics.update(predicted, target, flagged, name="f")
    assert metrics.compute().num_pixels == 0


def test_classes_must_fit() -> None:
    with pytest.raises(UsageError, match=r"`num_classes` must lie in \[1, 254\]"):
        ClosedSetMetrics(0)
    with pytest.raises(UsageError, match="`class_names` must be 2 different names; got 3"):
        ClosedSetMetrics(2, ["a", "b", "c"])
    with pytest.raises(UsageError, match="different names"):
        ClosedSetMetrics(2, ["a", "a"])
    with pytest.raises(UsageError, match="only equal classes merge"):
        ClosedSetMetrics(2).merge(ClosedSetMetrics(3))
