"""What a shift of the margins does to the residuals beyond the linear term, compiled.

In: shifts t of the margins of K rows, one line per model. Out, in place: σ(η+t) - σ(η) - t·σ'(η), which
is of second order in t, without the cancellation of that difference.
With E(t) = exp(t) - 1 = t + t²·φ(t) and p = σ(η) it equals

    p(1-p) · t² · [ φ - p·(1 + t·φ) ] / (1 + p·t·(1 + t·φ)),

and φ is a polynomial as long as |t| ≤ `LARGEST_SHIFT`. Larger shifts are cut off there.
"""

from __future__ import annotations

import numpy as np

from segood.compiled import kernel

LARGEST_SHIFT = 1.0

# 1/2!, 1/3! … 1/17!: the first term left out is below 2e-16 relative to φ for |t| ≤ 1.
_C2, _C3, _C4, _C5 = 1 / 2, 1 / 6, 1 / 24, 1 / 120
_C6, _C7, _C8, _C9 = 1 / 720, 1 / 5040, 1 / 40320, 1 / 362880
_C10, _C11, _C12, _C13 = 1 / 3628800, 1 / 39916800, 1 / 479001600, 1 / 6227020800
_C14, _C15, _C16 = 1 / 87178291200, 1 / 1307674368000, 1 / 20922789888000
_C17 = 1 / 355687428096000


@kernel
def second_order(shift, probability, largest):  # type: ignore[no-untyped-def]
    """Replace the lines of `shift` (F,K); `largest` (F,) receives each line's maximal |t|.

    Args:
        shift: (F,K) float32 or float64, contiguous; changed in place, that is its purpose.
        probability: (K,) float64 in [0, 1], σ(η).
        largest: (F,) float64, written.
    """
    for line in range(shift.shape[0]):
        t_line = shift[line]
        most = np.int64(0)
        for k in range(t_line.size):
            # Bits of floats ≥ 0 are in the floats' order; a maximum of integers is vectorised.
            most = max(most, np.float64(abs(t_line[k])).view(np.int64))
        largest[line] = np.int64(most).view(np.float64)
        for k in range(t_line.size):
            t = min(max(t_line[k], -LARGEST_SHIFT), LARGEST_SHIFT)
            p = probability[k]
            t2 = t * t
            # Estrin's scheme: short chains of dependent products.
            low = (_C2 + _C3 * t) + (_C4 + _C5 * t) * t2
            middle = (_C6 + _C7 * t) + (_C8 + _C9 * t) * t2
            high = (_C10 + _C11 * t) + (_C12 + _C13 * t) * t2
            top = (_C14 + _C15 * t) + (_C16 + _C17 * t) * t2
            t4 = t2 * t2
            t8 = t4 * t4
            phi = (low + middle * t4) + (high + top * t4) * t8
            psi = 1.0 + t * phi
            t_line[k] = p * (1.0 - p) * t2 * (phi - p * psi) / (1.0 + p * t * psi)
