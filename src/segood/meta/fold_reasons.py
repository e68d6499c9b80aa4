"""What each feature adds to the logit of a held-out probability.

In: a fold's solution, in the coordinates it was found in. Out: contributions per feature, and the intercept
of the same fold's own classifier, scaler included, so that their sum is the logit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64


class FoldReasons(NamedTuple):
    """Why R of the held-out segments have the probability they have.

    Attributes:
        rows: (R,) int64, which segments.
        contributions: (R, m) float64, what each feature adds to the logit of the segment's probability, by
            the classifier that was fitted without the segment's fold.
        intercepts: (R,) float64 of that classifier: logit = intercept + sum of the contributions.
    """

    rows: Int64[np.ndarray, " r"]
    contributions: Float64[np.ndarray, "r m"]
    intercepts: Float64[np.ndarray, " r"]

    @classmethod
    def empty(cls, rows: Int64[np.ndarray, " r"], num_features: int) -> FoldReasons:
        """Return room for the reasons of some rows, in rising order."""
        return cls(rows, np.full((len(rows), num_features), np.nan), np.full(len(rows), np.nan))

    def put(self, rows: np.ndarray, contributions: np.ndarray, intercept: float) -> None:
        """Fill in those of a fold's rows (n,) that are asked for; `contributions` (n, m) are of all n."""
        at = np.searchsorted(self.rows, rows)
        wanted = self.asks_for(rows)
        self.contributions[at[wanted]] = contributions[wanted]
        self.intercepts[at[wanted]] = intercept

    def asks_for(self, rows: np.ndarray) -> np.ndarray:
        """Return (n,) bool, which of `rows` are among those that reasons are wanted for."""
        return np.isin(rows, self.rows)


def reasons_in_shared_scale(
    scaled: np.ndarray, solution: np.ndarray, num_rows: int, *, own_scaler: bool
) -> tuple[np.ndarray, float]:
    """Split the logits of a fold's rows, whose solution is for columns standardised over all rows.

    With the fold's own mean m (in those units) and deviation r its coefficients are w = r·v and its columns
    (z - m)/r, so that a feature contributes v·(z - m), and the intercept takes Σ v·m.

    Args:
        scaled: (n, m) float64 the fold's rows of columns with mean 0 over all `num_rows` rows.
        solution: (m+1,) float64, the intercept last.
        num_rows: K.
        own_scaler: False where one scaler serves all folds.

    Returns:
        (n, m) contributions and the intercept.
    """
    center = -scaled.sum(axis=0) / (num_rows - len(scaled)) if own_scaler else np.zeros(scaled.shape[1])
    weights = solution[:-1]
    return weights * (scaled - center), float(solution[-1] + weights @ center)
