"""What the original task lost: mIoU of every network with its interval, and the change against the baseline.

In: `ComparisonResults`. Out: rows for the page, per data set of the original task.
"""

from __future__ import annotations

from dataclasses import dataclass

from segood.evaluation.comparison.results import ClosedSetRow, ComparisonResults
from segood.reporting.comparison.blocks import dataset_title, network_title
from segood.reporting.comparison.sections import interval_text
from segood.reporting.formats import count, metric, signed


@dataclass(frozen=True)
class CostRow:
    """One network on one data set of the original task, as text and as numbers."""

    network: str
    title: str
    value: float | None
    low: float | None
    high: float | None
    miou: str
    interval: str
    change: str
    num_images: str
    num_pixels: str


@dataclass(frozen=True)
class CostTable:
    """One data set of the original task: its networks, and the IoU of each class per network."""

    title: str
    rows: list[CostRow]
    classes: list[tuple[str, list[str]]]


def cost_rows(results: ComparisonResults) -> list[CostTable]:
    """Return one table per data set of the original task, in the order of the results."""
    groups: dict[str, list[ClosedSetRow]] = {}
    for row in results.closed_set:
        groups.setdefault(row.dataset, []).append(row)
    return [_table(results, key, rows) for key, rows in groups.items()]


def _table(results: ComparisonResults, key: str, rows: list[ClosedSetRow]) -> CostTable:
    before = next((row.miou.value for row in rows if row.network == results.baseline), None)
    names = dict.fromkeys(name for row in rows for name in row.iou)
    return CostTable(
        dataset_title(results, key),
        [_row(results, row, before) for row in rows],
        [(name, [metric(row.iou.get(name)) for row in rows]) for name in names],
    )


def _row(results: ComparisonResults, row: ClosedSetRow, before: float | None) -> CostRow:
    value = row.miou.value
    change = "" if row.network == results.baseline else signed(_less(value, before))
    return CostRow(
        row.network,
        network_title(results, row.network),
        value,
        row.miou.low,
        row.miou.high,
        metric(value),
        interval_text(row.miou, "metric"),
        change,
        count(row.num_images),
        count(row.num_pixels),
    )


def _less(value: float | None, before: float | None) -> float | None:
    return None if value is None or before is None else value - before
