"""The main table of a data set as the page shows it: every cell with its number, interval or reason.

In: `ComparisonResults`. Out: one `TableView` per data set. Cells read as in the terminal and in `table.md`;
the values behind them, unrounded, travel along, so that the page can sort and mark the best.
"""

from __future__ import annotations

from dataclasses import dataclass

from segood.evaluation.comparison.results import ComparedDataset, ComparisonResults, MethodInfo, Row
from segood.reporting.comparison.blocks import DatasetBlock, comparison_blocks, row_or_empty
from segood.reporting.comparison.columns import Column, short_interval
from segood.reporting.comparison.page_reasons import cell_reason

GROUPS = {
    "pixel": ("Pixels", ("auroc", "average_precision", "fpr95")),
    "smiyc": ("SegmentMeIfYouCan", ("siou", "ppv", "f1_mean")),
    "errors": (
        "Segment errors",
        (
            "false_positives",
            "false_negatives",
            "errors",
            "reduction",
            "errors_meta",
            "reduction_meta",
        ),
    ),
    "cost": ("Cost", ("milliseconds",)),
}
"""Columns that the page shows and hides together, with the heading over them."""


@dataclass(frozen=True)
class Cell:
    """One number; `reason` is the number of the footnote where there is none, `focus` its one tab stop."""

    column: Column
    group: str
    text: str
    interval: str
    value: float | None
    low: float | None
    high: float | None
    best: bool
    reason: int | None = None
    focus: bool = False


@dataclass(frozen=True)
class TableRow:
    """One method, in the order of `cells`, which is that of the table's columns."""

    method: str
    title: str
    network: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class TableView:
    """The table of one data set; `reasons` are its footnotes, counted from 1."""

    key: str
    title: str
    protocol: tuple[str, ...]
    legend: tuple[str, ...]
    heads: tuple[tuple[str, str, tuple[Column, ...]], ...]
    rows: tuple[TableRow, ...]
    reasons: tuple[str, ...]


def table_views(results: ComparisonResults) -> list[TableView]:
    """Return one table per data set, in the order of the results."""
    pairs = zip(results.datasets, comparison_blocks(results), strict=True)
    return [_view(results, dataset, block) for dataset, block in pairs]


def column_group(column: Column) -> str:
    """Return the key in `GROUPS` of a column."""
    return next(key for key, (_, columns) in GROUPS.items() if column.key in columns)


def _view(results: ComparisonResults, dataset: ComparedDataset, block: DatasetBlock) -> TableView:
    titles = {method.key: method.title for method in results.methods}
    reasons: list[str] = []
    rows = []
    for position, (network, row) in enumerate((title, row) for title, rs in block.groups for _, row in rs):
        cells = _cells(results, dataset, block, position, row, reasons)
        rows.append(TableRow(row.method, titles[row.method], network, cells))
    shown = {column.key for column in block.columns}
    heads = [
        (key, title, tuple(c for c in block.columns if c.key in columns))
        for key, (title, columns) in GROUPS.items()
        if shown & set(columns)
    ]
    if not block.columns:  # then no cell says why
        reasons += dict.fromkeys(_row_reason(results, dataset, method) for method in results.methods)
    return TableView(
        dataset.info.key, block.title, block.protocol, block.legend, tuple(heads), tuple(rows), tuple(reasons)
    )


def _cells(
    results: ComparisonResults,
    dataset: ComparedDataset,
    block: DatasetBlock,
    position: int,
    row: Row,
    reasons: list[str],
) -> tuple[Cell, ...]:
    """Return the cells of a row; new reasons are appended to `reasons`."""
    cells: list[Cell] = []
    seen: set[tuple[str, int]] = set()
    for column, best in zip(block.columns, block.best, strict=True):
        number, group = column.number(row), column_group(column)
        text, interval = column.text(number.value), short_interval(column, number)
        mark = position in best
        if number.value is not None:
            cells.append(Cell(column, group, text, interval, number.value, number.low, number.high, mark))
            continue
        why = cell_reason(results, dataset, row, column)
        if why not in reasons:
            reasons.append(why)
        at = reasons.index(why) + 1
        cells.append(
            Cell(column, group, text, "", None, None, None, False, at, focus=(group, at) not in seen)
        )
        seen.add((group, at))
    return tuple(cells)


def _row_reason(results: ComparisonResults, dataset: ComparedDataset, method: MethodInfo) -> str:
    row = row_or_empty(results, method, dataset.info.key)
    return method.undefined or row.undefined or row.segments_undefined or "undefined on these frames"
