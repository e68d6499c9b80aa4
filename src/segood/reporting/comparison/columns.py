"""The columns of a comparison's tables, and how their numbers read.

In: a row of results. Out: numbers with their intervals, as text of a few characters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from segood.evaluation.comparison.results import Number, Row
from segood.reporting.formats import MISSING, count, metric

UNDEFINED = Number(None)


@dataclass(frozen=True)
class Column:
    """A number of a row: `key` as in `table.csv`, `title` for people, `up` where higher is better.

    `kind` decides the digits: metric (in [0, 1]), count, percent (a share) or milliseconds.
    """

    key: str
    title: str
    up: bool
    kind: str
    get: Callable[[Row], Number | None]

    def number(self, row: Row) -> Number:
        """Return the column's number of `row`; one without a value where the row has none."""
        return self.get(row) or UNDEFINED

    def text(self, value: float | None) -> str:
        """Return a value of this column as text, `–` where it is None."""
        return format_value(value, self.kind)


COLUMNS = (
    Column("auroc", "AUROC", True, "metric", lambda row: row.auroc),
    Column("average_precision", "AP", True, "metric", lambda row: row.average_precision),
    Column("fpr95", "FPR95", False, "metric", lambda row: row.fpr95),
    Column("siou", "sIoU", True, "metric", lambda row: row.siou),
    Column("ppv", "PPV", True, "metric", lambda row: row.ppv),
    Column("f1_mean", "F1", True, "metric", lambda row: row.f1_mean),
    Column("false_positives", "FP", False, "count", lambda row: row.false_positives),
    Column("false_negatives", "FN", False, "count", lambda row: row.false_negatives),
    Column("errors", "errors", False, "count", lambda row: row.errors),
    Column("reduction", "reduced", True, "percent", lambda row: Number(row.reduction)),
    Column("errors_meta", "errors, meta", False, "count", lambda row: row.meta.errors if row.meta else None),
    Column("reduction_meta", "reduced, meta", True, "percent", lambda row: Number(row.reduction_meta)),
    Column("milliseconds", "ms/frame", False, "milliseconds", lambda row: Number(row.milliseconds)),
)
NO_VALUES = "no values; the reasons are below"
LEGEND = (
    "F1 = mean over τ = 0.25 … 0.75; errors = FP + FN segments; meta = after meta classification",
    "reduced = share by which errors lie below those of the best baseline",
)


def format_value(value: float | None, kind: str) -> str:
    """Return a number with the digits of its kind.

    Example:
        >>> format_value(0.8534, "metric"), format_value(0.52, "percent"), format_value(41.26, "milliseconds")
        ('0.853', '52 %', '41.3')
    """
    if kind == "count":
        return count(None if value is None else round(value))
    if kind == "percent":
        return MISSING if value is None else f"{round(100 * value):d} %".replace("-", "−")
    return metric(value, 1 if kind == "milliseconds" else 3)


def without_zero(text: str) -> str:
    """Return `0.853` as `.853`; anything else as it is."""
    return text.removeprefix("0") if text.startswith("0.") else text


def short_interval(column: Column, number: Number) -> str:
    """Return the interval for a cell of a wide table, empty where there is none.

    Example:
        >>> short_interval(COLUMNS[0], Number(0.853, 0.796, 0.9))
        '[.80, .90]'
    """
    if number.value is None or number.low is None or number.high is None:
        return ""
    bounds = (f"{b:.2f}" if column.kind == "metric" else column.text(b) for b in (number.low, number.high))
    return f"[{', '.join(without_zero(bound) for bound in bounds)}]"
