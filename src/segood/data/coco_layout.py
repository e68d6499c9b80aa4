"""The COCO folder: where annotations and images lie, and whether they agree.

In: the root folder, a split. Out: paths, or one error that names the path expected.

    {root}/annotations/instances_{split}2017.json
    {root}/{split}2017/*.jpg
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from segood.data.coco_annotations import CocoImage
from segood.data.splits import check_root, choose_split
from segood.errors import DataError

EXPECTED = "annotations/instances_train2017.json and train2017/"


def locate_coco(root: str | Path, split: str | None, name: str = "coco_proxies") -> tuple[Path, str, Path]:
    """Return root, split and annotation file of a COCO folder; `name` is that of the data set in errors.

    Raises:
        DataError: no root, or no instance annotations or image folder in it; names the expected path.
        UsageError: no such split; names those present.
    """
    folder = check_root(name, root, EXPECTED)
    split = choose_split(name, folder, split, coco_splits(folder), expected=EXPECTED, default="train")
    frames = folder / f"{split}2017"
    if not frames.is_dir():
        raise DataError(f"{name} at {folder}: folder {frames} is missing; put the images of this split there")
    return folder, split, folder / "annotations" / f"instances_{split}2017.json"


def coco_splits(root: Path) -> list[str]:
    """Return the splits for which `annotations/instances_{split}2017.json` exists, `train` before `val`."""
    found = sorted((root / "annotations").glob("instances_*2017.json"))
    return [file.name.removeprefix("instances_").removesuffix("2017.json") for file in found]


def sample_name(split: str, image: CocoImage) -> str:
    """Return the sample id of an image, for example `train2017/000000000139`."""
    return f"{split}2017/{PurePosixPath(image.file_name).with_suffix('')}"


def check_images_exist(folder: Path, images: Sequence[CocoImage]) -> None:
    """Raise `DataError` where image files are missing; names the first and their number."""
    missing = missing_images(folder, images)
    if missing:
        raise DataError(
            f"{folder / missing[0]}: image named by the annotations is missing ({len(missing)} of "
            f"{len(images)} are); fetch the missing images or take them out of the annotations"
        )


def missing_images(folder: Path, images: Sequence[CocoImage]) -> list[str]:
    """Return the file names that `folder` does not hold; one listing instead of a look-up per image."""
    with os.scandir(folder) as entries:
        present = {entry.name for entry in entries}
    names = (image.file_name for image in images)
    return [n for n in names if n not in present and not ("/" in n and (folder / n).is_file())]


def check_stated_size(path: Path, size: tuple[int, ...], stated: CocoImage) -> None:
    """Raise `DataError` unless an image has the (height, width) that its annotations state."""
    if tuple(size) != (stated.height, stated.width):
        raise DataError(
            f"{path}: image is {size[1]}x{size[0]} but its annotations are for "
            f"{stated.width}x{stated.height} (width x height); restore the original image"
        )
