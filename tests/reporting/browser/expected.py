"""What the report has to show, counted anew from the records, in the words of the issue.

In: `Exploration`, the places of both sliders. Out: numbers of a data set, facts of a frame.
"""

from __future__ import annotations

from typing import NamedTuple

from segood.evaluation.exploration import Exploration, ModelSweep, ShownFrame, ShownSegment
from segood.evaluation.results import SegmentResult


class Place(NamedTuple):
    """Where both sliders are: indices into `Exploration.thresholds` and `Exploration.probabilities`."""

    threshold: int
    probability: int


def own_place(exploration: Exploration) -> Place:
    """Return the place of the run's own values."""
    return Place(
        exploration.thresholds.index(exploration.threshold),
        exploration.probabilities.index(exploration.probability_threshold),
    )


def numbers(sweep: ModelSweep, place: Place) -> dict[str, float | None]:
    """Return the numbers of the page's table."""
    pixels, by_probability = sweep.pixels[place.threshold], sweep.segments[place.threshold]
    segments = by_probability[place.probability if len(by_probability) > 1 else 0]
    flagged = pixels.tp + pixels.fp
    return {
        "precision": pixels.tp / flagged if flagged else None,
        "recall": pixels.tp / sweep.num_ood if sweep.num_ood else None,
        "flagged_share": flagged / (sweep.num_in + sweep.num_ood),
        "tp": pixels.tp,
        "fp": pixels.fp,
        "false_positives": segments.false_positives,
        "false_negatives": segments.false_negatives,
        "errors": segments.false_positives + segments.false_negatives,
        "removed_rightly": segments.removed_rightly,
        "removed_wrongly": segments.removed_wrongly,
    }


def numbers_of_metrics(result: SegmentResult) -> dict[str, float | None]:
    """Return those of the numbers that `metrics.json` holds, at the run's own values."""
    after = result.meta.after if result.meta is not None else None
    errors = after or result.before_meta
    found: dict[str, float | None] = {
        "false_positives": errors.false_positives,
        "false_negatives": errors.false_negatives,
        "errors": errors.errors,
    }
    if after is not None and result.meta is not None:
        found["removed_rightly"] = result.meta.num_removed_rightly
        found["removed_wrongly"] = result.meta.num_removed_wrongly
    return found


def is_removed(segment: ShownSegment, exploration: Exploration, place: Place) -> bool:
    """Return whether a segment's probability reaches the chosen one."""
    least = exploration.probabilities[place.probability]
    return segment.probability is not None and segment.probability >= least


def states(frame: ShownFrame, model: str, exploration: Exploration, place: Place) -> dict[int, str]:
    """Return what becomes of each segment of a frame."""
    names = {(False, False): "hit", (False, True): "false_alarm"}
    names |= {(True, False): "removed_wrongly", (True, True): "removed_rightly"}
    return {
        segment.segment: names[is_removed(segment, exploration, place), segment.is_false_positive]
        for segment in frame.segments[model][place.threshold]
    }


def facts(frame: ShownFrame, model: str, exploration: Exploration, place: Place) -> dict[str, int | None]:
    """Return the facts by which frames are sorted and filtered; areas are those of the segments drawn."""
    segments = frame.segments[model][place.threshold]
    state = states(frame, model, exploration, place)
    kept = [segment for segment in segments if not is_removed(segment, exploration, place)]
    found = {key for segment in kept for key in segment.ground_truth}
    missed = [item.area for item in frame.objects if item.ground_truth not in found]
    alarms = [segment.area for segment in kept if segment.is_false_positive]
    counts = list(state.values())
    by_probability = frame.unshown[model][place.threshold] or [0]
    more = by_probability[min(place.probability, len(by_probability) - 1)]
    return {
        "errors": len(missed) + len(alarms) + more,
        "missed": len(missed),
        "missed_area": sum(missed),
        "false_alarms": len(alarms) + more,
        "false_alarm_area": sum(alarms),
        "removed_rightly": counts.count("removed_rightly") + by_probability[-1] - more,
        "removed_wrongly": counts.count("removed_wrongly"),
        "smallest_object": min((item.area for item in frame.objects), default=None),
    }
