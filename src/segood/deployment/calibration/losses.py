"""From measured frames to losses per unit and setting.

In: `FrameMeasurement`s. Out: `RiskProblem`s for the three targets. A unit's loss is the mean over its frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segood.deployment.calibration.grid import GRID, STEPS
from segood.deployment.calibration.measure import FrameMeasurement
from segood.deployment.calibration.problem import RiskProblem
from segood.errors import DataError


@dataclass(frozen=True)
class Measured:
    """A problem, and how many frames stand behind it.

    Attributes:
        problem: losses per unit.
        units: names of the units, in order of the problem's rows.
        num_frames: frames with a loss.
        left_out: why others have none, and how many; empty where all have one.
    """

    problem: RiskProblem
    units: list[str]
    num_frames: int
    left_out: str = ""


def pixel_fpr(frames: Sequence[FrameMeasurement]) -> Measured:
    """Share of in-distribution pixels with entropy ≥ t, at t = 0, 0.001, …, 1; safest at 1."""
    counts = np.stack([frame.pixels_in for frame in frames])
    reaching = counts[:, ::-1].cumsum(axis=1)[:, ::-1]
    total = counts.sum(axis=1)
    losses = reaching / np.maximum(total, 1)[:, None]
    valid = total > 0
    means, units = _by_unit(losses, valid, frames, "in-distribution pixel in the region")
    problem = RiskProblem(means, 1.0, [np.arange(STEPS, -1, -1)], np.array(GRID))
    return Measured(problem, units, *_counted(valid, "without in-distribution pixel in the region"))


def missed_objects(frames: Sequence[FrameMeasurement]) -> Measured:
    """Share of a frame's objects without any pixel of entropy ≥ t, at t = 0, 0.001, …, 1; safest at 0."""
    steps = np.arange(STEPS + 1)
    losses = np.stack(
        [
            (frame.objects[:, None] < steps).mean(axis=0) if len(frame.objects) else np.zeros(STEPS + 1)
            for frame in frames
        ]
    )
    valid = np.array([len(frame.objects) > 0 for frame in frames])
    means, units = _by_unit(losses, valid, frames, "object in the region")
    problem = RiskProblem(means, 1.0, [steps], np.array(GRID))
    return Measured(problem, units, *_counted(valid, "without object in the region"))


def false_alarms(
    frames: Sequence[FrameMeasurement],
    cap: float,
    thresholds: Sequence[float],
    probability_thresholds: Sequence[float] | None,
) -> Measured:
    """Kept false alarms per frame, at most `cap`, for all pairs of both thresholds.

    Args:
        frames: with segments at `thresholds`.
        cap: a frame with more counts as this.
        thresholds: of the entropy, rising. One: the sequence rises over the meta threshold, along which more
            is kept. Several: one sequence per meta threshold, from the highest entropy threshold down.
        probability_thresholds: segments of this probability or more are removed; None removes nothing.
    """
    kept = np.array(probability_thresholds if probability_thresholds is not None else [3.0])
    shape = (len(frames), len(thresholds), len(kept))
    losses, misses = np.zeros(shape), np.zeros(shape)
    for row, frame in enumerate(frames):
        for col, found in enumerate(frame.segments):
            losses[row, col] = np.searchsorted(found.alarms, kept, side="left")
            gone = found.reached[:, None] >= kept
            misses[row, col] = (gone | (found.reached[:, None] > 1)).sum(axis=0)
    valid = np.array([frame.is_judged for frame in frames])
    flat = (len(frames), -1)
    means, units = _by_unit(np.minimum(losses, cap).reshape(flat), valid, frames, "labelled pixel")
    lost, _ = _by_unit(misses.reshape(flat), valid, frames, "labelled pixel")
    settings = np.arange(len(thresholds) * len(kept)).reshape(len(thresholds), len(kept))
    sequences = [settings[0]] if len(thresholds) == 1 else list(settings[::-1].T)
    problem = RiskProblem(
        losses=means,
        bound=float(cap),
        sequences=sequences,
        thresholds=np.repeat(thresholds, len(kept)),
        probability_thresholds=None if probability_thresholds is None else np.tile(kept, len(thresholds)),
        misses=lost,
    )
    return Measured(problem, units, *_counted(valid, "without labelled pixel in the region"))


def _by_unit(
    losses: np.ndarray, valid: np.ndarray, frames: Sequence[FrameMeasurement], what: str
) -> tuple[np.ndarray, list[str]]:
    """Average the rows of valid frames over units, in order of their first frame."""
    if not valid.any():
        raise DataError(f"no frame of the calibration set has any {what}; the target has no loss there")
    names = [frame.unit for frame, kept in zip(frames, valid, strict=True) if kept]
    units = list(dict.fromkeys(names))
    row_of = {unit: row for row, unit in enumerate(units)}
    rows = np.array([row_of[name] for name in names])
    sums = np.zeros((len(units), losses.shape[1]))
    np.add.at(sums, rows, losses[valid])
    return sums / np.bincount(rows)[:, None], units


def _counted(valid: np.ndarray, reason: str) -> tuple[int, str]:
    left_out = int((~valid).sum())
    return int(valid.sum()), f"{left_out} frames {reason}" if left_out else ""
