"""`segood calibrate` on the synthetic world: all targets, what it writes, what it refuses."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from segood import runs
from segood.cli import main
from segood.data import open_dataset
from segood.data.config import DatasetConfig
from segood.data.synthetic import WorldPaths
from segood.deployment.calibration import Calibration
from segood.evaluation.config import EvaluationConfig
from segood.evaluation.run import evaluate_run
from segood.files import file_hash
from segood.meta import MetaClassifier
from segood.models import load_model
from segood.models.config import ModelConfig
from segood.scores import get_score

Fails = Callable[..., str]


@pytest.fixture(scope="module")
def run(world: WorldPaths, checkpoints: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose meta classifier was fitted on the Fishyscapes of the world, region: lower two thirds."""
    run = tmp_path_factory.mktemp("calibrated") / "run"
    config = EvaluationConfig(
        datasets={"static": DatasetConfig("fishyscapes_static", "fishyscapes")},
        threshold=0.6,
        gallery_frames=0,
        explore=[],
        region={"polygon": [[0.3, 0], [0.3, 1], [1, 1], [1, 0]]},
    )
    root = str(world.cityscapes.parent)
    evaluate_run(run, config, models={"mine": ModelConfig(str(checkpoints["after"]))}, data_root=root)
    return run


def words(world: WorldPaths, *more: object) -> list[str]:
    """Options of a calibration on the world's LostAndFound, every frame a unit."""
    options = ("--dataset.name", "lost_and_found", "--dataset.root", world.lost_and_found, "--unit", "frame")
    return [str(word) for word in (*options, *more)]


