"""Fishyscapes validation sets, Static and Lost & Found, in the three layouts that circulate.

In: the root folder. Out: evaluation frames with 0 in-distribution, 1 OoD, 255 ignored.

1. `images/` + `labels_masks/`, paired by stem;
2. `{Static,LostAndFound}/x.jpg` with `x.png`, or one of these folders itself;
3. the official labels `NNNN_{source}_labels.png` with the source images `{source}_leftImg8bit.*` below the
   same root or below `source=`; for Static the official `NNNN_*rgb.npz` holds the differences to the
   Cityscapes frame, which are added while reading.

Reference: H. Blum et al., "The Fishyscapes Benchmark", IJCV 2021.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from segood.checks import check_choice
from segood.data.dataset import PairedDataset
from segood.data.images import read_image
from segood.data.index import LayoutIndex, by_stem, image_files, natural_key, pair
from segood.data.lookup import LabelLookup
from segood.data.paired_folders import IMAGES, OOD_MAPPING, find_label_folder, index_folders
from segood.data.sample import Record
from segood.data.splits import check_root, choose_split
from segood.errors import DataError

EXPECTED = "images/ and labels_masks/, Static/ or LostAndFound/ with x.jpg and x.png, or NNNN_*_labels.png"
TITLES = {
    "fishyscapes_static": "Fishyscapes Static",
    "fishyscapes_lost_and_found": "Fishyscapes Lost & Found",
}
SET_FOLDERS = {"fishyscapes_static": "Static", "fishyscapes_lost_and_found": "LostAndFound"}
_LOOKUP = LabelLookup(OOD_MAPPING, "Fishyscapes masks hold 0 (in), 1 (OoD), 255 (ignored)")
_OFFICIAL = re.compile(r"(?P<number>\d+)_(?P<source>.+)_labels")


def index_fishyscapes(root: Path, name: str, source: Path | None = None) -> LayoutIndex:
    """Find out which layout lies at `root`, or in the set's own folder below it, and pair its files.

    Args:
        root: folder of one set, or of both.
        name: `fishyscapes_static` or `fishyscapes_lost_and_found`.
        source: where the source images of the official labels lie, if not below `root`.

    Returns:
        index; without records where no layout was found.
    """
    own = root / SET_FOLDERS[name]
    base = own if own.is_dir() else root
    files = image_files(base)
    if any(_OFFICIAL.fullmatch(file.stem) for file in files):
        return _index_official(base, files, source)
    labels = find_label_folder(base)
    if labels is not None:
        return index_folders(base, base / IMAGES, base / labels)
    return _index_siblings(base, files)


def open_fishyscapes(
    root: str | Path,
    split: str | None = None,
    *,
    name: str,
    source: str | Path | None = None,
    resize: tuple[int, int] | None = None,
    allow_unlabeled: bool = False,
    strict: bool = True,
) -> PairedDataset:
    """Open a Fishyscapes validation set.

    Args:
        root: folder of the set, or one that holds `Static/` and `LostAndFound/`.
        split: `val` or `None`; there is no other public split.
        name: `fishyscapes_static` or `fishyscapes_lost_and_found`.
        source: folder with the Cityscapes or LostAndFound images, for the official layout.
        resize: (H,W) to which frames and labels are brought.
        allow_unlabeled: keep frames without label; their target is `None`.
        strict: raise for files without partner.

    Returns:
        data set of role `ood`; targets hold 0, 1 and 255.

    Raises:
        DataError: missing root, other layout, files without partner, no frames.
        UsageError: no such split.
    """
    check_choice("name", name, TITLES)
    folder = check_root(name, root, EXPECTED)
    origin = None if source is None else check_root(name, source, "the source images *_leftImg8bit.png")
    index = index_fishyscapes(folder, name, origin)
    if not index.records and not index.labels_without_image:
        raise DataError(f"{name} at {folder}: layout not found; expected {EXPECTED}")
    choose_split(name, folder, split, ["val"], expected=EXPECTED)
    return PairedDataset(
        index,
        _LOOKUP,
        allow_unlabeled=allow_unlabeled,
        strict=strict,
        read_frame=_frame_reader(index),
        name=name,
        title=TITLES[name],
        role="ood",
        protocol="Fishyscapes validation masks: 0 in, 1 OoD, 255 ignored",
        root=folder,
        split=split,
        resize=resize,
    )


def _index_siblings(base: Path, files: list[Path]) -> LayoutIndex:
    labels = by_stem([file for file in files if file.suffix.lower() == ".png"], base)
    images = by_stem([file for file in files if file.suffix.lower() != ".png"], base)
    return pair(images, labels, "x.jpg with x.png") if images else LayoutIndex(())


def _index_official(base: Path, files: list[Path], source: Path | None) -> LayoutIndex:
    """Pair `NNNN_{source}_labels.png` with `{source}_leftImg8bit.*`, from anywhere below `source`."""
    origin = base if source is None else source
    sources: dict[str, Path] = {}
    for file in image_files(origin, recursive=True):
        if not _OFFICIAL.fullmatch(file.stem):
            sources.setdefault(re.sub(r"_(leftImg8bit|rgb)$", "", file.stem), file)
    images, labels = {}, {}
    for file in sorted(files, key=lambda file: natural_key(file.name)):
        match = _OFFICIAL.fullmatch(file.stem)
        if match is None:
            continue
        key = f"{match['number']}_{match['source']}"
        labels[key] = file
        image = sources.get(key, sources.get(match["source"]))
        if image is not None:
            images[key] = image
    return pair(images, labels, "NNNN_{source}_labels.png with source images")


def _frame_reader(index: LayoutIndex) -> Callable[[Record], np.ndarray] | None:
    """Return a reader that adds the official Static overlays, or `None` where there are none."""
    overlays: dict[str, Path] = {}
    for record in index.records:
        if record.label is not None and _OFFICIAL.fullmatch(record.label.stem):
            number = record.label.stem.split("_", 1)[0]
            found = sorted(record.label.parent.glob(f"{number}_*rgb.npz"))
            if found:
                overlays[record.sample_id] = found[0]
    if not overlays:
        return None

    def read(record: Record) -> np.ndarray:
        image = read_image(record.image)
        if record.sample_id not in overlays:
            return image
        difference = _read_overlay(overlays[record.sample_id], image.shape)
        return np.clip(image.astype(np.int32) + difference, 0, 255).astype(np.uint8)

    return read


def _read_overlay(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Return the differences to the source image, integers (H,W,3)."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            difference = archive["rgb"]
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise DataError(f"{path}: not a readable overlay with an array 'rgb'; fetch it again") from error
    if difference.shape != shape:
        raise DataError(
            f"{path}: overlay has shape {difference.shape}, its source image {shape}; wrong source image?"
        )
    return np.asarray(difference, np.int32)
