"""The layout most sets share: a folder of images beside a folder of label maps.

In: a root folder. Out: a `LayoutIndex`; labels carry the image's stem, plain or with a usual ending.
"""

from __future__ import annotations

from pathlib import Path

from segood.data.index import LayoutIndex, by_stem, image_files, pair
from segood.types import IGNORE, IN_DISTRIBUTION, OUT_OF_DISTRIBUTION

IMAGES = "images"
LABEL_FOLDERS = ("labels_masks", "labels")
LABEL_ENDINGS = ("_labels_semantic", "_labels", "_label", "_mask", "")
OOD_MAPPING = {0: IN_DISTRIBUTION, 1: OUT_OF_DISTRIBUTION, 255: IGNORE}
"""The evaluation values that Fishyscapes and SegmentMeIfYouCan share."""


def index_split(images: Path, labels: Path, split: str, variant: str) -> LayoutIndex:
    """Pair the files of two flat folders that make up one split; sample ids are `{split}/{stem}`.

    Args:
        images: folder of images.
        labels: folder of label maps of the same stems.
        split: goes before the stem in the sample ids.
        variant: the layout in words.
    """
    prefix = f"{split}/"
    frames = by_stem(image_files(images), images, prefix=prefix)
    return pair(frames, by_stem(image_files(labels), labels, prefix=prefix), variant)


def find_label_folder(root: Path) -> str | None:
    """Return the name of the folder of label maps under `root`, if there is one."""
    return next((name for name in LABEL_FOLDERS if (root / name).is_dir()), None)


def index_folders(root: Path, images: Path, labels: Path | None) -> LayoutIndex:
    """Pair `images/**` with `labels/**` by relative path and stem; colour previews of labels are passed over.

    Args:
        root: the data set's folder.
        images: folder of images in it, searched with its subfolders.
        labels: folder of label maps in it, `None` where there is none.
    """
    shown = images.relative_to(root).as_posix()
    frames = by_stem(image_files(images, recursive=True), images)
    if labels is None:
        return pair(frames, {}, f"{shown}/ without labels")
    files = [file for file in image_files(labels, recursive=True) if not file.stem.endswith("_color")]
    exact = {key: file for key, file in by_stem(files, labels).items() if key in frames}
    rest = [file for file in files if file not in set(exact.values())]
    # An image called `a_mask` keeps its label `a_mask`; only labels without such a partner lose their ending.
    ended = {key: file for key, file in by_stem(rest, labels, LABEL_ENDINGS).items() if key not in exact}
    return pair(frames, {**ended, **exact}, f"{shown}/ + {labels.relative_to(root).as_posix()}/")
