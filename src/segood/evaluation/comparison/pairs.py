"""Which method is better: paired draws, the best baseline, and the reduction against it.

In: measured rows with their draws, on the same images. Out: `Pair`s, and rows with their reductions.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from segood.evaluation.bootstrap import Bootstrap, share_better
from segood.evaluation.comparison.results import Pair, Row
from segood.evaluation.comparison.rows import Measured

HIGHER_IS_BETTER = {"auroc": True, "average_precision": True, "fpr95": False, "errors": False}


def pairs_with(main: str, measured: Mapping[str, Measured], bootstrap: Bootstrap) -> list[Pair]:
    """Compare the main method with every other one on a data set.

    Args:
        main: its key.
        measured: by method, on the same images, with draws from the same seed.
        bootstrap: of that seed, for intervals of the differences.
    """
    if main not in measured:
        return []
    pairs = []
    for other in measured:
        if other == main:
            continue
        for metric, higher in HIGHER_IS_BETTER.items():
            pair = _pair(metric, main, other, measured[main], measured[other], bootstrap, higher)
            if pair is not None:
                pairs.append(pair)
    return pairs


def _pair(
    metric: str, a: str, b: str, first: Measured, second: Measured, bootstrap: Bootstrap, higher: bool
) -> Pair | None:
    key = metric
    if metric == "errors":
        both = "errors_after" in first.draws and "errors_after" in second.draws
        key = "errors_after" if both else "errors_before"
    if key not in first.draws or key not in second.draws:
        return None
    values = _value(first.row, key), _value(second.row, key)
    if values[0] is None or values[1] is None:
        return None
    draws = first.draws[key], second.draws[key]
    return Pair(
        dataset=first.row.dataset,
        metric=metric,
        a=a,
        b=b,
        difference=bootstrap.number(values[0] - values[1], draws[0] - draws[1]),
        share_better=share_better(*draws, higher_is_better=higher),
    )


def _value(row: Row, key: str) -> float | None:
    if key == "errors_after":
        return row.meta.errors.value if row.meta is not None and row.meta.errors is not None else None
    return (row.errors if key == "errors_before" else getattr(row, key)).value  # type: ignore[no-any-return]


def best_baseline(rows: Sequence[Row], baseline: str | None) -> Row | None:
    """Return the row of the baseline network with the fewest errors before meta classification."""
    known = [r for r in rows if r.method.split("/")[0] == baseline and r.errors.value is not None]
    return min(known, key=lambda r: r.errors.value or 0.0, default=None)


def with_reductions(row: Row, best: Row | None) -> Row:
    """Return a row with the shares by which its errors lie below those of the best baseline."""
    if best is None or not best.errors.value or row.errors.value is None:
        return row
    least = best.errors.value
    after = _value(row, "errors_after")
    return dataclasses.replace(
        row,
        reduction=1 - row.errors.value / least,
        reduction_meta=None if after is None else 1 - after / least,
    )
