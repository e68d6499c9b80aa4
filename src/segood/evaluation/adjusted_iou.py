"""Adjusted IoU: segments are not punished for what their siblings cover.

In: label image (H,W) and the mask to be covered. Out: one value in [0,1] per segment.
Source: Rottmann et al., Prediction Error Meta Classification in Semantic Segmentation, IJCNN 2020, as
computed by the implementation published with Chan, Rottmann, Gottschalk, ICCV 2021.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float64, Int

from segood.evaluation.contingency import sizes_of
from segood.segments.components import label_components

_SQUARE = np.ones((3, 3), np.uint8)


def adjusted_iou(
    labels: Int[np.ndarray, "h w"], count: int, cover: Bool[np.ndarray, "h w"]
) -> Float64[np.ndarray, " k"]:
    """Compute each segment's intersection with `cover` over its adjusted union.

    The union holds the segment and those pixels of `cover` that no segment covers and that connect,
    through such pixels, to the segment's rim (8-neighbours). Works in both directions: predicted
    segments against the OoD ground truth, and ground-truth segments against the predicted mask.

    Args:
        labels: (H,W) segment ids 1..K, 0 = none.
        count: K.
        cover: (H,W) bool.

    Returns:
        (K,) in order of ids; 0 for a segment that meets no pixel of `cover`, or that has no pixel.

    Example:
        >>> labels = np.array([[1, 0, 2, 0, 0]])
        >>> adjusted_iou(labels, 2, np.array([[True, True, True, True, False]]))  # 1 of 2, 1 of 3
        array([0.5       , 0.33333333])
    """
    size = sizes_of(labels, count)
    shared = np.bincount(labels[cover], minlength=count + 1)[1:]
    uncovered, parts = label_components(cover & (labels == 0))
    part_size = sizes_of(uncovered, parts)

    # Which uncovered parts touch which segment: only pixels beside such a part can.
    beside = cv2.dilate((uncovered > 0).view(np.uint8), _SQUARE) & (labels > 0).view(np.uint8)
    row, col = np.divmod(np.flatnonzero(beside.view(bool)), labels.shape[1])
    segment = labels[row, col].astype(np.int64)
    padded = np.pad(uncovered, 1)
    pairs = [
        segment * (parts + 1) + padded[row + down, col + right] for down in range(3) for right in range(3)
    ]
    touching, part = np.divmod(np.unique(np.concatenate(pairs)), parts + 1)
    meets = part > 0
    added = np.bincount(touching[meets], part_size[part[meets] - 1], minlength=count + 1)[1:]
    return shared / np.maximum(size + added, 1)
