"""Why a meta classifier takes one segment for a false alarm, or not.

In: a row of a run's segment table, a fitted linear classifier. Out: `Explanation`, what each feature adds to
the logit of the probability.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
import pandas as pd

from segood.checks import check_choice
from segood.errors import UsageError
from segood.evaluation.results import RunResults
from segood.meta import MetaClassifier


@dataclass(frozen=True)
class Explanation:
    """Why the classifier of one network, fitted on all its segments, takes a segment for what it does.

    Attributes:
        model, dataset, sample_id, segment: which one.
        is_false_positive: what the ground truth says.
        probability: of "false positive"; `logit` is its logit, intercept plus contributions.
        threshold: probability from which a segment is removed.
        held_out_probability, removed: of the cross-validation, which the run's numbers go by; None and
            False where it is undefined.
        intercept: of the logit.
        contributions: feature -> what it adds to the logit, largest magnitude first.
        values: feature -> its value, in the same order.
    """

    model: str
    dataset: str
    sample_id: str
    segment: int
    is_false_positive: bool
    probability: float
    logit: float
    threshold: float
    held_out_probability: float | None
    removed: bool
    intercept: float
    contributions: dict[str, float]
    values: dict[str, float]


def find_segment(segments: pd.DataFrame, results: RunResults, address: str) -> int:
    """Return the position of the row that `MODEL/DATASET/SAMPLE_ID/SEGMENT` names.

    Args:
        segments: the table of a run.
        results: its numbers, which name models and data sets.
        address: sample ids may hold slashes, the other parts may not.

    Raises:
        UsageError: no segment is called so; the message says which part is wrong.
    """
    parts = address.split("/")
    if len(parts) < 4 or not parts[-1].isdecimal():
        raise UsageError(f"`explain` must be MODEL/DATASET/SAMPLE_ID/SEGMENT; got {address!r}")
    model, dataset, sample_id, segment = parts[0], parts[1], "/".join(parts[2:-1]), int(parts[-1])
    check_choice("explain MODEL", model, [item.key for item in results.models])
    check_choice("explain DATASET", dataset, dict.fromkeys(item.dataset for item in results.segment))
    of_both = (segments["model"] == model) & (segments["dataset"] == dataset)
    in_frame = of_both & (segments["sample_id"] == sample_id)
    if not in_frame.any():
        near = get_close_matches(sample_id, segments.loc[of_both, "sample_id"].unique(), n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise UsageError(
            f"`explain` SAMPLE_ID must be a frame with segments of {model} on {dataset}; "
            f"got {sample_id!r}{hint}"
        )
    found = np.flatnonzero(in_frame & (segments["segment"] == segment))
    if not len(found):
        known = sorted(segments.loc[in_frame, "segment"].tolist())
        some = ", ".join(map(str, known[:10])) + (" …" if len(known) > 10 else "")
        raise UsageError(f"`explain` SEGMENT must be one of {some} in {sample_id}; got {segment}")
    return int(found[0])


def explain_segment(row: pd.Series, classifier: MetaClassifier) -> Explanation:
    """Return why a fitted classifier takes a segment for what it does.

    Args:
        row: of the segment table, with `meta_probability` and `removed`.
        classifier: fitted on the row's features.

    Raises:
        UsageError: the classifier is not fitted, or on other features.
    """
    features = pd.DataFrame([row])[list(classifier.feature_names)].astype(float)
    parts = classifier.explain(features).iloc[0]
    order = parts.abs().sort_values(ascending=False, kind="stable").index
    held_out = row["meta_probability"]
    return Explanation(
        model=str(row["model"]),
        dataset=str(row["dataset"]),
        sample_id=str(row["sample_id"]),
        segment=int(row["segment"]),
        is_false_positive=bool(row["is_false_positive"]),
        probability=float(classifier.predict_proba(features)[0]),
        logit=float(parts.to_numpy().sum() + classifier.intercept),
        threshold=classifier.threshold,
        held_out_probability=None if pd.isna(held_out) else float(held_out),
        removed=bool(row["removed"]),
        intercept=classifier.intercept,
        contributions={str(name): float(parts[name]) for name in order},
        values={str(name): float(features.iloc[0][name]) for name in order},
    )
