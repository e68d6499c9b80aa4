"""Which segments of the gallery's frames the report draws, and how.

In: segments of a frame at one threshold, the gallery's picture of it. Out: `ShownSegment` and `ShownObject`
with outlines in pixels of the picture. Of segments that touch an object and of the others the largest are
drawn, per frame and threshold as many of each as `BUDGET` allows over all frames; of the others `MOST_SHOWN`
at most. The rest of the former is there without outline, since it tells which objects are found.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
from scipy.ndimage import find_objects

from segood.evaluation.exploration import ShownFrame, ShownObject, ShownSegment
from segood.evaluation.gallery import GalleryFrame
from segood.evaluation.outlines import coarsen_outline, outline_segments
from segood.segments import Segments

MOST_SHOWN = 200
"""Segments without OoD pixel drawn per network, frame and threshold at most: the largest."""

BUDGET = (2_500_000, 3_000_000)
"""Characters that all segments may take: at the run's own threshold, and at all others together.

Half of them are for those with an outline, however many others touch an object and cannot be left out.
"""

ENOUGH, COARSER = 4, (0.0, 3.0, 8.0)
"""Where fewer segments than this would have an outline per frame, outlines may move by more pixels."""

CONTRIBUTIONS = (8, 3)
"""Features told per segment, likewise."""

_RECORD, _CONTRIBUTION, _BRIEF = 190, 75, 100  # characters: without outline; one more; without reasons, too


def draw_segments(
    found: Segments, touched: Sequence[list[int]], picture: GalleryFrame, *, coarse: bool = False
) -> list[ShownSegment]:
    """Draw the segments of a frame: those that touch an object, and the largest others.

    Args:
        found: K segments at the labels' size.
        touched: per segment the ground-truth segments it shares pixels with.
        picture: of the gallery; only its size matters.
        coarse: simplify outlines more.

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
        coarse=coarse,
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
    """Leave out the smallest segments until what is drawn fits `BUDGET`, where that is possible.

    Args:
        frames: of all data sets.
        own: index of the run's own threshold.

    Returns:
        The frames. Segments that touch an object are still there, the smallest without outline.
    """
    for others in (False, True):
        steps = [step for step in range(_num_steps(frames)) if (step != own) == others]
        for tolerance in COARSER:
            smaller = _each(frames, steps, _coarser, tolerance)
            most = _most_per_list(smaller, steps, others)
            if most >= ENOUGH:
                break
        frames = _each(smaller, steps, _largest, most)
    return list(frames)


def _num_steps(frames: Sequence[ShownFrame]) -> int:
    return max((len(steps) for frame in frames for steps in frame.segments.values()), default=0)


def _each(
    frames: Sequence[ShownFrame],
    steps: Collection[int],
    change: Callable[[Sequence[ShownSegment], Any], list[ShownSegment]],
    value: float,
) -> list[ShownFrame]:
    """Return frames with changed segments at some thresholds."""
    return [
        dataclasses.replace(
            frame,
            segments={
                model: [change(shown, value) if step in steps else shown for step, shown in enumerate(lists)]
                for model, lists in frame.segments.items()
            },
        )
        for frame in frames
    ]


def _coarser(shown: Sequence[ShownSegment], tolerance: float) -> list[ShownSegment]:
    if not tolerance:
        return list(shown)
    return [dataclasses.replace(s, outline=coarsen_outline(s.outline, tolerance)) for s in shown]


def _most_per_list(frames: Sequence[ShownFrame], steps: Collection[int], others: bool) -> int:
    """Return the number of segments of each kind, per frame and threshold, up to which all fit."""
    ranks, costs, always = [0], [0], 0
    lists = [lists[step] for frame in frames for lists in frame.segments.values() for step in steps]
    for rank, segment in (pair for shown in lists for pair in _ranked(shown)):
        brief = 0 if segment.is_false_positive else _BRIEF
        full = _RECORD + CONTRIBUTIONS[others] * _CONTRIBUTION
        full += len(json.dumps(segment.outline, separators=(",", ":")))
        always += brief
        ranks.append(rank)
        costs.append(full - brief if segment.outline else 0)
    room = max(BUDGET[others] - always, BUDGET[others] / 2)
    total = np.bincount(ranks, costs).cumsum()
    return sys.maxsize if total[-1] <= room else int(np.searchsorted(total, room, side="right")) - 1


def _ranked(shown: Sequence[ShownSegment]) -> list[tuple[int, ShownSegment]]:
    """Return segments with their ranks from 1 by falling area, each kind for itself."""
    by_area = sorted(shown, key=lambda segment: (-segment.area, segment.segment))
    kinds = [[s for s in by_area if s.is_false_positive is kind] for kind in (False, True)]
    return [pair for kind in kinds for pair in enumerate(kind, start=1)]


def _largest(shown: Sequence[ShownSegment], most: int) -> list[ShownSegment]:
    kept = [
        segment if rank <= most else dataclasses.replace(segment, outline=[])
        for rank, segment in _ranked(shown)
        if rank <= most or not segment.is_false_positive
    ]
    return sorted(kept, key=lambda segment: segment.segment)
