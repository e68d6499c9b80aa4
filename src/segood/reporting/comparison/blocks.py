"""What every table of a comparison shows: rows grouped by network, the best values, the protocol in words.

In: `ComparisonResults`. Out: one `DatasetBlock` per data set, shared by the terminal, Markdown and LaTeX, so
that all three show the same cells and mark the same values as best.
"""

from __future__ import annotations

from dataclasses import dataclass

from segood.evaluation.comparison.results import ComparedDataset, ComparisonResults, MethodInfo, Row
from segood.reporting.blocks import best
from segood.reporting.comparison.columns import COLUMNS, LEGEND, Column
from segood.reporting.formats import count, join_words


@dataclass(frozen=True)
class DatasetBlock:
    """One data set: its rows by network, the columns that hold any value, and where the best values are.

    Attributes:
        title: of the data set.
        groups: (network's title, ((score's label, row), …)) in the order of the results.
        columns: those with at least one value.
        best: per column the positions of the best rows, counted over all groups.
        protocol: sentences without a full stop.
    """

    title: str
    groups: tuple[tuple[str, tuple[tuple[str, Row], ...]], ...]
    columns: tuple[Column, ...]
    best: tuple[frozenset[int], ...]
    protocol: tuple[str, ...]

    @property
    def legend(self) -> tuple[str, ...]:
        """What the titles of the columns mean, as far as they need saying."""
        return LEGEND if {"f1_mean", "errors"} & {column.key for column in self.columns} else ()


def comparison_blocks(results: ComparisonResults) -> list[DatasetBlock]:
    """Return one block per data set, in the order of the results."""
    return [_block(results, dataset) for dataset in results.datasets]


def network_title(results: ComparisonResults, key: str) -> str:
    """Return the network's title; the key where the results do not describe it."""
    return next((network.title for network in results.networks if network.key == key), key)


def dataset_title(results: ComparisonResults, key: str) -> str:
    """Return the data set's title; the key where the results do not describe it."""
    return next((one.info.title for one in results.datasets if one.info.key == key), key)


def method_label(results: ComparisonResults, key: str) -> str:
    """Return score and network of a method, its key where the results do not describe it."""
    method = next((one for one in results.methods if one.key == key), None)
    if method is None:
        return key
    return ", ".join(dict.fromkeys((method.title, network_title(results, method.network))))


def methods_by_network(results: ComparisonResults) -> list[tuple[str, list[MethodInfo]]]:
    """Return (network's key, its methods), both in the order of the results; described networks first."""
    groups: dict[str, list[MethodInfo]] = {network.key: [] for network in results.networks}
    for method in results.methods:
        groups.setdefault(method.network, []).append(method)
    return [(key, methods) for key, methods in groups.items() if methods]


def row_or_empty(results: ComparisonResults, method: MethodInfo, dataset: str) -> Row:
    """Return the row of a method on a data set; without one, an empty row with the method's reason."""
    found = (row for row in results.rows if row.method == method.key and row.dataset == dataset)
    return next(found, Row(method.key, dataset, undefined=method.undefined or "not measured"))


def interval_words(results: ComparisonResults) -> str:
    """Return how the intervals were made."""
    if not results.num_draws:
        return f"intervals: none (no bootstrap draws), seed {results.seed}"
    return (
        f"intervals: 95 % bootstrap over images, {count(results.num_draws)} draws, seed {results.seed}; "
        "conditional on the trained networks"
    )


def _block(results: ComparisonResults, dataset: ComparedDataset) -> DatasetBlock:
    groups = tuple(
        (
            network_title(results, network),
            tuple((one.title, row_or_empty(results, one, dataset.info.key)) for one in methods),
        )
        for network, methods in methods_by_network(results)
    )
    rows = [row for _, members in groups for _, row in members]
    columns = tuple(c for c in COLUMNS if any(c.number(row).value is not None for row in rows))
    return DatasetBlock(
        dataset.info.title,
        groups,
        columns,
        tuple(frozenset(_best(column, rows)) for column in columns),
        tuple(_protocol(results, dataset, rows, columns)),
    )


def _best(column: Column, rows: list[Row]) -> set[int]:
    """Compare as printed: two cells that read the same are both best or neither."""
    digits = {"metric": 3, "count": 0, "percent": 2, "milliseconds": 1}[column.kind]
    values = [column.number(row).value for row in rows]
    return best([None if v is None else round(v, digits) for v in values], up=column.up)


def _protocol(
    results: ComparisonResults, dataset: ComparedDataset, rows: list[Row], columns: tuple[Column, ...]
) -> list[str]:
    info = dataset.info
    num_segments = max((row.num_ground_truth for row in rows), default=0)
    lines = [
        f"protocol: {info.protocol or 'unknown'}; resolution: {info.resolution or 'unknown'}; "
        f"network input: {dataset.network_input or 'unknown'}; "
        f"region of interest: {dataset.region_of_interest or 'unknown'}",
        f"images: {count(info.num_images)}, {count(info.num_images_with_ood)} with OoD pixels"
        + (f"; OoD segments: {count(num_segments)}" if num_segments else ""),
    ]
    keys = {column.key for column in columns}
    if keys & {"siou", "ppv", "f1_mean"}:
        measured = [row for row in rows if (row.siou.value, row.ppv.value, row.f1_mean.value) != (None,) * 3]
        sources = _sources(results, [(row.method, row.smiyc_threshold_source) for row in measured])
        lines.append(
            f"sIoU, PPV, F1: segments from {count(dataset.min_segment_size)} px, "
            f"objects from {count(dataset.min_instance_size)} px; score > threshold: {sources}"
        )
    counted = [row for row in rows if (row.false_positives.value, row.errors.value) != (None, None)]
    if counted:
        chosen = [(row.method, row.threshold_source) for row in counted]
        lines.append(f"FP, FN, errors: score ≥ threshold: {_sources(results, chosen)}")
    protocols = sorted({row.meta.protocol for row in rows if row.meta and row.meta.errors})
    if protocols:
        lines.append(f"meta classification: {join_words(protocols)}")
    if dataset.best_baseline is not None:
        lines.append(f"best baseline: {method_label(results, dataset.best_baseline)}")
    draws = [n.num_draws for c in columns for n in (c.number(row) for row in rows) if n.low is not None]
    fewer = (
        f"; at least {count(min(draws))} of the draws define each number"
        if draws and min(draws) < results.num_draws
        else ""
    )
    return [*lines, f"{interval_words(results)}{fewer}"]


def _sources(results: ComparisonResults, chosen: list[tuple[str, str]]) -> str:
    """Return the sources of thresholds in words, with the methods where they differ."""
    by_source: dict[str, list[str]] = {}
    for method, source in chosen:
        by_source.setdefault(source or "source unknown", []).append(method_label(results, method))
    if len(by_source) < 2:
        return next(iter(by_source), "unknown")
    return "; ".join(
        f"{source} ({join_words(names) if len(names) <= 2 else f'{len(names)} methods'})"
        for source, names in by_source.items()
    )
