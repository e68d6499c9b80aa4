"""All data sets by name.

In: a name, a root folder and options. Out: a `SegmentationDataset`. The table below is the only place that
knows all layouts; each stands in a module of its own.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from segood.checks import check_choice
from segood.data.camvid import camvid_splits, open_camvid
from segood.data.cityscapes import cityscapes_splits, open_cityscapes
from segood.data.coco_layout import coco_splits
from segood.data.dataset import Role, SegmentationDataset
from segood.data.fishyscapes import open_fishyscapes
from segood.data.folder import folder_splits, open_folder
from segood.data.kitti import kitti_splits, open_kitti
from segood.data.lost_and_found import lost_and_found_splits, open_lost_and_found
from segood.data.road_anomaly import open_road_anomaly
from segood.data.smiyc import open_smiyc
from segood.errors import UsageError
from segood.user_code import call_user_code, check_arguments, imported, is_import_path


@dataclass(frozen=True)
class _OnDemand:
    """What opens a data set, in a module that is read when needed: COCO's take longer than all others."""

    module: str
    name: str

    def load(self) -> Callable[..., SegmentationDataset]:
        found: Callable[..., SegmentationDataset] = getattr(import_module(self.module), self.name)
        return found

    def __call__(self, root: str | Path, split: str | None = None, **options: Any) -> SegmentationDataset:
        return self.load()(root, split, **options)


@dataclass(frozen=True)
class DatasetEntry:
    """How to open one data set.

    Attributes:
        title: name as people write it.
        role: what its targets hold.
        open: `open(root, split, *, resize, **options)`.
        splits: splits present below a root; empty where the layout has none to choose from.
    """

    title: str
    role: Role
    open: Callable[..., SegmentationDataset]
    splits: Callable[[Path], list[str]]

    def options(self) -> list[str]:
        """Return the names of the options that `open` takes beside root, split and resize."""
        target = self.open.func if isinstance(self.open, partial) else self.open
        given = self.open.keywords if isinstance(self.open, partial) else {}
        if isinstance(target, _OnDemand):
            target = target.load()
        names = [
            name for name in inspect.signature(target).parameters if name not in ("root", "split", "resize")
        ]
        return [name for name in names if name not in given]


def _none(root: Path) -> list[str]:
    return []


DATASETS: dict[str, DatasetEntry] = {
    "cityscapes": DatasetEntry("Cityscapes", "closed_set", open_cityscapes, cityscapes_splits),
    "camvid": DatasetEntry("CamVid", "closed_set", open_camvid, camvid_splits),
    "kitti": DatasetEntry("KITTI semantics", "closed_set", open_kitti, kitti_splits),
    "lost_and_found": DatasetEntry("LostAndFound", "ood", open_lost_and_found, lost_and_found_splits),
    "fishyscapes_static": DatasetEntry(
        "Fishyscapes Static", "ood", partial(open_fishyscapes, name="fishyscapes_static"), _none
    ),
    "fishyscapes_lost_and_found": DatasetEntry(
        "Fishyscapes Lost & Found", "ood", partial(open_fishyscapes, name="fishyscapes_lost_and_found"), _none
    ),
    "road_anomaly": DatasetEntry("RoadAnomaly", "ood", open_road_anomaly, _none),
    "road_anomaly_21": DatasetEntry(
        "RoadAnomaly21", "ood", partial(open_smiyc, name="road_anomaly_21"), _none
    ),
    "road_obstacle_21": DatasetEntry(
        "RoadObstacle21", "ood", partial(open_smiyc, name="road_obstacle_21"), _none
    ),
    "folder": DatasetEntry("any folder", "ood", open_folder, folder_splits),
    "coco_proxies": DatasetEntry(
        "COCO proxies", "proxy", _OnDemand("segood.data.coco", "CocoProxies"), coco_splits
    ),
    "coco_known": DatasetEntry(
        "COCO images of known classes",
        "closed_set",
        _OnDemand("segood.data.coco_known", "open_coco_known"),
        coco_splits,
    ),
}
"""Name to entry, in the order of the documentation."""


def open_dataset(
    name: str,
    root: str | Path,
    split: str | None = None,
    *,
    resize: tuple[int, int] | None = None,
    **options: Any,
) -> SegmentationDataset:
    """Open a data set by name.

    Args:
        name: one of `DATASETS`, for example `cityscapes` or `road_anomaly_21`; or the import path of a
            function or class of yours that is called with `root`, with `split` and `resize` where they are
            given, and with the options, and gives a `SegmentationDataset`: `my_data.py:open_mine`.
        root: folder of the data set, as its owner ships it.
        split: part of it; may be left out where only one is present or the layout has none.
        resize: (H,W) to which frames (bilinear) and labels (nearest) are brought; see `.resolution`.
        **options: of the data set. `camvid`: labels; `lost_and_found`: protocol, subset; `fishyscapes_*`:
            source; `folder`: mapping, role, label_space, title; `coco_proxies`: excluded, min_side,
            background, cache; `coco_known`: known, shows, min_side; all but these two: allow_unlabeled.

    Returns:
        the data set; frames are read when they are asked for.

    Raises:
        UsageError: unknown name, split or option; the nearest valid one is named. Or code of yours that
            cannot be used.
        DataError: missing root, other layout, files without partner, no frames.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> with tempfile.TemporaryDirectory() as root:
        ...     for folder in ("train", "trainannot"):
        ...         (Path(root) / folder).mkdir()
        ...         Image.new("L", (4, 2)).save(Path(root) / folder / "a.png")
        ...     image, target, sample_id = open_dataset("camvid", root)[0]
        >>> image.shape, target.shape, sample_id
        ((2, 4, 3), (2, 4), 'train/a')
        >>> open_dataset("cityscape", "data")
        Traceback (most recent call last):
        segood.errors.UsageError: `name` must be one of cityscapes, ... (did you mean 'cityscapes'?)
    """
    check_dataset_options(name, options)
    if resize is not None:
        options["resize"] = resize
    if is_import_path(name):
        return _open_own(name, root, options if split is None else {"split": split, **options})
    return DATASETS[name].open(root, split, **options)


def _open_own(import_path: str, root: str | Path, options: dict[str, Any]) -> SegmentationDataset:
    with imported(import_path, "data set") as found:
        if not callable(found):
            raise UsageError(f"{import_path} must be a function or a class; it is {type(found).__name__}")
        arguments = check_arguments(found, import_path, options, {"root": root}, "the data set's `options`")
        dataset = call_user_code(import_path, found, arguments)
    if not isinstance(dataset, SegmentationDataset):
        raise UsageError(
            f"{import_path} must return a segood.data.SegmentationDataset; it returned "
            f"{type(dataset).__name__}"
        )
    return dataset


def check_dataset_options(name: str, options: Iterable[str]) -> None:
    """Raise `UsageError` for an unknown data set or option; nothing on disk is looked at.

    Args:
        name: one of `DATASETS`, or an import path, whose code is not looked at here.
        options: names of options for `open_dataset`.

    Example:
        >>> check_dataset_options("camvid", ["label"])
        Traceback (most recent call last):
        segood.errors.UsageError: `options of camvid` must be one of ...; got 'label' (did you mean 'labels'?)
    """
    if is_import_path(name):
        return
    check_choice("name", name, DATASETS)
    known = DATASETS[name].options()
    for option in options:
        check_choice(f"options of {name}", option, known)
