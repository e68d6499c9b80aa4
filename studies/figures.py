"""The study's figures, as SVG that is the same whenever the rows are the same."""

from __future__ import annotations

import io
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from segood.files import write_text

GREY, BLUE, RED = "#8a8f98", "#2f6fb2", "#b2452f"


class Point(NamedTuple):
    """One level of one factor, a ratio per seed."""

    factor: str
    level: str
    ap: list[float]
    fpr95: list[float]


def draw_factors(points: Sequence[Point], path: Path) -> None:
    """Draw a line per level: AP and FPR95 by those before training; dashed, the base recipe's.

    Args:
        points: numbers by those before training.
        path: SVG file to write.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    if not points:
        return
    with mpl.rc_context({"svg.hashsalt": "segood", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(9, 0.9 + 0.24 * len(points)), layout="constrained")
        axes = figure.subplots(1, 2, sharey=True)
        titles = {"ap": "AP by that before training: more is better", "fpr95": "FPR95 by that before: less"}
        for axis, (number, title) in zip(axes, titles.items(), strict=True):
            for point in points:
                if point.factor == "base":
                    middle = statistics.fmean(getattr(point, number))
                    axis.axvline(middle, color=GREY, linewidth=1, linestyle="--")
            axis.axvline(1, color=RED, linewidth=1)
            for place, point in enumerate(points):
                values: list[float] = getattr(point, number)
                axis.plot([min(values), max(values)], [place, place], color=BLUE, linewidth=2, alpha=0.4)
                axis.plot(values, [place] * len(values), "o", color=BLUE, markersize=4)
            axis.set_title(title, fontsize=9, loc="left")
            axis.grid(axis="x", color="#dddddd", linewidth=0.6)
            axis.spines[["top", "right", "left"]].set_visible(False)
        names = [p.level if p.factor == "base" else f"{p.factor}: {p.level}" for p in points]
        axes[0].set_yticks(range(len(points)), names)
        axes[0].invert_yaxis()
        for axis in axes:
            axis.tick_params(axis="y", length=0)
        content = io.StringIO()
        figure.savefig(content, format="svg", metadata={"Date": None})
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, content.getvalue())
