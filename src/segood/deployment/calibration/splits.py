"""Does the promise hold on the measured units? Calibrate on one half, look at the other, many times.

In: a `RiskProblem` and the method. Out: `SplitResult`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from segood.deployment.calibration.problem import Choice, RiskProblem
from segood.deployment.calibration.results import SplitResult
from segood.errors import UsageError


def check_splits(
    problem: RiskProblem,
    choose: Callable[[RiskProblem], Choice],
    alpha: float,
    num_splits: int,
    rng: np.random.Generator,
) -> SplitResult:
    """Calibrate on random halves of the units and measure the risk on the others.

    Args:
        problem: all measured units.
        choose: the method with its α and δ.
        alpha: the target.
        num_splits: how many.
        rng: draws the halves.

    Raises:
        UsageError: fewer than 2 units, or a half is too small for the method.
    """
    count = problem.num_units
    if num_splits < 1 or count < 2:
        raise UsageError(
            f"`check_splits` needs at least one split and two units; got {num_splits} and {count}"
        )
    half = -(-count // 2)
    risks = []
    for _ in range(num_splits):
        order = rng.permutation(count)
        try:
            index = choose(problem.of_units(order[:half])).index
        except UsageError as error:
            raise UsageError(f"`check_splits` calibrates on {half} units: {error}") from error
        if index is not None:
            risks.append(float(problem.losses[order[half:], index].mean()))
    found = np.array(risks)
    spread = float(found.std(ddof=1) / math.sqrt(len(found))) if len(found) > 1 else None
    return SplitResult(
        num_splits=num_splits,
        num_calibration=half,
        num_test=count - half,
        mean_risk=float(found.mean()) if len(found) else None,
        standard_error=spread,
        violations=float((found > alpha + 1e-9).sum() / num_splits),
        without_setting=1 - len(found) / num_splits,
    )
