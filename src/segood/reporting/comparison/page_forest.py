"""Numbers with their intervals side by side, and what they cost in time, as Plotly figures.

In: `ComparisonResults`, a data set. Out: the forest plot (AP, FPR95, errors; the page stacks its panels on a
phone and gives every ticked method a line), and milliseconds per frame against AP.
"""

from __future__ import annotations

from typing import Any

from segood.evaluation.comparison.results import ComparedDataset, ComparisonResults, Number, Row
from segood.reporting.charts import Figure
from segood.reporting.comparison.blocks import method_label, row_or_empty
from segood.reporting.comparison.columns import format_value
from segood.reporting.comparison.page_style import Look, method_looks, plain_text

PANELS = (
    ("average_precision", "AP ↑", "metric"),
    ("fpr95", "FPR95 ↓", "metric"),
    ("errors", "errors ↓", "count"),
)


def forest_figure(results: ComparisonResults, dataset: ComparedDataset) -> Figure | None:
    """Return the forest plot of a data set, the highest AP on top; None where nothing is defined.

    `panels` names the panels that hold anything; a trace's `panel` counts them, its `label` is the line's.
    The vertical positions are the page's: they depend on the methods ticked.
    """
    rows = _ranked(results, dataset)
    panels = [one for one in PANELS if any(_number(row, one[0]).value is not None for row in rows)]
    if not panels:
        return None
    looks = method_looks(results)
    traces: list[dict[str, Any]] = []
    for row in rows:
        label = plain_text(method_label(results, row.method))
        for at, (key, _, kind) in enumerate(panels):
            traces += _dot(row, _number(row, key), at, kind, label, looks[row.method])
    return {"data": traces, "layout": {}, "panels": [title for _, title, _ in panels]}


def scatter_figure(results: ComparisonResults, dataset: ComparedDataset) -> Figure | None:
    """Return AP over the milliseconds that a frame takes; None where no method has both."""
    looks = method_looks(results)
    traces: list[dict[str, Any]] = []
    for row in _ranked(results, dataset):
        if row.milliseconds is None or row.average_precision.value is None:
            continue
        label = plain_text(method_label(results, row.method))
        traces.append(
            {"meta": row.method, "x": [row.milliseconds], "y": [row.average_precision.value],
             "mode": "markers", "marker": looks[row.method].marker(12), "name": label, "showlegend": False,
             "cliponaxis": False,
             "hovertemplate": f"<b>{label}</b><br>%{{x:.1f}} ms per frame<br>AP %{{y:.3f}}<extra></extra>"}
        )  # fmt: skip
    if not traces:
        return None
    layout = {
        "xaxis": {"title": {"text": "milliseconds per frame (logarithmic)"}, "type": "log"},
        "yaxis": {"title": {"text": "AP"}, "rangemode": "tozero", "zeroline": False},
        "hovermode": "closest",
    }
    return {"data": traces, "layout": layout}


def _ranked(results: ComparisonResults, dataset: ComparedDataset) -> list[Row]:
    rows = [row_or_empty(results, method, dataset.info.key) for method in results.methods]
    return sorted(rows, key=lambda row: -(row.average_precision.value or 0.0))


def _number(row: Row, key: str) -> Number:
    number: Number = getattr(row, key)
    return number


def _dot(row: Row, number: Number, panel: int, kind: str, label: str, look: Look) -> list[dict[str, Any]]:
    if number.value is None:
        return []
    words = format_value(number.value, kind)
    shared = {"meta": row.method, "panel": panel, "label": label, "showlegend": False}
    traces: list[dict[str, Any]] = []
    if number.low is not None and number.high is not None:
        words += f" [{format_value(number.low, kind)}, {format_value(number.high, kind)}]"
        words += f"<br>{number.num_images} images, {number.num_draws} draws"
        caps = {"symbol": "line-ns-open", "size": 8, "color": look.color, "line": {"width": 2}}
        traces.append(
            {**shared, "x": [number.low, number.high], "mode": "lines+markers", "marker": caps,
             "line": look.line(), "hoverinfo": "skip"}
        )  # fmt: skip
    traces.append(
        {**shared, "x": [number.value], "mode": "markers", "marker": look.marker(10),
         "hovertemplate": f"<b>{label}</b><br>{words}<extra></extra>"}
    )  # fmt: skip
    return traces
