"""SegmentMeIfYouCan, RoadAnomaly21 and RoadObstacle21: `images/*` with `labels_masks/*_labels_semantic.png`.

In: the root folder of one track. Out: evaluation frames with 0, 1, 255; the test frames have no public
labels, their target is `None` and only their scores can be exported.

Reference: R. Chan et al., "SegmentMeIfYouCan: A Benchmark for Anomaly Segmentation", NeurIPS 2021
(datasets and benchmarks).
"""

from __future__ import annotations

from pathlib import Path

from segood.checks import check_choice
from segood.data.dataset import PairedDataset
from segood.data.index import LayoutIndex, select
from segood.data.lookup import LabelLookup
from segood.data.paired_folders import IMAGES, OOD_MAPPING, find_label_folder, index_folders
from segood.data.splits import check_root, choose_split
from segood.errors import DataError

EXPECTED = "images/ and labels_masks/"
TITLES = {"road_anomaly_21": "RoadAnomaly21", "road_obstacle_21": "RoadObstacle21"}
_LOOKUP = LabelLookup(OOD_MAPPING, "SegmentMeIfYouCan masks hold 0 (in), 1 (anomaly), 255 (ignored)")


def index_smiyc(root: Path) -> LayoutIndex:
    """Pair the frames of a track; sample ids are the stems of the images."""
    labels = find_label_folder(root)
    return index_folders(root, root / IMAGES, None if labels is None else root / labels)


def smiyc_splits(root: Path) -> list[str]:
    """Return `val` where frames with label are present, `test` where frames without are."""
    index = index_smiyc(root)
    labelled = len(index.records) > len(index.images_without_label)
    return [*(["val"] if labelled else []), *(["test"] if index.images_without_label else [])]


def open_smiyc(
    root: str | Path,
    split: str | None = None,
    *,
    name: str = "road_anomaly_21",
    resize: tuple[int, int] | None = None,
    allow_unlabeled: bool = True,
    strict: bool = True,
) -> PairedDataset:
    """Open a track of SegmentMeIfYouCan.

    Args:
        root: folder that holds `images/` and `labels_masks/`.
        split: `val` (frames with labels), `test` (those without), or `None` for all.
        name: `road_anomaly_21` or `road_obstacle_21`.
        resize: (H,W) to which frames and labels are brought.
        allow_unlabeled: frames without label are kept, with target `None`.
        strict: raise for files without partner.

    Returns:
        data set of role `ood`; targets hold 0, 1 and 255.

    Raises:
        DataError: missing root, other layout, labels without image, no frames.
        UsageError: no such split.
    """
    check_choice("name", name, TITLES)
    folder = check_root(name, root, EXPECTED)
    if not (folder / IMAGES).is_dir():
        raise DataError(f"{name} at {folder}: layout not found; expected {EXPECTED}")
    index = index_smiyc(folder)
    if split is not None:
        choose_split(name, folder, split, smiyc_splits(folder), expected=EXPECTED)
        index = select(index, lambda record: (record.label is not None) == (split == "val"))
    return PairedDataset(
        index,
        _LOOKUP,
        allow_unlabeled=allow_unlabeled,
        strict=strict,
        name=name,
        title=TITLES[name],
        role="ood",
        protocol="SegmentMeIfYouCan validation masks: 0 in, 1 anomaly, 255 ignored",
        root=folder,
        split=split,
        resize=resize,
    )
