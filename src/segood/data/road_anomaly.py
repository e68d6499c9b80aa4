"""RoadAnomaly: `frames/x.jpg` with `frames/x.labels/labels_semantic.png`; label value 2 is the anomaly.

In: the root folder. Out: evaluation frames with 0 in-distribution (values 0 and 1, background and road),
1 anomaly, 255 ignored.

Reference: K. Lis et al., "Detecting the Unexpected via Image Resynthesis", ICCV 2019.
"""

from __future__ import annotations

from pathlib import Path

from segood.data.dataset import PairedDataset
from segood.data.index import LayoutIndex, by_stem, image_files, pair, visible_folders
from segood.data.lookup import LabelLookup
from segood.data.splits import check_root, choose_split
from segood.errors import DataError
from segood.types import IGNORE, IN_DISTRIBUTION, OUT_OF_DISTRIBUTION

EXPECTED = "frames/x.jpg and frames/x.labels/labels_semantic.png"
_LABEL_FILE = "labels_semantic.png"
_LOOKUP = LabelLookup(
    {0: IN_DISTRIBUTION, 1: IN_DISTRIBUTION, 2: OUT_OF_DISTRIBUTION, 255: IGNORE},
    "RoadAnomaly labels hold 0 and 1 (in), 2 (anomaly), 255 (ignored)",
)


def index_road_anomaly(root: Path) -> LayoutIndex:
    """Pair the frames; sample ids are the stems of the images."""
    frames = root / "frames"
    folders = [folder for folder in visible_folders(frames) if folder.suffix == ".labels"]
    labels = {folder.stem: folder / _LABEL_FILE for folder in folders if (folder / _LABEL_FILE).is_file()}
    return pair(by_stem(image_files(frames), frames), labels, "frames/x.labels/labels_semantic.png")


def open_road_anomaly(
    root: str | Path,
    split: str | None = None,
    *,
    resize: tuple[int, int] | None = None,
    allow_unlabeled: bool = False,
    strict: bool = True,
) -> PairedDataset:
    """Open RoadAnomaly.

    Args:
        root: folder that holds `frames/`.
        split: `test` or `None`; there is only one.
        resize: (H,W) to which frames and labels are brought.
        allow_unlabeled: keep frames without label; their target is `None`.
        strict: raise for files without partner.

    Returns:
        data set of role `ood`; targets hold 0, 1 and 255.

    Raises:
        DataError: missing root, other layout, files without partner, no frames.
        UsageError: no such split.
    """
    folder = check_root("road_anomaly", root, EXPECTED)
    if not (folder / "frames").is_dir():
        raise DataError(f"road_anomaly at {folder}: layout not found; expected {EXPECTED}")
    choose_split("road_anomaly", folder, split, ["test"], expected=EXPECTED)
    return PairedDataset(
        index_road_anomaly(folder),
        _LOOKUP,
        allow_unlabeled=allow_unlabeled,
        strict=strict,
        name="road_anomaly",
        title="RoadAnomaly",
        role="ood",
        protocol="RoadAnomaly labels: 2 is OoD, 0 and 1 are in-distribution",
        root=folder,
        split=split,
        resize=resize,
    )
