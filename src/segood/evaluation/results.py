"""The numbers of one run as plain frozen records, and their JSON form (`metrics.json`).

In: what the evaluation streamed. Out: `RunResults`, which tables and reports read.
Every record carries its sample counts and the protocol it was measured under. `None` stands for
"undefined here" (for example AUROC of a data set without any OoD pixel), never NaN.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path

from segood.files import write_json
from segood.records import read_json

FORMAT = 1


@dataclass(frozen=True)
class ModelInfo:
    """A network that was evaluated. `key` is `before` or `after` in a run, any word in a comparison.

    `sha256` is that of the checkpoint file, `weights_sha256` that of the weights, whatever their file.
    """

    key: str
    title: str
    network: str
    class_names: list[str]
    checkpoint: str | None = None
    sha256: str | None = None
    weights_sha256: str | None = None


@dataclass(frozen=True)
class DatasetInfo:
    """A data set that was evaluated on, with everything that fixes its numbers."""

    key: str
    title: str
    protocol: str
    num_images: int
    num_images_with_ood: int
    resolution: str
    content_hash: str


@dataclass(frozen=True)
class Curve:
    """Points of a curve, in order of falling threshold.

    `x`, `y` are false and true positive rate (ROC) or recall and precision (PR).
    """

    x: list[float]
    y: list[float]
    thresholds: list[float]


@dataclass(frozen=True)
class Distribution:
    """Pixel counts of a score in equally wide bins: `edges` has one entry more than the counts."""

    edges: list[float]
    in_distribution: list[int]
    ood: list[int]


@dataclass(frozen=True)
class PixelResult:
    """Pooled pixel-level numbers of one model on one data set with one score.

    `intervals` holds per metric the 95 % bootstrap interval over images, conditional on the trained network.
    """

    model: str
    dataset: str
    score: str
    num_in: int
    num_ood: int
    auroc: float | None
    average_precision: float | None
    fpr95: float | None
    error_bound: dict[str, float]
    roc: Curve | None
    pr: Curve | None
    distribution: Distribution
    undefined: str | None = None
    warnings: list[str] = field(default_factory=list)
    intervals: dict[str, list[float]] = field(default_factory=dict)


@dataclass(frozen=True)
class SegmentErrors:
    """Counts over a data set: false positive segments, missed OoD segments, their sum."""

    num_predicted: int
    false_positives: int
    false_negatives: int
    errors: int


@dataclass(frozen=True)
class MetaResult:
    """Meta classification of one model's segments on one data set, cross-validated."""

    protocol: str
    preset: str
    probability_threshold: float
    num_segments: int
    num_false_positives: int
    auroc: float | None
    auprc: float | None
    accuracy: float | None
    naive_accuracy: float | None
    after: SegmentErrors | None
    num_removed_rightly: int = 0
    num_removed_wrongly: int = 0
    undefined: str | None = None
    classifier: str = "linear"


@dataclass(frozen=True)
class SegmentResult:
    """Segment-level numbers (paper's protocol) of one model on one data set at one threshold.

    `ground_truth_per_image` are the OoD segments of every frame; `intervals` holds `errors` and, after meta
    classification, `errors_after`: 95 % bootstrap intervals over images.
    """

    model: str
    dataset: str
    score: str
    threshold: float
    num_ground_truth: int
    before_meta: SegmentErrors
    mean_adjusted_iou: float | None = None
    meta: MetaResult | None = None
    ground_truth_per_image: dict[str, int] = field(default_factory=dict)
    intervals: dict[str, list[float]] = field(default_factory=dict)


@dataclass(frozen=True)
class ClosedSetResult:
    """The original task: IoU per class over all frames, and the share of pixels flagged OoD at t.

    Both are `None` where no pixel is labelled. `miou_interval` is the 95 % bootstrap interval over images.
    """

    model: str
    dataset: str
    num_images: int
    num_pixels: int
    miou: float | None
    iou: dict[str, float | None]
    flagged_share: float | None
    threshold: float
    miou_interval: list[float] | None = None


@dataclass(frozen=True)
class MetaModelInfo:
    """The meta classifier fitted on all segments: standardised coefficients, largest first."""

    model: str
    dataset: str
    num_segments: int
    intercept: float
    coefficients: dict[str, float]


@dataclass(frozen=True)
class RunResults:
    """All numbers of one run directory."""

    name: str
    created: str
    command: str
    seed: int | None
    segood_version: str
    models: list[ModelInfo]
    datasets: list[DatasetInfo]
    pixel: list[PixelResult] = field(default_factory=list)
    segment: list[SegmentResult] = field(default_factory=list)
    closed_set: list[ClosedSetResult] = field(default_factory=list)
    meta_models: list[MetaModelInfo] = field(default_factory=list)
    format: int = FORMAT

    def save(self, path: str | Path) -> None:
        """Write the results as JSON, atomically."""
        write_json(path, dataclasses.asdict(self))

    @classmethod
    def load(cls, path: str | Path) -> RunResults:
        """Read what `save` wrote.

        Raises:
            DataError: the file is missing, not JSON, or not of this format.
        """
        return read_json(cls, path, remedy="run `segood evaluate` first")
