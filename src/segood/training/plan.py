"""What a training will do and need, found out without training: `segood train --dry_run`.

In: `TrainConfig`. Out: `TrainingPlan`: the numbers of the epochs, the memory of a step, and everything
that is not where the configuration says.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from segood.errors import CheckpointError, DataError, FetchError, UsageError
from segood.evaluation.fitting import check_labels_fit
from segood.training.config import TrainConfig
from segood.training.freezing import freeze_parts
from segood.training.memory import StepMemory, estimate_step_memory
from segood.training.sampling import plan_epoch
from segood.training.sources import epoch_batches, open_proxies, open_street, open_training_streets

if TYPE_CHECKING:
    from segood.models import SegmentationModel

_T = TypeVar("_T")


@dataclass(frozen=True)
class TrainingPlan:
    """A training, before it is run. None stands for what cannot be told as long as something is missing.

    Attributes:
        network: its name.
        checkpoint: the start weights as the configuration has them; None for none.
        trainable_parameters: number of trained weights.
        street_images: images of the original task, each used once per epoch.
        unlabeled_images: further ones, for distillation alone.
        proxies: proxies to draw from, without those held out.
        proxies_per_epoch: proxies drawn for an epoch.
        proxy_mode: `images` or `paste`; None without proxies.
        steps_per_epoch, steps: optimiser steps.
        epochs, batch_size, crop_size: as configured.
        frames: number of frames of every data set that is validated or evaluated on.
        memory: of a step, see `StepMemory`; `memory_note` says why not, or what to know about it.
        device: what the training would run on, and `device_memory` its memory in bytes.
        missing: one line for every thing that is not there or not as it should be.
    """

    network: str
    checkpoint: str | None
    trainable_parameters: int | None
    street_images: int | None
    unlabeled_images: int
    proxies: int | None
    proxies_per_epoch: int | None
    proxy_mode: str | None
    steps_per_epoch: int | None
    steps: int | None
    epochs: int
    batch_size: int
    crop_size: tuple[int, int]
    frames: dict[str, int]
    memory: StepMemory | None
    memory_note: str
    device: str
    device_memory: int | None
    missing: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return dataclasses.asdict(self)

    def to_text(self) -> str:
        """Return a table for people."""
        how = "pasted into them" if self.proxy_mode == "paste" else "beside them"
        drawn = f" + {_count(self.proxies_per_epoch)} proxies {how}, drawn from {_count(self.proxies)}"
        without = f" + {_count(self.unlabeled_images)} without labels" if self.unlabeled_images else ""
        weights = f"{_count(self.trainable_parameters)} trained weights"
        crop = "×".join(map(str, self.crop_size))
        lines = {
            "network": f"{self.network}, {weights}, start: {self.checkpoint or 'random'}",
            "epoch": f"{_count(self.street_images)} street images{without}{drawn if self.proxy_mode else ''}",
            "steps": f"{_count(self.steps_per_epoch)} per epoch, {_count(self.steps)} in all",
            "settings": f"epochs {self.epochs}, batch {self.batch_size}, crop {crop}",
            "memory": f"{self._memory()} ({self.memory_note})",
            "device": f"{self.device}, {_size(self.device_memory)}",
            "frames": ", ".join(f"{key} {number:,}" for key, number in self.frames.items()) or "none",
            "missing": "\n  ".join(["", *self.missing]) if self.missing else "nothing",
        }
        return "\n".join(f"{name:<10} {text}" for name, text in lines.items())

    def _memory(self) -> str:
        if self.memory is None:
            return "not known"
        kinds = ("parameters", "gradients", "optimizer", "activations")
        parts = ", ".join(f"{kind} {_size(getattr(self.memory, kind))}" for kind in kinds)
        return f"about {_size(self.memory.peak)}: {parts}"


def plan_training(config: TrainConfig) -> TrainingPlan:
    """Look at everything a training needs, and count what it will do.

    Args:
        config: checked, as `train` would.

    Returns:
        The plan; its `missing` is empty where `train` can start.

    Raises:
        UsageError: a value breaks its rule; nothing on disk could change that.
    """
    config.check()
    missing: list[str] = []

    def there(what: str, get: Callable[[], _T]) -> _T | None:
        try:
            return get()
        except (DataError, CheckpointError, FetchError) as error:
            missing.append(f"{what}: {error}")
            return None

    streets = there("street", lambda: open_training_streets(config))
    street, unlabeled = streets or (None, ())
    validation = config.validation and there("validation", lambda: open_street(config.validation, config))  # type: ignore[arg-type]
    proxies = there("proxies", lambda: open_proxies(config))
    frames = {"validation": len(validation)} if validation else {}
    for key, described in {**config.evaluation.datasets, **config.evaluation.closed_set}.items():
        dataset = there(f"evaluation on {key}", lambda d=described: d.open(config.data_root))  # type: ignore[misc]
        if dataset is not None:
            frames[key] = len(dataset)
    model = there("weights", config.model.load) or _without_weights(config)
    if model:
        freeze_parts(model.network, config.optimizer.frozen)
    for dataset in (street, validation):
        if dataset and model:
            check_labels_fit(dataset, model)
    num_proxies = len(proxies[0]) if proxies else None
    drawn = steps = None
    if street is not None and num_proxies is not None:
        images = len(street) + len(unlabeled)
        steps = len(epoch_batches(config, images, num_proxies))
        drawn = _drawn(config, images, num_proxies)
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad) if model else None
    memory, note = _memory(config, model)
    device, device_memory = _device(config)
    return TrainingPlan(
        network=config.model.name,
        checkpoint=config.model.checkpoint,
        trainable_parameters=trainable,
        street_images=None if street is None else len(street),
        unlabeled_images=len(unlabeled),
        proxies=num_proxies,
        proxies_per_epoch=drawn,
        proxy_mode=config.proxies.mode if config.proxies else None,
        steps_per_epoch=steps,
        steps=None if steps is None else steps * config.epochs,
        epochs=config.epochs,
        batch_size=config.batch_size,
        crop_size=config.augmentation.crop_size,
        frames=frames,
        memory=memory,
        memory_note=note,
        device=device,
        device_memory=device_memory,
        missing=tuple(missing),
    )


def _drawn(config: TrainConfig, num_street: int, num_proxies: int) -> int:
    if config.proxies is None:
        return 0
    given = {"ratio": config.proxies.ratio, "mode": config.proxies.mode, "seed": config.seed, "epoch": 0}
    items = plan_epoch(num_street, num_proxies, **given)  # type: ignore[arg-type]
    return sum((item.kind == "proxy") + len(item.pasted) for item in items)


def _without_weights(config: TrainConfig) -> SegmentationModel | None:
    """Build the network all the same, to tell its size; None where only its file could tell."""
    try:
        return dataclasses.replace(config.model, checkpoint=None, pretrained=None).load()
    except (CheckpointError, FetchError, UsageError):
        return None


def _memory(config: TrainConfig, model: SegmentationModel | None) -> tuple[StepMemory | None, str]:
    if model is None:
        return None, "the network is not there"
    try:
        memory = estimate_step_memory(
            model,
            config.optimizer,
            batch_size=config.batch_size,
            crop_size=config.augmentation.crop_size,
            distilled=config.loss.distillation > 0,
        )
    except Exception as error:  # networks of the user's may look at the values they compute with
        return None, f"the network cannot be run without data: {' '.join(str(error).split())[:100]}"
    return memory, "estimate of one step in float32, without what libraries and driver take"


def _device(config: TrainConfig) -> tuple[str, int | None]:
    if torch.cuda.is_available() and config.trainer.get("accelerator", "auto") in ("auto", "gpu", "cuda"):
        properties = torch.cuda.get_device_properties(0)
        return properties.name, properties.total_memory
    try:
        return "cpu", os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not on every system
        return "cpu", None


def _count(number: int | None) -> str:
    return "?" if number is None else f"{number:,}"


def _size(number: int | None) -> str:
    if number is None:
        return "memory not known"
    return f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{number / 1e6:.1f} MB"
