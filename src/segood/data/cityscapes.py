"""Cityscapes: `leftImg8bit/{split}/{city}/*_leftImg8bit.png`, `gtFine/{split}/{city}/*_gtFine_label….png`.

In: the root folder. Out: closed-set frames with the 19 Cityscapes train ids. Where a frame has a
`labelTrainIds` file it is read, otherwise its `labelIds` are mapped while reading.

Reference: M. Cordts et al., "The Cityscapes Dataset for Semantic Urban Scene Understanding", CVPR 2016.
"""

from __future__ import annotations

from pathlib import Path

from segood.data.dataset import PairedDataset
from segood.data.index import LayoutIndex, by_stem, image_files, in_split_order, pair, visible_folders
from segood.data.label_spaces import CITYSCAPES, CITYSCAPES_LABEL_IDS_TO_TRAIN_IDS, CITYSCAPES_TRAIN_IDS
from segood.data.lookup import LabelLookup
from segood.data.splits import check_root, choose_split

EXPECTED = "leftImg8bit/{split}/{city}/ and gtFine/{split}/{city}/"
TRAIN_ID_LOOKUP = LabelLookup(CITYSCAPES_TRAIN_IDS, "Cityscapes train ids are 0..18, 255 ignored")
LABEL_ID_LOOKUP = LabelLookup(
    CITYSCAPES_LABEL_IDS_TO_TRAIN_IDS, "Cityscapes label ids are 0..33 (255 for the licence plate's -1)"
)
_TRAIN_IDS, _LABEL_IDS = "_gtFine_labelTrainIds", "_gtFine_labelIds"


def cityscapes_splits(root: Path) -> list[str]:
    """Return the splits that lie under `leftImg8bit/`."""
    return in_split_order(folder.name for folder in visible_folders(root / "leftImg8bit"))


def index_cityscapes(root: Path, split: str) -> LayoutIndex:
    """Pair the frames of a split; sample ids are `{split}/{city}/{frame}`."""
    frames, truth = root / "leftImg8bit" / split, root / "gtFine" / split
    images = by_stem(image_files(frames, recursive=True), frames, ["_leftImg8bit"], prefix=f"{split}/")
    labels = by_stem(image_files(truth, recursive=True), truth, [_TRAIN_IDS, _LABEL_IDS], prefix=f"{split}/")
    kinds = {_is_train_ids(label) for label in labels.values()}
    variants = {
        frozenset(): "no labels",
        frozenset({True}): "labelTrainIds",
        frozenset({False}): "labelIds, mapped to train ids while reading",
        frozenset({True, False}): "labelTrainIds, and labelIds where these are missing",
    }
    return pair(images, labels, variants[frozenset(kinds)])


def open_cityscapes(
    root: str | Path,
    split: str | None = None,
    *,
    resize: tuple[int, int] | None = None,
    allow_unlabeled: bool = False,
    strict: bool = True,
) -> PairedDataset:
    """Open a split of Cityscapes.

    Args:
        root: folder that holds `leftImg8bit/` and `gtFine/`.
        split: `train`, `val`, …; may be left out where only one is present.
        resize: (H,W) to which frames and labels are brought.
        allow_unlabeled: keep frames without label; their target is `None`.
        strict: raise for files without partner.

    Returns:
        data set of role `closed_set`; targets hold train ids 0..18 and 255.

    Raises:
        DataError: missing root, other layout, files without partner, no frames.
        UsageError: no such split.
    """
    folder = check_root("cityscapes", root, EXPECTED)
    split = choose_split("cityscapes", folder, split, cityscapes_splits(folder), expected=EXPECTED)
    return PairedDataset(
        index_cityscapes(folder, split),
        lambda label: TRAIN_ID_LOOKUP if _is_train_ids(label) else LABEL_ID_LOOKUP,
        allow_unlabeled=allow_unlabeled,
        strict=strict,
        name="cityscapes",
        title="Cityscapes",
        role="closed_set",
        protocol="Cityscapes train ids (19 classes)",
        root=folder,
        split=split,
        label_space=CITYSCAPES,
        resize=resize,
    )


def _is_train_ids(label: Path) -> bool:
    return label.stem.endswith(_TRAIN_IDS)
