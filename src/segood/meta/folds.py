"""Held-out probabilities of all folds, each at the optimum of a full refit, without the cost of one.

In: standardised features of all segments, labels, the rows that each fold holds out. Out: for each
segment the probability from the model fitted without its fold.

Why no refit from scratch is needed: a fold's own scaler (mean μ', deviation r_j in units of all
segments' deviation) only changes the penalty. With coefficients v on the shared columns, the fold's own
coefficients are w_j = r_j·v_j, and the shift by μ' goes into the intercept, which is free. So each fold
minimises ½ Σ r_j² v_j² + the loss of its rows, over one shared matrix. Newton steps with the Hessian at
the solution for all rows, minus the held-out rows', are taken for many folds at once until every
gradient vanishes. Folds for which that is unsafe or too slow (a column nearly or wholly constant among
the remaining rows, a large part of the data held out) are refitted one by one by `fit_logistic`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import expit

from segood.meta.logistic import GRADIENT_TOLERANCE, fit_logistic, penalties, with_intercept
from segood.meta.table import Standardized, standardize

_MAX_STEPS = 12
_BATCH_VALUES = 2**19  # float64 values of one (K, folds) block: 4 MB
_SAFE_SCALE = (0.1, 10.0)


def held_out_probabilities(
    values: np.ndarray, is_positive: np.ndarray, folds: Sequence[np.ndarray], *, paper: bool = False
) -> np.ndarray:
    """Fit without each fold and predict it.

    Args:
        values: (K, m) float64 raw features.
        is_positive: (K,) bool; both values occur outside every fold.
        folds: row indices that each fold holds out; together every row exactly once.
        paper: one scaler over all rows, and a penalised intercept.

    Returns:
        (K,) float64 probabilities; their distance to full refits is far below 1e-6.
    """
    scaled = standardize(values)
    design = with_intercept(scaled.values)
    base = penalties(values.shape[1], penalize_intercept=paper)
    full = fit_logistic(design, is_positive, base)
    result = np.empty(len(values))
    size = max(1, _BATCH_VALUES // len(values))
    for start in range(0, len(folds), size):
        batch = folds[start : start + size]
        scales = np.ones((len(batch), values.shape[1])) if paper else _fold_scales(scaled, batch)
        betas, solved = _refit_batch(design, is_positive, full, base, scales, batch)
        for rows, beta, done in zip(batch, betas, solved, strict=True):
            if done:
                result[rows] = expit(design[rows] @ beta)
            elif paper:
                keep = _others(rows, len(values))
                beta = fit_logistic(design[keep], is_positive[keep], base, start=full)
                result[rows] = expit(design[rows] @ beta)
            else:
                result[rows] = _refit_alone(values, is_positive, rows, base, full)
    return result


def _fold_scales(scaled: Standardized, folds: Sequence[np.ndarray]) -> np.ndarray:
    """Return (F, m): each column's deviation without the fold, in units of the overall one.

    Downdated sums lose digits when most of a column's variance is held out, but then the value
    lies outside `_SAFE_SCALE` and only says so. Constant columns keep 1.
    """
    z = scaled.values
    total = len(z)
    scales = np.empty((len(folds), z.shape[1]))
    for index, rows in enumerate(folds):
        left = max(total - len(rows), 1)
        mean = -z[rows].sum(axis=0) / left
        variance = (total - np.sum(z[rows] ** 2, axis=0)) / left - mean**2
        scales[index] = np.sqrt(np.maximum(variance, 0.0))
    scales[:, scaled.constant] = 1.0
    return scales


def _refit_batch(
    design: np.ndarray,
    is_positive: np.ndarray,
    full: np.ndarray,
    base: np.ndarray,
    scales: np.ndarray,
    folds: Sequence[np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """Return (F, p) coefficients and (F,) whether they are the optimum."""
    y = is_positive.astype(np.float64)
    penalty = np.tile(base, (len(folds), 1))
    penalty[:, :-1] *= scales**2
    p = expit(design @ full)
    weight = p * (1 - p)
    hessian = np.tile(design.T @ (design * weight[:, None]), (len(folds), 1, 1))
    for index, rows in enumerate(folds):
        hessian[index] -= design[rows].T @ (design[rows] * weight[rows][:, None])
    diagonal = np.arange(design.shape[1])
    hessian[:, diagonal, diagonal] += penalty
    safe = ((scales >= _SAFE_SCALE[0]) & (scales <= _SAFE_SCALE[1])).all(axis=1)
    solved = np.zeros(len(folds), bool)
    betas = np.tile(full, (len(folds), 1))
    active = np.flatnonzero(safe & (hessian[:, -1, -1] > 1e-6))
    if not active.size:
        return betas, solved
    inverse = np.zeros_like(hessian)
    inverse[active] = np.linalg.inv(hessian[active])
    for _ in range(_MAX_STEPS):
        residual = expit(design @ betas[active].T)
        residual -= y[:, None]
        for column, fold in enumerate(active):
            residual[folds[int(fold)], column] = 0.0
        gradient = (design.T @ residual).T + penalty[active] * betas[active]
        done = np.abs(gradient).max(axis=1) <= GRADIENT_TOLERANCE
        solved[active[done]] = True
        active, gradient = active[~done], gradient[~done]
        if not active.size:
            break
        betas[active] -= np.matmul(inverse[active], gradient[:, :, None])[:, :, 0]
    return betas, solved


def _refit_alone(
    values: np.ndarray,
    is_positive: np.ndarray,
    rows: np.ndarray,
    base: np.ndarray,
    full: np.ndarray,
) -> np.ndarray:
    """Standardise and fit the remaining rows the plain way; constant columns get coefficient 0."""
    keep = _others(rows, len(values))
    own = standardize(values[keep])
    start = np.append(np.where(own.constant, 0.0, full[:-1]), full[-1])
    beta = fit_logistic(with_intercept(own.values), is_positive[keep], base, start=start)
    held_out = np.where(own.constant, 0.0, (values[rows] - own.mean) / own.scale)
    return expit(with_intercept(held_out) @ beta)


def _others(rows: np.ndarray, total: int) -> np.ndarray:
    keep = np.ones(total, bool)
    keep[rows] = False
    return keep
