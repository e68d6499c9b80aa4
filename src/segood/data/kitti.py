"""KITTI semantics: `training/image_2/*.png` with `training/semantic/*.png` (Cityscapes label ids).

In: the root folder. Out: closed-set frames with Cityscapes train ids; their sizes vary.

Reference: H. Alhaija et al., "Augmented Reality Meets Computer Vision", IJCV 2018.
"""

from __future__ import annotations

from pathlib import Path

from segood.data.cityscapes import LABEL_ID_LOOKUP
from segood.data.dataset import PairedDataset
from segood.data.index import LayoutIndex, in_split_order, visible_folders
from segood.data.label_spaces import CITYSCAPES
from segood.data.paired_folders import index_split
from segood.data.splits import check_root, choose_split

EXPECTED = "training/image_2/ and training/semantic/"


def kitti_splits(root: Path) -> list[str]:
    """Return the folders that hold an `image_2/`."""
    return in_split_order(f.name for f in visible_folders(root) if (f / "image_2").is_dir())


def index_kitti(root: Path, split: str) -> LayoutIndex:
    """Pair the frames of a split; sample ids are `{split}/{stem}`."""
    folder = root / split
    variant = "image_2/ with semantic/ (Cityscapes labelIds)"
    return index_split(folder / "image_2", folder / "semantic", split, variant)


def open_kitti(
    root: str | Path,
    split: str | None = None,
    *,
    resize: tuple[int, int] | None = None,
    allow_unlabeled: bool = False,
    strict: bool = True,
) -> PairedDataset:
    """Open KITTI semantics.

    Args:
        root: folder that holds `training/`.
        split: `training` (default) or `testing`, whose labels are not public (`allow_unlabeled=True`).
        resize: (H,W) to which frames and labels are brought; frames differ in size otherwise.
        allow_unlabeled: keep frames without label; their target is `None`.
        strict: raise for files without partner.

    Returns:
        data set of role `closed_set`; targets hold Cityscapes train ids 0..18 and 255.

    Raises:
        DataError: missing root, other layout, files without partner, no frames.
        UsageError: no such split.
    """
    folder = check_root("kitti", root, EXPECTED)
    split = choose_split("kitti", folder, split, kitti_splits(folder), expected=EXPECTED, default="training")
    return PairedDataset(
        index_kitti(folder, split),
        LABEL_ID_LOOKUP,
        allow_unlabeled=allow_unlabeled,
        strict=strict,
        name="kitti",
        title="KITTI semantics",
        role="closed_set",
        protocol="Cityscapes label ids, mapped to 19 train ids",
        root=folder,
        split=split,
        label_space=CITYSCAPES,
        resize=resize,
    )
