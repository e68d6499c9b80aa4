"""What a reader of the report can move: errors at every threshold, segments of shown frames, and why.

In: what `segood.evaluation.explore` measured. Out: `Exploration`, written as `exploration.json` beside
`metrics.json`; the report embeds it and computes nothing.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from segood.files import write_json
from segood.records import read_json

FORMAT = 1
FILE = "exploration.json"


@dataclass(frozen=True)
class PixelCounts:
    """Pixels with score ≥ threshold: `tp` of the OoD ones, `fp` of the others."""

    tp: int
    fp: int


@dataclass(frozen=True)
class SegmentCounts:
    """Errors over all frames of a data set, once segments of probability ≥ p are removed.

    Attributes:
        false_positives, false_negatives: of what is kept; errors are their sum.
        removed_rightly, removed_wrongly: removed segments without and with an OoD pixel.
    """

    false_positives: int
    false_negatives: int
    removed_rightly: int
    removed_wrongly: int


@dataclass(frozen=True)
class ModelSweep:
    """One network on one data set, at every threshold.

    Attributes:
        model, dataset: keys.
        num_in, num_ood: counted pixels.
        num_ground_truth: OoD segments.
        num_segments: predicted segments, one per threshold.
        pixels: one per threshold.
        segments: per threshold one per meta probability of `Exploration.probabilities`; where meta
            classification is undefined at a threshold, one entry only, nothing removed.
        undefined: per threshold why meta classification is undefined, else None.
    """

    model: str
    dataset: str
    num_in: int
    num_ood: int
    num_ground_truth: int
    num_segments: list[int]
    pixels: list[PixelCounts]
    segments: list[list[SegmentCounts]]
    undefined: list[str | None]


@dataclass(frozen=True)
class Contribution:
    """What one feature adds to a segment's logit; `value` is the feature itself, unscaled."""

    feature: str
    value: float
    contribution: float


@dataclass(frozen=True)
class ShownSegment:
    """A predicted segment of a frame of the gallery.

    Attributes:
        segment: id at this threshold (1..K in row-major order of first pixels).
        outline: closed polygons `[[row, col], ...]` in pixels of the gallery frame, holes included; filled
            by the even-odd rule. Empty where there is no room for it: the segment counts and is not drawn.
        area: in pixels of the labels.
        is_false_positive: it contains no OoD pixel.
        ground_truth: ids of the frame's OoD segments that it touches.
        probability: that it is a false positive, held out; None where undefined.
        logit, intercept: of that probability; logit = intercept + contributions + rest.
        contributions: largest magnitude first, the first few.
        rest: sum of all other contributions.
    """

    segment: int
    outline: list[list[list[int]]]
    area: int
    is_false_positive: bool
    ground_truth: list[int]
    probability: float | None = None
    logit: float | None = None
    intercept: float | None = None
    contributions: list[Contribution] = field(default_factory=list)
    rest: float | None = None


@dataclass(frozen=True)
class ShownObject:
    """An OoD segment of a frame's ground truth: id, area in pixels of the labels, outline as above."""

    ground_truth: int
    area: int
    outline: list[list[list[int]]]


@dataclass(frozen=True)
class ShownFrame:
    """A frame of the gallery.

    Attributes:
        dataset, sample_id: which.
        height, width: of the gallery's picture, which outlines refer to.
        objects: OoD segments of the ground truth.
        segments: per model, per threshold its segments: all that touch an object, and the largest others.
        unshown: per model, per threshold, per meta probability of `Exploration.probabilities`: how many more
            segments there are and are kept, all of them without OoD pixel. The last entry is all of them, and
            the only one where meta classification is undefined; empty where all segments are shown.
    """

    dataset: str
    sample_id: str
    height: int
    width: int
    objects: list[ShownObject]
    segments: dict[str, list[list[ShownSegment]]]
    unshown: dict[str, list[list[int]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Exploration:
    """Everything the report's sliders move.

    Attributes:
        score: name of the score.
        thresholds: rising; that of the run's metrics among them.
        threshold: that of the run's metrics.
        probabilities: rising, in (0, 1], and that of the run's metrics among them; a segment is removed where
            its probability reaches the chosen one. The last entry is above 1: nothing is removed.
        probability_threshold: that of the run's metrics.
        sweeps: per data set and network.
        frames: of the gallery.
    """

    score: str
    thresholds: list[float]
    threshold: float
    probabilities: list[float]
    probability_threshold: float
    sweeps: list[ModelSweep]
    frames: list[ShownFrame]
    format: int = FORMAT

    def save(self, path: str | Path) -> None:
        """Write the exploration as compact JSON, atomically."""
        plain = dataclasses.asdict(self)
        for frame in plain["frames"]:
            for steps in frame["segments"].values():
                steps[:] = [[_without_defaults(segment) for segment in shown] for shown in steps]
        write_json(path, plain, indent=None)

    @classmethod
    def load(cls, path: str | Path) -> Exploration:
        """Read what `save` wrote.

        Raises:
            DataError: the file is missing, not JSON, or not of this format.
        """
        return read_json(cls, path, remedy="run `segood evaluate` again")


def _without_defaults(segment: dict[str, Any]) -> dict[str, Any]:
    """Leave out what `load` fills in by itself: there may be tens of thousands of segments."""
    return {key: value for key, value in segment.items() if value not in (None, []) or key in _NEEDED}


_NEEDED = frozenset(
    item.name
    for item in dataclasses.fields(ShownSegment)
    if item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
)
