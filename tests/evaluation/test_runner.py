"""Evaluation of networks on data sets, and meta classification of their segments."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from segood.data import Sample, open_dataset
from segood.data.synthetic import WorldPaths
from segood.errors import UsageError
from segood.evaluation import SegmentErrors, SegmentResult, match_segments
from segood.evaluation.config import EvaluationConfig, MetaConfig
from segood.evaluation.false_alarms import feature_columns, filter_false_alarms
from segood.evaluation.gallery import GalleryFrame, load_gallery_frame, save_gallery_frame
from segood.evaluation.runner import measure_closed_set, measure_dataset
from segood.evaluation.segment import errors_of
from segood.models import SegmentationModel, load_model
from segood.scores import get_score
from segood.segments import extract_segments
from segood.types import IGNORE


def test_pixel_numbers_equal_scikit_learn(world: WorldPaths, model: SegmentationModel) -> None:
    dataset = open_dataset("fishyscapes_static", world.fishyscapes)
    measured = measure_dataset("static", dataset, {"a": model}, EvaluationConfig())
    scores, targets = [], []
    for image, target, _ in dataset:
        assert target is not None
        score = get_score("entropy")(logits=model.predict_logits(image)[None])[0].numpy()
        scores.append(score[target != IGNORE])
        targets.append(target[target != IGNORE])
    score, target = np.concatenate(scores), np.concatenate(targets)
    (result,) = measured.pixel
    assert (result.num_in, result.num_ood) == ((target == 0).sum(), (target == 1).sum())
    # an untrained network's entropies crowd at 1, where bins are widest: the stated bound has to hold
    bound = result.error_bound
    assert max(bound.values()) < 1e-2
    assert result.auroc == pytest.approx(roc_auc_score(target, score), abs=bound["auroc"])
    assert result.average_precision == pytest.approx(
        average_precision_score(target, score), abs=bound["average_precision"]
    )
    assert measured.dataset.num_images == 5
    assert measured.dataset.num_images_with_ood == 4
    assert measured.dataset.protocol == dataset.protocol


def test_segments_equal_frame_by_frame_matching(world: WorldPaths, model: SegmentationModel) -> None:
    dataset = open_dataset("fishyscapes_static", world.fishyscapes)
    config = EvaluationConfig(threshold=0.9)
    measured = measure_dataset("static", dataset, {"a": model, "b": model}, config)
    false_positives = false_negatives = predicted = truth = 0
    for image, target, _ in dataset:
        assert target is not None
        found = extract_segments(logits=model.predict_logits(image), threshold=0.9, ignore=target == IGNORE)
        match = match_segments(found.labels, target)
        false_positives += match.num_false_positives
        false_negatives += match.num_false_negatives
        predicted += len(found)
        truth += len(match.ground_truth)
    first, second = measured.segment
    assert first.before_meta == SegmentErrors(
        predicted, false_positives, false_negatives, false_positives + false_negatives
    )
    assert first.num_ground_truth == truth
    assert second.before_meta == first.before_meta
    rows = measured.segments[measured.segments["model"] == "a"]
    assert errors_of(rows, truth) == first.before_meta
    assert len(feature_columns(rows)) == 37 + 2 * 19


def test_errors_after_removal_by_hand() -> None:
    # frame 1: segments 1 (object 1), 2 (object 1 again), 3 (false alarm); object 2 is missed
    # frame 2: segment 1 (object 1)                      -> 3 objects in all
    rows = pd.DataFrame(
        {
            "sample_id": ["1", "1", "1", "2"],
            "ground_truth": [[1], [1], [], [1]],
            "is_false_positive": [False, False, True, False],
        }
    )
    assert errors_of(rows, 3) == SegmentErrors(4, 1, 1, 2)
    assert errors_of(rows.drop(2), 3) == SegmentErrors(3, 0, 1, 1)  # the false alarm removed
    assert errors_of(rows.drop(0), 3) == SegmentErrors(3, 1, 1, 2)  # object 1 is still touched by segment 2
    assert errors_of(rows.drop([0, 1, 2]), 3) == SegmentErrors(1, 0, 2, 2)
    assert errors_of(rows.iloc[:0], 3) == SegmentErrors(0, 0, 3, 3)


def test_meta_classification_removes_what_the_features_tell() -> None:
    rng = np.random.default_rng(0)
    count = 60
    false_positive = np.arange(count) % 2 == 0
    table = pd.DataFrame(
        {
            "model": "a",
            "dataset": "d",
            "sample_id": [str(i // 6) for i in range(count)],
            "segment": np.arange(count) % 6 + 1,
            "size": np.where(false_positive, 5.0, 500.0) + rng.normal(0, 1, count),
            "entropy_mean": rng.normal(0, 1, count),
            "num_ood_pixels": np.where(false_positive, 0, 400),
            "iou": 0.0,
            "adjusted_iou": 0.0,
            "is_false_positive": false_positive,
            "ground_truth": [[] if f else [i % 6 + 1] for i, f in enumerate(false_positive)],
        }
    )
    before = SegmentResult("a", "d", "entropy", 0.7, 30, SegmentErrors(60, 30, 0, 30))
    filtered = filter_false_alarms(table, [before], MetaConfig())
    (result,) = filtered.results
    assert result.meta is not None
    assert result.meta.after == SegmentErrors(30, 0, 0, 0)
    assert (result.meta.num_removed_rightly, result.meta.num_removed_wrongly) == (30, 0)
    assert (filtered.segments["removed"] == false_positive).all()
    assert "removed" not in table


def test_meta_classification_of_one_kind_of_segment_is_undefined_with_a_reason() -> None:
    table = pd.DataFrame(
        {
            "model": "a",
            "dataset": "d",
            "sample_id": ["1", "2"],
            "segment": 1,
            "size": [1.0, 2.0],
            "num_ood_pixels": 0,
            "iou": 0.0,
            "adjusted_iou": 0.0,
            "is_false_positive": True,
            "ground_truth": [[], []],
        }
    )
    before = SegmentResult("a", "d", "entropy", 0.7, 0, SegmentErrors(2, 2, 0, 2))
    (result,) = filter_false_alarms(table, [before], MetaConfig()).results
    assert result.meta is not None
    assert result.meta.after is None
    assert result.meta.undefined


def test_a_data_set_without_ood_pixels_keeps_the_other_numbers(
    world: WorldPaths, model: SegmentationModel, tmp_path: Path
) -> None:
    from PIL import Image

    for folder, mode, size in (("images", "RGB", (64, 48)), ("labels_masks", "L", (64, 48))):
        (tmp_path / folder).mkdir()
        Image.new(mode, size).save(tmp_path / folder / "0.png")
    dataset = open_dataset("folder", tmp_path, mapping={0: 0}, role="ood")
    measured = measure_dataset("none", dataset, {"a": model}, EvaluationConfig(threshold=0.5))
    (pixel,), (segment,) = measured.pixel, measured.segment
    assert pixel.auroc is None
    assert pixel.average_precision is None
    assert pixel.fpr95 is None
    assert "no OoD pixel" in str(pixel.undefined)
    assert pixel.num_in == 64 * 48
    assert segment.before_meta.false_negatives == 0


def test_closed_set(world: WorldPaths, model: SegmentationModel) -> None:
    dataset = open_dataset("cityscapes", world.cityscapes, "val")
    loose, strict = (
        measure_closed_set("city", dataset, {"a": model}, EvaluationConfig(threshold=t))[0]
        for t in (0.0, 1.0)
    )
    assert loose.flagged_share == 1.0
    assert strict.flagged_share < 1.0
    assert loose.miou == strict.miou
    assert set(loose.iou) == set(model.class_names)


def test_wrong_kind_of_data_set(world: WorldPaths, model: SegmentationModel) -> None:
    street = open_dataset("cityscapes", world.cityscapes, "val")
    with pytest.raises(UsageError, match=r"closed_set data set; an OoD evaluation \(`datasets`\) needs"):
        measure_dataset("x", street, {"a": model}, EvaluationConfig())
    objects = open_dataset("fishyscapes_static", world.fishyscapes)
    with pytest.raises(
        UsageError, match=r"of the kind ood; the original task \(`closed_set`\) needs .* or a folder"
    ):
        measure_closed_set("x", objects, {"a": model}, EvaluationConfig())
    other = load_model("unet", num_classes=11, width=8)
    with pytest.raises(UsageError, match="labels of 19 classes"):
        measure_closed_set("x", street, {"a": model, "b": other}, EvaluationConfig())


def test_gallery_shows_scores_of_any_range(tmp_path: Path) -> None:
    ramp = np.linspace(-30, 10, 1001, dtype=np.float32).reshape(7, 143)
    labels = np.zeros(ramp.shape, np.int32)
    start = GalleryFrame.start(
        Sample(np.zeros((*ramp.shape, 3), np.uint8), np.zeros(ramp.shape, np.uint8), "a")
    )
    frame = start.with_models({"a": ramp, "b": ramp}, {"a": labels, "b": labels}, (-50, 50))
    assert (frame.low, frame.high) == (pytest.approx(-29.6), pytest.approx(9.6))
    shown = frame.low + frame.scores["a"] / 255 * (frame.high - frame.low)
    np.testing.assert_allclose(shown, np.clip(ramp, frame.low, frame.high), atol=0.5 * 39.2 / 255 + 1e-4)
    save_gallery_frame(tmp_path / "a.npz", frame)
    stored = load_gallery_frame(tmp_path / "a.npz")
    assert (stored.low, stored.high) == (frame.low, frame.high)
    flat = start.with_models({"a": 0 * ramp}, {"a": labels}, (-50, 50))
    assert (flat.scores["a"] == 0).all()
    unit = start.with_models({"a": ramp}, {"a": labels}, (0.0, 1.0))
    assert (unit.low, unit.high) == (0.0, 1.0)


def test_accuracy_is_measured_at_the_threshold_of_removal() -> None:
    rng = np.random.default_rng(3)
    table = pd.DataFrame(
        {
            "model": "a",
            "dataset": "d",
            "sample_id": [str(i // 4) for i in range(80)],
            "segment": 1,
            "size": rng.normal(0, 1, 80),
            "is_false_positive": rng.random(80) < 0.6,
            "ground_truth": [[] for _ in range(80)],
        }
    )
    before = SegmentResult("a", "d", "entropy", 0.7, 0, SegmentErrors(80, 0, 0, 0))
    (result,) = filter_false_alarms(table, [before], MetaConfig(probability_threshold=0.65)).results
    meta = result.meta
    assert meta is not None
    right = meta.num_removed_rightly + (80 - meta.num_false_positives - meta.num_removed_wrongly)
    assert meta.accuracy == pytest.approx(right / 80)
