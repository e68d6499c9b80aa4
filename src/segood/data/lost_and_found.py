"""LostAndFound: `leftImg8bit/{split}/{scene}/*` with `gtCoarse/{split}/{scene}/*_gtCoarse_label….png`.

In: the root folder. Out: evaluation frames with 0 free road, 1 object, 255 ignored.

Two protocols say what counts as object, three subsets which frames take part; the three sizes of the
test split are 1203, 1186 and 1043.

Reference: P. Pinggera et al., "Lost and Found: Detecting Small Road Hazards for Self-Driving Vehicles",
IROS 2016; subsets as in R. Chan et al., "SegmentMeIfYouCan", NeurIPS 2021 (datasets and benchmarks).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from segood.checks import check_choice
from segood.data.dataset import PairedDataset
from segood.data.images import read_labels
from segood.data.index import LayoutIndex, by_stem, image_files, in_split_order, pair, select, visible_folders
from segood.data.lookup import LabelLookup
from segood.data.sample import Record
from segood.data.splits import check_root, choose_split
from segood.errors import DataError
from segood.types import IGNORE, IN_DISTRIBUTION, OUT_OF_DISTRIBUTION

EXPECTED = "leftImg8bit/{split}/{scene}/ and gtCoarse/{split}/{scene}/"
NON_HAZARDS = (31, 33, 34, 36, 37, 38, 39)
"""Label ids of the "random non-hazards": flat things one may drive over."""

SUBSETS = ("all", "labelled", "no_known")
_KNOWN_OBJECT_FRAMES = (
    "15_Rechbergstr_Deckenpfronn",  # children
    *("01_Hanns_Klemm_Str_45_000006", "01_Hanns_Klemm_Str_45_000007", "10_Schlossberg_9_000004"),  # bicycles
)
_LABEL_IDS, _TRAIN_IDS = "_gtCoarse_labelIds", "_gtCoarse_labelTrainIds"
_OBJECTS = dict.fromkeys(range(2, 44), OUT_OF_DISTRIBUTION)
_COMMON = {0: IGNORE, 1: IN_DISTRIBUTION, 255: IGNORE}
_LABEL_ID_RULE = "LostAndFound label ids are 0 (ignored), 1 (free road), 2..43 (objects)"
_LABEL_ID_LOOKUPS = {
    "paper": LabelLookup({**_COMMON, **_OBJECTS, **dict.fromkeys(NON_HAZARDS, IGNORE)}, _LABEL_ID_RULE),
    "smiyc": LabelLookup({**_COMMON, **_OBJECTS}, _LABEL_ID_RULE),
}
_TRAIN_ID_LOOKUP = LabelLookup(
    {**_COMMON, 2: OUT_OF_DISTRIBUTION},
    "LostAndFound train ids are 0 and 255 (ignored), 1 (free road), 2 (object)",
)
_PROTOCOLS = {
    "paper": "paper: objects are ids 2-43 without random non-hazards (31, 33, 34, 36-39), which are ignored",
    "smiyc": "smiyc: objects are all ids 2-43",
}


def lost_and_found_splits(root: Path) -> list[str]:
    """Return the splits that lie under `leftImg8bit/`."""
    return in_split_order(folder.name for folder in visible_folders(root / "leftImg8bit"))


def index_lost_and_found(root: Path, split: str) -> LayoutIndex:
    """Pair the frames of a split; sample ids are `{split}/{scene}/{frame}`. Label ids win over train ids."""
    frames, truth = root / "leftImg8bit" / split, root / "gtCoarse" / split
    images = by_stem(image_files(frames, recursive=True), frames, ["_leftImg8bit"], prefix=f"{split}/")
    labels = by_stem(image_files(truth, recursive=True), truth, [_LABEL_IDS, _TRAIN_IDS], prefix=f"{split}/")
    names = sorted(
        {"labelIds" if label.stem.endswith(_LABEL_IDS) else "labelTrainIds" for label in labels.values()}
    )
    return pair(images, labels, " and ".join(names) or "no labels")


def open_lost_and_found(
    root: str | Path,
    split: str | None = None,
    *,
    protocol: str = "paper",
    subset: str | None = None,
    resize: tuple[int, int] | None = None,
    allow_unlabeled: bool = False,
    strict: bool = True,
) -> PairedDataset:
    """Open a split of LostAndFound.

    Args:
        root: folder that holds `leftImg8bit/` and `gtCoarse/`.
        split: `test` (default) or `train`.
        protocol: `paper` ignores random non-hazards; `smiyc` counts all ids from 2 on as OoD and needs
            `*_labelIds.png`, since train ids do not tell non-hazards from background.
        subset: `all` frames (test: 1203), `labelled` without those whose label map is empty (1186),
            `no_known` also without scenes of children and bicycles (1043). `None`: `all` for `paper`,
            `no_known` for `smiyc`, as published. Other than `all` reads every label map once.
        resize: (H,W) to which frames and labels are brought.
        allow_unlabeled: keep frames without label file; their target is `None`.
        strict: raise for files without partner.

    Returns:
        data set of role `ood`; targets hold 0, 1 and 255.

    Raises:
        DataError: missing root, other layout, files without partner, no frames, `smiyc` without label ids.
        UsageError: no such split, protocol or subset.
    """
    check_choice("protocol", protocol, _PROTOCOLS)
    if subset is None:
        subset = "no_known" if protocol == "smiyc" else "all"
    check_choice("subset", subset, SUBSETS)
    folder = check_root("lost_and_found", root, EXPECTED)
    present = lost_and_found_splits(folder)
    split = choose_split("lost_and_found", folder, split, present, expected=EXPECTED, default="test")
    index = index_lost_and_found(folder, split)
    if subset == "no_known":
        index = select(index, lambda record: not _shows_known_objects(record))
    if subset != "all":
        empty = _records_with_empty_label(index)
        index = select(index, lambda record: record.sample_id not in empty)
    if protocol == "smiyc":
        _require_label_ids(index)
    return PairedDataset(
        index,
        lambda label: _LABEL_ID_LOOKUPS[protocol] if label.stem.endswith(_LABEL_IDS) else _TRAIN_ID_LOOKUP,
        allow_unlabeled=allow_unlabeled,
        strict=strict,
        name="lost_and_found",
        title="LostAndFound",
        role="ood",
        protocol=f"{_PROTOCOLS[protocol]}; frames: {subset}",
        root=folder,
        split=split,
        resize=resize,
    )


def _shows_known_objects(record: Record) -> bool:
    return record.sample_id.rsplit("/", 1)[-1].startswith(_KNOWN_OBJECT_FRAMES)


def _records_with_empty_label(index: LayoutIndex) -> set[str]:
    """Return the ids of frames without a single labelled pixel; label ids 0, train ids 0 and 255."""

    def is_empty(record: Record) -> bool:
        if record.label is None:
            return False
        labels = read_labels(record.label)
        return not ((labels != 0) & (labels != IGNORE)).any()

    with ThreadPoolExecutor() as pool:
        empty = list(pool.map(is_empty, index.records))
    return {record.sample_id for record, flag in zip(index.records, empty, strict=True) if flag}


def _require_label_ids(index: LayoutIndex) -> None:
    for record in index.records:
        if record.label is not None and record.label.stem.endswith(_TRAIN_IDS):
            raise DataError(
                f"{record.label}: protocol 'smiyc' needs *{_LABEL_IDS}.png, since train ids do not tell "
                "non-hazards from background; add them or use protocol='paper'"
            )
