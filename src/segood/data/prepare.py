"""`segood data prepare cityscapes`: writes `*_gtFine_labelTrainIds.png` beside every `*_gtFine_labelIds.png`.

In: the root folder of Cityscapes. Out: 8-bit grey PNGs with train ids 0..18 and 255. Files appear complete
or not at all, and those that are there and valid are left alone, so an interrupted run can be repeated.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from segood import runs
from segood.data.cityscapes import LABEL_ID_LOOKUP, TRAIN_ID_LOOKUP
from segood.data.images import image_size, read_labels
from segood.data.index import image_files
from segood.data.splits import check_root
from segood.errors import DataError
from segood.files import write_image
from segood.progress import Progress

_LABEL_IDS, _TRAIN_IDS = "_gtFine_labelIds", "_gtFine_labelTrainIds"


@dataclass(frozen=True)
class PrepareReport:
    """What `prepare_cityscapes` did.

    Attributes:
        root: the data set's folder.
        written: files written now.
        kept: files that were there already and valid.
    """

    root: str
    written: int
    kept: int

    def __str__(self) -> str:
        return f"{self.root}: {self.written} labelTrainIds written, {self.kept} kept"


def prepare_cityscapes(root: str | Path, *, progress: Progress | None = None) -> PrepareReport:
    """Write train-id label maps for all splits of Cityscapes.

    Args:
        root: folder that holds `gtFine/`.
        progress: see `segood.progress.Progress`; ticks once per file.

    Returns:
        numbers of files written and kept.

    Raises:
        UsageError: another process writes there.
        DataError: missing root, no `*_labelIds.png` below `gtFine/`, unreadable file, unknown label id.
        OutputError: a file cannot be written; the finished ones stay.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as root:
        ...     city = Path(root) / "gtFine" / "val" / "ulm"
        ...     city.mkdir(parents=True)
        ...     Image.new("L", (4, 2), 7).save(city / "ulm_0_0_gtFine_labelIds.png")  # 7 is road
        ...     report = prepare_cityscapes(root)
        ...     labels = read_labels(city / "ulm_0_0_gtFine_labelTrainIds.png")
        >>> report.written, report.kept, labels.tolist()
        (1, 0, [[0, 0, 0, 0], [0, 0, 0, 0]])
    """
    folder = check_root("cityscapes", root, "gtFine/{split}/{city}/*_gtFine_labelIds.png")
    files = image_files(folder / "gtFine", recursive=True)
    sources = [file for file in files if file.stem.endswith(_LABEL_IDS)]
    if not sources:
        raise DataError(
            f"cityscapes at {folder}: no *{_LABEL_IDS}.png below gtFine/; is this the right folder?"
        )
    tick = (lambda: None) if progress is None else progress("labelIds -> labelTrainIds", len(sources))

    def is_missing(source: Path) -> bool:
        valid = _is_valid(source)
        if valid:
            tick()
        return not valid

    def convert(source: Path) -> None:
        target = LABEL_ID_LOOKUP(read_labels(source), source)
        write_image(_destination(source), Image.fromarray(target))
        tick()

    with ThreadPoolExecutor() as pool:
        try:
            missing = [s for s, miss in zip(sources, pool.map(is_missing, sources), strict=True) if miss]
            # where all is there, the folder may be read-only; a killed process leaves its lock
            if missing or (folder / "gtFine" / runs.LOCK).exists():
                with runs.locked(folder / "gtFine"):
                    list(pool.map(convert, missing))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return PrepareReport(str(folder), len(missing), len(sources) - len(missing))


def _destination(source: Path) -> Path:
    return source.with_name(source.stem.removesuffix(_LABEL_IDS) + f"{_TRAIN_IDS}.png")


def _is_valid(source: Path) -> bool:
    """Tell whether the map of train ids is there, complete, and of its source's size."""
    destination = _destination(source)
    if not destination.is_file():
        return False
    try:
        labels = read_labels(destination)
    except DataError:
        return False
    return labels.shape == image_size(source) and not TRAIN_ID_LOOKUP.unknown_values(np.unique(labels))
