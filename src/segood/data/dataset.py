"""The base of all data sets, and the one that reads image/label pairs.

In: records from an index function, a lookup from label values on disk to target values.
Out: `Sample(image, target, sample_id)`, checked: same size, known label values, readable.
"""

from __future__ import annotations

import hashlib
import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, SupportsIndex, overload

import numpy as np
from PIL import Image

from segood.data.images import read_image, read_labels
from segood.data.index import LayoutIndex, check_paired
from segood.data.label_spaces import LabelSpace
from segood.data.lookup import LabelLookup
from segood.data.sample import Record, Sample
from segood.errors import DataError, UsageError, system_says

Role = Literal["closed_set", "ood", "proxy"]


class SegmentationDataset(Sequence[Sample], ABC):
    """Frames of one data set: `dataset[i]` reads frame `i` from disk.

    Subclasses implement `load(record)`; resizing, order and hashing are here.

    Args:
        name: the registry's name, for example `road_anomaly_21`.
        title: name as people write it, for example `RoadAnomaly21`.
        role: `closed_set` (targets hold train ids), `ood` (0 in, 1 OoD) or `proxy` (`OOD` and background).
        protocol: how labels were turned into targets, in words; printed beside every number.
        root: folder of the data set.
        split: part of it, `None` where there is only one.
        records: frames in order.
        label_space: the classes of the target, `None` for OoD evaluation sets.
        resize: (H,W) in pixels to which frames (bilinear) and labels (nearest) are brought, or `None`.

    Raises:
        UsageError: `resize` is not two positive whole numbers.
        DataError: there is no record.

    Example:
        >>> class Grey(SegmentationDataset):
        ...     def load(self, record):
        ...         return np.full((2, 4, 3), 128, np.uint8), np.zeros((2, 4), np.uint8)
        >>> facts = {"name": "grey", "title": "Grey", "role": "closed_set", "protocol": "", "root": "."}
        >>> dataset = Grey(**facts, split=None, records=[Record("a", Path("a.png"), None)], resize=(1, 2))
        >>> len(dataset), dataset[0].image.shape, dataset.resolution
        (1, (1, 2, 3), '2x1 (frames and labels resized)')
    """

    def __init__(
        self,
        *,
        name: str,
        title: str,
        role: Role,
        protocol: str,
        root: str | Path,
        split: str | None,
        records: Sequence[Record],
        label_space: LabelSpace | None = None,
        resize: tuple[int, int] | None = None,
    ) -> None:
        self.name = name
        self.title = title
        self.role: Role = role
        self.protocol = protocol
        self.root = Path(root)
        self.split = split
        self.label_space = label_space
        self.records = tuple(records)
        self.resize = check_resize(resize)
        if not self.records:
            part = f", split {split!r}" if split else ""
            raise DataError(
                f"{name} at {root}{part}: no frames found; is this the right folder, and not empty?"
            )

    @property
    def resolution(self) -> str:
        """At which resolution metrics are computed: `label`, or the size frames and labels are resized to."""
        return describe_resolution(self.resize)

    def __len__(self) -> int:
        return len(self.records)

    @overload
    def __getitem__(self, index: SupportsIndex) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> list[Sample]: ...
    def __getitem__(self, index: SupportsIndex | slice) -> Sample | list[Sample]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        record = self.records[operator.index(index)]
        image, target = self.load(record)
        if self.resize is not None:
            image, target = resize_pair(image, target, self.resize)
        return Sample(image, target, record.sample_id)

    def target(self, index: int) -> np.ndarray | None:
        """Return the target of frame `index` as `dataset[index].target` is; may spare reading the image."""
        return self[index].target

    @abstractmethod
    def load(self, record: Record) -> tuple[np.ndarray, np.ndarray | None]:
        """Read a record, before any resizing.

        Args:
            record: one of `records`.

        Returns:
            Image uint8 (H,W,3), RGB, and target uint8 (H,W), `None` where there is no label.

        Raises:
            DataError: an unreadable file, sizes that differ, or a label value the layout does not know.
        """

    def content_hash(self) -> str:
        """Hash what identifies frames and labels, wherever they are stored.

        It covers, per record in order: sample id, size of the image file in bytes, and the SHA-256 of
        the label file. Folder, file dates, split name, protocol and resizing do not enter.

        Returns:
            SHA-256, hexadecimal, 64 digits.

        Raises:
            DataError: a file is missing or unreadable.
        """
        return combine_hashes([(record.sample_id, *record_fingerprint(record)) for record in self.records])

    def __repr__(self) -> str:
        part = f", split={self.split!r}" if self.split else ""
        return f"{type(self).__name__}({self.name!r}, root={str(self.root)!r}{part}, {len(self)} frames)"


