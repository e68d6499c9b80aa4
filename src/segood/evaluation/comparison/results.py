"""The numbers of a comparison as plain frozen records, and their JSON form (`results.json`).

In: what the comparison measured. Out: `ComparisonResults`, which tables, figures and `--verify` read.
A method is a score on a network. One row per method and data set: whatever could not be measured is None,
and the row's `undefined` says why, with its remedy; the other rows are there all the same.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from segood.evaluation.results import Curve, DatasetInfo, Distribution, ModelInfo
from segood.files import write_json
from segood.records import read_json

FORMAT = 1


@dataclass(frozen=True)
class Number:
    """A number and its 95 % bootstrap interval over images.

    Attributes:
        value: measured on all images; None where it is undefined.
        low, high: 2.5 % and 97.5 % quantile over the draws; None where no interval was asked for or no
            draw defines the number. Conditional on the trained network: another training moves it further.
        num_images: images that were drawn from.
        num_draws: draws that define the number; the others (no OoD pixel drawn, say) were left out.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    num_images: int = 0
    num_draws: int = 0


@dataclass(frozen=True)
class MethodInfo:
    """A score on a network.

    Attributes:
        key: `NETWORK/SCORE`, unique.
        title: as tables print it.
        network: key of the network.
        score: name of the score in `list_scores`.
        options: the score's options, those that were searched for included.
        reference: where the score was published.
        notes: what a reader has to know: what was searched on which split, classes unseen in fitting.
        undefined: why the method could not be used at all (a network without dropout, say); else None.
    """

    key: str
    title: str
    network: str
    score: str
    options: dict[str, Any] = field(default_factory=dict)
    reference: str = ""
    notes: list[str] = field(default_factory=list)
    undefined: str | None = None


@dataclass(frozen=True)
class RemovedBySize:
    """What the meta classifier removed among the segments of one size.

    Attributes:
        low, high: area of the segments in pixels, low ≤ area < high; high is None for the largest.
        num_false_positives, num_true_positives: segments without and with an OoD pixel.
        false_positives_removed, true_positives_lost: how many of each were removed.
    """

    low: int
    high: int | None
    num_false_positives: int
    false_positives_removed: int
    num_true_positives: int
    true_positives_lost: int


@dataclass(frozen=True)
class MetaNumbers:
    """Meta classification of one method's segments on one data set.

    Attributes:
        protocol: `group`, `leave-one-out`, or `transfer from DATASET`.
        classifier: `linear` or `neural`.
        false_positives, false_negatives, errors: after removals.
        auroc, auprc, accuracy: of "false positive" over the segments; naive_accuracy is that of always
            saying the more frequent kind; random_auprc that of guessing (its AUROC is 0.5).
        num_segments, num_false_positives: before removals.
        by_size: what was removed, per size of the segments.
        undefined: why there are no numbers; else None.
    """

    protocol: str
    classifier: str = "linear"
    false_positives: Number | None = None
    false_negatives: Number | None = None
    errors: Number | None = None
    auroc: float | None = None
    auprc: float | None = None
    accuracy: float | None = None
    naive_accuracy: float | None = None
    random_auprc: float | None = None
    num_segments: int = 0
    num_false_positives: int = 0
    by_size: list[RemovedBySize] = field(default_factory=list)
    undefined: str | None = None


@dataclass(frozen=True)
class ImageRecord:
    """One frame of one method: what `--verify` recomputes. `false_*` are those before meta classification."""

    sample_id: str
    num_in: int
    num_ood: int
    auroc: float | None
    average_precision: float | None
    fpr95: float | None
    false_positives: int | None = None
    false_negatives: int | None = None


@dataclass(frozen=True)
class Row:
    """One method on one data set.

    Attributes:
        method, dataset: keys.
        undefined: why pixel-level numbers are missing; else None.
        num_in, num_ood: counted pixels.
        auroc, average_precision, fpr95: all counted pixels pooled.
        error_bound: how far rounding to the stored scores can have moved them; empty where they are exact.
        siou, ppv, f1_mean: SegmentMeIfYouCan's segment metrics at `smiyc_threshold` (score > threshold).
        smiyc_threshold_source: in words; best-F1 on the same data is called so.
        threshold: a pixel is OoD where score ≥ threshold, for the errors.
        threshold_source: in words.
        num_ground_truth: OoD segments of the ground truth.
        num_predicted: predicted segments.
        false_positives, false_negatives, errors: before meta classification.
        segments_undefined: why the errors are missing; else None.
        meta: cross-validated, the comparison's main protocol; None where it was not asked for.
        reduction, reduction_meta: share by which `errors`, and the errors after meta classification, lie
            below those of the best baseline (see `ComparedDataset.best_baseline`).
        milliseconds: median per frame: forward passes the method needs, and the score itself.
        roc, pr: thinned curves.
        distribution: pixel counts of the score.
        notes: what a reader has to know, such as frames whose score is constant.
        images: per frame.
    """

    method: str
    dataset: str
    undefined: str | None = None
    num_in: int = 0
    num_ood: int = 0
    auroc: Number = Number(None)
    average_precision: Number = Number(None)
    fpr95: Number = Number(None)
    error_bound: dict[str, float] = field(default_factory=dict)
    siou: Number = Number(None)
    ppv: Number = Number(None)
    f1_mean: Number = Number(None)
    smiyc_threshold: float | None = None
    smiyc_threshold_source: str = ""
    threshold: float | None = None
    threshold_source: str = ""
    num_ground_truth: int = 0
    num_predicted: int = 0
    false_positives: Number = Number(None)
    false_negatives: Number = Number(None)
    errors: Number = Number(None)
    segments_undefined: str | None = None
    meta: MetaNumbers | None = None
    reduction: float | None = None
    reduction_meta: float | None = None
    milliseconds: float | None = None
    roc: Curve | None = None
    pr: Curve | None = None
    distribution: Distribution | None = None
    notes: list[str] = field(default_factory=list)
    images: list[ImageRecord] = field(default_factory=list)


