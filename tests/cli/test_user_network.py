"""A new user's own network, in a file of theirs, through every verb; and what the verbs say of ONNX files."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tests.models.test_onnx_network import write

from segood import runs
from segood.cli import main
from segood.data.synthetic import WorldPaths
from segood.models import load_model, read_header

Segood = Callable[..., subprocess.CompletedProcess[str]]
Fails = Callable[..., str]

CODE = """
import torch
from torch import nn


class TinyNet(nn.Module):
    def __init__(self, num_classes, width):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, width, 5, stride=4, padding=2), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(),
        )
        self.head = nn.Conv2d(width, num_classes, 1)

    def forward(self, images):
        assert images.shape[2] % 32 == 0 and images.shape[3] % 32 == 0
        return {"logits": self.head(self.features(images))}


def build(num_classes, width=8):
    return TinyNet(num_classes, width)
"""

CONFIG = """
street: {{name: cityscapes, root: cityscapes, split: train}}
model:
  name: networks/tiny.py:build
  classes: 19
  options: {{width: 12}}
  preprocessing: {{value_range: [-1, 1], channel_order: bgr, size_multiple: 32}}
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
    static: {{name: fishyscapes_static, root: fishyscapes}}
"""


@pytest.fixture(scope="module")
def home(world: WorldPaths, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The user's working directory."""
    home = tmp_path_factory.mktemp("home")
    (home / "networks").mkdir()
    (home / "networks" / "tiny.py").write_text(CODE)
    (home / "tiny.yaml").write_text(CONFIG.format(root=world.cityscapes.parent))
    return home


@pytest.fixture(scope="module")
def run(segood: Segood, home: Path) -> Path:
    for arguments in (("train", "--config", "tiny.yaml", "--out", "run"), ("evaluate", "run")):
        done = segood(*arguments, cwd=home)
        assert done.returncode == 0, done.stderr
    return home / "run"


def test_train_and_evaluate(run: Path) -> None:
    results = json.loads((run / runs.METRICS).read_text())
    assert [m["network"] for m in results["models"]] == ["networks/tiny.py:build"] * 2
    assert results["models"][0]["class_names"][13] == "car"  # the labels' names, the network had none
    header = read_header(run / runs.FINAL)
    assert header is not None
    assert header["name"] == "networks/tiny.py:build"
    assert header["options"] == {"width": 12}
    assert header["label_space"] == "cityscapes"
    assert header["preprocessing"]["channel_order"] == "bgr"
    assert header["metadata"]["training"]["epochs"] == 1
    assert header["metadata"]["metrics"]["loss"] > 0


def test_score_and_predict(segood: Segood, run: Path, home: Path, world: WorldPaths) -> None:
    images = world.fishyscapes / "images"
    model = (
        "--model.name",
        "networks/tiny.py:build",
        "--model.checkpoint",
        "run/checkpoints/model.safetensors",
    )
    done = segood("predict", images, *model, "--threshold", "0.9", "--out", "found", cwd=home)
    assert done.returncode == 0, done.stderr
    dataset = ("--dataset.name", "fishyscapes_static", "--dataset.root", world.fishyscapes)
    done = segood("score", *model, *dataset, "--out", "scores", cwd=home)
    assert done.returncode == 0, done.stderr
    assert len(list((home / "scores").rglob("*.hdf5"))) == len(list(images.iterdir()))


def test_a_checkpoint_alone_runs_no_code(
    run: Path, home: Path, world: WorldPaths, fails: Fails, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    line = fails(
        "predict", world.fishyscapes / "images", "--model.name", run / runs.FINAL, "--out", "none", code=1
    )
    assert "a checkpoint never runs" in line
    assert "--model.name networks/tiny.py:build --model.checkpoint model.safetensors" in line


def test_evaluating_elsewhere_says_what_is_missing(
    run: Path, tmp_path: Path, fails: Fails, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(run, tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    line = fails("evaluate", "run", code=2)
    assert f"there is no file networks/tiny.py (working directory: {tmp_path})" in line


def test_a_new_head_from_the_command_line(
    home: Path, run: Path, fails: Fails, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    start = ("--config", "tiny.yaml", "--model.checkpoint", run / runs.FINAL, "--trainer.max_steps", "1")
    line = fails("train", *start, "--model.classes", "11", "--out", "new", code=1)
    assert "19 output channels (classes), the network networks/tiny.py:build has 11" in line
    # with the labels' own classes: all fits, so nothing is left out
    assert main(["train", *map(str, start), "--model.allow_partial", "true", "--out", "new"]) == 0
    model = load_model("networks/tiny.py:build", home / "new" / runs.START, num_classes=5, allow_partial=True)
    assert model.random_weights == "head.weight, head.bias"


def test_batch_norm_over_one_image_is_named(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    pooled = "self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(width))\n        self.head ="
    code = CODE.replace("self.head =", pooled).replace(
        "self.features(images))", "self.pool(self.features(images)))"
    )
    (home / "networks" / "pooled.py").write_text(code)
    network = ("--config", "tiny.yaml", "--model.name", "networks/pooled.py:build", "--out", "pooled")
    assert main(["train", *network, "--batch_size", "1"]) == 2
    lines = capsys.readouterr().err.splitlines()  # among those of the progress bar
    assert any(line.endswith("set batch_size to 2 or more") for line in lines)


def test_an_onnx_file_is_evaluated_but_not_trained(
    home: Path, world: WorldPaths, fails: Fails, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    torch.manual_seed(0)
    weight = torch.randn(4, 3, 3, 3).numpy()
    write(home / "net.onnx", weight=weight)
    images = str(world.fishyscapes / "images")
    assert main(["predict", images, "--model.name", "net.onnx", "--threshold", "0.9", "--out", "onnx"]) == 0
    street = ("--street.name", "cityscapes", "--street.root", world.cityscapes, "--street.split", "train")
    line = fails(
        "train", *street, "--loss.ood_weight", "0", "--model.name", "net.onnx", "--out", "no", code=2
    )
    assert "has no weights to train; an ONNX file is for scoring and evaluation only" in line
