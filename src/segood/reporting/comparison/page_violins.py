"""How a score is distributed on every network, as Plotly violins: the page shows one score at a time.

In: `ComparisonResults`, a data set. Out: per score a figure, in-distribution to the left, OoD to the right
(paper fig. 4), drawn from stored pixel counts.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from segood.evaluation.comparison.results import ComparedDataset, ComparisonResults, MethodInfo, Row
from segood.evaluation.results import Distribution
from segood.reporting.charts import Figure, score_title
from segood.reporting.comparison.blocks import network_title, row_or_empty
from segood.reporting.comparison.page_style import plain_text
from segood.reporting.comparison.style import score_key
from segood.reporting.statistics import density, quantile

_SIDES = ((-1, "$in", "in distribution"), (1, "$ood", "out of distribution"))


def violin_figures(results: ComparisonResults, dataset: ComparedDataset) -> dict[str, Figure]:
    """Return the violins of a data set by the key of the score; scores without any pixel have none."""
    groups: dict[str, list[tuple[MethodInfo, Row]]] = {}
    for method in results.methods:
        row = row_or_empty(results, method, dataset.info.key)
        if row.distribution and sum(row.distribution.in_distribution) + sum(row.distribution.ood):
            groups.setdefault(score_key(method), []).append((method, row))
    return {score: _figure(results, members) for score, members in groups.items()}


def _figure(results: ComparisonResults, members: list[tuple[MethodInfo, Row]]) -> Figure:
    traces: list[dict[str, Any]] = []
    named: set[str] = set()
    ranges = []
    for position, (method, row) in enumerate(members):
        assert row.distribution is not None
        title = plain_text(network_title(results, method.network))
        ranges.append((row.distribution.edges[0], row.distribution.edges[-1]))
        for side, color, name in _SIDES:
            traces += _half(row.distribution, position, side, color, name, title, row.method, named)
        if row.threshold is not None:
            traces.append(_threshold(row, position))
    titles = [plain_text(network_title(results, method.network)) for method, _ in members]
    method = members[0][0]
    name = score_title("entropy") if method.score == "entropy" else method.title
    layout = {
        "xaxis": {"tickvals": list(range(len(members))), "ticktext": titles, "showgrid": False,
                  "range": [-0.6, len(members) - 0.4], "zeroline": False, "fixedrange": True},
        "yaxis": {"title": {"text": plain_text(name)}, "zeroline": False,
                  "range": [min(low for low, _ in ranges), max(high for _, high in ranges)]},
        "hovermode": "closest",
    }  # fmt: skip
    return {"data": traces, "layout": layout}


def _half(
    distribution: Distribution,
    position: int,
    side: int,
    color: str,
    name: str,
    title: str,
    method: str,
    named: set[str],
) -> list[dict[str, Any]]:
    counts = distribution.in_distribution if side < 0 else distribution.ood
    total = sum(counts)
    if not total:
        return []
    edges = distribution.edges
    centers, widths = density(edges, counts)
    x = position + side * 0.44 * widths
    low, first, middle, third, high = (quantile(edges, counts, q) for q in (0.05, 0.25, 0.5, 0.75, 0.95))
    shared = {"meta": method, "legendgroup": name, "showlegend": False, "hoverinfo": "skip"}
    at = position + side * 0.05
    outline = {
        **shared, "x": np.round([position, *x, position], 4).tolist(),
        "y": [float(f"{v:.5g}") for v in (centers[0], *centers, centers[-1])], "mode": "lines",
        "fill": "toself", "fillcolor": f"{color}/0.35", "line": {"color": color, "width": 1.5},
        "name": name, "showlegend": name not in named,
    }  # fmt: skip
    named.add(name)
    box = {
        **shared,
        "x": [at, at],
        "y": [first, third],
        "mode": "lines",
        "line": {"color": color, "width": 5},
    }
    median = {
        **shared, "x": [at], "y": [middle], "mode": "markers", "hoverinfo": "all",
        "marker": {"color": "$card", "size": 8, "line": {"color": color, "width": 2}},
        "hovertemplate": f"<b>{title}, {name}</b><br>median {middle:.4g}<br>5–95 %: {low:.4g} to {high:.4g}"
        f"<br>{total:,} pixels<extra></extra>",
    }  # fmt: skip
    return [outline, box, median]


def _threshold(row: Row, position: int) -> dict[str, Any]:
    return {
        "meta": row.method, "x": [position - 0.5, position + 0.5], "y": [row.threshold, row.threshold],
        "mode": "lines", "line": {"color": "$muted", "width": 1.5, "dash": "dot"}, "showlegend": False,
        "hovertemplate": f"threshold {row.threshold:.4g}<extra></extra>",
    }  # fmt: skip
