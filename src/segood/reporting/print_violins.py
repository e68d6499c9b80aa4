"""Violins: how a score is distributed, in-distribution to the left, OoD to the right (paper fig. 4).

In: per network a title, pixel counts in bins, a threshold. Out: drawn axes, and the counts as a table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from segood.evaluation.results import Distribution
from segood.reporting.print_figure import IN_DISTRIBUTION, MUTED, OUT_OF_DISTRIBUTION, Numbers, plain, wrapped
from segood.reporting.statistics import density, quantile

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Violin:
    """One violin; a threshold is drawn as a dotted line over its width."""

    title: str
    distribution: Distribution
    threshold: float | None = None


def draw_violins(axes: Axes, violins: Sequence[Violin], score: str) -> None:
    """Draw violins side by side; bars are quartiles, dots medians.

    Args:
        axes: to draw on.
        violins: at least one; those without pixels stay empty.
        score: what the vertical axis is called.
    """
    named: set[str] = set()
    for position, violin in enumerate(violins):
        edges = violin.distribution.edges
        for counts, side, color, name in (
            (violin.distribution.in_distribution, -1, IN_DISTRIBUTION, "in distribution"),
            (violin.distribution.ood, 1, OUT_OF_DISTRIBUTION, "out of distribution"),
        ):
            if not sum(counts):
                continue
            centers, widths = density(edges, counts)
            label = None if name in named else name
            named.add(name)
            hatch = "" if side < 0 else "////"  # tells the sides apart in grey, too
            axes.fill_betweenx(
                centers, position, position + side * 0.42 * widths, fc=color, alpha=0.4, label=label,
                hatch=hatch, ec=color, lw=0,
            )  # fmt: skip
            axes.plot(position + side * 0.42 * widths, centers, color=color, lw=0.8)
            low, middle, high = (quantile(edges, counts, share) for share in (0.25, 0.5, 0.75))
            axes.plot([position + side * 0.06] * 2, [low, high], color=color, lw=3, solid_capstyle="butt")
            axes.plot(position + side * 0.06, middle, "o", ms=4, mfc="white", mec=color)
        if violin.threshold is not None:
            axes.hlines(violin.threshold, position - 0.5, position + 0.5, color=MUTED, lw=0.9, ls=":")
    marks = [v.threshold for v in violins]
    if any(t is not None for t in marks):
        axes.plot([], [], color=MUTED, lw=0.9, ls=":", label="threshold")
    axes.set_xticks(range(len(violins)), [wrapped(violin.title, 18) for violin in violins])
    low = min(violin.distribution.edges[0] for violin in violins)
    high = max(violin.distribution.edges[-1] for violin in violins)
    axes.set(xlim=(-0.6, len(violins) - 0.4), ylim=(low, high), ylabel=plain(score))
    axes.grid(visible=False, axis="x")
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.1, ncols=3, columnspacing=1, handlelength=1.4
    )


def violin_numbers(keys: Sequence[str], violins: Sequence[Violin]) -> Numbers:
    """Return the counts per bin: network, lower and upper edge, pixels in and out of distribution."""
    rows = []
    for key, violin in zip(keys, violins, strict=True):
        counts = violin.distribution
        bins = zip(counts.edges[:-1], counts.edges[1:], counts.in_distribution, counts.ood, strict=True)
        rows += [(key, *one, violin.threshold) for one in bins]
    return Numbers(("network", "low", "high", "in_distribution", "ood", "threshold"), rows)
