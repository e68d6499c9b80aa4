"""Meta classification of one method's segments: errors after removals with intervals, what was removed.

In: rows of a segment table (one method, one data set), OoD segments per frame of the ground truth.
Out: `MetaOutcome` with the record that a comparison keeps. The parts are here under one roof: counting
(`meta_counts`), other data sets and features (`meta_transfer`).
Source: Chan, Rottmann, Gottschalk, ICCV 2021, sections 3.2 and 5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64, Int64

from segood.errors import UndefinedMetricError
from segood.evaluation.bootstrap import Bootstrap
from segood.evaluation.comparison.results import MetaNumbers
from segood.evaluation.false_alarms import cross_validate_rows
from segood.evaluation.meta_counts import (
    check_frames,
    errors_per_image,
    meta_record,
    removed_by_size,
    undefined_record,
    with_intervals,
)
from segood.evaluation.meta_transfer import feature_path, transfer

__all__ = [
    "MetaOutcome",
    "errors_per_image",
    "feature_path",
    "meta_numbers",
    "removed_by_size",
    "transfer",
]


@dataclass(frozen=True)
class MetaOutcome:
    """What meta classification did to K segments in n frames.

    Attributes:
        numbers: the record.
        probabilities: (K,) held-out probability of "false positive", in row order; None where undefined.
        removed: (K,) in row order, all False where undefined.
        errors_per_image: (n, 2) false positives and misses after removals, in the order of the images; None
            where undefined.
    """

    numbers: MetaNumbers
    probabilities: Float64[np.ndarray, " k"] | None
    removed: Bool[np.ndarray, " k"]
    errors_per_image: Int64[np.ndarray, "n 2"] | None


def meta_numbers(
    rows: pd.DataFrame,
    *,
    ground_truth_per_image: Mapping[str, int],
    protocol: str = "group",
    preset: str | None = None,
    classifier: str = "linear",
    probability_threshold: float = 0.5,
    bootstrap: Bootstrap | None = None,
    seed: int = 0,
) -> MetaOutcome:
    """Cross-validate the meta classifier on one method's segments, and count what is left after removals.

    Args:
        rows: as `segood.evaluation.run.read_segments` returns them, of one method on one data set:
            `sample_id`, `segment`, features, `is_false_positive`, `ground_truth` …; in any order.
        ground_truth_per_image: OoD segments of every frame, those without predicted segments included, in
            the order that `bootstrap` draws from.
        protocol: "group" (whole images held out) or "leave-one-out".
        preset: None, or "paper" (linear only).
        classifier: "linear" or "neural".
        probability_threshold: a segment is removed where its probability reaches this, in [0, 1].
        bootstrap: draws over the images, for intervals of the counts; without it there are none.
        seed: of the neural classifier.

    Returns:
        `MetaOutcome`; where cross-validation is undefined (no segment, a fold without which one kind is
        left) its numbers have `undefined` set.

    Raises:
        UsageError: features that are not finite, an unknown option, a segment of a frame that
            `ground_truth_per_image` does not name, a bootstrap over another number of images.

    Example:
        >>> sizes, found = [3.0, 50, 4, 60, 5], [[], [1], [], [1, 2], []]
        >>> rows = pd.DataFrame({"sample_id": list("aabbc"), "segment": [1, 2, 1, 2, 1], "size": sizes})
        >>> rows = rows.assign(ground_truth=found, is_false_positive=[not ids for ids in found])
        >>> outcome = meta_numbers(rows, ground_truth_per_image={"a": 1, "b": 2, "c": 1})
        >>> outcome.removed.tolist()
        [True, False, True, False, True]
        >>> outcome.errors_per_image.tolist(), outcome.numbers.errors.value  # in c an object is missed
        ([[0, 0], [0, 0], [0, 1]], 1)
    """
    check_frames(rows, ground_truth_per_image)
    try:
        probabilities = cross_validate_rows(
            rows,
            protocol=protocol,
            preset=preset,
            classifier=classifier,
            probability_threshold=probability_threshold,
            seed=seed,
        ).probabilities
    except UndefinedMetricError as error:
        nothing = np.zeros(len(rows), bool)
        return MetaOutcome(undefined_record(rows, protocol, classifier, str(error)), None, nothing, None)
    removed = probabilities >= probability_threshold
    per_image = errors_per_image(rows[~removed], ground_truth_per_image)
    errors = with_intervals(per_image, bootstrap)
    numbers = meta_record(rows, probabilities, removed, errors, protocol=protocol, classifier=classifier)
    return MetaOutcome(numbers, probabilities, removed, per_image)
