"""Frames of a comparison: some of a data set, evenly spaced, with the rules of their role.

In: `FrameSource`. Out: `Frames`, which reads them; targets of test sets stay in memory, compressed.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from segood.data.dataset import SegmentationDataset, combine_hashes, record_fingerprint
from segood.data.sample import Sample
from segood.errors import DataError, UsageError
from segood.evaluation.comparison.config import FrameSource, TestSet, ValidationConfig
from segood.evaluation.results import DatasetInfo
from segood.evaluation.runner import check_test_set
from segood.models.observation import NetworkObservation, observe
from segood.scores import Score
from segood.types import IGNORE, IN_DISTRIBUTION, OOD, OUT_OF_DISTRIBUTION

if TYPE_CHECKING:
    from segood.models import SegmentationModel


@dataclass
class Frames:
    """Some frames of a data set.

    Attributes:
        key: what the comparison calls the set.
        dataset: the whole set.
        indices: of the frames that are used, rising.
        working_size: (rows, columns) before the network, None for the network's own.
    """

    key: str
    dataset: SegmentationDataset
    indices: list[int]
    working_size: tuple[int, int] | None = None
    _targets: dict[int, tuple[tuple[int, ...], bytes]] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        """Count the frames."""
        return len(self.indices)

    @property
    def sample_ids(self) -> list[str]:
        """Ids of the frames, in order."""
        return [self.dataset.records[i].sample_id for i in self.indices]

    def __iter__(self) -> Iterator[Sample]:
        """Read frame after frame."""
        return (self[position] for position in range(len(self)))

    def __getitem__(self, position: int) -> Sample:
        """Read a frame; `position` counts the frames that are used."""
        return self.dataset[self.indices[position]]

    def target(self, position: int) -> np.ndarray:
        """Return a frame's target (H,W) uint8; read from disk once only."""
        if position not in self._targets:
            target = self.dataset.target(self.indices[position])
            assert target is not None, "test sets are checked when they are opened"
            self._targets[position] = (target.shape, zlib.compress(target.tobytes(), 1))
        shape, packed = self._targets[position]
        return np.frombuffer(bytearray(zlib.decompress(packed)), np.uint8).reshape(shape)

    def content_hash(self) -> str:
        """Return the hash of the frames that are used (see `SegmentationDataset.content_hash`)."""
        records = [self.dataset.records[i] for i in self.indices]
        return combine_hashes([(r.sample_id, *record_fingerprint(r)) for r in records])

    @property
    def network_input(self) -> str:
        """In words: the size that the network sees."""
        if self.working_size is None:
            return "the network's own size"
        return f"{self.working_size[1]}x{self.working_size[0]}"

    def describe(self) -> DatasetInfo:
        """Return what the results say about the set; hashes its files, and reads all targets."""
        some = len(self) < len(self.dataset)
        part = f"; {len(self)} of {len(self.dataset)} frames, evenly spaced" if some else ""
        with_ood = sum(self._has_ood(i) for i in range(len(self)))
        return DatasetInfo(
            self.key, self.dataset.title, self.dataset.protocol + part, len(self), with_ood,
            self.dataset.resolution, self.content_hash(),
        )  # fmt: skip

    def _has_ood(self, position: int) -> bool:
        try:
            return bool((self.target(position) == OUT_OF_DISTRIBUTION).any())
        except DataError:
            return False  # unreadable: every row says so

    def words(self) -> str:
        """Return data set, split, frames, network input and hash in one line."""
        split = f" {self.dataset.split}" if self.dataset.split else ""
        return (
            f"{self.dataset.title}{split}: {len(self)} of {len(self.dataset)} frames, "
            f"network input {self.network_input}, content {self.content_hash()[:16]}"
        )

    def observe(
        self,
        model: SegmentationModel,
        image: np.ndarray,
        size: tuple[int, ...],
        scores: Iterable[Score] = (),
    ) -> NetworkObservation:
        """Look at one of these images with a network, at this set's size before the network.

        Args:
            model: the network.
            image: uint8 (H,W,3).
            size: (rows, columns) of the score maps: those of the labels.
            scores: that will be computed.
        """
        return observe(model, image, (size[0], size[1]), scores=tuple(scores), working_size=self.working_size)

    def thinned(self, count: int) -> Frames:
        """Return at most `count` of these frames, evenly spaced."""
        at = np.linspace(0, len(self) - 1, min(count, len(self))).round().astype(int)
        return Frames(self.key, self.dataset, [self.indices[i] for i in at], self.working_size)


