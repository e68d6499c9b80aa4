"""Which data set lies in a folder: looks at names of folders and files only, opens no image.

In: a root folder. Out: the data sets found there, most specific layout first; an empty list for none.
Several sets share `images/` + `labels_masks/`; there the folder's own name and the files' names decide,
and `reason` says so.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from segood.data.camvid import camvid_splits
from segood.data.cityscapes import cityscapes_splits
from segood.data.coco_layout import coco_splits
from segood.data.fishyscapes import SET_FOLDERS, index_fishyscapes
from segood.data.index import image_files, visible_folders
from segood.data.kitti import kitti_splits
from segood.data.lost_and_found import lost_and_found_splits
from segood.data.paired_folders import IMAGES, find_label_folder
from segood.data.splits import check_root


@dataclass(frozen=True)
class Recognized:
    """One data set found.

    Attributes:
        name: registry name, for `open_dataset`.
        split: one of its splits, `None` where the layout has none.
        reason: what it was recognised by.
    """

    name: str
    split: str | None
    reason: str


def recognize(root: str | Path) -> list[Recognized]:
    """Find out which data sets lie at `root`.

    Args:
        root: a folder.

    Returns:
        one entry per data set and split; empty where no layout fits.

    Raises:
        DataError: `root` is no folder.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as root:
        ...     for name in ("train", "trainannot"):
        ...         (Path(root) / name).mkdir()
        ...     [(found.name, found.split) for found in recognize(root)]
        [('camvid', 'train')]
    """
    folder = check_root("data", root, "a data set")
    for detect in (
        _cityscapes_like,
        _coco,
        _kitti,
        _road_anomaly,
        _fishyscapes_sets,
        _camvid,
        _folders,
        _siblings,
    ):
        found = detect(folder)
        if found:
            return found
    return []


def recognize_below(root: Path, *, at_most: int = 50) -> list[tuple[Path, Recognized]]:
    """Return what lies one level below `root`, to help somebody who points one folder too high."""
    return [(child, found) for child in visible_folders(root)[:at_most] for found in recognize(child)[:1]]


def _cityscapes_like(root: Path) -> list[Recognized]:
    splits = cityscapes_splits(root)
    if not splits:
        return []
    if (root / "gtFine").is_dir() or not (root / "gtCoarse").is_dir():
        reason = "leftImg8bit/ and gtFine/" if (root / "gtFine").is_dir() else "leftImg8bit/"
        return [Recognized("cityscapes", split, reason) for split in splits]
    return [
        Recognized("lost_and_found", s, "leftImg8bit/ and gtCoarse/") for s in lost_and_found_splits(root)
    ]


def _coco(root: Path) -> list[Recognized]:
    return [Recognized("coco_proxies", s, f"annotations/instances_{s}2017.json") for s in coco_splits(root)]


def _kitti(root: Path) -> list[Recognized]:
    splits = [split for split in kitti_splits(root) if (root / split / "semantic").is_dir()]
    return [Recognized("kitti", split, "image_2/ and semantic/") for split in splits]


def _road_anomaly(root: Path) -> list[Recognized]:
    if any(folder.suffix == ".labels" for folder in visible_folders(root / "frames")):
        return [Recognized("road_anomaly", None, "frames/x.labels/")]
    return []


def _fishyscapes_sets(root: Path) -> list[Recognized]:
    """Find the sets' own folders below `root`."""
    present = [name for name, own in SET_FOLDERS.items() if (root / own).is_dir()]
    found = [(name, index_fishyscapes(root, name)) for name in present]
    return [
        Recognized(name, None, f"{SET_FOLDERS[name]}/ with {index.variant}")
        for name, index in found
        if index.records or index.labels_without_image
    ]


def _camvid(root: Path) -> list[Recognized]:
    return [Recognized("camvid", split, "{split}/ and {split}annot/") for split in camvid_splits(root)]


def _folders(root: Path) -> list[Recognized]:
    """Tell apart the sets that share `images/` and `labels_masks/`."""
    labels = find_label_folder(root)
    if not (root / IMAGES).is_dir():
        return []
    if labels is None:
        return [Recognized("folder", None, "images/ without labels")]
    layout = f"images/ and {labels}/"
    name = _name_told_by_folder(root)
    if name is not None:
        return [Recognized(name, None, f"{layout}, and the folder's name")]
    if any(file.stem.endswith("_labels_semantic") for file in image_files(root / labels)):
        numbered = any(re.match(r"validation_\d", file.name) for file in image_files(root / IMAGES))
        name = "road_obstacle_21" if numbered else "road_anomaly_21"
        return [Recognized(name, None, f"{layout}, and the files' names")]
    return [Recognized("folder", None, layout)]


def _siblings(root: Path) -> list[Recognized]:
    """Find Fishyscapes files directly in `root`: x.jpg with x.png, or the official labels."""
    index = index_fishyscapes(root, "fishyscapes_static")
    if not index.records and not index.labels_without_image:
        return []
    name = _name_told_by_folder(root)
    if name not in SET_FOLDERS:
        official = [file.name for file in image_files(root) if re.match(r"\d+_.+_labels\.", file.name)]
        if not official:
            return []
        # the sources of Lost & Found are scenes with a two-digit number, those of Static are cities
        scenes = sum(re.match(r"\d+_\d\d_", file) is not None for file in official)
        name = "fishyscapes_lost_and_found" if scenes * 2 > len(official) else "fishyscapes_static"
    return [Recognized(name, None, index.variant)] if name else []


def _name_told_by_folder(root: Path) -> str | None:
    # abspath and not resolve: a link's own name tells more than the name of what it leads to
    name = re.sub(r"[^a-z0-9]", "", os.path.basename(os.path.abspath(root)).lower())  # noqa: PTH100, PTH119
    for part, dataset in (
        ("lostandfound", "fishyscapes_lost_and_found"),
        ("laf", "fishyscapes_lost_and_found"),
        ("static", "fishyscapes_static"),
        ("fishyscapes", "fishyscapes_static"),
        ("obstacle", "road_obstacle_21"),
        ("anomaly", "road_anomaly_21"),
    ):
        if part in name:
            return dataset
    return None
