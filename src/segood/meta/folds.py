"""Held-out probabilities of all folds, each at the optimum of a full refit, without the cost of one.

In: raw features of all segments, labels, the rows that each fold holds out. Out: for each segment the
probability from the model fitted without its fold; on request what each feature adds to its logit.

Why no refit from scratch is needed: a fold's own scaler (mean μ', deviation r_j in units of all
segments' deviation) only changes the penalty. With coefficients v on the shared columns, the fold's own
coefficients are w_j = r_j·v_j, and the shift by μ' goes into the intercept, which is free. So each fold
minimises ½ Σ r_j² v_j² + the loss of its rows, over one shared matrix, and `solve_folds` leads from the
solution for all rows to its own. Folds that it does not certify (a large part of the data held out, a
column nearly constant among the remaining rows) are refitted one by one by `fit_logistic`.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy.linalg import LinAlgError, cholesky, solve_triangular
from scipy.special import expit
from threadpoolctl import threadpool_limits

from segood.compiled import run_parallel
from segood.meta.fold_newton import solve_folds
from segood.meta.fold_reasons import FoldReasons, reasons_in_shared_scale
from segood.meta.fold_scales import fold_rows, remaining_variances
from segood.meta.fold_system import Whitened
from segood.meta.logistic import fit_logistic, penalties, with_intercept
from segood.meta.table import Standardized, standardize

_BLOCK_VALUES = 2**20  # float64 values of one (folds, K) block: 8 MB
_BLOCK_FOLDS = (32, 256)
_WHITE = 1e-9  # rounding of the whitened Hessian up to which it counts as the identity

_one_at_a_time = threading.Lock()  # the setting of BLAS belongs to the whole process


def _after_fork() -> None:
    global _one_at_a_time
    _one_at_a_time = threading.Lock()  # the thread that may have held it is not in the child


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """Keep BLAS to one thread, one caller at a time: sums are the same for any number of cores."""
    with _one_at_a_time, threadpool_limits(1, user_api="blas"):
        yield


class _Problem(NamedTuple):
    values: np.ndarray  # (K, m) raw
    is_positive: np.ndarray
    paper: bool
    scaled: Standardized
    design: np.ndarray  # (K, p)
    solution: np.ndarray  # (p,) for all rows
    penalty: np.ndarray  # (p,)


def held_out_probabilities(
    values: np.ndarray,
    is_positive: np.ndarray,
    folds: Sequence[np.ndarray],
    *,
    paper: bool = False,
    reasons: FoldReasons | None = None,
) -> np.ndarray:
    """Fit without each fold and predict it.

    Args:
        values: (K, m) float64 raw features.
        is_positive: (K,) bool; both values occur outside every fold.
        folds: row indices that each fold holds out; together every row exactly once.
        paper: one scaler over all rows, and a penalised intercept.
        reasons: is filled for the rows it asks for.

    Returns:
        (K,) float64 probabilities, within `fold_newton.PROBABILITY_TOLERANCE` of each fold's optimum.
        Extra memory: a few times the design matrix and blocks of 8 MB, however many folds.
    """
    result = np.empty(len(values))
    size = int(np.clip(_BLOCK_VALUES // len(values), *_BLOCK_FOLDS))
    # One thread per block of folds instead of several per product: nothing waits.
    with one_blas_thread():
        problem = _pose(values, is_positive, paper)
        shared = _whiten(problem)

        def solve(piece: int) -> None:
            block = [rows for rows in folds[piece * size : (piece + 1) * size] if len(rows)]
            _predict_block(problem, shared, block, result, reasons)

        run_parallel(solve, -(-len(folds) // size))
    return result


def _pose(values: np.ndarray, is_positive: np.ndarray, paper: bool) -> _Problem:
    scaled = standardize(values)
    design = with_intercept(scaled.values)
    penalty = penalties(values.shape[1], penalize_intercept=paper)
    return _Problem(
        values, is_positive, paper, scaled, design, fit_logistic(design, is_positive, penalty), penalty
    )


def _whiten(problem: _Problem) -> Whitened | None:
    """Return the problem where its Hessian is the identity; None where that is beyond float64."""
    p = expit(problem.design @ problem.solution)
    weight = p * (1 - p)
    hessian = problem.design.T @ (problem.design * weight[:, None]) + np.diag(problem.penalty)
    size = len(problem.solution)
    try:
        inverse = solve_triangular(cholesky(hessian, lower=True), np.eye(size), lower=True)
    except LinAlgError:
        return None
    rows = problem.design @ inverse.T
    white = rows.T @ (rows * weight[:, None]) + (inverse * problem.penalty) @ inverse.T
    if not np.abs(white - np.eye(size)).max() <= _WHITE:
        return None
    return Whitened(
        rows,
        rows.astype(np.float32),
        np.linalg.norm(rows, axis=1),
        inverse,
        p,
        p - problem.is_positive,
        problem.solution,
        problem.penalty,
    )


def _predict_block(
    problem: _Problem,
    shared: Whitened | None,
    block: Sequence[np.ndarray],
    result: np.ndarray,
    reasons: FoldReasons | None,
) -> None:
    certain = np.zeros(len(block), bool)
    if shared is not None and block:
        held_out = fold_rows(block)
        penalty = None
        if not problem.paper:
            penalty = np.tile(problem.penalty, (len(block), 1))
            penalty[:, :-1] *= remaining_variances(problem.values, problem.scaled, held_out)
        change, certain = solve_folds(shared, held_out, penalty)
        margin = problem.design[held_out.rows] @ problem.solution
        margin += np.einsum("kp,kp->k", shared.rows[held_out.rows], change[held_out.fold])
        result[held_out.rows] = expit(margin)
        if reasons is not None:
            asked = np.unique(held_out.fold[reasons.asks_for(held_out.rows)])
            for fold in asked[certain[asked]].tolist():
                rows, solution = block[fold], problem.solution + change[fold] @ shared.inverse
                split = reasons_in_shared_scale(
                    problem.scaled.values[rows], solution, len(problem.values), own_scaler=not problem.paper
                )
                reasons.put(rows, *split)
    for fold in np.flatnonzero(~certain).tolist():
        rows = block[fold]
        inputs, beta = _refit_alone(problem, rows)
        result[rows] = expit(inputs @ beta)
        if reasons is not None:
            reasons.put(rows, inputs[:, :-1] * beta[:-1], float(beta[-1]))


def _refit_alone(problem: _Problem, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fit the remaining rows the plain way, from the solution for all rows.

    Returns:
        The inputs (n, m+1) of `rows`, scaled and with a column of ones, and the coefficients (m+1,).
    """
    keep = np.ones(len(problem.values), bool)
    keep[rows] = False
    labels, full = problem.is_positive[keep], problem.solution
    if problem.paper:
        beta = fit_logistic(problem.design[keep], labels, problem.penalty, start=full)
        return problem.design[rows], beta
    own, scaled = standardize(problem.values[keep]), problem.scaled
    start = np.append(full[:-1] * own.scale / scaled.scale, full[-1])
    start[-1] += np.sum(full[:-1] * (own.mean - scaled.mean) / scaled.scale)
    start[:-1][own.constant] = 0.0
    beta = fit_logistic(with_intercept(own.values), labels, problem.penalty, start=start)
    inputs = np.where(own.constant, 0.0, (problem.values[rows] - own.mean) / own.scale)
    return with_intercept(inputs), beta
