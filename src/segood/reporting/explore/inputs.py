"""What the sliders of the page stand on, checked against the numbers of the run.

In: `exploration.json` of a run directory and its results. Out: the exploration, or one sentence that says
why the page has no sliders. An exploration that contradicts `metrics.json` is not shown: it is of another
evaluation.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from segood.errors import DataError
from segood.evaluation.exploration import FILE, Exploration, ModelSweep
from segood.evaluation.results import RunResults, SegmentErrors
from segood.reporting.explore.numbers import numbers_at, position

REMEDY = "run `segood evaluate` again for sliders and for segments that can be selected"


@dataclass(frozen=True)
class Sliders:
    """What a reader can move; without it `reason` says why, and `damaged` that something is wrong."""

    exploration: Exploration | None
    reason: str | None = None
    damaged: bool = False


def read_sliders(folder: Path, results: RunResults | None) -> Sliders:
    """Read and check the exploration of a run.

    Args:
        folder: run directory.
        results: its numbers, if there are any.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as run:
        ...     read_sliders(Path(run), None).reason[:31]
        'This run has no exploration.jso'
    """
    path = folder / FILE
    if not path.exists():
        return Sliders(
            None, f"This run has no {FILE} (an older version wrote it, or it broke half-way): {REMEDY}."
        )
    try:
        exploration = Exploration.load(path)
    except DataError as error:
        return Sliders(None, f"{FILE} cannot be read ({error}): {REMEDY}.", damaged=True)
    reason = _fault(exploration) or (_contradiction(exploration, results) if results else None)
    if reason is not None:
        return Sliders(None, f"{FILE} is left out: {reason}; {REMEDY}.", damaged=True)
    return Sliders(exploration)


def _fault(exploration: Exploration) -> str | None:
    """Return what is inconsistent inside the record."""
    steps, chances = len(exploration.thresholds), len(exploration.probabilities)
    if not steps or not chances:
        return "it names no threshold or no meta probability"
    for sweep in exploration.sweeps:
        lengths = {len(sweep.pixels), len(sweep.segments), len(sweep.num_segments), len(sweep.undefined)}
        if lengths != {steps} or any(len(entry) not in (1, chances) for entry in sweep.segments):
            return f"numbers are missing for {sweep.model} on {sweep.dataset}"
    for frame in exploration.frames:
        lengths = {len(v) for v in frame.segments.values()} | {len(v) for v in frame.unshown.values()}
        if lengths - {steps}:
            return f"segments are missing for frame {frame.sample_id}"
    return None


def _contradiction(exploration: Exploration, results: RunResults) -> str | None:
    """Return what differs from the run's metrics at the run's own values."""
    sweeps = {(sweep.model, sweep.dataset): sweep for sweep in exploration.sweeps}
    threshold = position(exploration.thresholds, exploration.threshold)
    for item in results.segment:
        sweep = sweeps.get((item.model, item.dataset))
        if sweep is None or item.score != exploration.score:
            continue
        where = f"{item.model} on {item.dataset}"
        if abs(exploration.thresholds[threshold] - item.threshold) > 1e-9:
            return f"it is of threshold {exploration.threshold:g}, metrics.json of {item.threshold:g}"
        if _differs(sweep, threshold, len(exploration.probabilities) - 1, item.before_meta):
            return f"its errors differ from metrics.json for {where}"
        after = item.meta.after if item.meta is not None else None
        chance = position(exploration.probabilities, exploration.probability_threshold)
        if after is not None and _differs(sweep, threshold, chance, after):
            return f"its errors after meta classification differ from metrics.json for {where}"
    return None


def _differs(sweep: ModelSweep, threshold: int, chance: int, errors: SegmentErrors) -> bool:
    values = numbers_at(sweep, threshold, chance)
    found = values["false_positives"], values["false_negatives"]
    return found != (errors.false_positives, errors.false_negatives)
