"""Learn then test: settings whose risk is at most α with probability 1-δ, for losses of any shape.

In: losses of n independent units at settings in fixed orders. Out: the certified settings, and the best of
them. Every setting's hypothesis "the risk exceeds α" is tested by a Hoeffding–Bentkus p-value; along a
sequence testing goes on as long as it rejects. Several sequences share δ equally.
Source: A. Angelopoulos, S. Bates, E. Candès, M. Jordan, L. Lei, "Learn then Test: Calibrating Predictive
Algorithms to Achieve Risk Control" (arXiv 2110.01052), section 3 and proposition 2.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import binom

from segood.deployment.calibration.problem import Choice, RiskProblem
from segood.errors import UsageError

_ROUNDING = 1e-9


def hoeffding_bentkus(risk: np.ndarray, num_units: int, alpha: float) -> np.ndarray:
    """Return p-values of "the expected loss exceeds α", for losses in [0, 1].

    The smaller of exp(-n·KL(min(risk, α), α)) (Hoeffding) and e·P(Bin(n, α) ≤ ⌈n·risk⌉) (Bentkus), at most 1.

    Args:
        risk: mean losses of n independent units, any shape.
        num_units: n.
        alpha: in (0, 1).

    Example:
        >>> hoeffding_bentkus(np.array([0.0, 0.1, 0.3]), 50, 0.2).round(4)
        array([0.    , 0.1306, 1.    ])
    """
    risk = np.asarray(risk, float)
    below = np.minimum(risk, alpha)
    with np.errstate(divide="ignore", invalid="ignore"):
        kept = np.where(below > 0, below * np.log(below / alpha), 0.0)
        kept = kept + (1 - below) * np.log((1 - below) / (1 - alpha))
    hoeffding = np.exp(-num_units * kept)
    bentkus = math.e * binom.cdf(np.ceil(num_units * risk - _ROUNDING), num_units, alpha)
    found: np.ndarray = np.minimum(np.minimum(hoeffding, bentkus), 1.0)
    return found


def units_without_loss(alpha: float, level: float) -> int:
    """Return how many units without any loss certify a risk of at most α (in [0, 1]) at a level.

    Example:
        >>> units_without_loss(0.1, 0.1), units_without_loss(0.1, 0.01)
        (22, 44)
    """
    return math.ceil(math.log(level) / math.log1p(-alpha) - _ROUNDING)


def certify(problem: RiskProblem, alpha: float, delta: float) -> Choice:
    """Test along the sequences, and choose among what is certified.

    Args:
        problem: losses may rise and fall along a sequence.
        alpha: target of the risk, in (0, bound).
        delta: probability in (0, 1) with which any certified setting may have more risk.

    Returns:
        The certified setting with the fewest missed objects, then the lowest entropy threshold, then the most
        segments kept; without `misses` the last one of its sequence. `bounds` holds p-values.

    Raises:
        UsageError: α or δ out of range.
    """
    if not 0 < alpha < problem.bound:
        raise UsageError(f"`alpha` must lie in (0, {problem.bound:g}); got {alpha}")
    if not 0 < delta < 1:
        raise UsageError(f"`delta` must lie in (0, 1); got {delta}")
    risks = problem.losses.mean(axis=0)
    p_values = hoeffding_bentkus(risks / problem.bound, problem.num_units, alpha / problem.bound)
    level = delta / len(problem.sequences)
    certified = np.zeros(len(risks), bool)
    last = None
    for order in problem.sequences:
        rejected = np.logical_and.accumulate(p_values[order] <= level)
        certified[order[rejected]] = True
        if rejected.any():
            last = int(order[np.flatnonzero(rejected)[-1]])
    if last is None:
        return Choice(None, None, None, certified, p_values)
    index = last if problem.misses is None else _best(problem, certified)
    return Choice(index, float(risks[index]), float(alpha), certified, p_values, float(p_values[index]))


def _best(problem: RiskProblem, certified: np.ndarray) -> int:
    assert problem.misses is not None
    among = np.flatnonzero(certified)
    kept = problem.probability_thresholds
    order = np.lexsort(
        (
            np.zeros(len(among)) if kept is None else -kept[among],
            problem.thresholds[among],
            problem.misses.sum(axis=0)[among],
        )
    )
    return int(among[order[0]])
