"""The method of a request applied to a problem, with refusals that say what would be needed.

In: a resolved request, the number of units, a problem. Out: a choice, or one error.
"""

from __future__ import annotations

import numpy as np

from segood.deployment.calibration.grid import GRID, PROBABILITY_THRESHOLDS, SEGMENT_THRESHOLDS
from segood.deployment.calibration.losses import Measured, false_alarms, missed_objects, pixel_fpr
from segood.deployment.calibration.measure import FrameMeasurement
from segood.deployment.calibration.problem import Choice, RiskProblem
from segood.deployment.calibration.request import CalibrationRequest
from segood.deployment.calibration.risk_control import control_risk, fewest_units
from segood.deployment.calibration.testing import certify, hoeffding_bentkus, units_without_loss
from segood.errors import UsageError

_MOST_UNITS = 10**7


def segment_thresholds(request: CalibrationRequest, fixed: float) -> tuple[float, ...]:
    """Return the entropy thresholds at which segments are needed."""
    if request.target != "false_alarms":
        return ()
    return (fixed,) if request.search == "meta" else SEGMENT_THRESHOLDS


def problem_of(
    frames: list[FrameMeasurement], request: CalibrationRequest, fixed: float, probability: float | None
) -> Measured:
    """Return the losses that a request is about.

    Args:
        frames: with segments at `segment_thresholds`.
        request: resolved.
        fixed: entropy threshold, where it is not searched.
        probability: meta probability threshold, where it is not searched; None removes nothing.
    """
    if request.target == "pixel_fpr":
        return pixel_fpr(frames)
    if request.target == "missed_objects":
        return missed_objects(frames)
    kept: tuple[float, ...] | None = None if probability is None else (probability,)
    if request.search != "entropy":
        kept = PROBABILITY_THRESHOLDS if request.search == "both" else GRID
    return false_alarms(frames, request.cap, segment_thresholds(request, fixed), kept)


def check_enough(request: CalibrationRequest, num_units: int) -> None:
    """Raise `UsageError` where so few units could not fulfil the target even without any loss."""
    half = -(-num_units // 2)
    for count, where in ((num_units, ""), (half, "`check_splits` calibrates on half of the units: ")):
        if where and not request.check_splits:
            continue
        if request.method == "crc":
            needed, rule = fewest_units(request.alpha, request.bound), "B/α - 1"
        else:
            level = request.delta / request.num_sequences
            needed, rule = units_without_loss(request.alpha / request.bound, level), "without any loss"
        if count < needed:
            raise UsageError(
                f"{where}{count} units are too few for a risk of at most {request.alpha:g} with losses up to "
                f"{request.bound:g}: at least {needed} are needed ({rule}); add scenes, or allow more risk"
            )


def choose(problem: RiskProblem, request: CalibrationRequest) -> Choice:
    """Apply the method; the choice may be none."""
    if request.method == "crc":
        return control_risk(problem, request.alpha)
    return certify(problem, request.alpha, request.delta)


def refuse(problem: RiskProblem, request: CalibrationRequest) -> UsageError:
    """Return the error of a request that no setting fulfils."""
    risks = problem.losses.mean(axis=0)
    least = min(float(risks[order[0]]) for order in problem.sequences)
    text = (
        f"no setting has a risk of at most {request.alpha:g} by the rule of {request.method}: the safest "
        f"one has {least:.3g} on {problem.num_units} units; "
    )
    if request.method == "crc" or least >= request.alpha:
        return UsageError(f"{text}more units do not help, allow more risk")
    level = request.delta / len(problem.sequences)
    needed = problem.num_units
    scaled = request.alpha / problem.bound
    while needed < _MOST_UNITS:
        needed = int(needed * 1.1) + 1
        if hoeffding_bentkus(np.array(least / problem.bound), needed, scaled) <= level:
            break
    return UsageError(f"{text}about {needed} units like these would be needed, or a larger alpha or delta")
