"""Every verb on a small trained run, as processes; and what users get wrong."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from segood import runs
from segood.data.synthetic import WorldPaths
from segood.models import load_model, save_model

Segood = Callable[..., subprocess.CompletedProcess[str]]
Fails = Callable[..., str]

CONFIG = """
street: {{name: cityscapes, root: cityscapes, split: train}}
validation: {{name: cityscapes, root: cityscapes, split: val}}
model: {{name: unet, options: {{width: 8}}}}
proxies:
  dataset: {{name: coco_proxies, root: coco, split: train}}
  ratio: 0.5
augmentation: {{crop_size: [64, 96]}}
optimizer: {{lr: 0.01}}
epochs: 1
batch_size: 3
num_workers: 0
data_root: {root}
trainer: {{accelerator: cpu}}
evaluation:
  threshold: 0.9
  gallery_frames: 1
  datasets:
    laf: {{name: lost_and_found, root: lost_and_found, split: test, options: {{protocol: smiyc}}}}
    static: {{name: fishyscapes_static, root: fishyscapes}}
  closed_set:
    city: {{name: cityscapes, root: cityscapes, split: val}}
"""


@pytest.fixture(scope="module")
def config(world: WorldPaths, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "small.yaml"
    path.write_text(CONFIG.format(root=world.cityscapes.parent))
    return path


@pytest.fixture(scope="module")
def run(segood: Segood, config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "run"
    for arguments in (("train", "--config", config, "--out", run), ("evaluate", run), ("report", run)):
        done = segood(*arguments)
        assert done.returncode == 0, done.stderr
    return run


def test_train_evaluate_report(run: Path) -> None:
    for name in (runs.CONFIG, runs.METRICS, runs.SEGMENTS, runs.FINAL, "report.html"):
        assert (run / name).exists()
    command = json.loads((run / runs.ENVIRONMENT).read_text())["command"]
    assert command.startswith("segood train --config")


def test_evaluate_and_meta_as_json(segood: Segood, run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    done = segood("evaluate", copy, "--json", "--threshold", "0.8")
    assert done.returncode == 0, done.stderr
    assert {s["threshold"] for s in json.loads(done.stdout)["segment"]} == {0.8}
    done = segood("meta", copy, "--protocol", "leave-one-out", "--json")
    assert done.returncode == 0, done.stderr
    assert {s["meta"]["protocol"] for s in json.loads(done.stdout)} == {"leave-one-out"}


def test_predict_and_score(segood: Segood, run: Path, world: WorldPaths, tmp_path: Path) -> None:
    model = run / runs.FINAL
    images = world.fishyscapes / "images"
    found = tmp_path / "found"
    done = segood("predict", images, "--model.name", model, "--threshold", "0.9", "--out", found, "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads((found / "summary.json").read_text())
    assert json.loads(done.stdout) == summary
    assert summary["frames"] == summary["verdicts"] == len(list(images.iterdir()))
    assert len(list((found / "overlays").iterdir())) == len(list(images.iterdir()))
    dataset = ("--dataset.name", "fishyscapes_static", "--dataset.root", world.fishyscapes)
    done = segood("score", "--model.name", model, *dataset, "--out", tmp_path / "scores")
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "scores").rglob("*.hdf5"))) == len(list(images.iterdir()))


def test_a_damaged_image_is_exit_code_1_and_stops_no_other(
    segood: Segood, run: Path, world: WorldPaths, tmp_path: Path
) -> None:
    photos = tmp_path / "photos"
    shutil.copytree(world.fishyscapes / "images", photos)
    first, *others = sorted(photos.iterdir())
    first.write_bytes(first.read_bytes()[:100])
    command = ("predict", photos, "--model.name", run / runs.FINAL, "--out", tmp_path / "found", "--resume")
    for _ in range(2):  # the same command can be repeated
        done = segood(*command)
        assert done.returncode == 1
        line = done.stderr.strip().splitlines()[-1]
        assert f"1 of {len(others) + 1} frames cannot be read; the first: {first}" in line
        assert len((tmp_path / "found" / "frames.jsonl").read_text().splitlines()) == len(others) + 1


def test_networks_without_weights_are_exit_code_2(fails: Fails, world: WorldPaths, tmp_path: Path) -> None:
    images = world.fishyscapes / "images"
    dataset = ("--dataset.name", "fishyscapes_static", "--dataset.root", world.fishyscapes)
    for model in ((), ("--model.name", "unet")):
        for verb in (("predict", images), ("score", *dataset)):
            line = fails(*verb, *model, "--out", tmp_path / "out", code=2)
            assert "give --model.name FILE.safetensors or --model.checkpoint FILE" in line
    assert not (tmp_path / "out").exists()


def test_only_the_run_gives_defaults(run: Path, tmp_path: Path) -> None:
    from segood.cli.evaluate import build_parser, set_defaults

    def threshold(*words: object) -> float:
        parser = build_parser()
        set_defaults(parser, [str(word) for word in words])
        return float(parser.get_defaults().threshold)

    assert threshold(run) == 0.9
    assert threshold("--json", "--threshold=0.3", "--data_root", tmp_path, run) == 0.9
    assert threshold("--", run) == 0.9
    assert threshold("--data_root", run, tmp_path) == 0.7
    assert threshold(tmp_path, "--models.mine.name", run) == 0.7
    assert threshold("--config", run) == 0.7


def test_an_evaluation_can_be_repeated_from_its_record(segood: Segood, run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    done = segood("evaluate", copy, "--threshold", "0.8", "--meta.protocol", "leave-one-out")
    assert done.returncode == 0, done.stderr
    record = tmp_path / "evaluation.yaml"
    shutil.copy(copy / runs.EVALUATION, record)
    done = segood("evaluate", copy, "--config", record)
    assert done.returncode == 0, done.stderr
    assert (copy / runs.EVALUATION).read_text() == record.read_text()


def test_data_verbs(segood: Segood, world: WorldPaths, tmp_path: Path) -> None:
    done = segood("data", "check", world.cityscapes, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["datasets"][0]["name"] == "cityscapes"
    done = segood("data", "check", world.fishyscapes, "--name", "folder", "--options", "{mapping: {0: 0}}")
    assert done.returncode == 1
    assert "unknown label value 1" in done.stdout
    city = tmp_path / "cityscapes"
    shutil.copytree(world.cityscapes, city)
    for path in city.rglob("*_labelTrainIds.png"):
        path.unlink()
    assert segood("data", "prepare", "cityscapes", city).returncode == 0
    written = sorted(p.relative_to(city) for p in city.rglob("*_labelTrainIds.png"))
    original = world.cityscapes.rglob("*_labelTrainIds.png")
    assert written == sorted(p.relative_to(world.cityscapes) for p in original)
    for path in written:
        with Image.open(city / path) as ours, Image.open(world.cityscapes / path) as theirs:
            assert ours.tobytes() == theirs.tobytes()
    done = segood("data", "prepare", "coco", world.coco, "--cache", tmp_path / "masks")
    assert done.returncode == 0, done.stderr
    assert "kept" in done.stdout


def test_wrong_data_is_exit_code_1(fails: Fails, config: Path, world: WorldPaths, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train = ("train", "--config", config, "--out", out)
    line = fails(*train, "--street.root", "nowhere", code=1)
    assert "nowhere" in line
    assert "does not exist" in line
    assert "train, val" in fails(*train, "--street.split", "tset", code=2)
    line = fails(*train, "--proxies.dataset.options", "{min_side: 5000}", code=1)
    assert "5000" in line
    broken = tmp_path / "broken"
    shutil.copytree(world.cityscapes, broken)
    image = next((broken / "leftImg8bit" / "train").rglob("*.png"))
    label = next(
        (broken / "gtFine" / "train").rglob(image.name.replace("_leftImg8bit", "_gtFine_labelTrainIds"))
    )
    label.unlink()
    next((broken / "gtFine" / "train").rglob(image.name.replace("_leftImg8bit", "_gtFine_labelIds"))).unlink()
    assert image.stem.removesuffix("_leftImg8bit") in fails(*train, "--street.root", broken, code=1)
    assert not out.exists()


def test_wrong_checkpoints_are_exit_code_1(fails: Fails, config: Path, tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (exec, (f"open({str(tmp_path / 'boom')!r}, 'w')",))

    torch.save({"state_dict": Bomb()}, tmp_path / "bomb.pth")
    save_model(load_model("unet", num_classes=5, width=8), tmp_path / "five.safetensors")
    torch.save({"wrong.weight": torch.zeros(1)}, tmp_path / "keys.pth")
    out = tmp_path / "run"
    train = ("train", "--config", config, "--out", out, "--model.num_classes", "19", "--model.checkpoint")
    assert "bomb.pth" in fails(*train, tmp_path / "bomb.pth", code=1)
    assert not (tmp_path / "boom").exists()
    assert "5" in fails(*train, tmp_path / "five.safetensors", code=1)
    assert "missing" in fails(*train, tmp_path / "keys.pth", code=1)
    assert not out.exists()


def test_wrong_usage_is_exit_code_2(fails: Fails, config: Path, run: Path, tmp_path: Path) -> None:
    assert "already holds another run" in fails("train", "--config", config, "--out", run, code=2)
    assert "must lie in [0, 1]" in fails("meta", run, "--probability_threshold", "2", code=2)
    assert "is no run directory" in fails("evaluate", tmp_path / "nothing", code=1)
    assert "did you mean 'entropy'" in fails("evaluate", run, "--score", "entrpy", code=2)
