"""Errors over a data set for every meta probability from which segments are removed.

In: rows of a segment table with held-out probabilities. Out: `SegmentCounts`, one per value.
Source: Chan, Rottmann, Gottschalk, ICCV 2021, section 5; what counts as an error is `errors_of`'s.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from segood.evaluation.exploration import SegmentCounts


def count_errors_at(
    rows: pd.DataFrame, probabilities: np.ndarray | None, num_ground_truth: int, at: Sequence[float]
) -> list[SegmentCounts]:
    """Count what is left where segments are removed whose probability reaches each of some values.

    Args:
        rows: K rows with `sample_id`, `is_false_positive`, `ground_truth` (ids that the segment touches).
        probabilities: (K,) of "false positive"; None where undefined: nothing is removed.
        num_ground_truth: OoD segments of all frames.
        at: rising values.

    Returns:
        One record per value, as `segood.evaluation.segment.errors_of` counts the rows that are kept.

    Example:
        >>> rows = pd.DataFrame({"sample_id": ["a", "a"], "ground_truth": [[1], []]})
        >>> rows["is_false_positive"] = [False, True]
        >>> count_errors_at(rows, np.array([0.2, 0.8]), 1, [0.5])
        [SegmentCounts(false_positives=0, false_negatives=0, removed_rightly=1, removed_wrongly=0)]
    """
    chance = np.zeros(len(rows)) if probabilities is None else probabilities
    alarm = rows["is_false_positive"].to_numpy(bool)
    # An object is missed where all segments that touch it are removed, the least probable one last.
    least: dict[tuple[str, int], float] = {}
    for sample, keys, value in zip(rows["sample_id"], rows["ground_truth"], chance.tolist(), strict=True):
        for key in keys:
            least[sample, int(key)] = min(value, least.get((sample, int(key)), np.inf))
    kept_alarms, kept_others, found = (
        np.searchsorted(np.sort(values), at, side="left").tolist()
        for values in (chance[alarm], chance[~alarm], np.array(list(least.values())))
    )
    alarms, others = int(alarm.sum()), int((~alarm).sum())
    return [
        SegmentCounts(a, num_ground_truth - f, alarms - a, others - o)
        for a, o, f in zip(kept_alarms, kept_others, found, strict=True)
    ]


def kept_at(rows: np.ndarray, probabilities: np.ndarray | None, at: Sequence[float]) -> list[int]:
    """Return how many of some rows (indices) are kept at each value, see `count_errors_at`."""
    chance = np.zeros(len(rows)) if probabilities is None else np.sort(probabilities[rows])
    return np.searchsorted(chance, at, side="left").tolist()  # type: ignore[no-any-return]
