"""What a training reads: its data sets, opened and checked, and the batches of an epoch.

In: `TrainConfig`. Out: data sets whose frames can be trained on, or an error that says why not.
"""

from __future__ import annotations

from collections.abc import Sequence

from segood.data import Sample
from segood.data.config import DatasetConfig
from segood.data.dataset import SegmentationDataset
from segood.errors import DataError, UsageError
from segood.training.config import TrainConfig
from segood.training.mixture import Subset, split_proxies
from segood.training.sampling import EpochSampler, EvenBatches


def open_street(
    description: DatasetConfig, config: TrainConfig, *, labels_needed: bool = True
) -> SegmentationDataset:
    """Open a data set whose frames all have train ids, or would have them, had they labels.

    Raises:
        UsageError: it is of another kind.
        DataError: it is not what it has to be, or a frame has no label where one is needed.
    """
    dataset = description.open(config.data_root)
    if dataset.role != "closed_set":
        raise UsageError(
            "`street` and `validation` must be data sets with train ids, such as cityscapes or camvid, or a "
            "folder with the options `role: closed_set` and `label_space`; "
            f"{dataset.name} is of the kind {dataset.role}"
        )
    missing = [record.sample_id for record in dataset.records if record.label is None]
    if missing and labels_needed:
        raise DataError(
            f"{dataset.title} at {dataset.root}: {len(missing)} frames have no label, first {missing[0]}; "
            "training needs labels for all, but for one that only distils (loss.distillation 1)"
        )
    return dataset


def open_training_streets(config: TrainConfig) -> tuple[SegmentationDataset, Sequence[Sample]]:
    """Open the street images to train with, and those for distillation alone.

    Raises:
        UsageError, DataError: as `open_street`, or as `DatasetConfig.open` for the latter.
    """
    street = open_street(config.street, config, labels_needed=config.loss.distillation < 1)
    return street, config.unlabeled.open(config.data_root) if config.unlabeled else ()


def open_proxies(config: TrainConfig) -> tuple[Sequence[Sample], Sequence[Sample]]:
    """Open the proxies; return those to train with, and those held out for validation.

    Raises:
        UsageError: the data set is no proxy set.
        DataError: it is not what it has to be.
    """
    if config.proxies is None:
        return (), ()
    proxies = config.proxies.dataset.open(config.data_root)
    if proxies.role != "proxy":
        raise UsageError(f"`proxies.dataset` must be a proxy set such as coco_proxies; got {proxies.name}")
    train, held_out = split_proxies(len(proxies), config.proxies.validation_share, seed=config.seed)
    return Subset(proxies, train), Subset(proxies, held_out)


def epoch_batches(config: TrainConfig, num_street: int, num_proxies: int) -> EvenBatches:
    """Return what yields the batches of an epoch, as lists of `Item`s; its length is the number of steps."""
    sampler = EpochSampler(
        num_street,
        num_proxies,
        ratio=config.proxies.ratio if config.proxies else 0.0,
        mode=config.proxies.mode if config.proxies else "images",
        seed=config.seed,
    )
    return EvenBatches(sampler, config.batch_size)
