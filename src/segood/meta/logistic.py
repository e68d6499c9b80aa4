"""Logistic regression with an L2 penalty, solved to the optimum by damped Newton steps.

In: a design matrix (its last column of ones is the intercept), labels, a penalty per coefficient.
Out: the coefficients that minimise

    ½ Σ_j penalty_j · β_j²  +  Σ_i [ log(1 + exp(a_i·β)) - y_i · a_i·β ]

This is scikit-learn's `LogisticRegression(C=1)` for penalties of 1 and 0 for the intercept, and
liblinear's for 1 throughout. The solution exists and is one point as soon as both labels occur.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit

GRADIENT_TOLERANCE = 1e-9
"""Largest entry of the gradient at which a solution is accepted."""

_LAST_DECREMENT = 1e-14  # gradient · step; above it the Hessian is nearly singular and the step no gain


def with_intercept(values: np.ndarray) -> np.ndarray:
    """Return (K, m+1): the columns and one of ones."""
    return np.hstack([values, np.ones((len(values), 1))])


def penalties(num_features: int, *, penalize_intercept: bool) -> np.ndarray:
    """Return (m+1,): 1 for each feature (C = 1), and 1 or 0 for the intercept."""
    return np.append(np.ones(num_features), float(penalize_intercept))


def fit_logistic(
    design: np.ndarray,
    is_positive: np.ndarray,
    penalty: np.ndarray,
    start: np.ndarray | None = None,
    max_steps: int = 200,
) -> np.ndarray:
    """Minimise the penalised negative log-likelihood.

    Args:
        design: (K, p) float64, the last column is the intercept's.
        is_positive: (K,) bool, both values occur.
        penalty: (p,) ≥ 0, positive for every column but the last.
        start: (p,) first guess, zeros by default; it changes the time, not the result.
        max_steps: Newton steps at most; about 10 are usual.

    Returns:
        (p,) coefficients; the gradient there is at most `GRADIENT_TOLERANCE`, or as small as
        float64 can make it.
    """
    beta = np.zeros(design.shape[1]) if start is None else np.array(start, np.float64)
    y = is_positive.astype(np.float64)
    value = _objective(design, y, penalty, beta)
    for _ in range(max_steps):
        p = expit(design @ beta)
        gradient = design.T @ (p - y) + penalty * beta
        hessian = design.T @ (design * (p * (1 - p))[:, None])
        hessian[np.diag_indices_from(hessian)] += penalty
        step = np.linalg.solve(_regular(hessian), gradient)
        decrement = float(gradient @ step)
        if np.abs(gradient).max() <= GRADIENT_TOLERANCE:
            # Convergence is quadratic here: one more step leaves nothing but rounding.
            return beta - step if decrement <= _LAST_DECREMENT else beta
        beta, value, moved = _descend(design, y, penalty, beta, value, step, decrement)
        if not moved:
            break
    return beta


def _descend(
    design: np.ndarray,
    y: np.ndarray,
    penalty: np.ndarray,
    beta: np.ndarray,
    value: float,
    step: np.ndarray,
    decrement: float,
) -> tuple[np.ndarray, float, bool]:
    """Halve the step until the objective falls enough (Armijo), within what rounding can resolve."""
    rounding = 1e-13 * (1 + abs(value))
    length = 1.0
    while length > 1e-10:
        candidate = beta - length * step
        reached = _objective(design, y, penalty, candidate)
        if reached <= value - 1e-4 * length * decrement + rounding:
            return candidate, reached, bool(np.abs(length * step).max() > 1e-14 * (1 + np.abs(beta).max()))
        length /= 2
    return beta, value, False


def _objective(design: np.ndarray, y: np.ndarray, penalty: np.ndarray, beta: np.ndarray) -> float:
    margin = design @ beta
    return float(np.sum(np.logaddexp(0.0, margin) - y * margin) + 0.5 * np.sum(penalty * beta**2))


def _regular(hessian: np.ndarray) -> np.ndarray:
    """Keep the unpenalised intercept solvable where every probability is 0 or 1 in float64."""
    hessian[-1, -1] += 1e-14 * (1.0 + hessian.max())
    return hessian
