"""One frame of a monitor: logits -> segments, with their features, boxes and the pixels that count.

In: what a network says, the size of the image, a threshold, a region. Out: `FrameSegments`. NumPy and Numba;
PyTorch only where the logits are a tensor, or where there are no kernels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segood.compiled import kernels_enabled
from segood.deployment.networks import Seen
from segood.errors import UsageError
from segood.scores.upsampling import Grid
from segood.segments.features import feature_table
from segood.segments.region import Region


@dataclass(frozen=True)
class FrameSegments:
    """The OoD segments of a frame.

    Attributes:
        labels: (H,W) int32, 0 none, 1..K in row-major order of each segment's first pixel.
        features: (K, 37 + 2q) float64.
        score: (H,W) float32.
        classes: (H,W) predicted train ids.
        inside: (H,W) bool, the region; None for the whole image.
    """

    labels: np.ndarray
    features: np.ndarray
    score: np.ndarray
    classes: np.ndarray
    inside: np.ndarray | None

    def flagged_share(self) -> float:
        """Return the share of the region's pixels that lie in segments; 0 for an empty region."""
        total = self.labels.size if self.inside is None else int(np.count_nonzero(self.inside))
        return int(np.count_nonzero(self.labels)) / total if total else 0.0


def find_segments(
    seen: Seen, size: tuple[int, int], threshold: float, region: Region | None
) -> FrameSegments | None:
    """Find the segments of a frame.

    Args:
        seen: what the network says.
        size: (H,W) of the image.
        threshold: pixels with score ≥ threshold are OoD.
        region: where segments may lie; None for the whole image.

    Returns:
        The segments; None where a logit is NaN or infinite.
    """
    if region is None:
        return _segment(seen, size, threshold, None)
    if not region.needs_classes:
        return _segment(seen, size, threshold, region.inside(size))
    first = _segment(seen, size, threshold, np.zeros(size, bool))
    if first is None:
        return None
    # The score is there now: the second pass over the logits reads it.
    return _segment(Seen(seen.logits, first.score), size, threshold, region.inside(size, first.classes))


def _segment(
    seen: Seen, size: tuple[int, int], threshold: float, inside: np.ndarray | None
) -> FrameSegments | None:
    ignored = None if inside is None else ~inside
    if not isinstance(seen.logits, np.ndarray) or not kernels_enabled():
        return _plainly(seen, size, threshold, inside, ignored)
    from segood.segments.compiled_frame import segment_frame

    shape = seen.logits.shape
    grid = Grid.of((shape[1], shape[2]), size, align_corners=False)
    found = segment_frame(seen.logits, grid, seen.score, threshold, ignored)
    if found is None:
        return None
    return FrameSegments(found.runs.labels, feature_table(found.sums), found.score, found.classes, inside)


def _plainly(
    seen: Seen, size: tuple[int, int], threshold: float, inside: np.ndarray | None, ignored: np.ndarray | None
) -> FrameSegments | None:
    try:
        import torch

        from segood.segments.extract import extract_segments
    except ImportError:
        raise UsageError("the monitor needs Numba (or PyTorch); pip install numba") from None
    if not bool(torch.isfinite(torch.as_tensor(seen.logits)).all()):
        return None
    found = extract_segments(
        logits=seen.logits,
        score_map=seen.score,
        threshold=threshold,
        ignore=ignored,
        size=size,
    )
    return FrameSegments(found.labels, found.features.to_numpy(), found.score_map, found.classes, inside)


def boxes_of(labels: np.ndarray, count: int) -> np.ndarray:
    """Return the boxes of segments.

    Args:
        labels: (H,W) int32, 0 none, 1..K.
        count: K.

    Returns:
        (K, 4) int64: row0, col0, row1, col1, half-open.

    Example:
        >>> boxes_of(np.array([[0, 1, 1], [2, 0, 1]], np.int32), 2).tolist()
        [[0, 1, 2, 3], [1, 0, 2, 1]]
    """
    height, width = labels.shape
    # A column of zeros ends every run of equal labels with its row.
    padded = np.zeros((height, width + 1), np.int32)
    padded[:, :width] = labels
    flat = padded.ravel()
    ends = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    starts = np.concatenate([[0], ends])
    stops = np.concatenate([ends, [flat.size]])
    label = flat[starts]
    runs = label > 0
    starts, stops, label = starts[runs], stops[runs], label[runs] - 1
    boxes = np.empty((count, 4), np.int64)
    boxes[:, :2] = np.iinfo(np.int64).max
    boxes[:, 2:] = 0
    row, col = np.divmod(starts, width + 1)
    np.minimum.at(boxes[:, 0], label, row)
    np.minimum.at(boxes[:, 1], label, col)
    np.maximum.at(boxes[:, 2], label, row + 1)
    np.maximum.at(boxes[:, 3], label, col + stops - starts)
    return boxes
