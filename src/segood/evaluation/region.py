"""The region of interest as configurations write it, and a target cut to it.

In: `{polygon: ...}`, `{classes: ...}` or `{mask: FILE}`, targets (H,W). Out: `Region`, targets in which
pixels outside are ignored. Imports no torch, so that a monitor without PyTorch can read the same words.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from segood.data.images import read_labels
from segood.errors import DataError, UsageError
from segood.segments.region import Region
from segood.types import IGNORE


def read_region(given: Mapping[str, Any] | None, root: str | Path = ".") -> Region | None:
    """Read a region as a configuration or an option gives it.

    Args:
        given: `{polygon: [[row, col], ...]}` with shares of the image, `{classes: [train id, ...]}`, or
            `{mask: FILE}`, an image whose pixels above 0 are inside; also what `Region.to_dict` returns.
            None is the whole image.
        root: folder that a relative FILE lies under.

    Raises:
        UsageError: something else, or a value breaks its rule.
        DataError: FILE cannot be read, is no single-channel image, or has no pixel inside.

    Example:
        >>> read_region({"classes": [0, 1]}).describe()
        'hull of predicted classes 0, 1'
        >>> read_region(None) is None
        True
    """
    if given is None:
        return None
    if not isinstance(given, Mapping):
        raise UsageError(f"`region` must be an object such as {{classes: [0, 1]}}; got {str(given)[:80]!r}")
    if set(given) == {"mask"} and isinstance(given["mask"], (str, Path)):
        return _from_file(Path(root) / given["mask"])
    return Region.from_dict(given)


def check_region(given: Mapping[str, Any] | None) -> None:
    """Raise `UsageError` where a region's words are wrong; a mask's file is not looked for yet."""
    if not (isinstance(given, Mapping) and isinstance(given.get("mask"), (str, Path)) and len(given) == 1):
        read_region(given)


def cut_to_region(target: np.ndarray, region: Region | None, classes: np.ndarray | None) -> np.ndarray:
    """Return the target (H,W) with 255 outside the region; the array given for the whole image.

    Args:
        target: (H,W) with 0, 1, 255.
        region: None is the whole image.
        classes: (H,W) predicted train ids, for a region that needs them.

    Example:
        >>> left = Region(polygon=((0, 0), (0, 0.5), (1, 0.5), (1, 0)))
        >>> cut_to_region(np.array([[1, 0, 0, 1]], np.uint8), left, None).tolist()
        [[1, 0, 255, 255]]
    """
    if region is None:
        return target
    inside = region.inside((int(target.shape[0]), int(target.shape[1])), classes)
    return np.where(inside, target, np.uint8(IGNORE))


def _from_file(path: Path) -> Region:
    mask = read_labels(path)
    if not mask.any():
        raise DataError(f"{path}: the mask of a region needs pixels above 0, which are inside; it has none")
    return Region.from_mask(mask != 0)
