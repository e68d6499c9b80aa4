"""What is chosen among, and by which losses: settings of the thresholds, and a loss per unit and setting.

In: losses measured on a calibration set. Out: `RiskProblem`, which both methods work on. Knows arrays only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from segood.errors import UsageError


@dataclass(frozen=True)
class RiskProblem:
    """Settings and their losses.

    Attributes:
        losses: (n, S) in [0, bound], one row per unit.
        bound: B, the largest loss there can be.
        sequences: indices of settings, each sequence from its safest setting to its most useful one. They
            were fixed before anything was measured.
        thresholds: (S,) entropy thresholds.
        probability_thresholds: (S,) meta probability thresholds; None where nothing is removed.
        misses: (n, S) missed objects, or None; certified settings with few of them are preferred.
    """

    losses: np.ndarray
    bound: float
    sequences: Sequence[np.ndarray]
    thresholds: np.ndarray
    probability_thresholds: np.ndarray | None = None
    misses: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.losses.ndim != 2 or not len(self.losses):
            raise UsageError(f"`losses` must have shape (n,S), n at least 1; got {self.losses.shape}")
        least, most = float(self.losses.min()), float(self.losses.max())
        if not (least >= 0 and most <= self.bound):  # also catches NaN
            raise UsageError(f"`losses` must lie in [0, {self.bound:g}]; got [{least:g}, {most:g}]")

    @property
    def num_units(self) -> int:
        """Number of units, n."""
        return len(self.losses)

    def of_units(self, rows: np.ndarray) -> RiskProblem:
        """Return the problem of some of the units only."""
        misses = None if self.misses is None else self.misses[rows]
        return replace(self, losses=self.losses[rows], misses=misses)


@dataclass(frozen=True)
class Choice:
    """What a method chose.

    Attributes:
        index: of the setting; None where none fulfils the target.
        risk: mean loss over the units there.
        bound: what the method promises of the risk there, at most the target.
        certified: (S,) bool, settings that fulfil the target.
        bounds: (S,) risk bound (risk control) or p-value (testing) of every setting.
        p_value: of the chosen setting, for testing.
    """

    index: int | None
    risk: float | None
    bound: float | None
    certified: np.ndarray
    bounds: np.ndarray
    p_value: float | None = None
