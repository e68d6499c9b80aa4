"""The share of a training step that is spent waiting for data.

Frames of 1024×2048 pixels of the synthetic world, cut and mixed with proxies by the very loader that
training uses; espnetv2 2.0 trains on crops of 480×480, eight at a time. The first batch is not counted: it
waits for the loading process to start.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from benchmarks.measure import as_time
from benchmarks.results import Requirement
from segood.data.config import DatasetConfig
from segood.data.synthetic import WorldPaths, write_world
from segood.models import load_model
from segood.models.config import ModelConfig
from segood.training import EntropyMaximizationLoss, TrainConfig, fit, sources
from segood.training.config import AugmentationConfig, OptimizerConfig, ProxyConfig
from segood.training.module import build_optimizer

LIMIT = 10


class Setting(NamedTuple):
    """How large frames, crops, network and run are."""

    frame: tuple[int, int] = (1024, 2048)
    crop: tuple[int, int] = (480, 480)
    scale: float = 2.0
    batch_size: int = 8
    steps: int = 5


QUICK = Setting((128, 256), (64, 64), 0.5, 2, 2)


def measure(quick: bool = False) -> list[Requirement]:
    """Train a few steps and time the waiting."""
    setting = QUICK if quick else Setting()
    with tempfile.TemporaryDirectory() as folder:
        world = write_world(
            Path(folder) / "world",
            size=setting.frame,
            num_train=8,
            num_val=1,
            num_proxies=8,
            num_lost_and_found=1,
            num_fishyscapes=1,
        )
        waiting, training = run_steps(configuration(world, setting), setting.steps)
    share = 100 * waiting / (waiting + training)
    crop = "×".join(map(str, setting.crop))
    return [
        Requirement(
            f"waiting for data while training, batches of {setting.batch_size} crops of {crop}",
            f"{as_time(waiting / setting.steps)} a step",
            f"a step of espnetv2 {setting.scale}: {as_time(training / setting.steps)}",
            share,
            LIMIT,
            " %",
            note=f"{setting.steps} steps, one loading process",
        )
    ]


def configuration(world: WorldPaths, setting: Setting) -> TrainConfig:
    """Return a fine-tuning as `segood train` would run it."""
    return TrainConfig(
        street=DatasetConfig("cityscapes", str(world.cityscapes), "train"),
        model=ModelConfig("espnetv2", num_classes=19, options={"scale": setting.scale}),
        proxies=ProxyConfig(DatasetConfig("coco_proxies", str(world.coco), "train"), 0.2, "images"),
        augmentation=AugmentationConfig(crop_size=setting.crop, scale_range=(0.75, 1.5)),
        optimizer=OptimizerConfig(lr=1e-5),
        batch_size=setting.batch_size,
        num_workers=1,
    )


def run_steps(config: TrainConfig, steps: int) -> tuple[float, float]:
    """Train `steps` steps after a first one; return seconds spent waiting and seconds spent training."""
    street = sources.open_street(config.street, config)
    # One long epoch: the few frames are read again and again.
    street.records *= -(-config.batch_size * (steps + 2) // len(street))
    loader = fit._training_loader(config, street, sources.open_proxies(config)[0])
    model = load_model(config.model.name, **config.model.options).train()
    objective = EntropyMaximizationLoss()
    optimizer = build_optimizer(model, config.optimizer, total_steps=steps)
    seconds = np.zeros((steps + 1, 2))
    batches = iter(loader)
    for step in range(steps + 1):
        start = time.perf_counter()
        images, target = next(batches)
        loaded = time.perf_counter()
        optimizer.zero_grad()
        loss = objective(model(images.float() / 255), target)
        loss.backward()
        optimizer.step()
        assert torch.isfinite(loss)
        seconds[step] = loaded - start, time.perf_counter() - loaded
    waiting, training = seconds[1:].sum(0)
    return float(waiting), float(training)
