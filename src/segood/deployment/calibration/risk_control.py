"""Conformal risk control: a threshold whose expected loss is at most α, whatever the distribution.

In: losses of n exchangeable units, monotone in one threshold. Out: the most useful setting with

    n/(n+1) · R + B/(n+1) ≤ α,    R the mean loss of the n units, B the largest loss there can be.

The promise is an expectation over calibration set and next unit together.
Source: A. Angelopoulos, S. Bates, A. Fisch, L. Lei, T. Schuster, "Conformal Risk Control", ICLR 2024
(arXiv 2208.02814), theorem 1.
"""

from __future__ import annotations

import math

import numpy as np

from segood.deployment.calibration.problem import Choice, RiskProblem
from segood.errors import UsageError

_ROUNDING = 1e-9  # means of losses carry rounding; α = 0.05 must not fail at 0.05 + 1e-17


def fewest_units(alpha: float, bound: float = 1.0) -> int:
    """Return the smallest n for which the rule can be fulfilled at all: B/α - 1, rounded up.

    Example:
        >>> fewest_units(0.05), fewest_units(0.5, 10), fewest_units(0.06)
        (19, 19, 16)
    """
    return max(math.ceil(bound / alpha - 1 - _ROUNDING), 1)


def risk_bound(risk: np.ndarray | float, num_units: int, bound: float = 1.0) -> np.ndarray | float:
    """Return n/(n+1)·risk + B/(n+1).

    Example:
        >>> risk_bound(0.1, 9)
        0.19
    """
    return (num_units * risk + bound) / (num_units + 1)


def control_risk(problem: RiskProblem, alpha: float) -> Choice:
    """Choose the last setting of the sequence up to which all fulfil the rule.

    Args:
        problem: of one sequence, along which no unit's loss falls.
        alpha: target of the expected loss, above 0.

    Raises:
        UsageError: several sequences, losses that fall, or fewer than B/α - 1 units.

    Example:
        >>> losses = np.array([[0, 0, 0, 1]] * 8 + [[0, 0, 1, 1]])
        >>> problem = RiskProblem(losses, 1.0, [np.arange(4)], np.array([0.9, 0.8, 0.7, 0.6]))
        >>> choice = control_risk(problem, 0.2)  # at 0.7 the rule gives (1 + 1)/10
        >>> choice.index, round(choice.risk, 3), choice.bound
        (2, 0.111, 0.2)
    """
    if len(problem.sequences) != 1:
        raise UsageError("risk control works along one threshold; use testing for two")
    (order,) = problem.sequences
    if (np.diff(problem.losses[:, order], axis=1) < -_ROUNDING).any():
        raise UsageError("risk control needs losses that never fall along the threshold; use testing")
    needed = fewest_units(alpha, problem.bound)
    if problem.num_units < needed:
        raise UsageError(
            f"{problem.num_units} units are too few for a risk of at most {alpha:g} with losses up to "
            f"{problem.bound:g}: at least {needed} are needed (B/α - 1); add scenes, or allow more risk"
        )
    risks = problem.losses.mean(axis=0)
    bounds = np.asarray(risk_bound(risks, problem.num_units, problem.bound))
    kept = np.logical_and.accumulate(bounds[order] <= alpha + _ROUNDING)
    certified = np.zeros(len(bounds), bool)
    certified[order[kept]] = True
    if not kept.any():
        return Choice(None, None, None, certified, bounds)
    index = int(order[np.flatnonzero(kept)[-1]])
    return Choice(index, float(risks[index]), float(bounds[index]), certified, bounds)
