"""A calibration as a plain record, and its file `calibration.json`, which needs no PyTorch to be read.

In: what `calibrate_run` chose. Out: `Calibration`, saved and read strictly.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segood.checks import check_choice
from segood.deployment.drift import EntropyReference
from segood.errors import DataError, UsageError
from segood.files import write_json
from segood.records import from_dict
from segood.segments.region import Region, stored_region

FORMAT, VERSION = "segood-calibration", 1
FILE = "calibration.json"
TARGETS = ("pixel_fpr", "missed_objects", "false_alarms")
METHODS = ("crc", "ltt")
SEARCHES = ("meta", "entropy", "both")


@dataclass(frozen=True)
class CalibrationSet:
    """The data set, with what fixes it.

    Attributes:
        name, title, protocol: of the layout and its labels.
        resolution: `label`, or the size frames were resized to: the monitor has to see them at that size.
        content_hash: of `SegmentationDataset.content_hash`.
        num_frames: all of them.
    """

    name: str
    title: str
    protocol: str
    resolution: str
    content_hash: str
    num_frames: int


@dataclass(frozen=True)
class RiskPoint:
    """Mean loss at one setting; `bound` is the risk bound of risk control, or the p-value of testing."""

    threshold: float
    probability_threshold: float | None
    risk: float
    bound: float
    certified: bool


@dataclass(frozen=True)
class SplitResult:
    """What calibrating on random halves of the units and testing on the others gave.

    Attributes:
        num_splits, num_calibration, num_test: how often, and units on either side.
        mean_risk: of the test halves, over the splits in which a setting was found.
        standard_error: of that mean, over splits.
        violations: share of all splits whose test half had more risk than the target. For risk control this
            may be large, since it promises an average; for testing it may exceed delta only by what a small
            test half adds by chance.
        without_setting: share of the splits in which no setting was found.
    """

    num_splits: int
    num_calibration: int
    num_test: int
    mean_risk: float | None
    standard_error: float | None
    violations: float
    without_setting: float


@dataclass(frozen=True)
class Calibration:
    """Thresholds with a promise, and everything the promise rests on.

    Attributes:
        target: `pixel_fpr`, `missed_objects` or `false_alarms` (per frame).
        method: `crc`, the expected risk is at most alpha; `ltt`, it is so with probability 1-delta.
        search: which thresholds were searched: `meta`, `entropy` or `both`.
        alpha, delta, cap: as asked for; delta only for `ltt`, cap only for `false_alarms`.
        threshold: of the entropy; a pixel is flagged where it reaches this.
        probability_threshold: a segment is removed where its false-positive probability reaches this; None
            without meta classifier.
        num_units, num_frames: behind the risk.
        unit: what one unit is, in words.
        risk: mean loss of the units at the choice.
        bound: what is promised of it, at most alpha.
        p_value: of the choice, for `ltt`.
        num_tested: settings of the grid.
        pixel_fpr: mean share of a frame's in-distribution pixels flagged at the choice. Measured.
        missed_share: objects that nothing kept touches at the choice, over all objects; for the targets
            without segments, that no flagged pixel touches. None without objects. Measured.
        alarms_per_frame: false alarms kept at the choice, not capped. Measured; None without segments.
        num_unjudged: segments at the choice that lie on ignored pixels only, left out.
        curve: risk over the settings.
        assumptions: what has to hold for the promise.
        caveats: what could not be checked, or is known to be weak.
        region: of `Region.to_dict`; None is the whole image.
        dataset: the calibration set.
        checkpoint, model_sha256, meta_sha256: what it was made for.
        drift: what the calibration set looks like.
        splits: check on random halves, if it was asked for.
        created, segood_version, command: when and how.
    """

    target: str
    method: str
    search: str
    alpha: float
    delta: float | None
    cap: float | None
    threshold: float
    probability_threshold: float | None
    num_units: int
    num_frames: int
    unit: str
    risk: float
    bound: float
    p_value: float | None
    num_tested: int
    pixel_fpr: float | None
    missed_share: float | None
    alarms_per_frame: float | None
    num_unjudged: int
    curve: list[RiskPoint]
    assumptions: list[str]
    caveats: list[str]
    region: dict[str, Any] | None
    dataset: CalibrationSet
    checkpoint: str | None
    model_sha256: str | None
    meta_sha256: str | None
    drift: EntropyReference
    splits: SplitResult | None
    created: str
    segood_version: str
    command: str
    format: str = FORMAT
    version: int = VERSION

    def save(self, path: str | Path) -> None:
        """Write the record as JSON, atomically."""
        write_json(path, self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, the inverse of `from_dict`."""
        return dataclasses.asdict(self)

    @classmethod
    def load(cls, path: str | Path) -> Calibration:
        """Read what `save` wrote.

        Raises:
            DataError: the file is missing, no JSON, of another format or version, or a value breaks its rule.
        """
        remedy = "run `segood calibrate` again"
        try:
            raw = json.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise DataError(f"{path}: cannot read the calibration ({error.strerror}); {remedy}") from error
        except (ValueError, RecursionError) as error:  # includes text that is not UTF-8
            raise DataError(f"{path}: is not JSON ({error}); {remedy}") from error
        try:
            return cls.from_dict(raw)
        except DataError as error:
            raise DataError(f"{path}: {error}; {remedy}") from error

    @classmethod
    def from_dict(cls, raw: Any) -> Calibration:
        """Build from the result of `to_dict`.

        Raises:
            DataError: something else, or a value breaks its rule.
        """
        if not isinstance(raw, dict) or raw.get("format") != FORMAT:
            raise DataError(f"is no calibration (no format {FORMAT!r})")
        if raw.get("version") != VERSION:
            raise DataError(f"has version {raw.get('version')!r}, this segood reads {VERSION}")
        try:
            found = from_dict(cls, raw)
            found.check()
        except (TypeError, ValueError, AttributeError) as error:
            raise DataError(f"is damaged ({' '.join(str(error).split())})") from error
        return found

    def check(self) -> None:
        """Raise `UsageError` or `DataError` where a value breaks its rule."""
        for name, choices in (("target", TARGETS), ("method", METHODS), ("search", SEARCHES)):
            check_choice(name, getattr(self, name), choices)
        for name in ("threshold", "probability_threshold"):
            value = getattr(self, name)
            if name == "probability_threshold" and value is None:
                continue
            if not (_is_number(value) and 0 <= value <= 1):
                raise UsageError(f"`{name}` must be a number in [0, 1]; got {value!r}")
        numbers = (self.alpha, self.risk, self.bound)
        if not (all(_is_number(v) and v >= 0 for v in numbers) and self.alpha > 0):
            raise UsageError(f"`alpha`, `risk` and `bound` must be numbers, not negative; got {numbers}")
        if not all(type(n) is int and n > 0 for n in (self.num_units, self.num_frames)):
            raise UsageError("`num_units` and `num_frames` must be counts above 0")
        self.drift.check()
        self.get_region()

    def get_region(self) -> Region | None:
        """Return the region; None is the whole image."""
        return stored_region(self.region)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and bool(np.isfinite(value))
