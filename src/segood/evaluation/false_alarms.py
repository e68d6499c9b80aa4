"""Meta classification of a segment table: which segments are removed, and what that does to the errors.

In: the segment table of an evaluation, segment results before. Out: the same with cross-validated
probabilities and removals.
Source: paper, section 3.2; SPEC-level protocols `group` and `leave-one-out`.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
import pandas as pd

from segood.errors import UndefinedMetricError
from segood.evaluation.config import MetaConfig
from segood.evaluation.image_counts import errors_interval
from segood.evaluation.results import MetaModelInfo, MetaResult, SegmentResult
from segood.evaluation.segment import errors_of
from segood.meta import CrossValidation, MetaClassifier, cross_validate

KEYS = ("model", "dataset", "sample_id", "segment")
TRUTH = ("num_ood_pixels", "iou", "adjusted_iou", "is_false_positive", "ground_truth")
OUTCOME = ("meta_probability", "removed")
_PER_CLASS = ("class_probability_", "neighbor_share_")


class Filtered(NamedTuple):
    """Outcome of meta classification.

    Attributes:
        segments: the table with `meta_probability` (float, NaN where undefined) and `removed` (bool).
        results: the segment results with their `meta` part.
    """

    segments: pd.DataFrame
    results: list[SegmentResult]


def feature_columns(segments: pd.DataFrame) -> list[str]:
    """Return the columns of a segment table that are features."""
    return [c for c in segments.columns if c not in (*KEYS, *TRUTH, *OUTCOME)]


def features_of(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the features of one model's rows; those of classes that only other models have are left out."""
    names = feature_columns(rows)
    missing = {n for n in names if n.startswith(_PER_CLASS) and len(rows) and rows[n].isna().all()}
    return rows[[n for n in names if n not in missing]]


def cross_validate_rows(
    rows: pd.DataFrame,
    *,
    protocol: str,
    preset: str | None = None,
    classifier: str = "linear",
    probability_threshold: float = 0.5,
    seed: int = 0,
    explain: np.ndarray | None = None,
) -> CrossValidation:
    """Cross-validate the meta classifier on the segments of one model and data set.

    Args:
        rows: of the segment table; `group` holds out the rows of one `sample_id`.
        protocol, preset, classifier, probability_threshold: see `MetaConfig`.
        seed: of the neural classifier.
        explain: (K,) bool, rows whose probability is split into contributions; see `cross_validate`.

    Raises:
        UsageError, UndefinedMetricError: as `segood.meta.cross_validate`.
    """
    return cross_validate(
        features_of(rows),
        rows["is_false_positive"].to_numpy(bool),
        groups=rows["sample_id"].to_numpy() if protocol == "group" else None,
        protocol=protocol,
        preset=preset,
        threshold=probability_threshold,
        classifier=classifier,
        seed=seed,
        explain=explain,
    )


def filter_false_alarms(segments: pd.DataFrame, results: list[SegmentResult], config: MetaConfig) -> Filtered:
    """Cross-validate the meta classifier for every model and data set in the table.

    Args:
        segments: as `measure_dataset` returns it, any number of models and data sets.
        results: segment results before meta classification.
        config: protocol, preset, classifier, probability threshold.
    """
    segments = segments.copy()
    segments["meta_probability"] = np.full(len(segments), np.nan)
    segments["removed"] = np.zeros(len(segments), bool)
    updated = []
    for result in results:
        rows = segments[(segments["model"] == result.model) & (segments["dataset"] == result.dataset)]
        false_positive = rows["is_false_positive"].to_numpy(bool)
        try:
            validated = cross_validate_rows(rows, **dataclasses.asdict(config))
        except UndefinedMetricError as error:
            meta = _undefined(rows, config, str(error))
            updated.append(dataclasses.replace(result, meta=meta, intervals=_intervals(result, None)))
            continue
        removed = validated.probabilities >= config.probability_threshold
        segments.loc[rows.index, "meta_probability"] = validated.probabilities
        segments.loc[rows.index, "removed"] = removed
        meta = MetaResult(
            protocol=validated.protocol,
            preset=config.preset or "default",
            probability_threshold=config.probability_threshold,
            num_segments=len(rows),
            num_false_positives=int(false_positive.sum()),
            auroc=validated.auroc,
            auprc=validated.auprc,
            accuracy=validated.accuracy,
            naive_accuracy=validated.naive_accuracy,
            after=errors_of(rows[~removed], result.num_ground_truth),
            num_removed_rightly=int((removed & false_positive).sum()),
            num_removed_wrongly=int((removed & ~false_positive).sum()),
            classifier=config.classifier,
        )
        updated.append(dataclasses.replace(result, meta=meta, intervals=_intervals(result, rows[~removed])))
    return Filtered(segments, updated)


def describe_classifier(
    model: str, dataset: str, classifier: MetaClassifier, num_segments: int
) -> MetaModelInfo:
    """Return the classifier's standardised coefficients, largest magnitude first."""
    pairs = zip(classifier.feature_names, np.asarray(classifier.coefficients).tolist(), strict=True)
    ordered = sorted(pairs, key=lambda pair: -abs(pair[1]))
    return MetaModelInfo(model, dataset, num_segments, float(classifier.intercept), dict(ordered))


def _intervals(result: SegmentResult, kept: pd.DataFrame | None) -> dict[str, list[float]]:
    """Return the intervals with that of what is left; older runs do not tell the objects per frame."""
    before = {name: interval for name, interval in result.intervals.items() if name == "errors"}
    if kept is None or not result.ground_truth_per_image:
        return before
    return {**before, "errors_after": errors_interval(kept, result.ground_truth_per_image)}


def _undefined(rows: pd.DataFrame, config: MetaConfig, reason: str) -> MetaResult:
    return MetaResult(
        protocol=config.protocol,
        preset=config.preset or "default",
        probability_threshold=config.probability_threshold,
        num_segments=len(rows),
        num_false_positives=int(rows["is_false_positive"].sum()),
        auroc=None,
        auprc=None,
        accuracy=None,
        naive_accuracy=None,
        after=None,
        undefined=reason,
        classifier=config.classifier,
    )
