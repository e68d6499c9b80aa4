"""Which samples one epoch consists of: every street image, plus a fresh random draw of proxies.

In: counts, ratio, mode, seed, epoch. Out: a list of `Item`s, a pure function of those, so that an
interrupted training continues with the very samples it would have seen.
Source: paper, section 4 (2975 street images and 297 proxies per epoch).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, pairwise
from typing import Literal, NamedTuple, TypeVar

import numpy as np
from torch.utils.data import Sampler

from segood.errors import UsageError
from segood.training.config import MixMode

_T = TypeVar("_T")
_DRAW, _ORDER, _ITEM = 1, 2, 3  # independent random streams of one seed


class Item(NamedTuple):
    """One training sample to be made.

    Attributes:
        kind: `street` or `proxy`.
        sample: index in the street or proxy data set.
        seed: fixes crop, flip and pasting of this sample in this epoch.
        pasted: proxy indices whose objects are pasted into this street image.
        counts: whether its pixels count; no sample is made twice and counted twice.
    """

    kind: Literal["street", "proxy"]
    sample: int
    seed: int
    pasted: tuple[int, ...] = ()
    counts: bool = True


def draw_proxies(num_proxies: int, num_drawn: int, *, seed: int, epoch: int) -> list[int]:
    """Return the proxies of one epoch, drawn without replacement over epochs.

    The proxies are dealt from one shuffled deck after the other: none returns before all have
    been drawn, then the deck is shuffled anew.

    Args:
        num_proxies: size of the proxy set, ≥ 1.
        num_drawn: draws per epoch, ≥ 0; may exceed `num_proxies`.
        seed: of the training.
        epoch: from 0.

    Returns:
        `num_drawn` indices in 0..num_proxies-1, in random order.

    Example:
        >>> first, second = (draw_proxies(6, 3, seed=0, epoch=e) for e in (0, 1))
        >>> sorted(first + second)
        [0, 1, 2, 3, 4, 5]
    """
    if num_proxies < 1:
        raise UsageError("the proxy set is empty; nothing can be drawn from it")
    start, stop = epoch * num_drawn, (epoch + 1) * num_drawn
    drawn: list[int] = []
    for deck in range(start // num_proxies, -(-stop // num_proxies)):
        order = np.random.default_rng((seed, _DRAW, deck)).permutation(num_proxies)
        first = deck * num_proxies
        drawn += order[max(start - first, 0) : stop - first].tolist()
    return drawn


def plan_epoch(
    num_street: int, num_proxies: int, *, ratio: float, mode: MixMode, seed: int, epoch: int
) -> list[Item]:
    """Return the shuffled samples of one epoch.

    Args:
        num_street: street images; each is used once.
        num_proxies: proxies to draw from; 0 for training without.
        ratio: drawn proxies per street image (paper: 0.1).
        mode: `images` puts each drawn proxy into the epoch as an image of its own (the paper);
            `paste` pastes the objects of each drawn proxy into one of the street images.
        seed: of the training.
        epoch: from 0.

    Returns:
        `num_street` items, in mode `images` plus round(ratio · num_street) proxies.
    """
    order = np.random.default_rng((seed, _ORDER, epoch))
    drawn = (
        draw_proxies(num_proxies, round(ratio * num_street), seed=seed, epoch=epoch)
        if num_proxies and ratio
        else []
    )
    pasted: dict[int, tuple[int, ...]] = {}
    if mode == "paste" and drawn:
        hosts = order.permutation(num_street)
        for position, proxy in enumerate(drawn):
            host = int(hosts[position % num_street])
            pasted[host] = (*pasted.get(host, ()), proxy)
        drawn = []
    kinds: list[tuple[Literal["street", "proxy"], int]] = [("street", i) for i in range(num_street)]
    kinds += [("proxy", i) for i in drawn]
    seeds = np.random.default_rng((seed, _ITEM, epoch)).integers(0, 2**31, size=len(kinds)).tolist()
    items = [
        Item(kind, sample, item_seed, pasted.get(sample, ()) if kind == "street" else ())
        for (kind, sample), item_seed in zip(kinds, seeds, strict=True)
    ]
    return [items[i] for i in order.permutation(len(items))]


def evenly_cut(items: list[_T], parts: int) -> list[list[_T]]:
    """Cut a list into `parts` stretches whose lengths differ by one at most, the longer ones first.

    Example:
        >>> evenly_cut([1, 2, 3, 4, 5], 3)
        [[1, 2], [3, 4], [5]]
    """
    size, longer = divmod(len(items), parts)
    ends = [part * size + min(part, longer) for part in range(parts + 1)]
    return [items[start:stop] for start, stop in pairwise(ends)]


class EvenBatches(Sampler[list[Item]]):
    """Cut an epoch into batches of nearly equal size, so that no tiny one is left at the end.

    Batch norm cannot learn from a single sample, and a tiny batch weighs as much as a full one.

    Args:
        sampler: yields the items of an epoch.
        batch_size: largest size of a batch, ≥ 1.

    Example:
        >>> sampler = EpochSampler(11, 0, ratio=0.0, mode="images", seed=0)
        >>> [len(batch) for batch in EvenBatches(sampler, 5)]
        [4, 4, 3]
    """

    def __init__(self, sampler: EpochSampler, batch_size: int) -> None:
        self.sampler, self.batch_size = sampler, batch_size

    def __iter__(self) -> Iterator[list[Item]]:
        yield from evenly_cut(list(self.sampler), len(self))

    def __len__(self) -> int:
        return -(-len(self.sampler) // self.batch_size)


class ShareOfSteps(Sampler[list[Item]]):
    """What one of several processes computes of every optimiser step, in one or more pieces.

    A step's samples are those of `EvenBatches`, whatever the number of processes: they are dealt out, so none
    counts twice or is left out. All processes get the same number of pieces: one for whom nothing is left of
    a smaller step gets a sample of another whose pixels do not count.

    Args:
        steps: the samples of every step.
        rank: of this process, 0..processes-1.
        processes: number of processes.
        pieces: batches whose gradients a process adds up before a step.

    Attributes:
        first: pieces of the coming epoch to leave out, because they were trained on before an interruption.

    Raises:
        UsageError: a process would get no sample of any step.

    Example:
        >>> steps = EvenBatches(EpochSampler(11, 0, ratio=0.0, mode="images", seed=0), 6)
        >>> shares = [ShareOfSteps(steps, rank, processes=2, pieces=2) for rank in (0, 1)]
        >>> [[len(piece) for piece in share] for share in shares]
        [[2, 1, 2, 1], [2, 1, 1, 1]]
    """

    def __init__(self, steps: EvenBatches, rank: int = 0, processes: int = 1, pieces: int = 1) -> None:
        if steps.batch_size < processes * pieces:
            raise UsageError(
                f"`batch_size` {steps.batch_size} counts the samples of a step over all processes, too few "
                f"for {processes} with {pieces} accumulated batches each; raise it, or use fewer of them"
            )
        self.steps, self.rank, self.processes, self.pieces = steps, rank, processes, pieces
        self.first = 0

    def __iter__(self) -> Iterator[list[Item]]:
        mine = (
            shares[piece * self.processes + self.rank] or [step[0]._replace(counts=False)]
            for step in self.steps
            for shares in (evenly_cut(step, self.processes * self.pieces),)
            for piece in range(self.pieces)
        )
        yield from islice(mine, self.first, None)

    def __len__(self) -> int:
        return len(self.steps) * self.pieces


class EpochSampler(Sampler[Item]):
    """Yield the items of `plan_epoch`; `set_epoch` moves on (Lightning calls it).

    Args:
        num_street, num_proxies, ratio, mode, seed: as in `plan_epoch`.
    """

    def __init__(self, num_street: int, num_proxies: int, *, ratio: float, mode: MixMode, seed: int) -> None:
        self.num_street, self.num_proxies = num_street, num_proxies
        self.ratio, self.mode, self.seed = ratio, mode, seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next iteration."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[Item]:
        return iter(
            plan_epoch(
                self.num_street,
                self.num_proxies,
                ratio=self.ratio,
                mode=self.mode,
                seed=self.seed,
                epoch=self.epoch,
            )
        )

    def __len__(self) -> int:
        extra = self.mode == "images" and self.num_proxies > 0
        return self.num_street + (round(self.ratio * self.num_street) if extra else 0)
