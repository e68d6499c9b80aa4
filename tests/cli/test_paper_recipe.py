"""The paper's recipe: its numbers, and a scaled-down run of the very same configuration."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from jsonargparse import Namespace

from segood import runs
from segood.cli.frame import shipped_configs
from segood.cli.train import build_parser
from segood.data.coco import CocoProxies
from segood.data.synthetic import WorldPaths
from segood.models.weights import PUBLIC_WEIGHTS
from segood.training.config import TrainConfig
from segood.training.sampling import plan_epoch
from segood.training.sources import epoch_batches

Segood = Callable[..., subprocess.CompletedProcess[str]]
NAME = "paper_cityscapes_coco"


def recipe() -> TrainConfig:
    parser = build_parser()
    given: Namespace = parser.instantiate(parser.parse_args(["--config", str(shipped_configs()[NAME])]))
    return TrainConfig(**{name: given[name] for name in TrainConfig.__dataclass_fields__})


def test_every_value_of_the_paper() -> None:
    config = recipe()
    config.check()
    assert (config.street.name, config.street.split) == ("cityscapes", "train")
    assert config.model.name == "deeplabv3plus_wrn38"
    assert PUBLIC_WEIGHTS[str(config.model.checkpoint)].network == config.model.name
    assert (config.epochs, config.batch_size) == (4, 8)
    assert (config.optimizer.name, config.optimizer.lr) == ("adam", 1e-5)
    assert (config.optimizer.schedule, config.optimizer.weight_decay) == ("constant", 0.0)
    assert not config.optimizer.freeze_batch_norm
    assert (config.loss.ood_weight, config.loss.normalization) == (0.9, "pooled")
    augmentation = config.augmentation
    assert (augmentation.crop_size, augmentation.flip) == ((480, 480), 0.5)
    assert (augmentation.scale_range, augmentation.brightness) == ((1.0, 1.0), 0.0)
    proxies = config.proxies
    assert proxies is not None
    assert (proxies.mode, proxies.dataset.split, proxies.validation_share) == ("images", "train", 0.0)
    assert proxies.dataset.options == {"excluded": "paper", "min_side": 480, "background": "class0"}
    evaluation = config.evaluation
    assert (evaluation.score, evaluation.threshold, evaluation.meta.protocol) == (
        "entropy",
        0.7,
        "leave-one-out",
    )


def test_an_epoch_is_2975_images_and_297_proxies() -> None:
    config = recipe()
    assert config.proxies is not None
    items = plan_epoch(2975, 46_751, ratio=config.proxies.ratio, mode="images", seed=0, epoch=0)
    kinds = [item.kind for item in items]
    assert (kinds.count("street"), kinds.count("proxy")) == (2975, 297)
    assert len(epoch_batches(config, 2975, 46_751)) == 409  # 3272 / 8


@pytest.fixture(scope="module")
def data(world: WorldPaths, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The synthetic world under the names that the configuration has for its data."""
    root = tmp_path_factory.mktemp("data")
    for name, folder in {
        "cityscapes": world.cityscapes,
        "coco": world.coco,
        "lost_and_found": world.lost_and_found,
        "fishyscapes_static": world.fishyscapes,
    }.items():
        (root / name).symlink_to(folder)
    return root


@pytest.fixture(autouse=True)
def nothing_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGOOD_HOME", str(tmp_path / "home"))


def smaller(data: Path) -> list[str]:
    """What one changes to try the recipe out: a narrow network, small crops, few steps, a CPU."""
    return [
        *("--config", NAME, "--data_root", str(data)),
        *("--model.checkpoint", "null", "--model.options.width", "4"),
        *("--augmentation.crop_size", "[48, 64]", "--epochs", "1", "--batch_size", "3"),
        *("--proxies.ratio", "0.5", "--num_workers", "0", "--trainer", '{"accelerator": "cpu"}'),
    ]


def test_a_scaled_down_run_of_the_very_same_configuration(segood: Segood, data: Path, tmp_path: Path) -> None:
    planned = segood("train", *smaller(data), "--dry_run", "--json")
    assert planned.returncode == 0, planned.stderr
    plan = json.loads(planned.stdout)
    assert (plan["street_images"], plan["proxies_per_epoch"], plan["steps"]) == (6, 3, 3)
    assert plan["frames"] == {"lost_and_found": 5, "fishyscapes_static": 5, "cityscapes": 2}
    assert plan["memory"]["peak"] > plan["memory"]["activations"] > 0

    run = tmp_path / "run"
    for arguments in (("train", *smaller(data), "--out", run), ("evaluate", run)):
        done = segood(*arguments)
        assert done.returncode == 0, done.stderr
    results = json.loads((run / runs.METRICS).read_text())
    assert {part["dataset"] for part in results["pixel"]} == {"lost_and_found", "fishyscapes_static"}
    kept = yaml.safe_load((run / runs.CONFIG).read_text())
    assert kept["proxies"]["dataset"]["options"]["background"] == "class0"
    assert kept["model"]["options"] == {"activation_checkpointing": False, "width": 4}


def test_the_plan_says_what_is_missing(segood: Segood, tmp_path: Path) -> None:
    few = ("--model.options.width", "4", "--augmentation.crop_size", "[48, 64]")
    done = segood("train", "--config", NAME, "--data_root", tmp_path, *few, "--dry_run")
    assert done.returncode == 1
    for path in ("cityscapes", "coco", "lost_and_found", "fishyscapes_static"):
        assert str(tmp_path / path) in done.stdout
    assert "segood models fetch deeplabv3plus_wrn38_city" in done.stdout
    assert done.stderr.startswith("segood: error: not everything is there: street: ")
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_run_needs_a_directory(segood: Segood, data: Path) -> None:
    done = segood("train", *smaller(data))
    assert (done.returncode, done.stdout) == (2, "")
    assert "`out` is required" in done.stderr
    done = segood("train", *smaller(data), "--out", "x", "--json")
    assert done.returncode == 2


def test_the_paper_preset_keeps_trains(world: WorldPaths) -> None:
    assert len(CocoProxies(world.coco, "train", excluded="paper")) >= len(CocoProxies(world.coco, "train"))