def test_pixel_fpr_end_to_end(
    run: Path, world: WorldPaths, checkpoints: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    given = words(world, "--target", "pixel_fpr", "--alpha", 0.4, "--check_splits", 200)
    assert main(["calibrate", str(run), *given]) == 0, capsys.readouterr().err
    text = capsys.readouterr().out
    assert "share of a frame's in-distribution pixels that are flagged: at most 0.4" in text
    assert "exchangeable" in text
    assert f"written: {run / 'calibration.json'}" in text
    found = Calibration.load(run / "calibration.json")
    assert (found.num_units, found.num_frames) == (5, 5)
    assert found.region == {"polygon": [[0.3, 0], [0.3, 1], [1, 1], [1, 0]]}
    assert found.model_sha256 == file_hash(checkpoints["after"])
    assert found.meta_sha256 == file_hash(run / runs.META)
    # the promise, from scratch
    model = load_model(checkpoints["after"])
    shares = {t: [] for t in (found.threshold, found.threshold - 0.001)}  # type: ignore[var-annotated]
    for image, target, _ in open_dataset("lost_and_found", world.lost_and_found, "test"):
        assert target is not None
        score = get_score("entropy")(logits=model.predict_logits(image)[None])[0].numpy()
        row = np.arange(len(target))[:, None] + 0.5
        known = (target == 0) & (row > 0.3 * len(target))
        for threshold, values in shares.items():
            values.append((score[known] >= np.float32(threshold)).mean())
    risk, lower = (float(np.mean(values)) for values in shares.values())
    assert found.risk == pytest.approx(risk, abs=1e-4)
    assert found.bound == pytest.approx((5 * found.risk + 1) / 6)
    assert found.bound <= 0.4 < (5 * lower + 1) / 6 + 1e-4
    assert found.splits is not None
    assert found.splits.mean_risk is not None
    assert found.drift.num_frames == 5
    assert found.drift.threshold == found.threshold


def test_the_other_targets(run: Path, world: WorldPaths, tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "c.json"
    for given, method, search in (
        (("--target", "missed_objects", "--alpha", 0.5), "crc", "entropy"),
        (("--target", "false_alarms", "--alpha", 9, "--cap", 20), "crc", "meta"),
        (("--target", "false_alarms", "--alpha", 15, "--cap", 20, "--method", "ltt", "--delta", 0.5,
          "--search", "entropy"), "ltt", "entropy"),
    ):  # fmt: skip
        assert main(["calibrate", str(run), *words(world, *given, "--out", out, "--json")]) == 0
        printed = json.loads(capsys.readouterr().out)
        found = Calibration.load(out)
        assert printed == json.loads(json.dumps(found.to_dict()))
        assert (found.method, found.search) == (method, search)
        assert found.risk <= found.bound <= found.alpha
        if found.search == "meta":
            assert found.threshold == 0.6
            assert found.missed_share is not None
    assert not (run / "other").exists()


def test_too_few_units_and_no_setting(fails: Fails, run: Path, world: WorldPaths) -> None:
    line = fails("calibrate", run, *words(world, "--target", "pixel_fpr", "--alpha", 0.05), code=2)
    assert (
        "5 units are too few for a risk of at most 0.05 with losses up to 1: at least 19 are needed" in line
    )
    given = words(world, "--target", "false_alarms", "--alpha", 1, "--method", "ltt")
    assert "at least 44 are needed (without any loss)" in fails("calibrate", run, *given, code=2)
    given = words(world, "--target", "pixel_fpr", "--alpha", 0.2, "--check_splits", 10)
    assert "`check_splits` calibrates on half" in fails("calibrate", run, *given, code=2)
    scene = words(world, "--target", "pixel_fpr", "--alpha", 0.4)
    del scene[-6:-4]  # --unit frame
    assert "too few" in fails("calibrate", run, *scene, "--unit", "(test)", code=2)


def test_what_was_seen_before_cannot_calibrate(
    fails: Fails, run: Path, world: WorldPaths, tmp_path: Path, capsys: Any
) -> None:
    target = ("--target", "pixel_fpr", "--alpha", 0.4)
    fishy = ("--dataset.name", "fishyscapes_static", "--dataset.root")
    line = fails("calibrate", run, *fishy, world.fishyscapes, *target, code=2)
    assert "5 of 5 images of Fishyscapes Static cannot calibrate" in line
    assert "the meta classifier was fitted on them (static)" in line
    # under another name, one old image among others
    mixed = tmp_path / "mixed"
    for folder in ("images", "labels_masks"):
        (mixed / folder).mkdir(parents=True)
        first = sorted((world.fishyscapes / folder).iterdir())[0]
        shutil.copy(first, mixed / folder / f"renamed{first.suffix}")
    given = ("--dataset.name", "road_anomaly_21", "--dataset.root", mixed, *target)
    assert "1 of 1 images" in fails("calibrate", run, *given, "--alpha", 0.6, code=2)
    # without hashes, as older runs have it, the data sets of the evaluation are looked at
    old = Path(shutil.copytree(run, tmp_path / "old"))
    stored = json.loads((old / runs.META).read_text())
    del stored["provenance"]["images"]
    (old / runs.META).write_text(json.dumps(stored))
    assert "was fitted on them (static)" in fails(
        "calibrate", old, *fishy, world.fishyscapes, *target, code=2
    )
    # the training
    config = yaml.safe_load((old / runs.CONFIG).read_text())
    street = dataclasses.asdict(DatasetConfig("cityscapes", "cityscapes", "train"))
    config.update(street=street, data_root=str(world.cityscapes.parent))
    (old / runs.CONFIG).write_text(yaml.safe_dump(config))
    city = ("--dataset.name", "cityscapes", "--dataset.root", world.cityscapes, "--unit", "frame", *target)
    line = fails("calibrate", old, *city, "--dataset.split", "train", code=2)
    assert "6 of 6 images of Cityscapes cannot calibrate, since the training used them (street)" in line
    # what cannot be opened any more is said
    config["street"]["root"] = "gone"
    (old / runs.CONFIG).write_text(yaml.safe_dump(config))
    capsys.readouterr()
    out = ("--out", tmp_path / "city.json", "--alpha", "0.5", "--dataset.split", "train")
    assert main(["calibrate", str(old), *map(str, (*city, *out))]) == 0
    text = capsys.readouterr().out
    assert "caution      cityscapes: not compared, it cannot be opened here" in text
    assert "the labels know no unknown objects" in text


def test_another_region_is_refused(fails: Fails, run: Path, world: WorldPaths) -> None:
    given = words(world, "--target", "pixel_fpr", "--alpha", 0.4, "--region", "{classes: [0, 1]}")
    line = fails("calibrate", run, *given, code=2)
    assert "the region to calibrate is hull of predicted classes 0, 1" in line
    assert "segments of another one (polygon of 4 corners)" in line


def test_other_mistakes(fails: Fails, run: Path, world: WorldPaths, tmp_path: Path) -> None:
    for given, message in (
        (("--target", "pixel_fpr", "--alpha", 2), "`alpha` must lie in (0, 1) for pixel_fpr"),
        (("--target", "pixelfpr", "--alpha", 0.4), "target"),
        (("--target", "pixel_fpr", "--alpha", 0.4, "--search", "both"), "leave out `search`"),
        (("--target", "pixel_fpr", "--alpha", 0.4, "--region", "{polygon: 3}"), "a region is {polygon"),
        (("--target", "pixel_fpr", "--alpah", 0.4), "did you mean 'alpha'"),
    ):
        assert message in fails("calibrate", run, *words(world, *given), code=2)
    city = ("--dataset.name", "cityscapes", "--dataset.root", world.cityscapes, "--dataset.split", "val")
    line = fails("calibrate", run, *city, "--target", "missed_objects", "--alpha", 0.6, code=2)
    assert "labels no unknown objects, so none can be missed" in line
    nowhere = words(world, "--target", "pixel_fpr", "--alpha", 0.4)
    assert "is no run directory" in fails("calibrate", tmp_path, *nowhere, code=1)
    plain = Path(shutil.copytree(run, tmp_path / "plain"))
    (plain / runs.META).unlink()
    line = fails("calibrate", plain, *words(world, "--target", "false_alarms", "--alpha", 9), code=2)
    assert "the run has no meta.json" in line
    meta = MetaClassifier.load(run / runs.META)
    assert meta.provenance["region"] is not None
    what = yaml.safe_load((run / runs.EVALUATION).read_text())
    (plain / runs.EVALUATION).write_text(yaml.safe_dump({**what, "score": "msp"}))
    meta.save(plain / runs.META)
    line = fails("calibrate", plain, *words(world, "--target", "pixel_fpr", "--alpha", 0.4), code=2)
    assert "evaluated with the score msp" in line
