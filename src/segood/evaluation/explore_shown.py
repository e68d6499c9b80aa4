"""Which segments of the gallery's frames the report draws, and how.

In: segments of a frame at one threshold, the gallery's picture of it. Out: `ShownSegment` and `ShownObject`
with outlines in pixels of the picture. Segments that touch an object are always drawn; of the others the
largest: at most `MOST_SHOWN` per frame and threshold, and as many as `BUDGET` allows over all frames.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence

import numpy as np
from scipy.ndimage import find_objects

from segood.evaluation.exploration import ShownFrame, ShownObject, ShownSegment
from segood.evaluation.gallery import GalleryFrame
from segood.evaluation.outlines import outline_segments
from segood.segments import Segments

MOST_SHOWN = 200
"""Segments without OoD pixel drawn per network, frame and threshold at most: the largest."""

BUDGET = (2_500_000, 3_000_000)
"""Characters that all drawn segments may take: at the run's own threshold, and at all others together."""

CONTRIBUTIONS = (8, 3)
"""Features told per segment, likewise."""

_RECORD, _CONTRIBUTION = 190, 75  # characters of a segment without outline, and of one contribution


def draw_segments(found: Segments, touched: Sequence[list[int]], picture: GalleryFrame) -> list[ShownSegment]:
    """Draw the segments of a frame: those that touch an object, and the largest others.

    Args:
        found: K segments at the labels' size.
        touched: per segment the ground-truth segments it shares pixels with.
        picture: of the gallery; only its size matters.

    Returns:
        Drawn segments by rising id, without probability.
    """
    areas = found.features["size"].to_numpy().astype(np.int64)
    false_alarms = np.flatnonzero([not ids for ids in touched])
    largest = false_alarms[np.argsort(-areas[false_alarms], kind="stable")[:MOST_SHOWN]]
    chosen = np.sort(np.concatenate([np.flatnonzero([bool(ids) for ids in touched]), largest]))
    down = picture.target.shape[0] / picture.height, picture.target.shape[1] / picture.width
    centers = found.features[["center_row", "center_col"]].to_numpy() * down
    outlines = outline_segments(
        picture.reduce(found.labels),
        (chosen + 1).tolist(),
        {k + 1: tuple(centers[k]) for k in chosen.tolist()},
    )
    return [
        ShownSegment(k + 1, outlines[k + 1], int(areas[k]), not touched[k], touched[k])
        for k in chosen.tolist()
    ]


def draw_objects(truth: np.ndarray, picture: GalleryFrame) -> list[ShownObject]:
    """Draw the ground-truth segments (H,W) of a frame, likewise."""
    down = picture.target.shape[0] / picture.height, picture.target.shape[1] / picture.width
    areas = np.bincount(truth.ravel())
    centers = {
        key: tuple((part.start + part.stop - 1) / 2 * scale for part, scale in zip(box, down, strict=True))
        for key, box in enumerate(find_objects(truth), start=1)
    }
    outlines = outline_segments(picture.reduce(truth), centers, centers)
    return [ShownObject(key, int(areas[key]), outline) for key, outline in outlines.items()]


def within_budget(frames: Sequence[ShownFrame], own: int) -> list[ShownFrame]:
    """Leave out the smallest segments without OoD pixel until what is drawn fits `BUDGET`.

    Args:
        frames: of all data sets.
        own: index of the run's own threshold.

    Returns:
        The frames; what fits already, or was cut before, stays as it is.
    """
    limits = [_most_per_list(frames, own, others) for others in (False, True)]
    return [
        dataclasses.replace(
            frame,
            segments={
                model: [_largest(shown, limits[step != own]) for step, shown in enumerate(steps)]
                for model, steps in frame.segments.items()
            },
        )
        for frame in frames
    ]


def _most_per_list(frames: Sequence[ShownFrame], own: int, others: bool) -> int:
    """Return the number of false alarms per frame and threshold up to which all fit."""
    costs = np.zeros(MOST_SHOWN + 1)  # by rank; rank 0: segments that touch an object, and are always drawn
    fixed = _RECORD + CONTRIBUTIONS[others] * _CONTRIBUTION
    for frame in frames:
        for steps in frame.segments.values():
            for step, shown in enumerate(steps):
                if (step != own) == others:
                    for rank, segment in _ranked(shown):
                        costs[rank] += fixed + len(json.dumps(segment.outline, separators=(",", ":")))
    return int(np.searchsorted(costs.cumsum(), BUDGET[others], side="right")) - 1


def _ranked(shown: Sequence[ShownSegment]) -> list[tuple[int, ShownSegment]]:
    """Return false alarms by falling area with ranks from 1, all others with rank 0."""
    alarms = sorted((s for s in shown if s.is_false_positive), key=lambda s: (-s.area, s.segment))
    return [(0, s) for s in shown if not s.is_false_positive] + list(enumerate(alarms, start=1))


def _largest(shown: Sequence[ShownSegment], most: int) -> list[ShownSegment]:
    kept = [segment for rank, segment in _ranked(shown) if rank <= max(most, 0)]
    return sorted(kept, key=lambda segment: segment.segment)
