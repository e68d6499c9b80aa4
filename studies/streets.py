"""Street-like COCO images as a folder without labels: what a fleet has most of.

In: a COCO folder with its annotations. Out: a folder of links that segood reads as `folder`.

An image is street-like if it shows a traffic light, stop sign, parking meter or fire hydrant, or two motor
vehicles. None of them is a proxy, since proxies show nothing that a street has.
"""

from __future__ import annotations

from pathlib import Path

from segood.data.coco_annotations import read_coco_annotations

FURNITURE = {"traffic light", "stop sign", "parking meter", "fire hydrant"}
VEHICLES = {"car", "bus", "truck"}


def link_street_images(coco: Path, out: Path, *, split: str = "train2017", min_side: int = 400) -> int:
    """Link the street-like images of a COCO folder into `out/images`; return their number.

    Args:
        coco: folder with `annotations/` and a folder of images per split.
        out: folder to make; what is there stays.
        split: of COCO.
        min_side: smallest height and width in pixels.
    """
    content = read_coco_annotations(coco / "annotations" / f"instances_{split}.json")
    (out / "images").mkdir(parents=True, exist_ok=True)
    number = 0
    for image in content.images:
        things = [content.categories[thing.category_id] for thing in content.instances.get(image.id, [])]
        is_street = bool(FURNITURE & set(things)) or sum(thing in VEHICLES for thing in things) >= 2
        if is_street and min(image.height, image.width) >= min_side:
            link = out / "images" / image.file_name
            if not link.exists():
                link.symlink_to((coco / split / image.file_name).resolve())
            number += 1
    return number
