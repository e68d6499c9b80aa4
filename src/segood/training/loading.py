"""What the training engine reads: the pieces of a step that are this process' own, and validation frames.

In: opened data sets, `TrainConfig`, this process' rank. Out: `Batch`es, whose position is part of every
checkpoint, so that a training that was cut off in the middle of an epoch goes on with the very next one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

import lightning
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from segood.data import Sample, TrainTransform
from segood.data.dataset import SegmentationDataset
from segood.data.label_spaces import LabelSpace
from segood.data.paste_options import PasteOptions
from segood.training.config import TrainConfig
from segood.training.mixture import StreetImages, Subset, TrainingMixture, ValidationFrames
from segood.training.sampling import EpochSampler, ShareOfSteps
from segood.training.sources import epoch_batches
from segood.types import IGNORE, OOD, UNLABELED


class Batch(NamedTuple):
    """One piece of an optimiser step.

    Attributes:
        images: uint8 (N,3,h,w).
        target: int64 (N,h,w).
        step_counts: int64 (3,), pixels of all pieces of this process in the step: in-distribution, OoD,
            distilled.
        ends_step: whether it is the last piece of its step.
    """

    images: Tensor
    target: Tensor
    step_counts: Tensor
    ends_step: bool


class StepLoader:
    """Load batches, with the pixel counts of the whole step that each belongs to.

    The objective divides by the pixels of a step, so they have to be known before its first gradient.

    Args:
        loader: yields (images, target) for the pieces of `share`.
        share: what this process computes.
        resumed: `position` of an interrupted training, to go on behind it.
    """

    def __init__(
        self,
        loader: DataLoader[tuple[Tensor, Tensor]],
        share: ShareOfSteps,
        resumed: Mapping[str, int] | None = None,
    ) -> None:
        self._loader, self._share, self._resumed = loader, share, resumed
        self._yielded = 0

    @property
    def sampler(self) -> EpochSampler:
        """What the engine tells the epoch to."""
        return self._share.steps.sampler

    def __iter__(self) -> Iterator[Batch]:
        # a generator: nothing is loaded before the engine has told the epoch
        resumed, self._resumed = self._resumed, None
        goes_on = resumed is not None and resumed["epoch"] == self.sampler.epoch
        self._share.first = self._yielded = resumed["yielded"] if goes_on and resumed else 0
        loaded = iter(self._loader)
        while pieces := list(islice(loaded, self._share.pieces)):
            counts = torch.stack([_pixels(target) for _, target in pieces]).sum(dim=0)
            for number, (images, target) in enumerate(pieces, start=1):
                self._yielded += 1
                yield Batch(images, target, counts, number == len(pieces))

    def __len__(self) -> int:
        return len(self._share)

    @property
    def position(self) -> dict[str, int]:
        """Where the epoch stands."""
        return {"epoch": self.sampler.epoch, "yielded": self._yielded}


class TrainingData(lightning.LightningDataModule):
    """The loaders of a training, in every process those of its own share.

    Args:
        config: of the training.
        street: in-distribution samples with train ids.
        unlabeled: further ones, for distillation alone.
        proxies: to train with.
        validation: frames by kind, see `OutOfDistributionTraining.validation_kinds`; none of them empty.

    Raises:
        UsageError: the augmentation breaks its rules.
    """

    def __init__(
        self,
        config: TrainConfig,
        street: SegmentationDataset,
        unlabeled: Sequence[Sample],
        proxies: Sequence[Sample],
        validation: Mapping[str, Sequence[Sample]],
    ) -> None:
        super().__init__()
        self.config, self.proxies, self.validation = config, proxies, validation
        self.street = StreetImages(street, unlabeled)
        self._mixture = _mixture(config, self.street, street.label_space, proxies)
        self._loader: StepLoader | None = None
        self._resumed: dict[str, int] | None = None

    def state_dict(self) -> dict[str, Any]:
        """Return where the training stands; the engine stores it with the weights."""
        return {} if self._loader is None else self._loader.position

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there; the engine calls this before it asks for loaders."""
        self._resumed = state_dict or None

    def train_dataloader(self) -> StepLoader:
        """Return the loader of this process."""
        assert self.trainer is not None, "the engine calls this"
        share = self.share(
            self.trainer.global_rank, self.trainer.world_size, self.trainer.accumulate_grad_batches
        )
        num_workers = self.config.num_workers
        loader: Any = DataLoader(
            self._mixture,
            batch_sampler=share,
            num_workers=num_workers,
            persistent_workers=num_workers > 0,
            pin_memory=torch.cuda.is_available(),
        )
        self._loader = StepLoader(loader, share, self._resumed)
        return self._loader

    def share(self, rank: int, processes: int, pieces: int) -> ShareOfSteps:
        """Return which samples a process trains on.

        Raises:
            UsageError: there are too few for all.
        """
        steps = epoch_batches(self.config, len(self.street), len(self.proxies))
        return ShareOfSteps(steps, rank, processes, pieces)

    def val_dataloader(self) -> list[DataLoader[tuple[Tensor, Tensor]]]:
        """Return a loader for each kind of frames."""
        assert self.trainer is not None, "the engine calls this"
        rank, processes = self.trainer.global_rank, self.trainer.world_size
        shares = [ValidationFrames(frames, rank, processes) for frames in self.validation.values()]
        return [DataLoader(share) for share in shares]

    def names_of_step(self, epoch: int, step: int) -> list[str]:
        """Return the sample ids of a step, of all processes."""
        steps = epoch_batches(self.config, len(self.street), len(self.proxies))
        steps.sampler.set_epoch(epoch)
        items = next(islice(steps, step, None), [])
        return [_name(self.street if item.kind == "street" else self.proxies, item.sample) for item in items]


def _mixture(
    config: TrainConfig,
    street: Sequence[Sample],
    label_space: LabelSpace | None,
    proxies: Sequence[Sample],
) -> TrainingMixture:
    augmentation = config.augmentation
    whole = TrainTransform(augmentation.crop_size, (1.0, 1.0), augmentation.flip, augmentation.brightness)
    return TrainingMixture(
        street,
        proxies,
        dataclasses.replace(whole, scale_range=augmentation.scale_range),
        whole,
        PasteOptions.for_label_space(label_space, **(config.proxies.paste if config.proxies else {})),
        distilled=config.loss.distillation > 0,
    )


def _pixels(target: Tensor) -> Tensor:
    """Return (3,) the in-distribution and OoD pixels of a target, and those that distillation counts."""
    ood = (target == OOD).sum()
    distilled = (target != IGNORE).sum() - ood
    return torch.stack([distilled - (target == UNLABELED).sum(), ood, distilled])


def _name(samples: Any, index: int) -> str:
    if isinstance(samples, Subset):
        return _name(samples.samples, samples.indices[index])
    if isinstance(samples, StreetImages):
        streets = len(samples.street)
        return _name(samples.street, index) if index < streets else _name(samples.unlabeled, index - streets)
    return str(samples.records[index].sample_id) if hasattr(samples, "records") else str(index)
