"""COCO images with streets, or with what streets hold, as folders without labels: what a fleet has most of.

In: a COCO folder with its annotations. Out: folders of links that segood reads as `folder`.

Proxies show no class of Cityscapes, so that an image is hardly ever both: a hydrant or a parking meter, which
are no classes of Cityscapes, make an image street-like, and it may be a proxy, too (one of the subset's is).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from segood.data.coco_annotations import read_coco_annotations

FURNITURE = {"traffic light", "stop sign", "parking meter", "fire hydrant"}
VEHICLES = {"car", "bus", "truck"}
KNOWN = {*VEHICLES, "person", "bicycle", "motorcycle", "train", "traffic light", "stop sign"}
"""What Cityscapes' classes and COCO's categories share."""


def is_street(things: Sequence[str]) -> bool:
    """Tell whether an image is street-like: it shows street furniture, or two motor vehicles.

    Example:
        >>> is_street(["car", "dog"]), is_street(["car", "bus"]), is_street(["fire hydrant"])
        (False, True, True)
    """
    return bool(FURNITURE & set(things)) or sum(thing in VEHICLES for thing in things) >= 2


def is_known(things: Sequence[str]) -> bool:
    """Tell whether an image shows a class of Cityscapes, wherever that is.

    Example:
        >>> is_known(["person", "sofa"]), is_known(["sofa"])
        (True, False)
    """
    return bool(KNOWN & set(things))


FOLDERS = {"coco_streets": is_street, "coco_known": is_known}


def link_images(root: Path, *, split: str = "train2017", min_side: int = 400) -> dict[str, int]:
    """Link the images of each kind of `FOLDERS` into `root/FOLDER/images`; return their numbers.

    Args:
        root: folder of the data sets, with `coco/annotations/` and a folder of images per split.
        split: of COCO.
        min_side: smallest height and width in pixels.
    """
    coco = root / "coco"
    content = read_coco_annotations(coco / "annotations" / f"instances_{split}.json")
    numbers = dict.fromkeys(FOLDERS, 0)
    for image in content.images:
        if min(image.height, image.width) < min_side:
            continue
        things = [content.categories[thing.category_id] for thing in content.instances.get(image.id, [])]
        for folder, shows in FOLDERS.items():
            if not shows(things):
                continue
            link = root / folder / "images" / image.file_name
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.exists():
                link.symlink_to((coco / split / image.file_name).resolve())
            numbers[folder] += 1
    return numbers
