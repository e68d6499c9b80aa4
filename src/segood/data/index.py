"""Finding and pairing files: the part all layouts share.

In: folders. Out: a `LayoutIndex` of paired `Record`s in natural order, with the files that found no partner.
Hidden files, operating-system leftovers and files that are no images are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from segood.data.images import IMAGE_SUFFIXES
from segood.data.sample import Record
from segood.errors import DataError

_NOISE_FOLDERS = ("__MACOSX", "@eaDir", "lost+found")


@dataclass(frozen=True)
class LayoutIndex:
    """What an index function found.

    Attributes:
        records: image with its label, in natural order of their ids; label `None` where there is none.
        images_without_label: images among the records that have no label.
        labels_without_image: labels that belong to no record.
        variant: which variant of the layout this is, in words.
    """

    records: tuple[Record, ...]
    images_without_label: tuple[Path, ...] = ()
    labels_without_image: tuple[Path, ...] = ()
    variant: str = ""


_SPLIT_ORDER = ("train", "training", "val", "test", "testing")


def in_split_order(names: Iterable[str]) -> list[str]:
    """Return split names as people list them: train, val, test, then all others in natural order.

    Example:
        >>> in_split_order(["test", "extra", "train"])
        ['train', 'test', 'extra']
    """
    order = {name: i for i, name in enumerate(_SPLIT_ORDER)}
    return sorted(names, key=lambda name: (order.get(name, len(order)), natural_key(name)))


def natural_key(text: str) -> tuple[tuple[int, int, str], ...]:
    """Return a sort key under which `2` comes before `10`.

    Example:
        >>> sorted(["10", "2", "a"], key=natural_key)
        ['2', '10', 'a']
    """
    return tuple(
        (0, int(part), part) if part.isdecimal() else (1, 0, part) for part in re.findall(r"\d+|\D+", text)
    )


def visible_folders(folder: Path) -> list[Path]:
    """Return the subfolders of `folder` in natural order, without hidden ones.

    There are none where `folder` does not exist.
    """
    if not folder.is_dir():
        return []
    found = [entry for entry in folder.iterdir() if not _is_noise(entry.name) and entry.is_dir()]
    return sorted(found, key=lambda entry: natural_key(entry.name))


def image_files(folder: Path, *, recursive: bool = False) -> list[Path]:
    """Return the files with an image suffix in `folder` (none where it does not exist), in natural order.

    Links that lead nowhere are kept, so that reading them names them instead of losing a frame.
    """
    if not folder.is_dir():
        return []
    found = [
        entry
        for entry in folder.iterdir()
        if entry.suffix.lower() in IMAGE_SUFFIXES and not _is_noise(entry.name) and not entry.is_dir()
    ]
    found.sort(key=lambda entry: natural_key(entry.name))
    if recursive:
        for child in visible_folders(folder):
            found += image_files(child, recursive=True)
    return found


def by_stem(
    files: Iterable[Path],
    folder: Path,
    suffixes: Iterable[str] = ("",),
    *,
    prefix: str = "",
) -> dict[str, Path]:
    """Return `{key: file}`, the key being the path relative to `folder` without extension and name ending.

    Args:
        files: files below `folder`.
        folder: what the keys are relative to.
        suffixes: endings of the stem, tried in this order; files with none of them are passed over
            (`""` accepts all). The first one found in the list wins where one frame has several files.
        prefix: put before each key.

    Raises:
        DataError: two files of the same ending claim one frame (for example `1.jpg` and `1.png`).
    """
    endings = tuple(suffixes)
    chosen: dict[str, tuple[int, Path]] = {}
    for file in files:
        rank = next((i for i, ending in enumerate(endings) if file.stem.endswith(ending)), None)
        if rank is None:
            continue
        stem = file.stem[: len(file.stem) - len(endings[rank])]
        key = prefix + (file.parent.relative_to(folder) / stem).as_posix()
        known = chosen.get(key)
        if known is not None and known[0] == rank:
            raise DataError(f"{known[1]} and {file.name} both claim frame {key!r}; keep one of them")
        if known is None or rank < known[0]:
            chosen[key] = (rank, file)
    return {key: file for key, (_, file) in chosen.items()}


def pair(images: Mapping[str, Path], labels: Mapping[str, Path], variant: str = "") -> LayoutIndex:
    """Pair images and labels with equal keys; the key is the sample id."""
    keys = sorted(images, key=natural_key)
    return LayoutIndex(
        records=tuple(Record(key, images[key], labels.get(key)) for key in keys),
        images_without_label=tuple(images[key] for key in keys if key not in labels),
        labels_without_image=tuple(
            labels[key] for key in sorted(labels, key=natural_key) if key not in images
        ),
        variant=variant,
    )


def check_paired(index: LayoutIndex, dataset: str, root: Path, *, allow_unlabeled: bool) -> None:
    """Raise `DataError` unless every image has a label and every label an image; names the first of each.

    Args:
        index: what was found.
        dataset: name for the message.
        root: where it was searched, for the message.
        allow_unlabeled: images without label are no fault.
    """
    without_label = () if allow_unlabeled else index.images_without_label
    parts = []
    if without_label:
        parts.append(f"{_count(without_label, 'image')} without label (first: {without_label[0]})")
    if index.labels_without_image:
        labels = index.labels_without_image
        parts.append(f"{_count(labels, 'label')} without image (first: {labels[0]})")
    if parts:
        remedy = "add or remove them"
        if without_label:
            remedy += ", or keep images without label by the option `allow_unlabeled: true`"
        raise DataError(f"{dataset} at {root}: {' and '.join(parts)}; {remedy}")


def select(index: LayoutIndex, keep: Callable[[Record], bool]) -> LayoutIndex:
    """Return the index with only those records for which `keep` is true."""
    records = tuple(record for record in index.records if keep(record))
    images = {record.image for record in records}
    return LayoutIndex(
        records,
        tuple(path for path in index.images_without_label if path in images),
        index.labels_without_image,
        index.variant,
    )


def _is_noise(name: str) -> bool:
    return name.startswith(".") or name in _NOISE_FOLDERS


def _count(items: tuple[Path, ...], word: str) -> str:
    return f"{len(items)} {word}{'s' if len(items) != 1 else ''}"
