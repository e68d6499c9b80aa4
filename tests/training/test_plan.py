"""What a training will do, against the training itself; and everything that may be missing."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import pytest
import torch

from segood import runs
from segood.data.config import DatasetConfig
from segood.data.synthetic import WorldPaths
from segood.errors import UsageError
from segood.evaluation.config import EvaluationConfig
from segood.models import load_model, save_model
from segood.models.config import ModelConfig
from segood.training import TrainConfig, train
from segood.training.config import AugmentationConfig, LossConfig, OptimizerConfig, ProxyConfig
from segood.training.plan import plan_training


def config(world: WorldPaths, **changes: object) -> TrainConfig:
    base = TrainConfig(
        street=DatasetConfig("cityscapes", str(world.cityscapes), "train"),
        model=ModelConfig("unet", options={"width": 4}),
        proxies=ProxyConfig(DatasetConfig("coco_proxies", str(world.coco), "train"), 0.5, "images"),
        augmentation=AugmentationConfig(crop_size=(32, 64)),
        epochs=2,
        batch_size=4,
        num_workers=0,
        trainer={"accelerator": "cpu"},
    )
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", ["images", "paste"])
def test_the_plan_is_what_is_trained(world: WorldPaths, tmp_path: Path, mode: str) -> None:
    proxies = dataclasses.replace(config(world).proxies, mode=mode)  # type: ignore[type-var]
    planned = config(world, proxies=proxies)
    plan = plan_training(planned)
    assert plan.missing == ()
    # 6 street images; 3 proxies, as images of their own or pasted into street images
    assert (plan.street_images, plan.proxies_per_epoch) == (6, 3)
    assert plan.steps_per_epoch == math.ceil((9 if mode == "images" else 6) / 4)
    assert plan.steps == 2 * plan.steps_per_epoch
    model = train(planned, tmp_path / "run", progress=False)
    assert plan.trainable_parameters == sum(p.numel() for p in model.parameters())
    last = torch.load(tmp_path / "run" / runs.CHECKPOINTS / "last.ckpt", weights_only=True)
    assert last["global_step"] == plan.steps


def test_frozen_parts_are_not_counted(world: WorldPaths) -> None:
    whole = plan_training(config(world))
    part = plan_training(config(world, optimizer=OptimizerConfig(frozen=["stem", "fine", "middle"])))
    assert whole.memory
    assert part.memory
    assert (part.trainable_parameters or 0) < (whole.trainable_parameters or 0)
    assert part.memory.peak < whole.memory.peak
    assert part.memory.parameters == whole.memory.parameters


def test_it_is_json_and_text(world: WorldPaths) -> None:
    evaluation = EvaluationConfig(
        datasets={"static": DatasetConfig("fishyscapes_static", str(world.fishyscapes))},
        closed_set={"city": DatasetConfig("cityscapes", str(world.cityscapes), "val")},
    )
    plan = plan_training(config(world, evaluation=evaluation))
    assert json.loads(json.dumps(plan.to_dict()))["frames"] == {"static": 5, "city": 2}
    text = plan.to_text()
    assert "6 street images + 3 proxies beside them, drawn from " in text
    assert "batch 4, crop 32×64" in text
    assert text.splitlines()[-1].split() == ["missing", "nothing"]


def test_everything_missing_is_listed(world: WorldPaths, tmp_path: Path) -> None:
    nowhere = DatasetConfig("cityscapes", "city", "val")
    plan = plan_training(
        config(
            world,
            street=DatasetConfig("cityscapes", "city"),
            validation=nowhere,
            model=ModelConfig("unet", "start.pth", options={"width": 4}),
            proxies=ProxyConfig(DatasetConfig("coco_proxies", "coco")),
            evaluation=EvaluationConfig(closed_set={"val": nowhere}),
            data_root=str(tmp_path),
        )
    )
    kinds = [line.split(":")[0] for line in plan.missing]
    assert kinds == ["street", "validation", "proxies", "evaluation on val", "weights"]
    assert all(str(tmp_path / "city") in plan.missing[i] for i in (0, 1, 3))
    assert str(tmp_path / "coco") in plan.missing[2]
    assert "start.pth does not exist" in plan.missing[4]
    # what can be told all the same
    assert plan.trainable_parameters
    assert plan.memory
    assert (plan.street_images, plan.steps_per_epoch, plan.frames) == (None, None, {})


def test_weights_that_do_not_fit_are_named(world: WorldPaths, tmp_path: Path) -> None:
    save_model(load_model("unet", width=4, num_classes=7), tmp_path / "seven.safetensors")
    model = ModelConfig("unet", str(tmp_path / "seven.safetensors"), 19, {"width": 4})
    plan = plan_training(config(world, model=model))
    assert len(plan.missing) == 1
    assert plan.missing[0].startswith("weights: ")
    assert "7" in plan.missing[0]
    plan = plan_training(config(world, model=ModelConfig(str(tmp_path / "gone.safetensors"))))
    assert "gone.safetensors does not exist" in plan.missing[0]
    assert (plan.trainable_parameters, plan.memory) == (None, None)
    assert "the network is not there" in plan.to_text()


def test_bad_values_are_errors_not_gaps(world: WorldPaths) -> None:
    with pytest.raises(UsageError, match="`batch_size` must be at least 1"):
        plan_training(config(world, batch_size=0))
    camvid = ModelConfig("unet", num_classes=11, options={"width": 4})
    with pytest.raises(UsageError, match="has labels of 19 classes"):
        plan_training(config(world, model=camvid))


def test_ordinary_training_has_no_proxies(world: WorldPaths) -> None:
    plan = plan_training(config(world, proxies=None, loss=LossConfig(ood_weight=0.0)))
    assert (plan.proxies, plan.proxies_per_epoch, plan.proxy_mode) == (0, 0, None)
    assert "proxies" not in plan.to_text()


def test_networks_that_look_at_values_have_no_estimate(world: WorldPaths, tmp_path: Path) -> None:
    source = tmp_path / "peeking.py"
    source.write_text(
        "from torch import nn\n\n"
        "class Peeking(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.classes = nn.Conv2d(3, 19, 1)\n\n"
        "    def forward(self, image):\n"
        "        return self.classes(image / max(image.abs().max().item(), 1.0))\n\n"
        "def build():\n"
        "    return Peeking()\n"
    )
    plan = plan_training(config(world, model=ModelConfig(f"{source}:build", num_classes=19)))
    assert plan.missing == ()
    assert plan.trainable_parameters == 3 * 19 + 19
    assert plan.memory is None
    assert "cannot be run without data" in plan.memory_note
