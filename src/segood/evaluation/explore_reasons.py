"""Held-out probabilities of segments that the report draws, and what each feature adds to their logits.

In: rows of a segment table, drawn segments. Out: the same segments with probability, logit, intercept and the
largest contributions. All of one segment come from one classifier: the one that was fitted without its fold.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from segood.errors import UndefinedMetricError
from segood.evaluation.config import MetaConfig
from segood.evaluation.exploration import Contribution, ShownSegment
from segood.evaluation.false_alarms import cross_validate_rows, features_of
from segood.meta.fold_reasons import FoldReasons

_DIGITS = 8  # decimals of logits; contributions have fewer, and `rest` takes the difference


class HeldOut(NamedTuple):
    """What meta classification says of K segments.

    Attributes:
        probabilities: (K,) held out, of "false positive"; None where undefined.
        undefined: why, else None.
        reasons: of the rows that were asked for; None for the neural classifier and where undefined.
        names, values: of the m features, and (K, m) what they are.
    """

    probabilities: np.ndarray | None
    undefined: str | None
    reasons: FoldReasons | None
    names: Sequence[str] = ()
    values: np.ndarray | None = None


def hold_out(rows: pd.DataFrame, config: MetaConfig, explain: np.ndarray) -> HeldOut:
    """Cross-validate the meta classifier on the segments of one model and data set at one threshold.

    Args:
        rows: of a segment table.
        config: protocol, preset, classifier.
        explain: (K,) bool, rows that reasons are wanted for.
    """
    linear = config.classifier == "linear"
    try:
        found = cross_validate_rows(rows, **dataclasses.asdict(config), explain=explain if linear else None)
    except UndefinedMetricError as error:
        return HeldOut(None, str(error), None)
    features = features_of(rows)
    return HeldOut(found.probabilities, None, found.reasons, list(features.columns), features.to_numpy())


def explained(
    shown: Sequence[ShownSegment], row_of: Mapping[int, int], held_out: HeldOut, most: int
) -> list[ShownSegment]:
    """Return drawn segments with their probability and the reasons for it.

    Args:
        shown: segments of one frame at one threshold; those without outline get no reasons.
        row_of: by segment id its row.
        held_out: of all rows.
        most: contributions told per segment, largest magnitude first.
    """
    return [_explained(segment, row_of[segment.segment], held_out, most) for segment in shown]


def _explained(segment: ShownSegment, row: int, held_out: HeldOut, most: int) -> ShownSegment:
    bare = ShownSegment(
        segment.segment, segment.outline, segment.area, segment.is_false_positive, segment.ground_truth
    )
    if held_out.probabilities is None:
        return bare
    probability = float(held_out.probabilities[row])
    reasons = held_out.reasons
    if reasons is None or held_out.values is None or not bare.outline:
        return dataclasses.replace(bare, probability=_rounded(probability))
    at = int(np.searchsorted(reasons.rows, row))
    parts, intercept = reasons.contributions[at], round(float(reasons.intercepts[at]), _DIGITS)
    logit = float(parts.sum() + reasons.intercepts[at])
    values = held_out.values[row]
    told = [
        Contribution(held_out.names[j], float(f"{values[j]:.5g}"), round(float(parts[j]), 5))
        for j in np.argsort(-np.abs(parts), kind="stable")[:most]
    ]
    rest = logit - intercept - math.fsum(item.contribution for item in told)
    return dataclasses.replace(
        bare,
        probability=_rounded(probability),
        logit=round(logit, _DIGITS),
        intercept=intercept,
        contributions=told,
        rest=round(rest, _DIGITS),
    )


def _rounded(probability: float) -> float:
    """Round a probability so that its logit changes by less than 1e-7, and shorten the record."""
    spread = max(probability * (1 - probability), 1e-12)
    return round(probability, math.ceil(-math.log10(spread)) + 7)
