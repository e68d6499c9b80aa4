"""What is left after removals, and what was removed: counts per frame, per size, and their record.

In: rows of a segment table (one method, one data set), which are removed, OoD segments per frame of the
ground truth. Out: counts, and `MetaNumbers` with intervals.
Source: Chan, Rottmann, Gottschalk, ICCV 2021, section 5; what counts as an error is `errors_of`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Int64
from sklearn.metrics import average_precision_score, roc_auc_score

from segood.errors import UsageError
from segood.evaluation.bootstrap import Bootstrap
from segood.evaluation.comparison.results import MetaNumbers, Number, RemovedBySize
from segood.evaluation.segment import errors_of

GroundTruth = Mapping[str, int] | int
"""OoD segments per frame, in the order of the images; or their total, where no interval is asked for."""

SIZE_EDGES = (0, 100, 1000, 10_000)


class ErrorNumbers(NamedTuple):
    """Errors over a data set, each with its interval where one was asked for."""

    false_positives: Number
    false_negatives: Number
    errors: Number


def errors_per_image(
    kept_rows: pd.DataFrame, ground_truth_per_image: Mapping[str, int]
) -> Int64[np.ndarray, "n 2"]:
    """Count false positives and misses of the segments that are kept, frame by frame.

    Args:
        kept_rows: of one method on one data set, in any order; frames without rows have no kept segment.
        ground_truth_per_image: OoD segments of every frame.

    Returns:
        (n, 2) false positives and misses, in the order of `ground_truth_per_image`; their sums are what
        `segood.evaluation.segment.errors_of` counts over all frames.

    Raises:
        UsageError: a row of a frame that `ground_truth_per_image` does not name, or rows that touch more
            ground-truth segments than it says there are.

    Example:
        >>> rows = pd.DataFrame({"sample_id": ["a", "a"], "is_false_positive": [True, False]})
        >>> errors_per_image(rows.assign(ground_truth=[[], [2]]), {"a": 2, "b": 1}).tolist()
        [[1, 1], [0, 1]]
    """
    check_frames(kept_rows, ground_truth_per_image)
    frames = dict(iter(kept_rows.groupby("sample_id", sort=False)))
    nothing = kept_rows[:0]
    counts = [errors_of(frames.get(s, nothing), number) for s, number in ground_truth_per_image.items()]
    for name, errors in zip(ground_truth_per_image, counts, strict=True):
        _check_misses(errors.false_negatives, f"frame {name}")
    return np.array([(e.false_positives, e.false_negatives) for e in counts], np.int64).reshape(-1, 2)


def removed_by_size(
    rows: pd.DataFrame, removed: np.ndarray, edges: Sequence[int] = SIZE_EDGES
) -> list[RemovedBySize]:
    """Count what was removed, per size of the segments.

    Args:
        rows: of one method on one data set, with `size` (pixels) and `is_false_positive`.
        removed: (K,) bool, in row order.
        edges: rising sizes that the ranges start at; the last range has no end.

    Returns:
        One record per range, small sizes first; ranges without segments hold zeros.

    Raises:
        UsageError: `edges` that do not rise, a segment smaller than all of them, another number of entries.

    Example:
        >>> rows = pd.DataFrame({"size": [4, 7, 300], "is_false_positive": [True, False, True]})
        >>> for r in removed_by_size(rows, np.array([True, True, False]), edges=(0, 100)):
        ...     print(r.low, r.high, r.false_positives_removed, r.true_positives_lost)
        0 100 1 1
        100 None 0 0
    """
    gone = np.asarray(removed)
    if gone.shape != (len(rows),) or (gone.dtype != np.bool_ and gone.size):
        raise UsageError(
            f"`removed` must hold one boolean for each of the {len(rows)} rows;"
            f" got {gone.dtype} of shape {gone.shape}"
        )
    if not len(edges) or (np.diff(edges) <= 0).any():
        raise UsageError(f"`edges` must hold rising sizes; got {tuple(edges)}")
    size = rows["size"].to_numpy(np.float64)
    if size.min(initial=np.inf) < edges[0]:
        raise UsageError(
            f"`edges` must start at or below the smallest segment, {size.min():g}; got {edges[0]}"
        )
    at = np.searchsorted(edges, size, side="right") - 1
    false_positive = rows["is_false_positive"].to_numpy(bool)

    def count(chosen: np.ndarray) -> list[int]:
        return np.bincount(at[chosen], minlength=len(edges)).tolist()

    columns = (
        edges,
        (*edges[1:], None),
        count(false_positive),
        count(false_positive & gone.astype(bool)),
        count(~false_positive),
        count(~false_positive & gone.astype(bool)),
    )
    return [RemovedBySize(*record) for record in zip(*columns, strict=True)]


def count_errors(
    kept_rows: pd.DataFrame, ground_truth: GroundTruth, bootstrap: Bootstrap | None = None
) -> ErrorNumbers:
    """Count false positives and misses over all frames, with intervals if `bootstrap` is given.

    Raises:
        UsageError: as `errors_per_image`; a bootstrap over another number of images, or without images.
    """
    if not isinstance(ground_truth, int):
        return with_intervals(errors_per_image(kept_rows, ground_truth), bootstrap)
    if bootstrap is not None:
        raise UsageError("`bootstrap` needs the ground truth per frame; got its total only")
    errors = errors_of(kept_rows, ground_truth)
    _check_misses(errors.false_negatives, "data set")
    return ErrorNumbers(Number(errors.false_positives), Number(errors.false_negatives), Number(errors.errors))


def with_intervals(per_image: Int64[np.ndarray, "n 2"], bootstrap: Bootstrap | None) -> ErrorNumbers:
    """Sum up what `errors_per_image` returns, with intervals if `bootstrap` is given.

    Raises:
        UsageError: a bootstrap over another number of images.
    """
    counted = np.column_stack([per_image, per_image.sum(axis=1)])
    totals = counted.sum(axis=0).tolist()
    if bootstrap is None:
        return ErrorNumbers(*(Number(total, num_images=len(counted)) for total in totals))
    draws = bootstrap.sums(counted)
    return ErrorNumbers(*(bootstrap.number(total, draws[:, i]) for i, total in enumerate(totals)))


def meta_record(
    rows: pd.DataFrame,
    probabilities: np.ndarray,
    removed: np.ndarray,
    errors: ErrorNumbers,
    *,
    protocol: str,
    classifier: str,
) -> MetaNumbers:
    """Return the record of K segments with probabilities (K,) and removals (K,).

    AUROC and AUPRC are None where not both kinds of segments occur, shares are None where there is none.
    """
    labels = rows["is_false_positive"].to_numpy(bool)
    both_kinds = labels.any() and not labels.all()
    share = float(labels.mean()) if len(labels) else None
    return MetaNumbers(
        protocol=protocol,
        classifier=classifier,
        false_positives=errors.false_positives,
        false_negatives=errors.false_negatives,
        errors=errors.errors,
        auroc=float(roc_auc_score(labels, probabilities)) if both_kinds else None,
        auprc=float(average_precision_score(labels, probabilities)) if both_kinds else None,
        accuracy=None if share is None else float(np.mean(removed == labels)),
        naive_accuracy=None if share is None else max(share, 1 - share),
        random_auprc=share,
        num_segments=len(labels),
        num_false_positives=int(labels.sum()),
        by_size=removed_by_size(rows, removed),
    )


def undefined_record(rows: pd.DataFrame, protocol: str, classifier: str, reason: str) -> MetaNumbers:
    """Return the record of segments that meta classification is undefined for."""
    false_positive = rows["is_false_positive"].to_numpy(bool)
    return MetaNumbers(
        protocol,
        classifier,
        num_segments=len(rows),
        num_false_positives=int(false_positive.sum()),
        undefined=reason,
    )


def check_frames(rows: pd.DataFrame, ground_truth_per_image: Mapping[str, int]) -> None:
    """Raise `UsageError` where a row belongs to a frame that is not named."""
    unknown = [name for name in rows["sample_id"].unique() if name not in ground_truth_per_image]
    if unknown:
        raise UsageError(
            "`ground_truth_per_image` must name every frame, those without OoD segments with 0; "
            f"{unknown[0]!r} is missing ({len(unknown)} in all)"
        )


def _check_misses(false_negatives: int, where: str) -> None:
    if false_negatives < 0:
        raise UsageError(
            f"{where}: the rows touch {-false_negatives} more OoD segments than the ground truth has; "
            "both must be of the same labels"
        )
