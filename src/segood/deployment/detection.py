"""What the monitor says about a frame. Plain data: arrays and numbers, no network, no PyTorch.

Coordinates are (row, col); boxes are half-open.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from segood.deployment.rle import encode_segment

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import UInt8

NoVerdictReason = Literal["black", "frozen", "stale", "exposure", "deadline", "not_finite", "unreadable"]


@dataclass(frozen=True)
class Reason:
    """A feature that speaks for an object being real, or against it.

    Attributes:
        feature: its name, see `segood.segments.feature_names`.
        words: what it measures, for people.
        value: of this segment.
        weight: what it adds to the logit of "real"; negative speaks for a false alarm.
    """

    feature: str
    words: str
    value: float
    weight: float


@dataclass(frozen=True)
class UnknownObject:
    """One connected region that shows nothing the network knows.

    Attributes:
        id: its value in `Detection.labels`.
        box: (row0, col0, row1, col1), half-open, pixels.
        center: (row, col), mean over its pixels.
        area: pixels.
        score: mean score over its pixels.
        probability: that it is real, in [0, 1]; `None` without a meta classifier.
        reasons: the three features that speak most for it being real, then the three most against it, each
            the strongest first; empty without a meta classifier.
        track: number that follows an object from frame to frame; `None` without tracking.
    """

    id: int
    box: tuple[int, int, int, int]
    center: tuple[float, float]
    area: int
    score: float
    probability: float | None
    reasons: tuple[Reason, ...] = ()
    track: int | None = None

    def to_dict(self, labels: np.ndarray | None = None) -> dict[str, Any]:
        """Return the object as plain data, for JSON; without its track, which single images have none of.

        Args:
            labels: of its `Detection`: then its mask comes along, as COCO run lengths.
        """
        found: dict[str, Any] = {
            "id": self.id,
            "box": list(self.box),
            "center": [round(v, 2) for v in self.center],
            "area": self.area,
            "score": round(self.score, 6),
            "probability": None if self.probability is None else round(self.probability, 6),
            "reasons": [
                {
                    "feature": reason.feature,
                    "words": reason.words,
                    "value": finite_or_none(reason.value),
                    "weight": round(reason.weight, 4),
                }
                for reason in self.reasons
            ],
        }
        if labels is not None:
            found["mask"] = encode_segment(labels, self.id, self.box)
        return found


def finite_or_none(value: float | None) -> float | None:
    """Return a number that JSON knows, with six digits after the point; None for NaN and infinity."""
    return round(float(value), 6) if value is not None and math.isfinite(value) else None


@dataclass(frozen=True)
class NoVerdict:
    """Why the monitor says nothing about a frame: neither "free" nor "object".

    Attributes:
        reason: one word, for machines.
        message: one line, for people.
    """

    reason: NoVerdictReason
    message: str


@dataclass(frozen=True)
class Detection:
    """What the monitor says about one image.

    Attributes:
        objects: unknown objects, in row-major order of their first pixel.
        removed: segments that the meta classifier takes for false alarms, or smaller than the monitor's
            `min_area`; same order.
        score: (H,W) float32, higher = more unknown; NaN everywhere if the network was not asked.
        classes: (H,W) uint8 (int32 beyond 256 classes), predicted train id per pixel; 255 if not asked.
        labels: (H,W) int32, id of the segment a pixel belongs to, removed ones included; 0 none.
        feature_table: (K, 37 + 2q) float64, one row per segment 1..K.
        feature_names: of its columns.
        image: (H,W,3) uint8, the RGB image.
        no_verdict: why there is no verdict; then there are no objects, which does not mean that the road is
            free. `None` where the monitor stands by its answer.
        seconds: time per stage: `network`, `segments`, `meta`, `total`.
        flagged_share: share of the region's pixels whose score reaches the threshold; NaN if not asked.
    """

    objects: tuple[UnknownObject, ...]
    removed: tuple[UnknownObject, ...]
    score: np.ndarray
    classes: np.ndarray
    labels: np.ndarray
    feature_table: np.ndarray
    feature_names: tuple[str, ...]
    image: np.ndarray
    no_verdict: NoVerdict | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    flagged_share: float = float("nan")

    @cached_property
    def features(self) -> pd.DataFrame:
        """One row of features per segment, index as in `labels`; needs pandas."""
        import pandas as pd

        index = pd.RangeIndex(1, len(self.feature_table) + 1, name="segment")
        return pd.DataFrame(self.feature_table, index=index, columns=list(self.feature_names))

    def overlay(self) -> UInt8[np.ndarray, "h w 3"]:
        """Draw the image with the objects outlined and the removed segments hatched; needs OpenCV."""
        from segood.reporting.overlays import draw_overlay

        return draw_overlay(self.image, self.labels, removed=[o.id for o in self.removed])

    @classmethod
    def without_verdict(
        cls,
        image: np.ndarray,
        reason: NoVerdictReason,
        message: str,
        seconds: Mapping[str, float] | None = None,
    ) -> Detection:
        """Return the answer to a frame that nothing can be said about."""
        size = image.shape[:2]
        return cls(
            objects=(),
            removed=(),
            score=np.full(size, np.nan, np.float32),
            classes=np.full(size, 255, np.uint8),
            labels=np.zeros(size, np.int32),
            feature_table=np.zeros((0, 0)),
            feature_names=(),
            image=image,
            no_verdict=NoVerdict(reason, message),
            seconds=dict(seconds or {}),
        )
