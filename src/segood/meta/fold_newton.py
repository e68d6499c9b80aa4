"""Newton steps for many folds at once, each fold accepted only with a bound on its error.

In: the solution for all rows; per fold its held-out rows and its penalties. Out: per fold the change of
the coefficients that leads to its own optimum, and whether that is certain to `PROBABILITY_TOLERANCE`.
Coordinates, H_f and ã as in `fold_system`.

Iteration. For a change δ let t_k = ã_k·δ and n(t) = σ(η+t) - σ(η) - t·σ'(η), of second order in t. Then
the fold's gradient is exactly g(δ) = g(0) + H_f δ + Σ_{k kept} n(t_k) ã_k, and a Newton step with H_f is
x = H_f⁻¹ g(δ). Steps start in float32, where the sums over K rows cost half; n is so small that this loses
nothing. The last ones and the certificate are in float64.

Certificate. Let H_f ≥ μ > 0, s = max |t_k|, ℓ = max ‖ã_k‖, R = 2 eˢ ‖g‖/μ, and let R·ℓ ≤ log 2. As σ'
changes by no more than a factor e^|t|, the Hessian within R of δ is at least μ/(2eˢ), so the optimum lies
within R (strong convexity), and with S = s + R·ℓ every Hessian on the way lies between e^-S and e^S times
H_f. Hence after the step

    distance ≤ e^S/μ · ( ‖g - H_f x‖ + (e^S - 1) ‖H_f‖ ‖x‖ ),

and a held-out probability is wrong by at most ¼ ‖ã‖ times that.
"""

from __future__ import annotations

import numpy as np

from segood.compiled import kernels_enabled
from segood.meta.fold_scales import FoldRows
from segood.meta.fold_system import NEAR, FoldBlock, Whitened, apply_deviation, prepare, solve, with_inverse

PROBABILITY_TOLERANCE = 1e-9
"""Bound on the error of a held-out probability, against the exact optimum, at which a fold is accepted."""

_LARGEST_SHIFT = 1.0  # of the kernels; with larger ones Newton at the shared solution converges slowly
_MOST_STEPS = 12
_ROUGH_UNTIL = 1e3  # tolerances: the step in float64 that follows gains about as much
_INVERSE_VALUES = 2**20  # of the inverses held at once


def solve_folds(
    shared: Whitened, held_out: FoldRows, penalty: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return (F, p) changes δ and (F,) whether each is certified.

    Args:
        shared: all rows.
        held_out: F folds.
        penalty: (F, p) each fold's own, None where it is the shared one.
    """
    block = prepare(shared, held_out, penalty)
    change = np.zeros_like(block.gradient)
    accepted = np.zeros(len(change), bool)
    near = block.deviation <= NEAR
    if near.any():
        chosen = np.flatnonzero(near)
        change[chosen], accepted[chosen] = _iterate(shared, block.of(chosen))
    far = np.flatnonzero(~near)
    size = max(1, _INVERSE_VALUES // shared.inverse.size)
    for start in range(0, len(far), size):
        chosen = far[start : start + size]
        change[chosen], accepted[chosen] = _iterate(shared, with_inverse(shared, block.of(chosen)))
    return change, accepted


def _iterate(shared: Whitened, block: FoldBlock) -> tuple[np.ndarray, np.ndarray]:
    change = -solve(shared, block, block.gradient)[0]
    accepted = np.zeros(len(change), bool)
    active = np.arange(len(change))
    rough = np.ones(len(change), bool)  # still in float32
    previous = np.full(len(change), np.inf)
    part = block
    for _ in range(_MOST_STEPS):
        gradient = part.gradient + change[active] + apply_deviation(shared, part, change[active])
        shift = np.empty(len(active))
        for exact in (False, True):
            chosen = np.flatnonzero(rough[active] != exact)
            if len(chosen):
                rest, shift[chosen] = _remainder(
                    shared, change[active[chosen]], part.held_out.of(chosen), exact=exact
                )
                gradient[chosen] += rest
        step, left = solve(shared, part, gradient)
        bound = _probability_bound(shared, part, gradient, step, left, shift)
        done = (bound <= PROBABILITY_TOLERANCE) & ~rough[active]
        change[active] -= step
        accepted[active[done]] = True
        length = np.linalg.norm(step, axis=1)
        lost = (shift > _LARGEST_SHIFT) | (length > 0.5 * previous[active])
        lost &= ~rough[active]
        rough[active] &= (bound > _ROUGH_UNTIL * PROBABILITY_TOLERANCE) & (length <= 0.3 * previous[active])
        previous[active] = length
        keep = np.flatnonzero(~done & ~lost)
        if not len(keep):
            break
        if len(keep) < len(active):
            active, part = active[keep], part.of(keep)
    return change, accepted


def _remainder(
    shared: Whitened, change: np.ndarray, held_out: FoldRows, *, exact: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return Σ_{k kept} n(t_k) ã_k, (F, p), and max |t_k|, (F,)."""
    rows = shared.rows if exact else shared.rows32
    shift = change.astype(rows.dtype) @ rows.T
    shift[held_out.fold, held_out.rows] = 0.0
    largest = np.empty(len(shift))
    if kernels_enabled():
        from segood.meta.logistic_kernels import second_order

        second_order(shift, shared.probability, largest)
    else:
        largest[:] = np.abs(shift).max(axis=1)
        _second_order(shift, shared.probability)
    return (shift @ rows).astype(np.float64), largest


def _second_order(shift: np.ndarray, probability: np.ndarray) -> None:
    """Replace shifts t (F,K) by n(t)."""
    for line in shift:
        t = np.clip(line.astype(np.float64), -_LARGEST_SHIFT, _LARGEST_SHIFT)
        grown = np.expm1(t)
        factor = probability * (1 - probability)
        line[:] = factor * (grown - t - probability * t * grown) / (1 + probability * grown)


def _probability_bound(
    shared: Whitened,
    block: FoldBlock,
    gradient: np.ndarray,
    step: np.ndarray,
    left: np.ndarray,
    shift: np.ndarray,
) -> np.ndarray:
    """Return (F,) the certificate's bound on held-out probabilities after the step, ∞ if there is none."""
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        radius = 2 * np.exp(shift) * np.linalg.norm(gradient, axis=1) / block.convexity
        wide = radius * shared.norms.max()
        total = shift + wide
        distance = (
            np.exp(total)
            / block.convexity
            * (left + np.expm1(total) * block.curvature * np.linalg.norm(step, axis=1))
        )
        bound = 0.25 * block.reach * distance
    trusted = (shift <= _LARGEST_SHIFT) & (wide <= np.log(2)) & np.isfinite(bound) & (block.convexity > 0)
    return np.where(trusted, bound, np.inf)