@dataclass(frozen=True)
class ClosedSetRow:
    """The original task of one network on one data set."""

    network: str
    dataset: str
    num_images: int
    num_pixels: int
    miou: Number
    iou: dict[str, float | None]


@dataclass(frozen=True)
class Pair:
    """Is method `a` better than method `b`? Both on the same drawn images.

    Attributes:
        metric: auroc, average_precision, fpr95, or errors (after meta classification where both have it).
        difference: a - b, with the interval of the paired draws.
        share_better: share of the draws in which `a` is better (higher AUROC and AP, lower FPR95 and
            errors); draws without a difference count half.
    """

    dataset: str
    metric: str
    a: str
    b: str
    difference: Number
    share_better: float | None


@dataclass(frozen=True)
class SweepPoint:
    """Errors of one method at one threshold, before and after meta classification."""

    method: str
    dataset: str
    threshold: float
    errors: int
    false_positives: int
    false_negatives: int
    errors_meta: int | None


@dataclass(frozen=True)
class FeaturePath:
    """LARS path of the meta classifier's features of one method on one data set.

    Attributes:
        order: features by entry.
        alphas: (steps,) largest remaining covariance.
        coefficients: per feature of `order` its values along the steps.
    """

    method: str
    dataset: str
    num_segments: int
    num_false_positives: int
    order: list[str]
    alphas: list[float]
    coefficients: list[list[float]]


@dataclass(frozen=True)
class ComparedDataset:
    """A test set and the protocol that its numbers were measured under.

    Attributes:
        info: what identifies it.
        network_input: size frames are brought to before the network, in words; scores are upsampled to the
            labels' size, labels are never resized.
        region_of_interest: in words.
        min_segment_size, min_instance_size: of SegmentMeIfYouCan's metrics, in pixels.
        best_baseline: method with the fewest errors on the baseline network, without meta classification.
    """

    info: DatasetInfo
    network_input: str
    region_of_interest: str
    min_segment_size: int
    min_instance_size: int
    best_baseline: str | None = None


@dataclass(frozen=True)
class ComparisonResults:
    """All numbers of one comparison.

    Attributes:
        baseline: key of the network before OoD training.
        main: key of the method that others are paired with.
        config: the resolved configuration; `segood compare --config` repeats it.
        environment: versions, platform, command (see `segood.runs.describe_environment`).
        fitting: what statistics, options and thresholds were found on: data sets, frames, hashes, in words.
        transfers: meta classifiers fitted on one data set, applied to another: `protocol` names the first.
    """

    name: str
    created: str
    command: str
    seed: int
    segood_version: str
    baseline: str | None
    main: str
    networks: list[ModelInfo]
    methods: list[MethodInfo]
    datasets: list[ComparedDataset]
    rows: list[Row] = field(default_factory=list)
    closed_set: list[ClosedSetRow] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)
    sweep: list[SweepPoint] = field(default_factory=list)
    paths: list[FeaturePath] = field(default_factory=list)
    transfers: list[Transfer] = field(default_factory=list)
    fitting: dict[str, str] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)
    num_draws: int = 0
    format: int = FORMAT

    def row(self, method: str, dataset: str) -> Row:
        """Return the row of a method on a data set."""
        return next(r for r in self.rows if r.method == method and r.dataset == dataset)

    def save(self, path: str | Path) -> None:
        """Write the results as JSON, atomically."""
        write_json(path, dataclasses.asdict(self))

    @classmethod
    def load(cls, path: str | Path) -> ComparisonResults:
        """Read what `save` wrote.

        Raises:
            DataError: the file is missing, not JSON, or not of this format.
        """
        return read_json(cls, path, remedy="run `segood compare` first")


@dataclass(frozen=True)
class Transfer:
    """A meta classifier fitted on one data set and applied to another, for one method."""

    method: str
    fitted_on: str
    applied_to: str
    meta: MetaNumbers
