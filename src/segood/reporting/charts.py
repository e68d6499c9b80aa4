"""Charts of the page as Plotly figures in plain JSON.

In: results. Out: dicts `{"data": [...], "layout": {...}}`. Colours are words such as `$after` or
`$in/0.3` that the page resolves against its style sheet, so light and dark need only one figure.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from segood.evaluation.results import MetaModelInfo, ModelInfo, PixelResult
from segood.reporting.blocks import PixelBlock
from segood.reporting.formats import metric, percent
from segood.reporting.statistics import (
    OperatingPoint,
    density,
    feature_words,
    has_pixels,
    operating_point,
    quantile,
    thin_curve,
)

Figure = dict[str, Any]
Points = dict[str, OperatingPoint]

MODEL_COLORS = ("$before", "$after", "$third", "$fourth")
MODEL_DASHES = ("dot", "solid", "dash", "dashdot")
TOP_COEFFICIENTS = 20
LABEL_MARGIN = 66
"""Pixels to the right of the axes that `margin_label` takes, with the markers that reach out of them."""


def model_style(position: int, total: int) -> tuple[str, str]:
    """Return colour and dash of the model at `position`; a single model looks like `after`."""
    position = 1 if total == 1 else position
    return MODEL_COLORS[position % 4], MODEL_DASHES[position % 4]


def roc_chart(block: PixelBlock, threshold: float | None, points: Points | None = None) -> Figure | None:
    """Draw true over false positive rate per model; the marker is the operating point at `threshold`.

    `points` are operating points by model key that are known better than from curve and bins.
    """
    traces: list[dict[str, Any]] = [
        {"x": [0, 1], "y": [0, 1], "mode": "lines", "line": {"color": "$grid", "width": 1},
         "hoverinfo": "skip", "showlegend": False},
    ]  # fmt: skip
    for position, (model, item) in enumerate(block.rows):
        if item.roc is None:
            continue
        style = model_style(position, len(block.rows))
        label = f"{model.title}, AUROC {metric(item.auroc)}"
        traces.append(
            _curve(
                *thin_curve(item.roc),
                label,
                style,
                "FPR %{x:.3f}<br>TPR %{y:.3f}<br>at score ≥ %{customdata:.3f}",
            )
        )
        point = (points or {}).get(model.key) or operating_point(item, threshold)
        if point is not None:
            traces.append(_marker(point.fpr, point.tpr, model, style, "FPR %{x:.4f}<br>TPR %{y:.3f}"))
    if len(traces) == 1:
        return None
    layout = _unit_layout("false positive rate", "true positive rate")
    layout["shapes"] = [{**_line(0, 0.95, 1, 0.95), "xref": "paper"}]  # also right on a logarithmic axis
    layout["annotations"] = [margin_label(0.95, "95 %<br>TPR")]
    return {"data": traces, "layout": layout}


def pr_chart(block: PixelBlock, threshold: float | None, points: Points | None = None) -> Figure | None:
    """Draw precision over recall per model, with the share of OoD pixels as the floor of guessing.

    `points` as for `roc_chart`.
    """
    traces: list[dict[str, Any]] = []
    floor = None
    for position, (model, item) in enumerate(block.rows):
        if item.pr is None:
            continue
        floor = item.num_ood / (item.num_in + item.num_ood)
        style = model_style(position, len(block.rows))
        label = f"{model.title}, AP {metric(item.average_precision)}"
        traces.append(
            _curve(
                *thin_curve(item.pr),
                label,
                style,
                "recall %{x:.3f}<br>precision %{y:.3f}<br>at score ≥ %{customdata:.3f}",
            )
        )
        point = (points or {}).get(model.key) or operating_point(item, threshold)
        if point is not None and point.precision is not None:
            traces.append(
                _marker(point.tpr, point.precision, model, style, "recall %{x:.3f}<br>precision %{y:.3f}")
            )
    if floor is None:
        return None
    layout = _unit_layout("recall", "precision")
    layout["shapes"] = [_line(0, floor, 1, floor)]
    layout["annotations"] = [margin_label(floor, f"guessing<br>{percent(floor)}")]
    return {"data": traces, "layout": layout}


def violin_chart(block: PixelBlock, threshold: float | None) -> Figure | None:
    """Draw how the score is distributed: in-distribution to the left, OoD to the right, per model."""
    if not any(has_pixels(item) for _, item in block.rows):
        return None
    traces: list[dict[str, Any]] = []
    for position, (model, item) in enumerate(block.rows):
        sides = (
            (item.distribution.in_distribution, -1, "$in", "in distribution"),
            (item.distribution.ood, 1, "$ood", "out of distribution"),
        )
        for counts, side, color, name in sides:
            traces += _half_violin(item, counts, position, side, color, name, model.title)
    edges = block.rows[0][1].distribution.edges
    layout: dict[str, Any] = {
        "xaxis": {
            "tickvals": list(range(len(block.rows))),
            "ticktext": [escape_text(model.title) for model, _ in block.rows],
            "range": [-0.6, len(block.rows) - 0.4],
            "showgrid": False,
            "zeroline": False,
            "fixedrange": True,
        },
        "yaxis": {
            "title": {"text": escape_text(score_title(block.score))},
            "range": [edges[0], edges[-1]],
            "zeroline": False,
        },
        "hovermode": "closest",
        "margin": {"l": 48, "r": LABEL_MARGIN, "t": 30, "b": 24},
    }
    if threshold is not None:
        layout["shapes"] = [{**_line(0, threshold, 1, threshold), "xref": "paper"}]
        layout["annotations"] = [margin_label(threshold, f"t = {threshold:g}")]
    return {"data": traces, "layout": layout}


def coefficient_chart(info: MetaModelInfo, class_names: list[str]) -> Figure | None:
    """Draw the largest standardised coefficients, the largest on top."""
    ranked = sorted(info.coefficients.items(), key=lambda pair: -abs(pair[1]))[:TOP_COEFFICIENTS]
    if not ranked:
        return None
    values = [value for _, value in ranked]
    words = [feature_words(name, class_names) for name, _ in ranked]
    bars = {
        "type": "bar",
        "orientation": "h",
        "x": values,
        "y": [escape_text(word) for word in words],
        "customdata": [escape_text(name) for name, _ in ranked],
        "marker": {"color": ["$alarm" if value > 0 else "$object" for value in values]},
        "text": [f"{value:+.2f}".replace("-", "−") for value in values],
        "textposition": "outside",
        "cliponaxis": False,
        "textfont": {"size": 11, "color": "$ink"},
        "hovertemplate": "%{y}<br><b>%{x:+.3f}</b> (%{customdata})<extra></extra>",
        "showlegend": False,
    }
    reach = 1.25 * max(abs(v) for v in values) or 1.0
    layout = {
        "xaxis": {
            "title": {"text": "← object · coefficient · false alarm →"},
            "range": [-reach, reach],
            "fixedrange": True,
        },
        "yaxis": {
            "autorange": "reversed",
            "automargin": True,
            "showgrid": False,
            "ticks": "outside",
            "ticklen": 6,
            "tickcolor": "rgba(0,0,0,0)",
            "fixedrange": True,
        },
        "height": 110 + 25 * len(values),
        "bargap": 0.35,
    }
    return {"data": [bars], "layout": layout}


def score_title(score: str) -> str:
    """Return what a score is called on an axis."""
    return "normalised entropy" if score == "entropy" else score


def _half_violin(
    item: PixelResult, counts: list[int], position: int, side: int, color: str, name: str, model: str
) -> list[dict[str, Any]]:
    total = sum(counts)
    if not total:
        return []
    centers, widths = density(item.distribution.edges, counts)
    x = position + side * 0.44 * widths
    middle = [quantile(item.distribution.edges, counts, share) for share in (0.05, 0.25, 0.5, 0.75, 0.95)]
    outline = {
        "x": np.round([position, *x, position], 4).tolist(),
        "y": np.round([centers[0], *centers, centers[-1]], 4).tolist(),
        "mode": "lines",
        "fill": "toself",
        "fillcolor": f"{color}/0.35",
        "line": {"color": color, "width": 1.5},
        "name": name,
        "legendgroup": name,
        "showlegend": position == 0,
        "hoverinfo": "skip",
    }
    at = position + side * 0.05
    box = {
        "x": [at, at], "y": [middle[1], middle[3]], "mode": "lines", "line": {"color": color, "width": 5},
        "legendgroup": name, "showlegend": False, "hoverinfo": "skip",
    }  # fmt: skip
    median = {
        "x": [at], "y": [middle[2]], "mode": "markers", "legendgroup": name, "showlegend": False,
        "marker": {"color": "$card", "size": 8, "line": {"color": color, "width": 2}},
        "hovertemplate": f"<b>{escape_text(model)}, {name}</b><br>median {middle[2]:.3f}"
        f"<br>5–95 %: {middle[0]:.3f}–{middle[4]:.3f}<br>{total:,} pixels<extra></extra>",
    }  # fmt: skip
    return [outline, box, median]


def _curve(
    x: list[float], y: list[float], thresholds: list[float], label: str, style: tuple[str, str], hover: str
) -> dict[str, Any]:
    color, dash = style
    return {
        "x": x, "y": y, "customdata": thresholds, "mode": "lines", "name": escape_text(label),
        "line": {"color": color, "width": 2.5, "dash": dash},
        "hovertemplate": hover + f"<extra>{escape_text(label)}</extra>",
    }  # fmt: skip


def _marker(x: float, y: float, model: ModelInfo, style: tuple[str, str], hover: str) -> dict[str, Any]:
    return {
        "x": [x], "y": [y], "mode": "markers", "showlegend": False, "cliponaxis": False,
        "marker": {"color": "$card", "size": 11, "symbol": "diamond",
                   "line": {"color": style[0], "width": 2.5}},
        "meta": {"operating": model.key},
        "hovertemplate": f"<b>{escape_text(model.title)} at t</b><br>{hover}<extra></extra>",
    }  # fmt: skip


def _unit_layout(x_title: str, y_title: str) -> dict[str, Any]:
    return {
        "xaxis": {"title": {"text": x_title}, "range": [0, 1], "zeroline": False},
        "yaxis": {"title": {"text": y_title}, "range": [0, 1.02], "zeroline": False},
        "margin": {"l": 48, "r": LABEL_MARGIN, "t": 30, "b": 40},
    }


def _line(x0: float, y0: float, x1: float, y1: float) -> dict[str, Any]:
    return {"type": "line", "x0": x0, "y0": y0, "x1": x1, "y1": y1, "layer": "below",
            "line": {"color": "$muted", "width": 1, "dash": "dot"}}  # fmt: skip


def margin_label(y: float, text: str) -> dict[str, Any]:
    """Name a level line to the right of the axes, where no curve and no marker can lie over the words.

    The layout needs a right margin of `LABEL_MARGIN`.
    """
    return {"x": 1, "xref": "paper", "y": y, "xanchor": "left", "yanchor": "middle", "xshift": 9,
            "align": "left", "showarrow": False, "text": text, "borderpad": 0,
            "font": {"size": 11, "color": "$muted"}}  # fmt: skip


def escape_text(text: str) -> str:
    """Keep Plotly from reading names as its pseudo-HTML."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
