"""Measured frames made up for tests, and populations of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from segood.deployment.calibration.grid import STEPS
from segood.deployment.calibration.measure import FrameMeasurement, SegmentsAt
from segood.deployment.drift import fine_histogram


def frame(
    unit: str = "u",
    entropies: Sequence[float] = (),
    objects: Sequence[float] = (),
    segments: Sequence[tuple[Sequence[float], Sequence[float]]] = (),
) -> FrameMeasurement:
    """A frame by the entropies of its in-distribution pixels, the highest one on each object, and per entropy
    threshold the probabilities of its false alarms and the lowest one on each object (2: none)."""
    steps = np.round(np.array(entropies, float) * STEPS).astype(int)
    highest = np.round(np.array(objects, float) * STEPS).astype(int)
    counts = np.bincount(steps, minlength=STEPS + 1)
    fine = fine_histogram(np.array([*entropies, *objects], np.float32))
    return FrameMeasurement(
        sample_id=unit,
        unit=unit,
        pixels=counts + np.bincount(highest, minlength=STEPS + 1),
        pixels_in=counts,
        objects=highest,
        segments=tuple(SegmentsAt(np.sort(np.array(a, float)), np.array(r, float), 0) for a, r in segments),
        fine=fine,
        fine_in=fine_histogram(np.array(entropies, np.float32)),
        brightness=0.5,
    )


def population(count: int, rng: np.random.Generator, thresholds: int = 1) -> list[FrameMeasurement]:
    """Units of one to three frames; some are much harder than others."""
    frames = []
    for number in range(count):
        hard = rng.beta(0.5, 2)
        for _ in range(rng.integers(1, 4)):
            num_objects = int(rng.integers(0, 4))
            found = [
                (
                    rng.beta(3, 1, rng.poisson(6 * hard * (1 + np.sin(step)))),
                    np.where(rng.random(num_objects) < hard, 2.0, rng.beta(1, 3, num_objects)),
                )
                for step in range(thresholds)
            ]
            frames.append(
                frame(
                    f"unit {number}",
                    rng.beta(0.3 + hard, 4, 50),
                    rng.beta(4 * (1 - hard) + 0.2, 2, num_objects),
                    found,
                )
            )
    return frames
