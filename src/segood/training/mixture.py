"""Training samples: street crops, whole proxies, or street crops with pasted proxy objects.

In: street and proxy data sets, an `Item` that says what to make. Out: tensors ready to be batched.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, from_numpy
from torch.utils.data import Dataset

from segood.data import Sample, TrainTransform, paste_objects
from segood.data.paste_options import PasteOptions
from segood.training.sampling import Item
from segood.types import IGNORE, UNLABELED


class TrainingMixture(Dataset[tuple[Tensor, Tensor]]):
    """Make training samples from street images and proxies; indexed by `Item`s.

    Args:
        street: in-distribution samples, targets in train ids and `IGNORE`.
        proxies: proxy samples, targets with `OOD`; empty for training without.
        street_transform: crop, scale and flip for street images.
        proxy_transform: the same for whole proxies.
        paste_options: how proxy objects are pasted; the defaults suit Cityscapes train ids.
        distilled: mark what has no label in a street image as `UNLABELED` instead of ignoring it.
    """

    def __init__(
        self,
        street: Sequence[Sample],
        proxies: Sequence[Sample],
        street_transform: TrainTransform,
        proxy_transform: TrainTransform,
        paste_options: PasteOptions | None = None,
        distilled: bool = False,
    ) -> None:
        self.street, self.proxies = street, proxies
        self.street_transform, self.proxy_transform = street_transform, proxy_transform
        self.paste_options, self.distilled = paste_options, distilled

    def __getitem__(self, item: Item) -> tuple[Tensor, Tensor]:
        """Return image uint8 (3,h,w) and target int64 (h,w); a pure function of `item`."""
        image, target = self._made(item)
        return image, target if item.counts else torch.full_like(target, IGNORE)

    def _made(self, item: Item) -> tuple[Tensor, Tensor]:
        if item.kind == "proxy":
            return self.proxy_transform(self.proxies[item.sample], item.seed)
        sample = self.street[item.sample]
        rng = np.random.default_rng(item.seed)
        for proxy in item.pasted:
            sample = paste_objects(sample, self.proxies[proxy], rng, options=self.paste_options)
        image, target = self.street_transform(sample, item.seed)
        if self.distilled:
            target = target.where(target != IGNORE, UNLABELED)
        return image, target


class StreetImages(Sequence[Sample]):
    """Street images, then those without labels; what has no label is `IGNORE`.

    Args:
        street: with train ids, or without any label.
        unlabeled: frames of any data set, whose labels, if there are any, are not looked at.
    """

    def __init__(self, street: Sequence[Sample], unlabeled: Sequence[Sample] = ()) -> None:
        self.street, self.unlabeled = street, unlabeled

    def __getitem__(self, index: int) -> Sample:  # type: ignore[override]
        is_street = index < len(self.street)
        sample = self.street[index] if is_street else self.unlabeled[index - len(self.street)]
        if is_street and sample.target is not None:
            return sample
        return sample._replace(target=np.full(sample.image.shape[:2], IGNORE, np.uint8))

    def __len__(self) -> int:
        return len(self.street) + len(self.unlabeled)


class Subset(Sequence[Sample]):
    """Some samples of a data set, by index."""

    def __init__(self, samples: Sequence[Sample], indices: Sequence[int]) -> None:
        self.samples, self.indices = samples, indices

    def __getitem__(self, index: int) -> Sample:  # type: ignore[override]
        return self.samples[self.indices[index]]

    def __len__(self) -> int:
        return len(self.indices)


def split_proxies(num_proxies: int, share: float, *, seed: int) -> tuple[list[int], list[int]]:
    """Return (training, validation) indices; validation gets round(share · num_proxies), never all.

    Example:
        >>> train, held_out = split_proxies(10, 0.2, seed=0)
        >>> len(train), len(held_out), sorted(train + held_out) == list(range(10))
        (8, 2, True)
    """
    order = np.random.default_rng((seed, 0)).permutation(num_proxies).tolist()
    held_out = min(round(share * num_proxies), num_proxies - 1)
    return sorted(order[held_out:]), sorted(order[:held_out])


class ValidationFrames(Dataset[tuple[Tensor, Tensor]]):
    """Whole frames for validation, every `processes`-th: image uint8 (3,H,W), target int64 (H,W).

    Every process gets equally many, since some ways to share a network let all of them compute together:
    one that has run out of frames gets the last one again, with every pixel ignored: it counts nowhere.

    Args:
        samples: with labels, at least one.
        rank: of this process.
        processes: number of processes.
    """

    def __init__(self, samples: Sequence[Sample], rank: int = 0, processes: int = 1) -> None:
        self.samples, self.rank, self.processes = samples, rank, processes

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        position = index * self.processes + self.rank
        image, target, _ = self.samples[min(position, len(self.samples) - 1)]
        assert target is not None, "validation frames have labels"
        target = target.astype(np.int64)
        if position >= len(self.samples):
            target[:] = IGNORE
        return from_numpy(image.copy()).permute(2, 0, 1).contiguous(), from_numpy(target)

    def __len__(self) -> int:
        return -(-len(self.samples) // self.processes)
