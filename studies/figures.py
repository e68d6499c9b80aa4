"""The study's figures, as SVG that is the same whenever the rows are the same."""

from __future__ import annotations

import io
import statistics
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from segood.files import write_text

GREY, BLUE, RED, GREEN, ORANGE = "#8a8f98", "#2f6fb2", "#b2452f", "#2f8f5b", "#d98a1f"
MARKS = {
    "": (BLUE, "o"),
    "before": (GREY, "s"),
    "base": (BLUE, "^"),
    "ours": (GREEN, "D"),
    "ours, energy": (ORANGE, "D"),
}
"""Colour and marker by the name of what was tried."""
NETWORKS = {"before": GREY, "after": GREEN}


class Tried(NamedTuple):
    """One trained network on one data set.

    Attributes:
        name: one of `MARKS`.
        cheap: whether the original task pays at most a point of mIoU.
    """

    name: str
    ap: float
    fpr95: float
    cheap: bool


class Panel(NamedTuple):
    """Everything that was tried, on one data set.

    Attributes:
        before: best AP and best FPR95 of any score before training; None where they are not measured.
    """

    title: str
    tried: list[Tried]
    before: tuple[float, float] | None


class Point(NamedTuple):
    """One level of one factor, a ratio per seed."""

    factor: str
    level: str
    ap: list[float]
    fpr95: list[float]


class Sweep(NamedTuple):
    """Errors after meta classification over the threshold, on one data set.

    Attributes:
        lines: by the network's name (share of known pixels flagged, errors) by rising share.
        objects: what it costs to flag nothing.
    """

    title: str
    lines: dict[str, list[tuple[float, int]]]
    objects: int


def draw_factors(points: Sequence[Point], path: Path) -> None:
    """Draw a line per level: AP and FPR95 by those before training; dashed, the base recipe's.

    Args:
        points: numbers by those before training.
        path: SVG file to write.
    """
    from matplotlib.figure import Figure

    if not points:
        return
    with _style():
        figure = Figure(figsize=(10, 0.9 + 0.32 * len(points)), layout="constrained")
        axes = figure.subplots(1, 2, sharey=True)
        titles = {"ap": "AP ×, more is better", "fpr95": "FPR95 ×, less is better"}
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
        axes[0].set_yticks(range(len(points)), [textwrap.fill(name, 60) for name in names])
        axes[0].invert_yaxis()
        for axis in axes:
            axis.tick_params(axis="y", length=0)
        _write(figure, path)


def draw_tried(panels: Sequence[Panel], path: Path) -> None:
    """Draw AP over FPR95 of all that was tried, a panel per data set; the goal: twice the AP, half the FPR95.

    Args:
        panels: a point per trained network; filled where the original task pays at most a point of mIoU.
        path: SVG file to write.
    """
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.patches import Rectangle

    if not any(panel.tried for panel in panels):
        return
    with _style():
        figure = Figure(figsize=(9, 3.7), layout="constrained")
        for axis, panel in zip(figure.subplots(1, len(panels)), panels, strict=True):
            for one in panel.tried:
                colour, marker = MARKS[one.name]
                face = colour if one.cheap else "white"
                axis.plot(one.fpr95, one.ap, marker, color=colour, markerfacecolor=face, markersize=4.5)
            right = 1.12 * max(one.fpr95 for one in panel.tried)
            top = 1.15 * max(one.ap for one in panel.tried)
            if panel.before:
                ap, fpr95 = panel.before
                top = max(top, 2.4 * ap)
                axis.plot(fpr95, ap, "x", color=RED)
                axis.annotate(
                    "best before",
                    (fpr95, ap),
                    (-4, -10),
                    textcoords="offset points",
                    fontsize=8,
                    color=RED,
                    ha="right",
                )
                goal = Rectangle((0, 2 * ap), fpr95 / 2, top - 2 * ap, color=GREY, alpha=0.2, linewidth=0)
                axis.add_patch(goal)
                axis.text(0.01 * right, top * 0.98, "goal", va="top", color=GREY, fontsize=8)
            axis.set(xlim=(0, right), ylim=(0, top), xlabel="FPR95", title=panel.title)
            axis.spines[["top", "right"]].set_visible(False)
        figure.axes[0].set_ylabel("AP")
        names = {one.name for panel in panels for one in panel.tried}
        shown = {name or "another recipe": MARKS[name] for name in MARKS if name in names}
        marks = [Line2D([], [], color=c, marker=m, linestyle="", markersize=4.5) for c, m in shown.values()]
        figure.legend(marks, list(shown), loc="outside lower center", ncols=len(shown), frameon=False)
        _write(figure, path)


def draw_sweeps(sweeps: Sequence[Sweep], path: Path) -> None:
    """Draw errors after meta classification over the share of known pixels flagged, a panel per data set.

    Args:
        sweeps: a line per network.
        path: SVG file to write.
    """
    from matplotlib.figure import Figure

    if not sweeps:
        return
    with _style():
        figure = Figure(figsize=(9, 3.4), layout="constrained")
        for axis, sweep in zip(figure.subplots(1, len(sweeps), squeeze=False)[0], sweeps, strict=True):
            axis.axhline(sweep.objects, color=RED, linewidth=1, label="nothing flagged")
            axis.axvline(0.05, color=GREY, linewidth=1, linestyle="--", label="5 % of known pixels")
            for name, line in sweep.lines.items():
                axis.plot(*zip(*line, strict=True), "o-", color=NETWORKS[name], markersize=4, label=name)
            axis.set(xscale="log", xlim=(1e-4, 1), xlabel="known pixels flagged", title=sweep.title)
            axis.set_ylim(bottom=0)
            axis.spines[["top", "right"]].set_visible(False)
        figure.axes[0].set_ylabel("errors after meta classification")
        handles, names = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=len(names), frameon=False)
        _write(figure, path)


def _style() -> Any:
    import matplotlib as mpl

    return mpl.rc_context({"svg.hashsalt": "segood", "svg.fonttype": "none", "font.size": 9})


def _write(figure: Any, path: Path) -> None:
    content = io.StringIO()
    figure.savefig(content, format="svg", metadata={"Date": None})
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, content.getvalue())
