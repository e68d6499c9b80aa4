"""CamVid in 11 classes: `{split}/*` with `{split}annot/*`, paired by stem; label value 11 is void.

In: the root folder. Out: closed-set frames in CamVid's own 11 train ids or in Cityscapes train ids.

Reference: G. Brostow et al., "Semantic object classes in video", Pattern Recognition Letters 2009; the
11 classes of V. Badrinarayanan et al., "SegNet", TPAMI 2017.
"""

from __future__ import annotations

from pathlib import Path

from segood.checks import check_choice
from segood.data.dataset import PairedDataset
from segood.data.index import LayoutIndex, in_split_order, visible_folders
from segood.data.label_spaces import CAMVID11, CAMVID_TO_CAMVID, CAMVID_TO_CITYSCAPES, CITYSCAPES
from segood.data.lookup import LabelLookup
from segood.data.paired_folders import index_split
from segood.data.splits import check_root, choose_split

EXPECTED = "{split}/ and {split}annot/"
_RULE = "CamVid's 11 classes are 0..10, 11 is void"
_CHOICES = {
    "cityscapes": (CITYSCAPES, LabelLookup(CAMVID_TO_CITYSCAPES, _RULE), "mapped to Cityscapes train ids"),
    "camvid": (CAMVID11, LabelLookup(CAMVID_TO_CAMVID, _RULE), "own train ids (11 classes)"),
}


def camvid_splits(root: Path) -> list[str]:
    """Return the splits: folders that have a sibling of the same name ending in `annot`."""
    names = [folder.name for folder in visible_folders(root)]
    return in_split_order(name for name in names if f"{name}annot" in names)


def index_camvid(root: Path, split: str) -> LayoutIndex:
    """Pair the frames of a split; sample ids are `{split}/{stem}`."""
    return index_split(root / split, root / f"{split}annot", split, "{split}/ with {split}annot/")


def open_camvid(
    root: str | Path,
    split: str | None = None,
    *,
    labels: str = "cityscapes",
    resize: tuple[int, int] | None = None,
    allow_unlabeled: bool = False,
    strict: bool = True,
) -> PairedDataset:
    """Open a split of CamVid.

    Args:
        root: folder that holds `train/`, `trainannot/` and so on.
        split: `train`, `val` or `test`; may be left out where only one is present.
        labels: `cityscapes` maps to Cityscapes train ids (bicyclist, whose rider and bicycle Cityscapes
            tells apart, becomes 255); `camvid` keeps the 11 own classes.
        resize: (H,W) to which frames and labels are brought.
        allow_unlabeled: keep frames without label; their target is `None`.
        strict: raise for files without partner.

    Returns:
        data set of role `closed_set`.

    Raises:
        DataError: missing root, other layout, files without partner, no frames.
        UsageError: no such split or choice of `labels`.
    """
    check_choice("labels", labels, _CHOICES)
    space, lookup, protocol = _CHOICES[labels]
    folder = check_root("camvid", root, EXPECTED)
    split = choose_split("camvid", folder, split, camvid_splits(folder), expected=EXPECTED)
    return PairedDataset(
        index_camvid(folder, split),
        lookup,
        allow_unlabeled=allow_unlabeled,
        strict=strict,
        name="camvid",
        title="CamVid",
        role="closed_set",
        protocol=f"CamVid 11 classes, {protocol}",
        root=folder,
        split=split,
        label_space=space,
        resize=resize,
    )
