"""What a calibration is asked for, and which wishes do not go together.

In: values of options. Out: `CalibrationRequest`, checked before anything is opened or measured.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

from segood.checks import check_unit_interval
from segood.deployment.calibration.grid import GRID, PROBABILITY_THRESHOLDS, SEGMENT_THRESHOLDS, STEPS
from segood.errors import UsageError


@dataclass(frozen=True)
class CalibrationRequest:
    """A target, and how it is to be held.

    Args:
        target: `pixel_fpr`, the share of a frame's in-distribution pixels that are flagged; `missed_objects`,
            the share of its objects without any flagged pixel; `false_alarms`, their number per frame.
        alpha: what the mean of that may be at most.
        method: `crc`, conformal risk control: the expected risk is at most alpha; `ltt`, learn then test:
            with probability 1-delta it is.
        delta: for `ltt`.
        search: for `false_alarms`, which thresholds are searched: `meta` at a fixed `threshold`, `entropy` at
            a fixed `probability_threshold`, or `both`; the last two need `ltt`. If not given: `meta` for
            `crc`; for `ltt` `both`, or `entropy` in a run without meta classifier.
        cap: for `false_alarms`: a frame with more counts as this many.
        threshold: of the entropy, where it is fixed, in steps of 0.001; that of the run's evaluation if not
            given.
        probability_threshold: of the meta classifier, where it is fixed; its own if not given.
        unit: `frame`, or a regular expression with one group that finds a frame's scene in its sample id; the
            data set's own rule if not given.
        check_splits: how often to calibrate on a random half of the units and test on the other.
        seed: draws the halves.
    """

    target: Literal["pixel_fpr", "missed_objects", "false_alarms"]
    alpha: float
    method: Literal["crc", "ltt"] = "crc"
    delta: float = 0.1
    search: Literal["meta", "entropy", "both"] | None = None
    cap: float = 10.0
    threshold: float | None = None
    probability_threshold: float | None = None
    unit: str | None = None
    check_splits: int = 0
    seed: int = 0

    @property
    def bound(self) -> float:
        """Largest loss there can be."""
        return float(self.cap) if self.target == "false_alarms" else 1.0

    def resolved(self, has_meta: bool) -> CalibrationRequest:
        """Return the request with its `search` chosen, checked.

        Args:
            has_meta: whether the run has a meta classifier.

        Raises:
            UsageError: a value breaks its rule, or two do not go together.

        Example:
            >>> CalibrationRequest("false_alarms", 0.5, method="ltt").resolved(has_meta=True).search
            'both'
            >>> CalibrationRequest("false_alarms", 0.5, search="entropy").resolved(has_meta=True)
            Traceback (most recent call last):
            segood.errors.UsageError: the number of segments neither rises nor falls with the entropy ...
        """
        if not 0 < self.cap < float("inf"):
            raise UsageError(f"`cap` must be a number of false alarms above 0; got {self.cap}")
        if not 0 < self.alpha < self.bound:
            raise UsageError(f"`alpha` must lie in (0, {self.bound:g}) for {self.target}; got {self.alpha}")
        if not 0 < self.delta < 1:
            raise UsageError(f"`delta` must lie in (0, 1); got {self.delta}")
        if self.check_splits < 0:
            raise UsageError(f"`check_splits` must not be negative; got {self.check_splits}")
        if self.probability_threshold is not None:
            check_unit_interval("probability_threshold", self.probability_threshold)
        if self.threshold is not None:
            check_unit_interval("threshold", self.threshold)
            if abs(self.threshold * STEPS - round(self.threshold * STEPS)) > 1e-6:
                raise UsageError(f"`threshold` must be a multiple of {1 / STEPS:g}; got {self.threshold}")
        search = self.search or self._usual_search(has_meta)
        if self.target != "false_alarms" and search != "entropy":
            raise UsageError(f"{self.target} depends on the entropy threshold alone; leave out `search`")
        if self.target == "false_alarms" and self.method == "crc" and search != "meta":
            raise UsageError(
                "the number of segments neither rises nor falls with the entropy threshold, so risk control "
                f"cannot search it (`search` {search}); use `method` ltt"
            )
        if search != "entropy" and not has_meta:
            raise UsageError(
                f"`search` {search} needs a meta classifier, and the run has no meta.json; use `method` ltt "
                "with `search` entropy, or evaluate the run first"
            )
        if search != "meta" and self.threshold is not None:
            raise UsageError("`threshold` is what this calibration searches for; leave it out")
        if search != "entropy" and self.probability_threshold is not None:
            raise UsageError("`probability_threshold` is what this calibration searches for; leave it out")
        return dataclasses.replace(self, search=search)

    @property
    def num_tested(self) -> int:
        """Number of settings."""
        if self.target != "false_alarms" or self.search == "meta":
            return len(GRID)
        return len(SEGMENT_THRESHOLDS) * self.num_sequences

    @property
    def num_sequences(self) -> int:
        """Number of sequences that delta is shared by."""
        return len(PROBABILITY_THRESHOLDS) if self.search == "both" else 1

    def _usual_search(self, has_meta: bool) -> Literal["meta", "entropy", "both"]:
        if self.target != "false_alarms":
            return "entropy"
        if self.method == "crc":
            return "meta"
        return "both" if has_meta else "entropy"
