"""The quadratic problem of each fold: its gradient and Hessian at the solution for all rows.

In: the problem of all rows, per fold its held-out rows and its penalties. Out: per fold the gradient at
the shared solution, products with H_f and with its inverse, bounds on its eigenvalues.

Coordinates. H = Σ_k w_k a_k a_kᵀ + P is the Hessian at the solution β for all rows, w = p(1-p), H = L Lᵀ.
With u = Lᵀβ and ã = L⁻¹a it is the identity, and that of fold f at β is

    H_f = I + E_f,   E_f = L⁻¹ (P_f - P) L⁻ᵀ - Σ_{k held out} w_k ã_k ã_kᵀ.

E_f is small for most folds: then the series of (I + E_f)⁻¹ is short, and thousands of folds share their
products. Otherwise H_f is inverted.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from segood.meta.fold_scales import FoldRows

NEAR = 0.5
"""Bound on ‖E_f‖ up to which the series is used."""

_SERIES_ERROR = 1e-2  # of such a solution, relative; smaller than what else a step leaves


class Whitened(NamedTuple):
    """The problem of all rows in coordinates where its Hessian is the identity.

    Attributes:
        rows: (K, p) ã.
        rows32: the same in float32.
        norms: (K,) ‖ã‖.
        inverse: (p, p) L⁻¹.
        probability: (K,) σ(η).
        residual: (K,) σ(η) - y.
        solution: (p,) β, in the original coordinates.
        penalty: (p,) the diagonal of P.
    """

    rows: np.ndarray
    rows32: np.ndarray
    norms: np.ndarray
    inverse: np.ndarray
    probability: np.ndarray
    residual: np.ndarray
    solution: np.ndarray
    penalty: np.ndarray


class FoldBlock(NamedTuple):
    """Folds solved together: their gradients at β and what H_f⁻¹ takes."""

    held_out: FoldRows
    excess: np.ndarray | None  # (F, p) P_f - P, None if 0
    gradient: np.ndarray  # (F, p) g(0)
    deviation: np.ndarray  # (F,) bound on ‖E_f‖
    inverse: np.ndarray | None  # (F, p, p) of H_f, where the deviation is not small
    convexity: np.ndarray  # (F,) μ
    curvature: np.ndarray  # (F,) bound on ‖H_f‖
    reach: np.ndarray  # (F,) largest ‖ã‖ held out

    def of(self, folds: np.ndarray) -> FoldBlock:
        """Return some of the folds (indices, ascending)."""
        parts = [None if part is None else part[folds] for part in self[1:]]
        return FoldBlock(self.held_out.of(folds), *parts)  # type: ignore[arg-type]


def prepare(shared: Whitened, held_out: FoldRows, penalty: np.ndarray | None) -> FoldBlock:
    """Return the folds without inverses; their μ holds where the deviation is at most `NEAR`."""
    rows = shared.rows[held_out.rows]
    p = shared.probability[held_out.rows]
    gradient = (shared.rows.T @ shared.residual)[None] - held_out.sums(
        rows * shared.residual[held_out.rows][:, None]
    )
    own = shared.penalty[None] if penalty is None else penalty
    gradient = gradient + (own * shared.solution) @ shared.inverse.T
    norms = shared.norms[held_out.rows]
    deviation = held_out.sums(p * (1 - p) * norms**2)
    curvature = np.ones(len(gradient))
    excess = None
    if penalty is not None:
        excess = penalty - shared.penalty
        # vᵀ(P_f - P)v ≤ max|P_f - P|/P · vᵀHv; the intercept's penalty is the same in all folds.
        relative = excess[:, :-1] / shared.penalty[:-1]
        deviation = deviation + np.abs(relative).max(axis=1)
        curvature = 1 + np.maximum(relative.max(axis=1), 0.0)
    return FoldBlock(
        held_out, excess, gradient, deviation, None, 1 - deviation, curvature, held_out.largest(norms)
    )


def with_inverse(shared: Whitened, block: FoldBlock) -> FoldBlock:
    """Invert every H_f of the block; folds where that fails get μ = 0 and are never accepted."""
    size = shared.rows.shape[1]
    hessian = np.tile(np.eye(size), (len(block.gradient), 1, 1))
    p = shared.probability[block.held_out.rows]
    scaled = shared.rows[block.held_out.rows] * np.sqrt(p * (1 - p))[:, None]
    ends = np.append(block.held_out.starts[1:], len(scaled))
    for index, (start, end) in enumerate(zip(block.held_out.starts, ends, strict=True)):
        hessian[index] -= scaled[start:end].T @ scaled[start:end]
        if block.excess is not None:
            hessian[index] += (shared.inverse * block.excess[index]) @ shared.inverse.T
    try:
        inverse = np.linalg.inv(hessian)
    except np.linalg.LinAlgError:
        return block._replace(inverse=np.zeros_like(hessian), convexity=np.zeros(len(hessian)))
    # ‖H_f⁻¹‖ ≤ 1 + ‖H_f⁻¹ - I‖, and the Frobenius norm bounds the latter.
    convexity = 1 / (1 + np.sqrt(np.sum((inverse - np.eye(size)) ** 2, axis=(1, 2))))
    return block._replace(inverse=inverse, convexity=convexity)


def solve(shared: Whitened, block: FoldBlock, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return x = H_f⁻¹ times each line of `right` (F, p), and a bound (F,) on ‖right - H_f x‖.

    Either by the inverse or by the series of (I + E_f)⁻¹.
    """
    if block.inverse is not None:
        result = np.matmul(block.inverse, right[:, :, None])[:, :, 0]
        left = right - result - apply_deviation(shared, block, result)
        return result, np.linalg.norm(left, axis=1)
    result, change = right, right
    terms = np.ceil(np.log(_SERIES_ERROR) / np.log(np.clip(block.deviation.max(), 1e-6, NEAR)))
    for _ in range(int(terms)):
        change = -apply_deviation(shared, block, change)
        result = result + change
    # What is left is E_f times the last term.
    return result, block.deviation * np.linalg.norm(change, axis=1)


def apply_deviation(shared: Whitened, block: FoldBlock, vectors: np.ndarray) -> np.ndarray:
    """Return E_f times each line of `vectors` (F, p)."""
    held_out = block.held_out
    rows = shared.rows[held_out.rows]
    p = shared.probability[held_out.rows]
    products = np.einsum("kp,kp->k", rows, vectors[held_out.fold]) * (p * (1 - p))
    result = -held_out.sums(rows * products[:, None])
    if block.excess is not None:
        result += ((vectors @ shared.inverse) * block.excess) @ shared.inverse.T
    return result
