"""A comparison by hand: two networks, three scores (one undefined), two data sets (one without OoD)."""

from __future__ import annotations

import dataclasses

from segood.evaluation.comparison.results import (
    ClosedSetRow,
    ComparedDataset,
    ComparisonResults,
    FeaturePath,
    MetaNumbers,
    MethodInfo,
    Number,
    Pair,
    RemovedBySize,
    Row,
    SweepPoint,
    Transfer,
)
from segood.evaluation.results import Curve, DatasetInfo, Distribution, ModelInfo

CHOSEN = "fewest errors on validation"
NO_DROPOUT = "espnetv2 has no dropout; use a network with dropout"
NO_OOD = "no OoD pixel among 1000 counted"

# 100 pixels in four bins; score ≥ 0.5 holds 20 of 80 in and 15 of 20 OoD pixels.
COUNTS = Distribution([0.0, 0.25, 0.5, 0.75, 1.0], [40, 20, 15, 5], [1, 4, 5, 10])
ROC = Curve([0.0625, 0.25, 0.5, 1.0], [0.5, 0.75, 0.95, 1.0], [0.75, 0.5, 0.25, 0.0])
PR = Curve([0.5, 0.75, 0.95, 1.0], [0.667, 0.429, 0.322, 0.2], [0.75, 0.5, 0.25, 0.0])


def number(value: float, spread: float) -> Number:
    return Number(value, value - spread, value + spread, 5, 90)


def row(method: str, auroc: float, ap: float, fpr95: float, fp: int, fn: int, after: int, ms: float) -> Row:
    removed = RemovedBySize(0, 50, 4, 3, 2, 1), RemovedBySize(50, None, 2, 1, 5, 0)
    meta = MetaNumbers(
        "group", "linear", number(after - fn, 1), number(fn, 1), number(after, 2), 0.9, 0.95, 0.85, 0.6, 0.55,
        13, 6, list(removed),
    )  # fmt: skip
    return Row(
        method, "d", None, 80, 20, number(auroc, 0.05), number(ap, 0.1), number(fpr95, 0.02), {},
        number(0.4, 0.01), number(0.3, 0.01), number(0.2, 0.01), 0.6, "best F1 on the same data",
        0.5, CHOSEN, 12, 13, number(fp, 2), number(fn, 1), number(fp + fn, 3), None, meta,
        1 - (fp + fn) / 10, 1 - after / 10, ms, ROC, PR, COUNTS,
    )  # fmt: skip


def silent(method: str) -> Row:
    counts = dataclasses.replace(COUNTS, ood=[0, 0, 0, 0])
    return Row(
        method, "e", NO_OOD, 80, 0, threshold_source=CHOSEN, false_positives=Number(7), distribution=counts
    )


SCORES = {"entropy": "Entropy", "max_logit": "Max logit", "mc_dropout": "MC dropout"}
NETWORKS = [
    ModelInfo("before", "Start", "net", ["road", "car"]),
    ModelInfo("after", "Tuned", "net", ["road", "car"]),
]
METHODS = [
    MethodInfo(f"{net.key}/{key}", title, net.key, key, undefined=NO_DROPOUT if key == "mc_dropout" else None)
    for net in NETWORKS
    for key, title in SCORES.items()
]
MOVED = MetaNumbers("transfer from Obstacles", errors=Number(3), auroc=0.8)
INFOS = [
    DatasetInfo("d", "Obstacles", "smiyc", 5, 4, "label", "h"),
    DatasetInfo("e", "Streets", "val", 3, 0, "label", "i"),
]
FEATURES = ["entropy_mean", "neighbor_share_1", "size"]
COEFFICIENTS = [[0.0, 0.1, 0.2, 0.3], [0.0, 0.0, -0.1, -0.2], [0.0, 0.0, 0.0, 0.05]]
RESULTS = ComparisonResults(
    name="obstacles",
    created="2025-01-31",
    command="segood compare",
    seed=7,
    segood_version="0.1",
    baseline="before",
    main="after/entropy",
    networks=NETWORKS,
    methods=METHODS,
    datasets=[
        ComparedDataset(INFOS[0], "1024x512", "road", 50, 10, "before/max_logit"),
        ComparedDataset(INFOS[1], "1024x512", "road", 50, 10),
    ],
    rows=[
        row("before/entropy", 0.80, 0.30, 0.60, 8, 4, 9, 10.0),
        row("before/max_logit", 0.85, 0.40, 0.50, 6, 4, 8, 5.0),
        row("after/entropy", 0.90, 0.60, 0.40, 5, 2, 4, 10.0),
        row("after/max_logit", 0.88, 0.65, 0.45, 9, 1, 6, 5.0),
        *(silent(method.key) for method in METHODS if not method.undefined),
    ],
    closed_set=[
        ClosedSetRow("before", "city", 3, 900, Number(0.7, 0.69, 0.71, 3, 100), {"road": 0.7}),
        ClosedSetRow("after", "city", 3, 900, Number(0.69), {"road": 0.69}),
    ],
    pairs=[
        Pair("d", "auroc", "after/entropy", "before/entropy", Number(0.1, 0.05, 0.15, 5, 90), 0.99),
        Pair("d", "errors", "after/entropy", "before/entropy", Number(-5, -8, -1, 5, 90), 1.0),
        Pair("d", "auroc", "after/entropy", "after/max_logit", Number(0.02, -0.01, 0.04, 5, 90), 0.9),
    ],
    sweep=[
        SweepPoint(method, "d", threshold, errors, errors - 2, 2, None if threshold == 0.9 else errors // 2)
        for method, start in (("before/entropy", 30), ("after/entropy", 20))
        for threshold, errors in ((0.5, start), (0.7, start - 10), (0.9, start - 5))
    ],
    paths=[
        FeaturePath("after/entropy", "d", 13, 6, FEATURES, [0.3, 0.2, 0.1, 0.0], COEFFICIENTS),
        FeaturePath("before/entropy", "d", 13, 13, [], [], []),
    ],
    transfers=[
        Transfer("after/entropy", "e", "d", MetaNumbers("transfer from Streets", undefined="one class only")),
        Transfer("after/entropy", "d", "e", MOVED)
    ],
    fitting={"validation": "3 frames"},
    num_draws=100,
)  # fmt: skip

AWKWARD = r"a_b <c> $d$ | 50 % & #1 {e}~^\f*"


def awkward(results: ComparisonResults = RESULTS) -> ComparisonResults:
    """Return the results with names that every format has to escape."""
    return dataclasses.replace(
        results,
        name=AWKWARD,
        networks=[dataclasses.replace(n, title=f"_{n.key} {AWKWARD}") for n in results.networks],
        methods=[dataclasses.replace(m, title=f"{AWKWARD} {m.score}") for m in results.methods],
        datasets=[
            dataclasses.replace(d, info=dataclasses.replace(d.info, title=AWKWARD, protocol=AWKWARD))
            for d in results.datasets
        ],
    )
