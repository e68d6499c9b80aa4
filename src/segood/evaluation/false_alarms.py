"""Meta classification of a segment table: which segments are removed, and what that does to the errors.

In: the segment table of an evaluation, segment results before. Out: the same with cross-validated
probabilities and removals, and one classifier fitted on all segments of each model and data set.
Source: paper, section 3.2; SPEC-level protocols `group` and `leave-one-out`.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
import pandas as pd

from segood.errors import UndefinedMetricError
from segood.evaluation.config import MetaConfig
from segood.evaluation.results import MetaModelInfo, MetaResult, SegmentErrors, SegmentResult
from segood.meta import MetaClassifier, cross_validate

KEYS = ("model", "dataset", "sample_id", "segment")
TRUTH = ("num_ood_pixels", "iou", "adjusted_iou", "is_false_positive", "ground_truth")
OUTCOME = ("meta_probability", "removed")


class Filtered(NamedTuple):
    """Outcome of meta classification.

    Attributes:
        segments: the table with `meta_probability` (float, NaN where undefined) and `removed` (bool).
        results: the segment results with their `meta` part.
        classifiers: one per (model, data set) on all its segments, where that is defined.
    """

    segments: pd.DataFrame
    results: list[SegmentResult]
    classifiers: dict[tuple[str, str], MetaClassifier]


def feature_columns(segments: pd.DataFrame) -> list[str]:
    """Return the columns of a segment table that are features."""
    return [c for c in segments.columns if c not in (*KEYS, *TRUTH, *OUTCOME)]


def filter_false_alarms(segments: pd.DataFrame, results: list[SegmentResult], config: MetaConfig) -> Filtered:
    """Cross-validate and fit the meta classifier for every model and data set in the table.

    Args:
        segments: as `measure_dataset` returns it, any number of models and data sets.
        results: segment results before meta classification.
        config: protocol, preset, probability threshold.
    """
    segments = segments.copy()
    segments["meta_probability"] = np.nan
    segments["removed"] = False
    names = feature_columns(segments)
    classifiers: dict[tuple[str, str], MetaClassifier] = {}
    updated = []
    for result in results:
        rows = segments[(segments["model"] == result.model) & (segments["dataset"] == result.dataset)]
        false_positive = rows["is_false_positive"].to_numpy(bool)
        try:
            validated = cross_validate(
                rows[names],
                false_positive,
                groups=rows["sample_id"].to_numpy() if config.protocol == "group" else None,
                protocol=config.protocol,
                preset=config.preset,
            )
        except UndefinedMetricError as error:
            updated.append(dataclasses.replace(result, meta=_undefined(rows, config, str(error))))
            continue
        removed = validated.probabilities >= config.probability_threshold
        segments.loc[rows.index, "meta_probability"] = validated.probabilities
        segments.loc[rows.index, "removed"] = removed
        classifiers[result.model, result.dataset] = MetaClassifier().fit(rows[names], false_positive)
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
        )
        updated.append(dataclasses.replace(result, meta=meta))
    return Filtered(segments, updated, classifiers)


def errors_of(kept: pd.DataFrame, num_ground_truth: int) -> SegmentErrors:
    """Count FP, FN and errors of the segments that are kept.

    Args:
        kept: rows of one model and data set.
        num_ground_truth: OoD segments in its ground truth; one is missed (FN) where no kept
            segment touches it.
    """
    found = {(s, g) for s, ids in zip(kept["sample_id"], kept["ground_truth"], strict=True) for g in ids}
    false_positives = int(kept["is_false_positive"].sum())
    false_negatives = num_ground_truth - len(found)
    return SegmentErrors(len(kept), false_positives, false_negatives, false_positives + false_negatives)


def describe_classifier(
    model: str, dataset: str, classifier: MetaClassifier, num_segments: int
) -> MetaModelInfo:
    """Return the classifier's standardised coefficients, largest magnitude first."""
    pairs = zip(classifier.feature_names, np.asarray(classifier.coefficients).tolist(), strict=True)
    ordered = sorted(pairs, key=lambda pair: -abs(pair[1]))
    return MetaModelInfo(model, dataset, num_segments, float(classifier.intercept), dict(ordered))


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
    )
