"""What `check_dataset` looks at in one frame.

In: a data set and one of its records. Out: `FrameFacts`; faults become text, never exceptions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from segood.data.dataset import PairedDataset, check_same_size, record_fingerprint
from segood.data.images import is_misnamed, read_labels
from segood.data.sample import Record
from segood.errors import DataError
from segood.types import IGNORE, OUT_OF_DISTRIBUTION


@dataclass(frozen=True)
class FrameFacts:
    """Facts of one frame.

    Attributes:
        sample_id: as in the data set.
        size: (height, width) of the image, `None` if unreadable.
        label_counts: int64 (256,), pixels per label value on disk; `None` without readable label.
        ood_areas: pixels of each 8-connected OoD object; `None` where the target is not known.
        all_ignored: the whole target is ignored.
        misnamed: files whose content is of another format than their suffix says.
        problems: faults, one line each.
        fingerprint: (bytes of the image, hash of the label), `None` if unreadable.
    """

    sample_id: str
    size: tuple[int, int] | None = None
    label_counts: np.ndarray | None = None
    ood_areas: tuple[int, ...] | None = None
    all_ignored: bool = False
    misnamed: tuple[Path, ...] = ()
    problems: tuple[str, ...] = ()
    fingerprint: tuple[int, str] | None = None

    @property
    def ood_pixels(self) -> int:
        """Number of OoD pixels."""
        return sum(self.ood_areas or ())


def scan_frame(dataset: PairedDataset, record: Record) -> FrameFacts:
    """Read image and label of a record completely and list what was found.

    Args:
        dataset: the data set the record belongs to.
        record: image and label.

    Returns:
        the frame's facts.
    """
    files = [path for path in (record.image, record.label) if path is not None]
    facts = FrameFacts(
        record.sample_id,
        misnamed=tuple(path for path in files if is_misnamed(path)),
    )
    problems: list[str] = []
    try:
        facts = replace(facts, fingerprint=record_fingerprint(record))
        height, width = dataset.load_image(record).shape[:2]
        facts = replace(facts, size=(height, width))
    except DataError as error:
        problems.append(str(error))
    if record.label is not None:
        try:
            labels = read_labels(record.label)
            facts = replace(facts, label_counts=np.bincount(labels.ravel(), minlength=256))
            if facts.size is not None:
                check_same_size(record, facts.size, labels.shape)
            target = dataset.lookup_for(record.label)(labels, record.label)
            facts = replace(facts, all_ignored=bool((target == IGNORE).all()))
            if dataset.role == "ood":
                facts = replace(facts, ood_areas=ood_object_areas(target))
        except DataError as error:
            problems.append(str(error))
    return replace(facts, problems=tuple(dict.fromkeys(problems)))


def ood_object_areas(target: np.ndarray) -> tuple[int, ...]:
    """Return the areas in pixels of the 8-connected OoD objects of an evaluation target, uint8 (H,W).

    Example:
        >>> import numpy as np
        >>> ood_object_areas(np.array([[1, 0, 1], [0, 1, 0], [0, 0, 255]], np.uint8))
        (3,)
    """
    mask = (target == OUT_OF_DISTRIBUTION).astype(np.uint8)
    if not mask.any():
        return ()
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    return tuple(int(area) for area in stats[1:, cv2.CC_STAT_AREA])
