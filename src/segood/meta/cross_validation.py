"""How well false alarms can be told from objects: cross-validated meta classification.

In: features and labels of all predicted segments. Out: a held-out probability for each segment, and
AUROC, AUPRC and accuracy over them, beside the accuracy of always saying the more frequent label.
Source: paper, section 3.2 (leave-one-out over segments). Segments of one image are not independent,
so `group` holds out whole images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from segood.checks import check_choice, check_unit_interval
from segood.errors import UndefinedMetricError, UsageError
from segood.meta.fold_reasons import FoldReasons
from segood.meta.fold_scales import fold_rows
from segood.meta.folds import held_out_probabilities
from segood.meta.neural import NeuralMetaClassifier
from segood.meta.table import as_table, check_labels, finite_values

PROTOCOLS = ("leave-one-out", "group")
CLASSIFIERS = ("linear", "neural")
MOST_NEURAL_SINGLES = 300
"""Segments up to which leaving out one at a time is offered for the neural classifier: each is a refit."""


@dataclass(frozen=True)
class CrossValidation:
    """Held-out predictions and their metrics; the positive label is "false positive".

    Attributes:
        probabilities: (K,) float64, in the order of the rows.
        auroc, auprc: over all held-out probabilities pooled.
        accuracy: share of segments on the right side of the threshold.
        naive_accuracy: share of the more frequent label.
        protocol: "leave-one-out" or "group".
        preset: "paper" or None.
        num_segments, num_false_positives, num_folds: sample counts.
        classifier: "linear" or "neural".
        reasons: of the segments that `explain` chose; None without it.
    """

    probabilities: np.ndarray
    auroc: float
    auprc: float
    accuracy: float
    naive_accuracy: float
    protocol: str
    preset: str | None
    num_segments: int
    num_false_positives: int
    num_folds: int
    classifier: str = "linear"
    reasons: FoldReasons | None = None


def cross_validate(
    features: Any,
    is_false_positive: Any,
    groups: Any = None,
    protocol: str | None = None,
    preset: str | None = None,
    *,
    threshold: float = 0.5,
    classifier: str = "linear",
    seed: int = 0,
    explain: Any = None,
) -> CrossValidation:
    """Fit without each fold (its scaler too), predict the fold, and measure all predictions together.

    Args:
        features: DataFrame (or (K, m) array) of finite numbers, one row per segment.
        is_false_positive: (K,) bool, True where the segment contains no OoD pixel.
        groups: (K,) what must not be torn apart, usually the image of each segment.
        protocol: "leave-one-out", which does not look at groups, or "group"; None means "group"
            where groups are given.
        preset: None, or "paper": one scaler over all segments and a penalised intercept.
        threshold: in [0, 1]; probability from which a segment counts as false positive in the accuracy.
        classifier: "linear", or "neural" (see `NeuralMetaClassifier`), which is refitted for every fold: a
            fraction of a second for hundreds of segments, seconds for ten thousands.
        seed: of the neural classifier's first weights, ≥ 0; the linear one has none.
        explain: (K,) bool, the segments whose probability is split into what each feature adds to its logit,
            by the very classifier that held them out; not with "neural", which has no such split.

    Returns:
        Held-out probabilities in the order of the rows, their metrics, the protocol, sample counts. With
        the linear classifier each probability is that of the exact optimum without its fold, to 1e-9, for
        any number of threads.

    Raises:
        UsageError: neither protocol nor groups, "group" without groups, lengths that differ,
            features that are not finite, a threshold outside [0, 1], an unknown protocol, preset or
            classifier, the paper's preset or too many single segments with "neural", `explain` of another
            length or with "neural".
        UndefinedMetricError: no segments, or a fold without which only one label is left.

    Reference:
        Chan, Rottmann, Gottschalk, ICCV 2021, arXiv 2012.06575, section 3.2.

    Example:
        >>> features = np.array([[0.0], [0.2], [0.3], [0.7], [0.8], [1.0]])
        >>> result = cross_validate(features, [0, 0, 0, 1, 1, 1], protocol="leave-one-out")
        >>> result.auroc, result.accuracy, result.naive_accuracy
        (1.0, 1.0, 0.5)
    """
    table = as_table(features)
    values = finite_values(table)
    labels = check_labels(is_false_positive, len(values))
    check_unit_interval("threshold", threshold)
    if preset is not None:
        check_choice("preset", preset, ["paper"])
    check_choice("classifier", classifier, CLASSIFIERS)
    protocol = _resolve_protocol(protocol, groups)
    reasons = None
    if explain is not None:
        reasons = FoldReasons.empty(_rows_of(explain, len(values), classifier), values.shape[1])
    if classifier == "neural":
        _check_neural(protocol, preset, len(values))
    if not len(values):
        raise UndefinedMetricError("meta classification is undefined: there is no predicted segment")
    folds, names = _folds(protocol, groups, table.index)
    _check_both_labels_remain(labels, folds, names)
    if classifier == "neural":
        probabilities = _refitted_probabilities(values, labels, folds, seed)
    else:
        probabilities = held_out_probabilities(
            values, labels, folds, paper=preset == "paper", reasons=reasons
        )
    share = float(labels.mean())
    return CrossValidation(
        probabilities=probabilities,
        auroc=float(roc_auc_score(labels, probabilities)),
        auprc=float(average_precision_score(labels, probabilities)),
        accuracy=float(np.mean((probabilities >= threshold) == labels)),
        naive_accuracy=max(share, 1 - share),
        protocol=protocol,
        preset=preset,
        num_segments=len(labels),
        num_false_positives=int(labels.sum()),
        num_folds=len(folds),
        classifier=classifier,
        reasons=reasons,
    )


def _rows_of(explain: Any, num_segments: int, classifier: str) -> np.ndarray:
    if classifier == "neural":
        raise UsageError('`explain` needs `classifier="linear"`, whose logit is a sum over features')
    chosen = np.asarray(explain)
    if chosen.shape != (num_segments,) or chosen.dtype != np.bool_:
        raise UsageError(
            f"`explain` must hold one boolean for each of the {num_segments} rows of `features`; "
            f"got {chosen.dtype} of shape {chosen.shape}"
        )
    return np.flatnonzero(chosen)


def _resolve_protocol(protocol: str | None, groups: Any) -> str:
    if protocol is not None:
        check_choice("protocol", protocol, PROTOCOLS)
    if groups is None and protocol is None:
        raise UsageError(
            "pass `groups=` (the image of each segment) to hold out whole images, "
            'or `protocol="leave-one-out"` to hold out single segments'
        )
    if groups is None and protocol == "group":
        raise UsageError('`protocol="group"` needs `groups=`, one entry per segment, for example its image')
    return protocol or "group"


def _check_neural(protocol: str, preset: str | None, num_segments: int) -> None:
    if preset is not None:
        raise UsageError(
            f'`preset="{preset}"` is made for the linear classifier; leave it out with `classifier="neural"`'
        )
    if protocol == "leave-one-out" and num_segments > MOST_NEURAL_SINGLES:
        raise UsageError(
            f'`classifier="neural"` is refitted for each of {num_segments} segments with '
            f'`protocol="leave-one-out"`, which is offered up to {MOST_NEURAL_SINGLES}; '
            'use `protocol="group"`, which holds out whole images'
        )


def _refitted_probabilities(
    values: np.ndarray, labels: np.ndarray, folds: list[np.ndarray], seed: int
) -> np.ndarray:
    result = np.empty(len(values))
    for rows in folds:
        keep = np.ones(len(values), bool)
        keep[rows] = False
        result[rows] = (
            NeuralMetaClassifier(seed=seed).fit(values[keep], labels[keep]).predict_proba(values[rows])
        )
    return result


def _folds(protocol: str, groups: Any, index: Any) -> tuple[list[np.ndarray], list[str]]:
    if protocol == "leave-one-out":
        return list(np.arange(len(index))[:, None]), [f"segment {label}" for label in index]
    members = np.asarray(groups)
    if members.shape != (len(index),):
        raise UsageError(
            f"`groups` must have one entry per row of `features`, ({len(index)},); got shape {members.shape}"
        )
    names, number = np.unique(members.astype(str), return_inverse=True)
    order = np.argsort(number, kind="stable")
    folds = np.split(order, np.cumsum(np.bincount(number))[:-1])
    return folds, [f"group {name}" for name in names]


def _check_both_labels_remain(labels: np.ndarray, folds: list[np.ndarray], names: list[str]) -> None:
    held_out = fold_rows(folds)
    rest = len(labels) - held_out.sums(np.ones(len(held_out.rows), np.int64))
    left = labels.sum() - held_out.sums(labels[held_out.rows].astype(np.int64))
    for fold in np.flatnonzero((left == 0) | (left == rest))[:1]:
        kind = (
            f"all {rest[fold]} others are false positives"
            if left[fold]
            else f"no false positive among {rest[fold]} others"
        )
        raise UndefinedMetricError(
            f"meta classification is undefined: without {names[fold]} one kind of segment is left ({kind}); "
            "false positives and objects are needed in every fold"
        )
