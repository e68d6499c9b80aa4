"""The picture of the page: how much of each limit is used, and how cost grows beside its physical floor.

In: sections of records. Out: an SVG with a white ground, for light and dark pages alike.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from benchmarks.measure import as_bytes, as_time
from benchmarks.page import number, required
from benchmarks.results import Point, Requirement, Section
from segood.files import atomic_path

WITHIN, BEYOND, FLOOR = "#0b7a75", "#d1495b", "#8a8f98"
GROWTH_HEIGHT = 3.4
AXES = {"frame": "megapixels", "segments": "segments", "pixels": "pixels streamed"}
SMALLEST_SHARE = 1e-3


def draw(sections: Mapping[str, Section], path: Path) -> None:
    """Write the picture."""
    records = [record for section in sections.values() for record in section.records]
    requirements = [record for record in records if isinstance(record, Requirement) and record.limit > 0]
    points = [record for record in records if isinstance(record, Point)]
    with matplotlib.rc_context({"svg.hashsalt": "segood", "font.size": 9, "font.family": "DejaVu Sans"}):
        height = 0.4 * len(requirements) + 1.2
        figure = Figure(figsize=(10, height + GROWTH_HEIGHT), layout="constrained", facecolor="white")
        parts: Any = figure.subfigures(2, 1, height_ratios=[height, GROWTH_HEIGHT], hspace=0.03)
        _draw_limits(parts[0].subplots(), requirements)
        for axes, curve in zip(parts[1].subplots(1, len(AXES)), AXES, strict=True):
            _draw_curve(axes, curve, [point for point in points if point.curve == curve])
        with atomic_path(path) as temporary:
            figure.savefig(
                temporary,
                metadata={"Date": None} if path.suffix == ".svg" else None,
                bbox_inches="tight",  # the columns of text reach beyond the axes
                pad_inches=0.15,
            )


def _draw_limits(axes: Axes, requirements: list[Requirement]) -> None:
    """Draw how far each line stays away from its limit, on either side."""
    shares = [max(row.used, SMALLEST_SHARE) for row in requirements]
    places = range(len(requirements))
    colors = [WITHIN if row.met else BEYOND for row in requirements]
    axes.hlines(places, shares, 1, color=colors, linewidth=7, alpha=0.35)
    axes.scatter(shares, places, color=colors, s=60, zorder=3)
    axes.axvline(1, color="black", linewidth=1)
    beside = axes.get_yaxis_transform()
    for place, row in zip(places, requirements, strict=True):
        limit = required(row).split(",")[0].replace("faster", "")
        text = f"{number(row.measured)}{row.unit}".replace("faster", "")
        axes.text(1.02, place, text, transform=beside, va="center", weight="bold")
        axes.text(1.17, place, limit, transform=beside, va="center", color="#555b66")
        if row.aim is not None:
            axes.plot([row.aim / row.limit] * 2, [place - 0.38, place + 0.38], color="black", linestyle=":")
    axes.text(1.02, -0.9, "measured", transform=beside, va="center", color="#555b66")
    axes.text(1.17, -0.9, "must be", transform=beside, va="center", color="#555b66")
    axes.set_yticks(places, [textwrap.fill(row.what, 52) for row in requirements], fontsize=8)
    axes.set_ylim(len(requirements) - 0.4, -0.6)
    axes.set_xscale("log")
    axes.set_xlim(SMALLEST_SHARE * 0.7, 1.5 * max([2.0, *shares]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
    axes.set_xlabel("share of the limit that is used: left is better (line: limit, dotted: aim)")
    axes.grid(axis="x", alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_curve(axes: Axes, curve: str, points: list[Point]) -> None:
    sizes = [point.size for point in points]
    axes.loglog(sizes, [point.seconds for point in points], marker="o", color=WITHIN, label="segood")
    floors = [point.floor_seconds for point in points]
    axes.loglog(sizes, floors, linestyle="--", color=FLOOR, label="physical floor")
    for point in points:
        memory = f"{as_time(point.seconds)}\n{as_bytes(point.peak_bytes)}"
        axes.annotate(memory, (point.size, point.seconds), (0, 7), textcoords="offset points", ha="center",
                      fontsize=7)  # fmt: skip
    axes.margins(0.18, 0.28)
    axes.set_xlabel(AXES[curve])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: as_time(value)))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_title("time, peak extra memory", fontsize=9)
    axes.grid(alpha=0.25)
    axes.legend(loc="lower right", fontsize=7, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
