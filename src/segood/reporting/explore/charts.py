"""Charts of the page beyond curves and violins: errors over the threshold, histograms, IoU bars, LARS paths.

In: records of a run. Out: Plotly figures in plain JSON, colours as in `segood.reporting.charts`. A trace that
a slider moves says in its `meta` what it is, so that the page's script finds it.
"""

from __future__ import annotations

from typing import Any

from segood.evaluation.comparison.results import FeaturePath
from segood.evaluation.exploration import Exploration
from segood.evaluation.results import DatasetInfo
from segood.reporting.blocks import ClosedSetBlock, PixelBlock
from segood.reporting.charts import Figure, escape_text, model_style, score_title
from segood.reporting.explore.numbers import NumberRow, numbers_at, position
from segood.reporting.formats import metric
from segood.reporting.statistics import feature_words, has_pixels

PATH_COLORS = ("$after", "$ood", "$object", "$fourth", "$muted")
PATH_DASHES = ("solid", "dash", "dot")


def sweep_chart(exploration: Exploration, dataset: DatasetInfo, rows: tuple[NumberRow, ...]) -> Figure:
    """Draw the segment errors over the threshold, per network, at the run's meta probability."""
    at = position(exploration.thresholds, exploration.threshold)
    chance = position(exploration.probabilities, exploration.probability_threshold)
    sweeps = {sweep.model: sweep for sweep in exploration.sweeps if sweep.dataset == dataset.key}
    traces: list[dict[str, Any]] = []
    for place, row in enumerate(rows):
        color, dash = model_style(place, len(rows))
        title = escape_text(row.model.title)
        errors = [
            numbers_at(sweeps[row.model.key], k, chance)["errors"] for k in range(len(exploration.thresholds))
        ]
        traces.append(
            {"x": exploration.thresholds, "y": errors, "mode": "lines+markers", "name": title,
             "line": {"color": color, "width": 2.5, "dash": dash}, "marker": {"size": 4},
             "meta": {"sweep": row.model.key, "dataset": dataset.key},
             "hovertemplate": f"<b>{title}</b><br>t = %{{x:.3g}}<br>%{{y}} errors<extra></extra>"}
        )  # fmt: skip
        traces.append(
            {"x": [exploration.thresholds[at]], "y": [errors[at]], "mode": "markers", "showlegend": False,
             "marker": {"color": "$card", "size": 11, "symbol": "diamond",
                        "line": {"color": color, "width": 2.5}},
             "meta": {"sweep_point": row.model.key, "dataset": dataset.key},
             "hovertemplate": f"<b>{title}</b><br>t = %{{x:.3g}}<br>%{{y}} errors<extra></extra>"}
        )  # fmt: skip
    layout = {
        "xaxis": {"title": {"text": f"threshold t of the {escape_text(score_title(exploration.score))}"}},
        "yaxis": {"title": {"text": "false alarms + missed objects"}, "rangemode": "tozero"},
    }
    return {"data": traces, "layout": layout}


def histogram_chart(block: PixelBlock, threshold: float | None) -> Figure | None:
    """Draw per model which share of the pixels falls into each bin of the score, on a logarithmic axis."""
    traces: list[dict[str, Any]] = []
    for place, (model, item) in enumerate(block.rows):
        if not has_pixels(item):
            continue
        dash = model_style(place, len(block.rows))[1]
        sides = (
            (item.distribution.in_distribution, "$in", "in distribution"),
            (item.distribution.ood, "$ood", "out of distribution"),
        )
        for counts, color, name in sides:
            total = sum(counts)
            if not total:
                continue
            label = escape_text(f"{name}, {model.title}")
            shares = [count / total or None for count in counts]
            traces.append(
                {"x": item.distribution.edges, "y": [*shares, shares[-1]], "mode": "lines", "name": label,
                 "line": {"color": color, "width": 2, "dash": dash, "shape": "hv"},
                 "hovertemplate": f"score from %{{x:.3f}}<br>%{{y:.2%}} of the pixels<extra>{label}</extra>"}
            )  # fmt: skip
    if not traces:
        return None
    edges = block.rows[0][1].distribution.edges
    layout: dict[str, Any] = {
        "xaxis": {
            "title": {"text": escape_text(score_title(block.score))},
            "range": [edges[0], edges[-1]],
            "zeroline": False,
        },
        "yaxis": {"title": {"text": "share of the pixels"}, "type": "log", "exponentformat": "power"},
    }
    if threshold is not None:
        layout["shapes"] = [
            {"type": "line", "x0": threshold, "x1": threshold, "y0": 0, "y1": 1, "yref": "paper",
             "layer": "below", "line": {"color": "$muted", "width": 1, "dash": "dot"}}
        ]  # fmt: skip
        layout["annotations"] = [
            {"x": threshold, "y": 1, "yref": "paper", "xanchor": "right", "yanchor": "top",
             "showarrow": False, "text": f"t = {threshold:g}", "font": {"size": 11, "color": "$muted"}}
        ]  # fmt: skip
    return {"data": traces, "layout": layout}


