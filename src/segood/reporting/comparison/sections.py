"""What follows the main table of a comparison: original task, paired tests, meta classification.

In: `ComparisonResults`. Out: `Section`s, plain tables of text that the terminal and Markdown share.
"""

from __future__ import annotations

from dataclasses import dataclass

from segood.evaluation.comparison.results import ComparisonResults, MetaNumbers, Number, Pair
from segood.reporting.comparison.blocks import (
    dataset_title,
    method_label,
    network_title,
    row_or_empty,
)
from segood.reporting.comparison.columns import format_value
from segood.reporting.formats import MISSING, count, metric, percent, signed

PAIR_METRICS = {"auroc": "AUROC", "average_precision": "AP", "fpr95": "FPR95", "errors": "errors"}


PAIR_LEGEND = (
    "difference [95 % interval], share of the paired draws in which the first is better; "
    "errors after meta classification where both have it"
)


@dataclass(frozen=True)
class Section:
    """A table of text: the first `num_left` columns hold words, the others numbers."""

    title: str
    header: list[str]
    rows: list[list[str]]
    notes: list[str]
    num_left: int


def comparison_sections(results: ComparisonResults) -> list[Section]:
    """Return those sections that have rows, in reading order."""
    sections = [_closed_set(results), *_pairs(results), *_meta(results), _transfers(results)]
    return [section for section in sections if section.rows]


def interval_text(number: Number, kind: str, *, sign: bool = False) -> str:
    """Return `[low, high]`, empty where there is no interval."""
    if number.low is None or number.high is None:
        return ""
    low, high = (_difference(v, kind) if sign else format_value(v, kind) for v in (number.low, number.high))
    return f"[{low}, {high}]"


def _difference(value: float | None, kind: str) -> str:
    return signed(value, 0 if kind == "count" else 3)


def _closed_set(results: ComparisonResults) -> Section:
    rows = [
        [dataset_title(results, one.dataset), network_title(results, one.network), metric(one.miou.value),
         interval_text(one.miou, "metric"), count(one.num_images), count(one.num_pixels)]
        for one in results.closed_set
    ]  # fmt: skip
    header = ["data set", "network", "mIoU ↑", "interval", "images", "pixels"]
    return Section("Original task", header, rows, [], 2)


def _pairs(results: ComparisonResults) -> list[Section]:
    groups: dict[tuple[str, str], dict[str, dict[str, Pair]]] = {}
    for pair in results.pairs:
        groups.setdefault((pair.dataset, pair.a), {}).setdefault(pair.b, {})[pair.metric] = pair
    sections = []
    for (dataset, first), rows in groups.items():
        metrics = list(dict.fromkeys(m for pairs in rows.values() for m in pairs))
        table = [
            [method_label(results, other), *(_pair_cell(pairs.get(m)) for m in metrics)]
            for other, pairs in rows.items()
        ]
        title = f"{dataset_title(results, dataset)}, paired: {method_label(results, first)}, minus"
        header = ["the other method", *(PAIR_METRICS.get(m, m) for m in metrics)]
        sections.append(Section(title, header, table, [PAIR_LEGEND], 1))
    return sections


def _pair_cell(pair: Pair | None) -> str:
    if pair is None or pair.difference.value is None:
        return MISSING
    kind = "count" if pair.metric == "errors" else "metric"
    share = percent(pair.share_better, 0) if pair.share_better is not None else ""
    parts = [_difference(pair.difference.value, kind), interval_text(pair.difference, kind, sign=True), share]
    return " ".join(part for part in parts if part)


def _meta(results: ComparisonResults) -> list[Section]:
    sections = []
    for dataset in results.datasets:
        rows = [
            (row, row.meta)
            for method in results.methods
            for row in [row_or_empty(results, method, dataset.info.key)]
            if row.meta is not None and row.meta.undefined is None
        ]
        if not rows:
            continue
        bins = sorted({(s.low, s.high or 0) for _, m in rows for s in m.by_size}, key=lambda b: (b[0], b[1]))
        table = [
            [method_label(results, row.method), meta.classifier, *_meta_cells(meta)]
            + [_size_cell(meta, low, high) for low, high in bins]
            for row, meta in rows
        ]
        header = ["method", "classifier", *_META_HEADER, *(_size_title(low, high) for low, high in bins)]
        legend = [
            f"protocol: {', '.join(sorted({m.protocol for _, m in rows}))}; in brackets what guessing reaches"
        ]
        if bins:
            legend.append(
                "by size in px: false positives removed of all · segments with an OoD pixel lost of all"
            )
        sections.append(
            Section(f"Meta classification, {dataset.info.title}", header, table, legend, num_left=2)
        )
    return sections


_META_HEADER = ["segments", "AUROC ↑", "AUPRC ↑", "accuracy ↑"]


def _meta_cells(meta: MetaNumbers) -> list[str]:
    return [
        count(meta.num_segments),
        _with_guess(meta.auroc, 0.5),
        _with_guess(meta.auprc, meta.random_auprc),
        _with_guess(meta.accuracy, meta.naive_accuracy),
    ]


def _with_guess(value: float | None, guess: float | None) -> str:
    return MISSING if value is None else metric(value) + ("" if guess is None else f" ({guess:.3f})")


def _size_title(low: int, high: int) -> str:
    return f"{count(low)}–{count(high - 1)} px" if high else f"from {count(low)} px"


def _size_cell(meta: MetaNumbers, low: int, high: int) -> str:
    part = next((s for s in meta.by_size if (s.low, s.high or 0) == (low, high)), None)
    if part is None:
        return MISSING
    false = f"{count(part.false_positives_removed)}/{count(part.num_false_positives)}"
    return f"{false} · {count(part.true_positives_lost)}/{count(part.num_true_positives)}"


def _transfers(results: ComparisonResults) -> Section:
    rows = []
    for one in results.transfers:
        before = next(
            (r for r in results.rows if (r.method, r.dataset) == (one.method, one.applied_to)), None
        )
        errors = (before.errors.value if before else None, one.meta.errors.value if one.meta.errors else None)
        rows.append(
            [
                dataset_title(results, one.fitted_on),
                dataset_title(results, one.applied_to),
                method_label(results, one.method),
                *(format_value(value, "count") for value in errors),
                *_meta_cells(one.meta),
            ]
        )
    header = ["fitted on", "applied to", "method", "errors ↓", "errors, meta ↓", *_META_HEADER]
    return Section("Meta classifiers applied to another data set", header, rows, [], 3)
