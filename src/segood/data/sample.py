"""What every data set yields, and the base they share.

In: an index of (image file, label file) pairs made by one loader module per layout.
Out: `Sample`s: RGB image, target in segood's label values, id.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np


class Sample(NamedTuple):
    """One frame: `(image, target, sample_id)`.

    Attributes:
        image: uint8 (H,W,3), RGB, 0..255.
        target: uint8 (H,W); train ids, `OOD`, `IGNORE` for training and closed-set data;
            0 in-distribution, 1 OoD, 255 ignore for OoD evaluation data; `None` where the
            owner publishes no labels.
        sample_id: unique within the data set and stable over machines; relative path of the
            image without suffix, with `/` (for example `val/frankfurt/frankfurt_000000_000294`).

    Example:
        >>> image, target, sample_id = Sample(np.zeros((2, 3, 3), np.uint8), None, "a")
        >>> sample_id, target is None  # a frame without public label
        ('a', True)
    """

    image: np.ndarray
    target: np.ndarray | None
    sample_id: str


@dataclass(frozen=True)
class Record:
    """Where one sample lies on disk.

    Attributes:
        sample_id: as in `Sample`.
        image: its image file.
        label: its label file, `None` for frames without public labels.

    Example:
        >>> Record("a", Path("images/a.jpg"), None).image.name
        'a.jpg'
    """

    sample_id: str
    image: Path
    label: Path | None
