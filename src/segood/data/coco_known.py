"""COCO images that show what a street holds, without labels: the rest of what proxies come from.

In: the root folder of COCO 2017. Out: frames whose target is `None`, for `unlabeled` of a training: there the
network is held to what it said before.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from segood.checks import check_choice
from segood.data.coco_annotations import CocoAnnotations, CocoImage, read_coco_annotations
from segood.data.coco_layout import check_images_exist, locate_coco, sample_name
from segood.data.dataset import PairedDataset
from segood.data.index import LayoutIndex, natural_key
from segood.data.lookup import LabelLookup
from segood.data.proxy_filter import check_min_side
from segood.data.proxy_presets import resolve_excluded
from segood.data.sample import Record
from segood.errors import DataError

SHOWN = {
    "any": "a known class",
    "street": "a known class, and two motor vehicles, a traffic light, stop sign, hydrant or parking meter",
}
"""What an image must show, by the value of the option `shows`, in words."""
_FURNITURE = {"traffic light", "stop sign", "fire hydrant", "parking meter"}
_VEHICLES = {"car", "bus", "truck"}


def open_coco_known(
    root: str | Path,
    split: str | None = "train",
    *,
    known: str | Sequence[str] = "cityscapes",
    shows: str = "any",
    min_side: int = 400,
    strict: bool = True,
    resize: tuple[int, int] | None = None,
) -> PairedDataset:
    """Open the COCO images that show a known class, of which `coco_proxies` with `excluded=known` uses none.

    Args:
        root: folder that holds `annotations/` and `{split}2017/`.
        split: for example `train` (default) or `val`.
        known: what the network knows: a preset of `coco_proxies`' option `excluded`, or categories.
        shows: `any` known class, wherever it is; or, beside one, a `street`: two motor vehicles, a traffic
            light, stop sign, hydrant or parking meter.
        min_side: smallest height and width in pixels.
        strict: raise where images are missing (`check_dataset` passes `False` and lists them).
        resize: (H,W) to which images are brought.

    Returns:
        frames without target, in natural order.

    Raises:
        DataError: missing root, annotations or images, faulty annotations, or no image is left.
        UsageError: no such split, preset or category.

    Example:
        >>> import tempfile
        >>> from segood.data.synthetic import write_world
        >>> few = dict.fromkeys(("num_train", "num_val", "num_lost_and_found", "num_fishyscapes"), 1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     world = write_world(folder, size=(128, 256), num_proxies=4, **few)
        ...     images = open_coco_known(world.coco, known=["dog", "cow", "bear", "kite"], min_side=1)
        ...     image, target, name = images[0]
        >>> image.dtype, target, name.split("/")[0]
        (dtype('uint8'), None, 'train2017')
    """
    check_choice("shows", shows, SHOWN)
    check_min_side(min_side)
    folder, split, annotation_file = locate_coco(root, split, "coco_known")
    annotations = read_coco_annotations(annotation_file)
    preset, names = resolve_excluded(known, annotations.categories.values(), option="known")
    classes = set(names)
    shown = [image for image in annotations.images if _shows(annotations, image, shows, classes)]
    images = [image for image in shown if min(image.height, image.width) >= min_side]
    if not images:
        remedy = "lower `min_side`" if shown else "name other classes as `known`"
        raise DataError(
            f"{annotation_file}: none of its {len(annotations.images)} images shows {SHOWN[shows]} with both "
            f"sides at least {min_side} px; {remedy}"
        )
    frames = folder / f"{split}2017"
    if strict:
        check_images_exist(frames, images)
    images.sort(key=lambda image: natural_key(image.file_name))
    records = tuple(Record(sample_name(split, image), frames / image.file_name, None) for image in images)
    index = LayoutIndex(
        records, tuple(record.image for record in records), variant=f"{frames.name}/, no labels"
    )
    return PairedDataset(
        index,
        LabelLookup({}, "it has no labels"),
        allow_unlabeled=True,
        name="coco_known",
        title="COCO images of known classes",
        role="closed_set",
        protocol=f"no labels; shows {SHOWN[shows]} ({preset}); both sides at least {min_side} px",
        root=folder,
        split=split,
        resize=resize,
    )


def _shows(annotations: CocoAnnotations, image: CocoImage, shows: str, known: set[str]) -> bool:
    things = [annotations.categories[one.category_id] for one in annotations.instances.get(image.id, ())]
    if not known & set(things):
        return False
    return shows == "any" or bool(_FURNITURE & set(things)) or sum(one in _VEHICLES for one in things) >= 2
