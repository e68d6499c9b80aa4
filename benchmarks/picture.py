"""The picture of the page: how much of each limit is used, and how cost grows beside its physical floor.

In: sections of records. Out: an SVG with a white ground, for light and dark pages alike.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from benchmarks.measure import as_bytes, as_time
from benchmarks.page import reached
from benchmarks.results import Point, Requirement, Section
from segood.files import atomic_path

KEPT, MISSED, OURS, FLOOR = "#0b7a75", "#d1495b", "#0b7a75", "#8a8f98"
AXES = {"frame": "megapixels", "segments": "segments", "pixels": "pixels streamed"}
SMALLEST_SHARE = 1e-3


def draw(sections: Mapping[str, Section], path: Path) -> None:
    """Write the picture."""
    records = [record for section in sections.values() for record in section.records]
    requirements = [record for record in records if isinstance(record, Requirement) and record.limit > 0]
    points = [record for record in records if isinstance(record, Point)]
    with matplotlib.rc_context({"svg.hashsalt": "segood", "font.size": 9, "font.family": "DejaVu Sans"}):
        height = 0.42 * len(requirements) + 4.6
        figure = Figure(figsize=(10, height), layout="constrained", facecolor="white")
        grid = figure.add_gridspec(2, len(AXES), height_ratios=[height - 3.6, 3.6])
        _draw_limits(figure.add_subplot(grid[0, :]), requirements)
        for column, curve in enumerate(AXES):
            axes = figure.add_subplot(grid[1, column])
            _draw_curve(axes, curve, [point for point in points if point.curve == curve])
        with atomic_path(path) as temporary:
            figure.savefig(temporary, metadata={"Date": None})


def _draw_limits(axes: Axes, requirements: list[Requirement]) -> None:
    shares = [max(row.used, SMALLEST_SHARE) for row in requirements]
    names = [textwrap.fill(row.what, 58) for row in requirements]
    places = range(len(requirements))
    axes.barh(places, shares, color=[KEPT if row.met else MISSED for row in requirements], height=0.62)
    for place, row, share in zip(places, requirements, shares, strict=True):
        axes.text(share * 1.06, place, reached(row).split(" (")[0], va="center")
        if row.aim is not None:
            axes.plot([row.aim / row.limit] * 2, [place - 0.38, place + 0.38], color="black", linestyle=":")
    axes.axvline(1, color="black", linewidth=1)
    axes.set_yticks(places, names, fontsize=8)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlim(SMALLEST_SHARE, 5 * max([1.0, *shares]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
    axes.set_title("share of the limit that is used (line: limit; dotted: aim; left is better)", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_curve(axes: Axes, curve: str, points: list[Point]) -> None:
    sizes = [point.size for point in points]
    axes.loglog(sizes, [point.seconds for point in points], marker="o", color=OURS, label="segood")
    floors = [point.floor_seconds for point in points]
    axes.loglog(sizes, floors, linestyle="--", color=FLOOR, label="physical floor")
    for point in points:
        memory = f"{as_time(point.seconds)}\n{as_bytes(point.peak_bytes)}"
        axes.annotate(memory, (point.size, point.seconds), (0, 7), textcoords="offset points", ha="center",
                      fontsize=7)  # fmt: skip
    axes.margins(0.18, 0.28)
    axes.set_xlabel(AXES[curve])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: as_time(value)))
    axes.set_title("time and peak extra memory", fontsize=10)
    axes.grid(alpha=0.25)
    axes.legend(loc="lower right", fontsize=7, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