class PairedDataset(SegmentationDataset):
    """Frames stored as one image file and one label file each.

    Args:
        index: the pairs, from a layout's index function.
        lookup: table for all label files, or a function that chooses one by the label's path.
        allow_unlabeled: frames without label are fine; their target is `None`.
        strict: raise where files have no partner (`check_dataset` passes `False` and lists them).
        read_frame: replaces `read_image` for layouts that store images in another way.
        **attributes: as of `SegmentationDataset`, without `records`.

    Raises:
        DataError: images without label or labels without image, both named.

    Example:
        >>> import tempfile
        >>> from segood.data.lookup import LabelLookup
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     image, label = Path(folder) / "a.png", Path(folder) / "a_label.png"
        ...     Image.new("RGB", (2, 1)).save(image)
        ...     Image.new("L", (2, 1), 5).save(label)
        ...     dataset = PairedDataset(
        ...         LayoutIndex((Record("a", image, label),)), LabelLookup({5: 0}, "5 is road"), name="one",
        ...         title="One", role="closed_set", protocol="5 is road", root=folder, split=None)
        ...     dataset[0].target.tolist()
        [[0, 0]]
    """

    def __init__(
        self,
        index: LayoutIndex,
        lookup: LabelLookup | Callable[[Path], LabelLookup],
        *,
        allow_unlabeled: bool = False,
        strict: bool = True,
        read_frame: Callable[[Record], np.ndarray] | None = None,
        name: str,
        title: str,
        role: Role,
        protocol: str,
        root: str | Path,
        split: str | None,
        label_space: LabelSpace | None = None,
        resize: tuple[int, int] | None = None,
    ) -> None:
        if strict:
            check_paired(index, name, Path(root), allow_unlabeled=allow_unlabeled)
        super().__init__(
            name=name,
            title=title,
            role=role,
            protocol=protocol,
            root=root,
            split=split,
            records=index.records,
            label_space=label_space,
            resize=resize,
        )
        self.found = index
        self.variant = index.variant
        self.allow_unlabeled = allow_unlabeled
        self._lookup = lookup
        self._read_frame = read_frame

    def lookup_for(self, label: Path) -> LabelLookup:
        """Return the table that holds for a label file."""
        return self._lookup if isinstance(self._lookup, LabelLookup) else self._lookup(label)

    def load_image(self, record: Record) -> np.ndarray:
        """Return the frame, uint8 (H,W,3) RGB."""
        return read_image(record.image) if self._read_frame is None else self._read_frame(record)

    def target(self, index: int) -> np.ndarray | None:
        """Return a frame's target without decoding its image, whose size is then not checked."""
        record = self.records[index]
        if record.label is None:
            return None
        target = self.lookup_for(record.label)(read_labels(record.label), record.label)
        return target if self.resize is None else resize_labels(target, self.resize)

    def load(self, record: Record) -> tuple[np.ndarray, np.ndarray | None]:
        """Read image and target of a record and check them against each other."""
        image = self.load_image(record)
        if record.label is None:
            return image, None
        labels = read_labels(record.label)
        check_same_size(record, image.shape[:2], labels.shape)
        return image, self.lookup_for(record.label)(labels, record.label)


def describe_resolution(resize: tuple[int, int] | None) -> str:
    """Say at which resolution frames and labels are used.

    Example:
        >>> describe_resolution((512, 1024)), describe_resolution(None)
        ('1024x512 (frames and labels resized)', 'label')
    """
    if resize is None:
        return "label"
    height, width = resize
    return f"{width}x{height} (frames and labels resized)"


def check_same_size(record: Record, image: tuple[int, ...], label: tuple[int, ...]) -> None:
    """Raise `DataError` where image (H,W) and label (H,W) of a record differ in size."""
    if image != label:
        raise DataError(
            f"{record.label}: label is {label[1]}x{label[0]} but its image {record.image} is "
            f"{image[1]}x{image[0]} (width x height); they must agree, resize or replace one of them"
        )


def check_resize(resize: Sequence[int] | None) -> tuple[int, int] | None:
    """Return `resize` as a tuple; raise `UsageError` unless it is `None` or two positive whole numbers."""
    if resize is None:
        return None
    values = tuple(resize) if isinstance(resize, Sequence) and not isinstance(resize, str) else ()
    whole = all(isinstance(value, int | np.integer) and not isinstance(value, bool) for value in values)
    if len(values) != 2 or not whole or min(values) < 1:
        raise UsageError(f"`resize` must be (height, width), two positive whole numbers; got {resize!r}")
    return int(values[0]), int(values[1])


def resize_pair(
    image: np.ndarray, target: np.ndarray | None, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray | None]:
    """Resize a frame and its target.

    Args:
        image: uint8 (H,W,3).
        target: uint8 (H,W) or `None`.
        size: (height, width) wanted.

    Returns:
        image by Pillow's bilinear filter on 8 bits, target by nearest neighbour; the arrays given
        where they have that size already.
    """
    if image.shape[:2] == size:
        return image, target
    height, width = size
    small = np.array(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))
    return small, None if target is None else resize_labels(target, size)


def resize_labels(target: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize a target uint8 (H,W) to (height, width) by nearest neighbour; itself where it has the size."""
    if target.shape == size:
        return target
    return np.array(Image.fromarray(target).resize((size[1], size[0]), Image.Resampling.NEAREST))


def record_fingerprint(record: Record) -> tuple[int, str]:
    """Return (size of the image file in bytes, SHA-256 of the label file or `-`)."""
    try:
        label = "-" if record.label is None else hashlib.sha256(record.label.read_bytes()).hexdigest()
        return record.image.stat().st_size, label
    except OSError as error:
        raise DataError(f"{error.filename}: {system_says(error, 'every frame must be readable')}") from error


def combine_hashes(parts: Sequence[tuple[str, int, str]]) -> str:
    """Return the SHA-256 over (sample id, image bytes, label hash) in the order given."""
    lines = (f"{sample_id}\t{size}\t{label}\n" for sample_id, size, label in parts)
    return hashlib.sha256("".join(lines).encode()).hexdigest()
