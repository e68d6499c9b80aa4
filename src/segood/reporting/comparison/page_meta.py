"""Errors over thresholds before and after meta classification, and LARS paths, as Plotly figures.

In: `ComparisonResults`. Out: figures in plain JSON, one per data set, or per path.
"""

from __future__ import annotations

from typing import Any

from segood.evaluation.comparison.results import (
    ComparedDataset,
    ComparisonResults,
    FeaturePath,
    SweepPoint,
)
from segood.reporting.charts import Figure
from segood.reporting.comparison.blocks import method_label, row_or_empty
from segood.reporting.comparison.meta_figures import NUM_FEATURES, NUM_STEPS
from segood.reporting.comparison.page_style import plain_text
from segood.reporting.comparison.style import COLORS
from segood.reporting.formats import count
from segood.reporting.statistics import feature_words

_SYMBOLS = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "x", "pentagon")
_LEGEND = {"orientation": "v", "x": 0, "xanchor": "left", "y": -0.2, "yanchor": "top", "font": {"size": 12}}


def sweep_lines(results: ComparisonResults, dataset: ComparedDataset) -> dict[str, list[SweepPoint]]:
    """Return the thresholds that were tried on a data set, rising, by method."""
    lines: dict[str, list[SweepPoint]] = {}
    for point in sorted(results.sweep, key=lambda one: one.threshold):
        if point.dataset == dataset.info.key:
            lines.setdefault(point.method, []).append(point)
    order = [method.key for method in results.methods if method.key in lines]
    return {key: lines[key] for key in order}


def errors_figure(results: ComparisonResults, dataset: ComparedDataset) -> Figure | None:
    """Return errors over thresholds: dashed before, solid after meta classification; None without any."""
    lines = sweep_lines(results, dataset)
    if not lines:
        return None
    traces: list[dict[str, Any]] = []
    for at, (key, points) in enumerate(lines.items()):
        label = plain_text(method_label(results, key))
        traces.append(_line(key, points, [p.errors for p in points], label, at, after=False))
        if any(p.errors_meta is not None for p in points):
            traces.append(_line(key, points, [p.errors_meta for p in points], label, at, after=True))
    best = next((one for one in results.methods if one.key == dataset.best_baseline), None)
    least = row_or_empty(results, best, dataset.info.key).errors.value if best else None
    if best is not None and least is not None:
        label = plain_text(f"best baseline: {method_label(results, best.key)}, {count(round(least))} errors")
        tried = [point.threshold for points in lines.values() for point in points]
        traces.append(
            {"x": [min(tried), max(tried)], "y": [least, least], "mode": "lines", "name": label,
             "hoverinfo": "skip", "line": {"color": "$muted", "width": 1.5, "dash": "dashdot"}}
        )  # fmt: skip
    layout = {
        "xaxis": {"title": {"text": "threshold on the score"}, "zeroline": False},
        "yaxis": {"title": {"text": "errors (FP + FN segments)"}, "rangemode": "tozero", "zeroline": False},
        "legend": _LEGEND,
        "hovermode": "x unified",
        "height": 380 + 21 * len(traces),
    }
    return {"data": traces, "layout": layout}


def path_figure(results: ComparisonResults, path: FeaturePath) -> Figure | None:
    """Return the coefficients as features enter, the first ones named; None where none ever entered."""
    if not path.order or len(path.alphas) < 2:
        return None
    last = min(len(path.alphas) - 1, NUM_STEPS)
    classes = class_names(results, path.method)
    traces: list[dict[str, Any]] = [
        {"x": list(range(last + 1)), "y": values[: last + 1], "mode": "lines", "hoverinfo": "skip",
         "line": {"color": "$grid", "width": 1}, "showlegend": False}
        for values in path.coefficients[NUM_FEATURES:]
    ]  # fmt: skip
    named = zip(path.order[:NUM_FEATURES], path.coefficients, strict=False)
    for at, (name, values) in enumerate(named):
        words = plain_text(f"{at + 1}  {feature_words(name, classes)}")
        steps = list(range(at, last + 1))
        traces.append(
            {"x": steps, "y": values[at : last + 1], "mode": "lines+markers", "name": words,
             "line": {"color": f"$c{at % len(COLORS)}", "width": 2},
             "marker": {"symbol": _SYMBOLS[at % len(_SYMBOLS)], "size": 7},
             "hovertemplate": f"{words}<br>step %{{x}}: %{{y:+.3f}}<extra></extra>"}
        )  # fmt: skip
    layout = {
        "xaxis": {"title": {"text": "features taken in"}, "range": [0, last + 0.3], "zeroline": False},
        "yaxis": {"title": {"text": "coefficient"}},
        "legend": _LEGEND,
        "hovermode": "closest",
        "height": 400 + 21 * min(len(path.order), NUM_FEATURES),
    }
    return {"data": traces, "layout": layout}


def class_names(results: ComparisonResults, method: str) -> list[str]:
    """Return the names of the classes of a method's network."""
    network = next((one.network for one in results.methods if one.key == method), None)
    return next((one.class_names for one in results.networks if one.key == network), [])


def _line(
    key: str, points: list[SweepPoint], errors: list[Any], label: str, at: int, *, after: bool
) -> dict[str, Any]:
    color = f"$c{at % len(COLORS)}"
    name = f"{label}, {'after' if after else 'before'} meta classification"
    return {
        "meta": key, "x": [p.threshold for p in points], "y": errors, "mode": "lines+markers", "name": name,
        "line": {"color": color, "width": 2, "dash": "solid" if after else "dash"},
        "marker": {"symbol": _SYMBOLS[at % len(_SYMBOLS)], "size": 9, "color": color if after else "$card",
                   "line": {"color": color, "width": 2}},
        "hovertemplate": f"%{{y}} {'after' if after else 'before'}<extra>{label}</extra>",
    }  # fmt: skip
