"""A run directory: evaluated as a whole, or left as it was."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from segood import runs
from segood.data.config import DatasetConfig
from segood.data.synthetic import WorldPaths
from segood.errors import DataError, UsageError
from segood.evaluation import RunResults
from segood.evaluation.config import EvaluationConfig, MetaConfig, stored_evaluation
from segood.evaluation.gallery import load_gallery_frame
from segood.evaluation.run import evaluate_run, filter_run, read_segments
from segood.evaluation.segment import errors_of
from segood.evaluation.staging import holds_only_leftovers
from segood.meta import MetaClassifier
from segood.models import load_model, save_model
from segood.models.config import ModelConfig
from segood.reporting import format_table


def copy_of(run: Path, folder: Path) -> Path:
    return Path(shutil.copytree(run, folder / "copy"))


def contents(run: Path) -> dict[str, bytes]:
    """Return all files of a run but what an unfinished evaluation keeps to go on with."""
    files = [p for p in sorted(run.rglob("*")) if p.is_file() and ".evaluation.pieces" not in str(p)]
    return {str(p.relative_to(run)): p.read_bytes() for p in files}


def static(world: WorldPaths) -> dict[str, DatasetConfig]:
    return {"static": DatasetConfig("fishyscapes_static", str(world.fishyscapes))}


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
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    before = RunResults.load(copy / runs.METRICS)
    results = filter_run(copy, MetaConfig(protocol="leave-one-out", probability_threshold=0.9))
    assert results.pixel == before.pixel
    assert {s.meta.protocol for s in results.segment if s.meta} == {"leave-one-out"}
    assert MetaClassifier.load(copy / runs.META).threshold == 0.9


def test_models_can_be_given_for_a_new_run(run: Path, world: WorldPaths, tmp_path: Path) -> None:
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


def test_a_failed_evaluation_leaves_the_older_one_untouched(
    run: Path, world: WorldPaths, tmp_path: Path
) -> None:
    copy = copy_of(run, tmp_path)
    (copy / ".evaluation.killed").mkdir()  # what a killed process leaves
    before = contents(copy)
    broken = tmp_path / "fishyscapes"
    shutil.copytree(world.fishyscapes, broken)
    last = sorted(p for p in (broken / "images").iterdir())[-1]
    last.write_bytes(last.read_bytes()[:100])
    config = EvaluationConfig(
        datasets={"static": DatasetConfig("fishyscapes_static", str(broken))}, threshold=0.9
    )
    with pytest.raises(DataError, match=last.name):
        evaluate_run(copy, config)
    assert contents(copy) == before
    assert [p.name[:19] for p in copy.glob(".evaluation*")] == [".evaluation.pieces."]
    with pytest.raises(DataError, match=last.name):
        evaluate_run(tmp_path / "new", config, models={"mine": ModelConfig(str(run / runs.FINAL))})
    assert holds_only_leftovers(tmp_path / "new")  # so that the same call goes on with it


def test_results_of_an_older_evaluation_do_not_stay(run: Path, tmp_path: Path) -> None:
    copy = copy_of(run, tmp_path)
    assert (copy / runs.META).exists()
    stored = stored_evaluation(runs.read_config(copy))
    # nothing reaches this threshold, so there is no segment and no meta classifier
    quiet = dataclasses.replace(stored, datasets={"static": stored.datasets["static"]}, threshold=1.0)
    results = evaluate_run(copy, quiet)
    assert results.meta_models == []
    assert not (copy / runs.META).exists()
    assert [p.name for p in (copy / runs.GALLERY).iterdir()] == ["static"]
    assert runs.read_config(copy, runs.EVALUATION)["threshold"] == 1.0


def test_only_the_last_network_has_its_classifier_saved(run: Path, tmp_path: Path) -> None:
    copy = copy_of(run, tmp_path)
    segments = read_segments(copy)
    segments.loc[segments["model"] == "after", "is_false_positive"] = True
    segments.to_parquet(copy / runs.SEGMENTS)
    results = filter_run(copy, MetaConfig())
    assert [m.model for m in results.meta_models] == ["before"]
    assert not (copy / runs.META).exists()


def test_the_resolved_evaluation_is_recorded(run: Path, world: WorldPaths, tmp_path: Path) -> None:
    recorded = runs.read_config(run, runs.EVALUATION)
    assert recorded["threshold"] == 0.9
    assert recorded["data_root"] == str(world.cityscapes.parent)
    assert "models" not in recorded
    copy = copy_of(run, tmp_path)
    filter_run(copy, MetaConfig(probability_threshold=0.8))
    assert runs.read_config(copy, runs.EVALUATION)["meta"]["probability_threshold"] == 0.8


def test_networks_are_given_for_new_directories_only(run: Path, tmp_path: Path) -> None:
    models = {"mine": ModelConfig(str(run / runs.FINAL))}
    with pytest.raises(UsageError, match="holds a training, which is evaluated with its own networks"):
        evaluate_run(run, models=models)
    (tmp_path / "letter.txt").touch()
    with pytest.raises(UsageError, match=r"is not empty .*; choose another directory, or remove it$"):
        evaluate_run(tmp_path, models=models)


def test_closed_set_only(run: Path, world: WorldPaths, tmp_path: Path) -> None:
    config = EvaluationConfig(closed_set={"city": DatasetConfig("cityscapes", str(world.cityscapes), "val")})
    results = evaluate_run(copy_of(run, tmp_path), config)
    assert (results.pixel, results.segment, len(results.closed_set)) == ([], [], 2)
    segments = read_segments(tmp_path / "copy")
    assert len(segments) == 0
    assert list(segments.columns) == list(read_segments(run).columns)
    assert "cityscapes" in format_table(results).lower()
    assert filter_run(tmp_path / "copy", MetaConfig()).closed_set == results.closed_set


def test_networks_of_different_class_counts_compare(run: Path, world: WorldPaths, tmp_path: Path) -> None:
    torch.manual_seed(2)
    save_model(load_model("unet", num_classes=5, width=8), tmp_path / "five.safetensors")
    models = {
        "few": ModelConfig(str(tmp_path / "five.safetensors")),
        "many": ModelConfig(str(run / runs.FINAL)),
    }
    results = evaluate_run(tmp_path / "new", EvaluationConfig(static(world), threshold=0.95), models=models)
    counts = {m.model: len(m.coefficients) for m in results.meta_models}
    assert counts == {"few": 37 + 2 * 5, "many": 37 + 2 * 19}
    again = evaluate_run(tmp_path / "new")  # the directory knows its networks
    assert again.pixel == results.pixel


def test_random_weights_are_refused(world: WorldPaths, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"`models.mine` unet has no weights.*--models.mine.checkpoint FILE"):
        evaluate_run(tmp_path / "new", EvaluationConfig(static(world)), models={"mine": ModelConfig("unet")})
    with pytest.raises(UsageError, match=r"give --model.name FILE.safetensors or --model.checkpoint FILE"):
        ModelConfig().load_trained()


def test_a_process_that_dies_between_renames_leaves_no_mixture(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = copy_of(run, tmp_path)
    rename, count = Path.replace, 0

    def dying(self: Path, target: Path) -> Path:
        nonlocal count
        count += target == copy / runs.SEGMENTS
        if count:
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", dying)
    with pytest.raises(KeyboardInterrupt):
        filter_run(copy, MetaConfig(protocol="leave-one-out"))
    monkeypatch.undo()
    for part in (runs.SEGMENTS, runs.METRICS, runs.META):
        assert (copy / part).read_bytes() == (run / part).read_bytes(), part
    assert not list(copy.glob(".evaluation.*"))
    config = stored_evaluation(runs.read_config(copy))
    assert evaluate_run(copy, config).pixel == RunResults.load(run / runs.METRICS).pixel
