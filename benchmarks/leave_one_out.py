"""Leave-one-out of 5,000 segments with 75 features, against refitting scikit-learn for every segment.

A few refits are timed, and multiplied by the number of segments.
"""

from __future__ import annotations

import warnings
from itertools import cycle

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from benchmarks.inputs import segment_table
from benchmarks.measure import as_time, compare
from benchmarks.results import Requirement
from segood.meta import cross_validate

ROWS, QUICK_ROWS = 5000, 300
REFITS, QUICK_REFITS = 10, 2


def measure(quick: bool = False) -> list[Requirement]:
    """Measure time, and the difference of the held-out probabilities on plain and on degenerate features."""
    rows, refits = (QUICK_ROWS, QUICK_REFITS) if quick else (ROWS, REFITS)
    rounds = 2 if quick else 3
    features, labels = segment_table(rows)
    values = features.to_numpy()
    held_out = cycle(np.random.default_rng(0).permutation(rows).tolist())

    def peer() -> None:
        for _ in range(refits):
            refit_without(next(held_out), values, labels)

    times = compare(lambda: cross_validate(features, labels, protocol="leave-one-out"), peer, rounds)
    times = times.with_peer_times(rows / refits)
    low, high = times.spread
    found = [
        Requirement(
            f"leave-one-out of {rows:,} segments × 75 features",
            as_time(times.our_median),
            f"{rows:,} scikit-learn refits: {as_time(times.peer_median)}",
            1 / times.ratio,
            50,
            "× faster",
            at_least=True,
            spread=(1 / high, 1 / low),
            note=f"the refits are extrapolated from {refits * rounds}",
        )
    ]
    for degenerate in (False, True):
        kind = "collinear and nearly empty columns" if degenerate else "plain columns"
        difference = largest_difference(rows, refits * rounds, degenerate)
        found.append(
            Requirement(
                f"leave-one-out: largest difference of probabilities, {kind}",
                f"{refits * rounds} segments",
                "scikit-learn refits",
                difference,
                1e-5,
            )
        )
    return found


def refit_without(row: int, values: np.ndarray, labels: np.ndarray) -> float:
    """Return the probability of one segment by a fit on all others, scaler included."""
    keep = np.arange(len(labels)) != row
    train = values[keep]
    scaler = StandardScaler().fit(train)
    model = LogisticRegression(tol=1e-10, max_iter=10_000).fit(scaler.transform(train), labels[keep])
    return float(model.predict_proba(scaler.transform(values[[row]]))[0, 1])


def largest_difference(rows: int, refits: int, degenerate: bool) -> float:
    """Compare our held-out probabilities with refits; nearly empty columns have their rows among them."""
    features, labels = segment_table(rows, degenerate=degenerate)
    ours = cross_validate(features, labels, protocol="leave-one-out").probabilities
    chosen = np.random.default_rng(1).permutation(rows)[:refits].tolist()
    if degenerate:
        rare = np.flatnonzero((features.iloc[:, 15:20] != 0).any(axis=1))
        chosen[: len(rare) // 2] = rare[: len(rare) // 2].tolist()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its solver says that it cannot go below 1e-10
        theirs = [refit_without(row, features.to_numpy(), labels) for row in chosen]
    return float(np.abs(ours[chosen] - theirs).max())
