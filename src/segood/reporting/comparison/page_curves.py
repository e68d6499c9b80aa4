"""ROC and precision–recall curves of a comparison as Plotly figures (paper fig. 5).

In: `ComparisonResults`, a data set. Out: figures in plain JSON. A trace's `meta` is the key of its method:
the page draws the traces of the methods that are ticked, and those without `meta`.
"""

from __future__ import annotations

from typing import Any

from segood.evaluation.comparison.results import ComparedDataset, ComparisonResults, Row
from segood.reporting.charts import LABEL_MARGIN, Figure, margin_label
from segood.reporting.comparison.blocks import method_label
from segood.reporting.comparison.curves import row_point
from segood.reporting.comparison.page_style import Look, method_looks, plain_text
from segood.reporting.formats import metric, percent
from segood.reporting.statistics import thin_curve

MAX_POINTS = 300
LOWEST = -4
"""Decade at which the logarithmic axis of the false positive rate starts, as in the printed figure."""


def roc_figure(results: ComparisonResults, dataset: ComparedDataset) -> Figure | None:
    """Return the ROC curves of a data set; None without any."""
    traces: list[dict[str, Any]] = []
    looks = method_looks(results)
    for row in _rows(results, dataset):
        if row.roc is None:
            continue
        label = plain_text(f"{method_label(results, row.method)}, AUROC {metric(row.auroc.value)}")
        hover = "FPR %{x:.4f}<br>TPR %{y:.3f}<br>at score ≥ %{customdata:.4g}"
        traces.append(_curve(row, thin_curve(row.roc, MAX_POINTS), label, looks[row.method], hover))
        point = row_point(row)
        if point is not None:
            traces.append(_mark(row, point.fpr, point.tpr, label, looks[row.method], "FPR", "TPR"))
    if not traces:
        return None
    guess = {"x": [0, 1], "y": [0, 1], "mode": "lines", "hoverinfo": "skip", "showlegend": False,
             "line": {"color": "$muted", "width": 1, "dash": "dot"}}  # fmt: skip
    layout = _layout("false positive rate", "true positive rate")
    layout["shapes"] = [_level(0.95)]
    layout["annotations"] = [margin_label(0.95, "95 %<br>TPR")]
    return {"data": [guess, *traces], "layout": layout}


def pr_figure(results: ComparisonResults, dataset: ComparedDataset) -> Figure | None:
    """Return the precision–recall curves of a data set, with the floor of guessing; None without any."""
    traces: list[dict[str, Any]] = []
    looks, floor = method_looks(results), 0.0
    for row in _rows(results, dataset):
        if row.pr is None:
            continue
        floor = max(floor, row.num_ood / max(1, row.num_in + row.num_ood))
        label = plain_text(f"{method_label(results, row.method)}, AP {metric(row.average_precision.value)}")
        hover = "recall %{x:.3f}<br>precision %{y:.3f}<br>at score ≥ %{customdata:.4g}"
        traces.append(_curve(row, thin_curve(row.pr, MAX_POINTS), label, looks[row.method], hover))
        point = row_point(row)
        if point is not None and point.precision is not None:
            look = looks[row.method]
            traces.append(_mark(row, point.tpr, point.precision, label, look, "recall", "precision"))
    if not traces:
        return None
    layout = _layout("recall", "precision")
    layout["yaxis"] = {"title": {"text": "precision"}, "rangemode": "tozero", "zeroline": False}
    layout["shapes"] = [_level(floor)]
    layout["annotations"] = [margin_label(floor, f"guessing<br>{percent(floor)}")]
    return {"data": traces, "layout": layout}


def _rows(results: ComparisonResults, dataset: ComparedDataset) -> list[Row]:
    known = {method.key for method in results.methods}
    return [row for row in results.rows if row.dataset == dataset.info.key and row.method in known]


def _curve(
    row: Row, points: tuple[list[float], list[float], list[float]], label: str, look: Look, hover: str
) -> dict[str, Any]:
    x, y, thresholds = points
    return {
        "meta": row.method, "x": [round(v, 5) for v in x], "y": [round(v, 4) for v in y],
        "customdata": [float(f"{v:.4g}") for v in thresholds], "mode": "lines", "name": label,
        "line": look.line(), "showlegend": False, "hovertemplate": f"{hover}<extra>{label}</extra>",
    }  # fmt: skip


def _mark(row: Row, x: float, y: float, label: str, look: Look, x_name: str, y_name: str) -> dict[str, Any]:
    at = f"at its threshold {row.threshold:.4g}"
    return {
        "meta": row.method, "x": [x], "y": [y], "mode": "markers", "showlegend": False, "cliponaxis": False,
        "marker": look.marker(11),
        "hovertemplate": f"{at}<br>{x_name} %{{x:.4f}}<br>{y_name} %{{y:.3f}}<extra>{label}</extra>",
    }  # fmt: skip


def _layout(x: str, y: str) -> dict[str, Any]:
    return {
        "xaxis": {"title": {"text": x}, "range": [0, 1], "zeroline": False},
        "yaxis": {"title": {"text": y}, "range": [0, 1.02], "zeroline": False},
        "hovermode": "closest",
        "margin": {"l": 48, "r": LABEL_MARGIN, "t": 24, "b": 40},
    }


def _level(y: float) -> dict[str, Any]:
    return {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": y, "y1": y, "layer": "below",
            "line": {"color": "$muted", "width": 1, "dash": "dot"}}  # fmt: skip
