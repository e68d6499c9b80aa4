"""Evaluation of networks on data sets, meta classification of their segments, and the files of a run."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score

from segood import runs
from segood.data import open_dataset
from segood.data.config import DatasetConfig
from segood.data.synthetic import WorldPaths
from segood.errors import DataError, UsageError
from segood.evaluation import RunResults, SegmentErrors, SegmentResult, match_segments
from segood.evaluation.config import EvaluationConfig, MetaConfig
from segood.evaluation.false_alarms import errors_of, feature_columns, filter_false_alarms
from segood.evaluation.gallery import load_gallery_frame
from segood.evaluation.run import evaluate_run, filter_run, read_segments
from segood.evaluation.runner import measure_closed_set, measure_dataset
from segood.evaluation.score_maps import export_scores, read_score_map, write_score_map
from segood.meta import MetaClassifier
from segood.models import SegmentationModel, load_model, save_model
from segood.scores import get_score
from segood.segments import extract_segments
from segood.types import IGNORE


@pytest.fixture(scope="module")
def model() -> SegmentationModel:
    torch.manual_seed(0)
    return load_model("unet", width=8)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, world: WorldPaths, model: SegmentationModel) -> Path:
    """An evaluated run of two untrained networks."""
    run = tmp_path_factory.mktemp("runs") / "run"
    torch.manual_seed(1)
    evaluation = EvaluationConfig(
        datasets={
            "laf": DatasetConfig("lost_and_found", "lost_and_found", "test", options={"protocol": "smiyc"}),
            "static": DatasetConfig("fishyscapes_static", "fishyscapes"),
        },
        closed_set={"city": DatasetConfig("cityscapes", "cityscapes", "val")},
        threshold=0.9,
        gallery_frames=2,
    )
    runs.write_description(
        runs.claim_run(run),
        {"evaluation": dataclasses.asdict(evaluation), "data_root": str(world.cityscapes.parent), "seed": 5},
    )
    save_model(model, run / runs.START)
    save_model(load_model("unet", width=8), run / runs.FINAL)
    evaluate_run(run)
    return run


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
    with pytest.raises(DataError, match="closed_set data set; an OoD evaluation needs"):
        measure_dataset("x", street, {"a": model}, EvaluationConfig())


def test_a_run_holds_all_its_parts(run: Path) -> None:
    results = RunResults.load(run / runs.METRICS)
    assert [m.key for m in results.models] == ["before", "after"]
    assert all(m.sha256 and len(m.sha256) == 64 for m in results.models)
    assert [(p.model, p.dataset) for p in results.pixel] == [
        ("before", "laf"), ("after", "laf"), ("before", "static"), ("after", "static"),
    ]  # fmt: skip
    assert results.seed == 5
    assert len(results.closed_set) == 2
    segments = read_segments(run)
    for result in results.segment:
        rows = segments[(segments["model"] == result.model) & (segments["dataset"] == result.dataset)]
        assert len(rows) == result.before_meta.num_predicted
        if result.meta and result.meta.after:
            assert errors_of(rows[~rows["removed"]], result.num_ground_truth) == result.meta.after
    frames = sorted((run / runs.GALLERY).rglob("*.npz"))
    assert len(frames) == 4
    frame = load_gallery_frame(frames[0])
    assert frame.image.shape[:2] == frame.target.shape == frame.scores["after"].shape
    shown = segments[(segments["sample_id"] == frame.sample_id) & (segments["model"] == "after")]
    assert set(np.unique(frame.labels["after"])) - {0} <= set(shown["segment"])
    assert MetaClassifier.load(run / runs.META).provenance["model"] == "after"


def test_meta_can_be_repeated_with_another_protocol(run: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    before = RunResults.load(copy / runs.METRICS)
    results = filter_run(copy, MetaConfig(protocol="leave-one-out", probability_threshold=0.9))
    assert results.pixel == before.pixel
    assert {s.meta.protocol for s in results.segment if s.meta} == {"leave-one-out"}
    assert MetaClassifier.load(copy / runs.META).threshold == 0.9


def test_models_can_be_given_for_a_new_run(run: Path, world: WorldPaths, tmp_path: Path) -> None:
    from segood.models.config import ModelConfig

    config = EvaluationConfig(
        datasets={"static": DatasetConfig("fishyscapes_static", str(world.fishyscapes))}
    )
    results = evaluate_run(tmp_path / "new", config, models={"mine": ModelConfig(str(run / runs.FINAL))})
    assert [m.key for m in results.models] == ["mine"]
    assert runs.read_config(tmp_path / "new")["models"]["mine"]["name"]


def test_unfinished_and_missing_runs(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is no run directory"):
        evaluate_run(tmp_path)
    with pytest.raises(DataError, match="run `segood evaluate` first"):
        filter_run(tmp_path, MetaConfig())
    runs.write_description(tmp_path, {"evaluation": {}})
    with pytest.raises(UsageError, match="nothing to evaluate"):
        evaluate_run(tmp_path)


def test_score_maps_are_written_once_and_read_back(
    world: WorldPaths, model: SegmentationModel, tmp_path: Path
) -> None:
    dataset = open_dataset("fishyscapes_static", world.fishyscapes)
    folder = export_scores(model, dataset, tmp_path, method="mine")
    assert folder == tmp_path / "anomaly_p" / "mine" / dataset.name
    path = folder / f"{dataset.records[0].sample_id}.hdf5"
    expected = get_score("entropy")(logits=model.predict_logits(dataset[0].image)[None])[0].numpy()
    np.testing.assert_array_equal(read_score_map(path), expected.astype(np.float16))
    stamp = path.stat().st_mtime_ns
    export_scores(model, dataset, tmp_path, method="mine")
    assert path.stat().st_mtime_ns == stamp


def test_bad_score_maps(tmp_path: Path) -> None:
    (tmp_path / "a.hdf5").write_text("no")
    with pytest.raises(DataError, match="not a score map"):
        read_score_map(tmp_path / "a.hdf5")
    write_score_map(tmp_path / "b.hdf5", np.zeros((2, 2, 2)))
    with pytest.raises(DataError, match=r"must have shape \(H,W\)"):
        read_score_map(tmp_path / "b.hdf5")