def iou_chart(block: ClosedSetBlock) -> Figure | None:
    """Draw the IoU of every class as bars, one per model; classes in the order of the first model."""
    names = list(dict.fromkeys(name for _, item in block.rows for name in item.iou))
    if not names:
        return None
    traces = []
    for place, (model, item) in enumerate(block.rows):
        title = escape_text(model.title)
        values = [item.iou.get(name) for name in names]
        traces.append(
            {"type": "bar", "orientation": "h", "name": title, "x": values,
             "y": [escape_text(name) for name in names],
             "marker": {"color": model_style(place, len(block.rows))[0],
                        "pattern": {"shape": "/" if place % 2 == 0 and len(block.rows) > 1 else "",
                                    "fgcolor": "$card", "fillmode": "overlay", "size": 6, "solidity": 0.3}},
             "text": [metric(value, 2) for value in values], "textposition": "outside", "cliponaxis": False,
             "textfont": {"size": 10, "color": "$ink"},
             "hovertemplate": f"%{{y}}<br>IoU <b>%{{x:.3f}}</b><extra>{title}</extra>"}
        )  # fmt: skip
    layout = {
        "barmode": "group",
        "bargap": 0.3,
        "bargroupgap": 0.1,
        "height": 110 + (14 + 15 * len(block.rows)) * len(names),
        "xaxis": {"title": {"text": "intersection over union"}, "range": [0, 1.08], "fixedrange": True},
        "yaxis": {"autorange": "reversed", "automargin": True, "showgrid": False, "fixedrange": True,
                  "tickfont": {"color": "$ink", "size": 12}},
    }  # fmt: skip
    return {"data": traces, "layout": layout}


def path_chart(path: FeaturePath, class_names: list[str]) -> Figure:
    """Draw the coefficients along a least-angle regression; a line's number is its place in the order."""
    steps = list(range(len(path.alphas)))
    numbers = _end_numbers([values[-1] for values in path.coefficients])
    traces = []
    for place, (name, values) in enumerate(zip(path.order, path.coefficients, strict=True)):
        words = escape_text(feature_words(name, class_names))
        color = PATH_COLORS[place % len(PATH_COLORS)]
        dash = PATH_DASHES[place // len(PATH_COLORS) % len(PATH_DASHES)]
        traces.append(
            {"x": steps, "y": values, "mode": "lines+text", "name": words,
             "line": {"color": color, "width": 2, "dash": dash},
             "text": [""] * (len(steps) - 1) + [numbers[place]], "textposition": "middle right",
             "textfont": {"size": 11, "color": "$ink"}, "cliponaxis": False, "showlegend": False,
             "hovertemplate": f"{place + 1}. {words}<br>after %{{x}} features: <b>%{{y:+.3f}}</b>"
             "<extra></extra>"}
        )  # fmt: skip
    layout = {
        "xaxis": {
            "title": {"text": "features taken in"},
            "zeroline": False,
            "dtick": max(1, len(steps) // 10),
        },
        "yaxis": {"title": {"text": "← object · coefficient · false alarm →"}},
        "margin": {"l": 48, "r": 34, "t": 14, "b": 40},
        "hovermode": "closest",
    }
    return {"data": traces, "layout": layout}


def _end_numbers(values: list[float]) -> list[str]:
    """Return the places of lines that end at these values, less those written over another."""
    apart = 0.04 * (max(values) - min(values))
    taken: list[float] = []
    numbers = []
    for place, value in enumerate(values, start=1):
        free = all(abs(value - other) >= apart for other in taken)
        numbers.append(f" {place}" if free else "")
        taken += [value] if free else []
    return numbers