def open_frames(
    key: str, source: FrameSource, root: str | Path, left_out: frozenset[str] = frozenset()
) -> Frames:
    """Open a data set and choose its frames.

    Args:
        key: what the comparison calls it.
        source: description.
        root: folder that relative roots lie under.
        left_out: sample ids that must not be used.

    Raises:
        DataError: as the data set; or no frame is left.
    """
    dataset = source.open(root)
    usable = [i for i, record in enumerate(dataset.records) if record.sample_id not in left_out]
    if not usable:
        raise DataError(
            f"{dataset.title} at {dataset.root}: all {len(dataset)} frames are left out by `without`"
        )
    frames = Frames(key, dataset, usable, source.working_size)
    return frames if source.num_frames is None else frames.thinned(source.num_frames)


def open_test_set(key: str, source: TestSet, root: str | Path) -> Frames:
    """Open a test set: every frame has a label that tells OoD pixels.

    Raises:
        UsageError, DataError: it is of another kind, or frames have no label.
    """
    frames = open_frames(key, source, root)
    check_test_set(frames.dataset)
    return frames


def open_labelled(key: str, source: FrameSource, root: str | Path) -> Frames:
    """Open frames with train ids.

    Raises:
        UsageError: it is of another kind.
        DataError: frames have no label.
    """
    frames = open_frames(key, source, root)
    if frames.dataset.role != "closed_set":
        raise UsageError(
            f"`{key}` needs a data set with train ids, such as cityscapes; "
            f"{frames.dataset.title} is of the kind {frames.dataset.role}"
        )
    missing = [
        frames.dataset.records[i].sample_id for i in frames.indices if not frames.dataset.records[i].label
    ]
    if missing:
        raise DataError(f"{frames.dataset.title}: {len(missing)} frames have no label, first {missing[0]}")
    return frames


@dataclass(frozen=True)
class Validation:
    """Street frames without anything unknown, and proxy frames whose objects are unknown.

    Attributes:
        street, proxies: the frames.
        pixel_shares: category and share of the object pixels, largest first (paper, fig. 3), of the proxies
            that networks were trained with where they are known, else of these.
    """

    street: Frames
    proxies: Frames
    pixel_shares: list[dict[str, Any]] = field(default_factory=list)

    def __iter__(self) -> Iterator[tuple[Sample, np.ndarray, Frames]]:
        """Yield each frame with its evaluation target (H,W): 0 in, 1 OoD, 255 ignored."""
        for sample in self.street:
            assert sample.target is not None, "checked when opened"
            target = np.where(sample.target < OOD, IN_DISTRIBUTION, IGNORE)
            yield sample, target.astype(np.uint8), self.street
        for sample in self.proxies:
            assert sample.target is not None, "proxies have targets"
            target = np.where(sample.target == OOD, OUT_OF_DISTRIBUTION, IGNORE)
            yield sample, target.astype(np.uint8), self.proxies

    def __len__(self) -> int:
        """Count the frames."""
        return len(self.street) + len(self.proxies)

    def thinned(self, count: int) -> Validation:
        """Return at most `count` frames of either kind."""
        return Validation(self.street.thinned(count), self.proxies.thinned(count))

    def words(self) -> str:
        """Return both parts in one line."""
        return f"{self.street.words()}; {self.proxies.words()}"


def open_validation(source: ValidationConfig, root: str | Path) -> Validation:
    """Open the split that options and thresholds are chosen on.

    Raises:
        UsageError, DataError: a part is of another kind, or nothing is left of it.
    """
    taken = source.without.open(root) if source.without else None
    left_out = frozenset(r.sample_id for r in taken.records) if taken else frozenset()
    proxies = open_frames("validation.proxies", source.proxies, root, left_out)
    if proxies.dataset.role != "proxy":
        raise UsageError(
            f"`validation.proxies` must be a proxy set such as coco_proxies; got {proxies.dataset.name}"
        )
    report = getattr(taken or proxies.dataset, "filter_report", None)
    shares = (
        [] if report is None else [{"category": c, "pixel_share": p} for c, p in report.pixel_share.items()]
    )
    return Validation(open_labelled("validation.street", source.street, root), proxies, shares)
