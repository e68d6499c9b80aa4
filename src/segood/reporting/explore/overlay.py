"""Segments of a frame as shapes over its picture, at the run's own threshold and meta probability.

In: a `ShownFrame`. Out: shapes with SVG path data and words, and the counts of the frame. This is what the
page shows before its script runs; `explore_overlay.js` draws the same at the other values.

Colour, fill and line say the same thing twice: filled is kept, hatched is removed; a solid line is on an
unknown object, a dashed one is not.
"""

from __future__ import annotations

from dataclasses import dataclass

from segood.evaluation.exploration import Exploration, ShownFrame, ShownObject, ShownSegment
from segood.reporting.explore.numbers import position

STATE_WORDS = {
    "hit": "kept, on an unknown object",
    "false_alarm": "kept, a false alarm",
    "removed_rightly": "removed rightly",
    "removed_wrongly": "removed wrongly, on an unknown object",
    "kept": "kept",
    "removed": "removed",
}


@dataclass(frozen=True)
class FrameFacts:
    """Counts of one frame: objects and missed ones, segments of one network by what became of them.

    `unshown` of the segments have no outline: they are false alarms, smaller than those that have one.
    """

    objects: int
    missed: int
    kept_rightly: int
    kept_wrongly: int
    removed_rightly: int
    removed_wrongly: int
    unshown: int = 0


@dataclass(frozen=True)
class Shape:
    """A segment: its id, its state (a key of `STATE_WORDS`), SVG path data, and what it is in words."""

    segment: int
    state: str
    path: str
    label: str


@dataclass(frozen=True)
class Missed:
    """An object that no kept segment touches: its id and the frame around it, in pixels of the picture."""

    ground_truth: int
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Overlay:
    """What lies over a picture of `width` × `height` pixels."""

    width: int
    height: int
    shapes: tuple[Shape, ...]
    objects: tuple[tuple[int, str], ...]
    missed: tuple[Missed, ...]
    facts: FrameFacts


def draw_frame(exploration: Exploration, frame: ShownFrame, model: str | None, *, truth: bool) -> Overlay:
    """Arrange the segments of one network at the run's own values.

    Args:
        exploration: for these values.
        frame: of the gallery.
        model: key of the network; None draws objects only.
        truth: whether the frame has ground truth; without, no segment is called right or wrong.

    Example:
        >>> square = [[[1, 1], [1, 3], [3, 3], [3, 1]]]
        >>> segment = ShownSegment(1, square, 9, True, [], probability=0.8)
        >>> frame = ShownFrame("d", "a", 8, 8, [ShownObject(1, 9, square)], {"after": [[segment]]})
        >>> exploration = Exploration("entropy", [0.7], 0.7, [0.5, 1.01], 0.5, [], [frame])
        >>> overlay = draw_frame(exploration, frame, "after", truth=True)
        >>> overlay.shapes[0].state, overlay.shapes[0].path, len(overlay.missed)
        ('removed_rightly', 'M1.5 1.5L3.5 1.5L3.5 3.5L1.5 3.5Z', 1)
    """
    threshold = position(exploration.thresholds, exploration.threshold)
    chance = position(exploration.probabilities, exploration.probability_threshold)
    least = exploration.probabilities[chance]
    segments = frame.segments[model][threshold] if model in frame.segments else []
    states = [segment_state(s, least, truth) for s in segments]
    shapes = [
        Shape(s.segment, state, path(s.outline), f"Segment {s.segment}: {STATE_WORDS[state]}")
        for s, state in zip(segments, states, strict=True)
    ]
    touched = {key for s in segments if not _removed(s, least) for key in s.ground_truth}
    missed = [item for item in frame.objects if item.ground_truth not in touched] if truth else []
    more, more_kept = unshown_segments(frame, model, threshold, chance)
    facts = FrameFacts(
        objects=len(frame.objects),
        missed=len(missed),
        kept_rightly=states.count("hit") + states.count("kept") + (0 if truth else more_kept),
        kept_wrongly=states.count("false_alarm") + (more_kept if truth else 0),
        removed_rightly=states.count("removed_rightly") + states.count("removed") + more - more_kept,
        removed_wrongly=states.count("removed_wrongly"),
        unshown=more,
    )
    objects = tuple((item.ground_truth, path(item.outline)) for item in frame.objects)
    boxes = tuple(_frame_around(item, frame) for item in missed if any(item.outline))
    return Overlay(frame.width, frame.height, tuple(shapes), objects, boxes, facts)


def unshown_segments(frame: ShownFrame, model: str | None, threshold: int, chance: int) -> tuple[int, int]:
    """Return how many segments a frame has beside those with an outline, and how many of them are kept."""
    steps = frame.unshown.get(model) if model is not None else None
    counts = steps[threshold] if steps else []
    return (counts[-1], counts[min(chance, len(counts) - 1)]) if counts else (0, 0)


def segment_state(segment: ShownSegment, least: float, truth: bool) -> str:
    """Return which of `STATE_WORDS` a segment is in."""
    if not truth:
        return "removed" if _removed(segment, least) else "kept"
    if _removed(segment, least):
        return "removed_rightly" if segment.is_false_positive else "removed_wrongly"
    return "false_alarm" if segment.is_false_positive else "hit"


def path(outline: list[list[list[int]]]) -> str:
    """Return polygons of (row, col) as SVG path data; a pixel's centre is half a pixel inside."""
    return "".join(
        "M" + "L".join(f"{col + 0.5:g} {row + 0.5:g}" for row, col in polygon) + "Z"
        for polygon in outline
        if polygon
    )


def _removed(segment: ShownSegment, least: float) -> bool:
    return segment.probability is not None and segment.probability >= least


def _frame_around(item: ShownObject, frame: ShownFrame) -> Missed:
    """Return the box around an object, with a margin, inside the picture."""
    rows = [row for polygon in item.outline for row, _ in polygon]
    cols = [col for polygon in item.outline for _, col in polygon]
    margin = frame.width / 100
    left, top = max(0.0, min(cols) - margin), max(0.0, min(rows) - margin)
    right, bottom = min(frame.width, max(cols) + 1 + margin), min(frame.height, max(rows) + 1 + margin)
    return Missed(item.ground_truth, left, top, right - left, bottom - top)
