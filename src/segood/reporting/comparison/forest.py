"""AP and FPR95 of all methods on one data set as dots with their bootstrap intervals.

In: `ComparisonResults`, a data set. Out: figure files: one line per score, the networks beside each other,
the score with the highest AP on top.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from segood.evaluation.comparison.results import ComparedDataset, ComparisonResults, MethodInfo, Number, Row
from segood.reporting.comparison.blocks import methods_by_network, network_title, row_or_empty
from segood.reporting.comparison.style import method_styles, network_dashes, score_key
from segood.reporting.print_figure import COLUMN, MUTED, Numbers, axes_of, plain, wrapped, write_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def write_forest(results: ComparisonResults, dataset: ComparedDataset, folder: Path) -> list[Path]:
    """Write `forest_{dataset}`; nothing where neither metric is defined."""
    found = [(method, row_or_empty(results, method, dataset.info.key)) for method in results.methods]
    rows = [(m, r) for m, r in found if r.average_precision.value is not None or r.fpr95.value is not None]
    if not rows:
        return []
    scores = _scores(rows)
    networks = [key for key, _ in methods_by_network(results) if any(m.network == key for m, _ in rows)]

    def draw(figure: Figure) -> None:
        left, right = axes_of(figure, "", 1, 2, 1), axes_of(figure, "", 1, 2, 2)
        figure.suptitle(plain(dataset.info.title), fontsize=9, x=0.02, ha="left")
        styles = method_styles(results)
        for method, row in rows:
            shift = (
                0.0
                if len(networks) == 1
                else 0.36 * (networks.index(method.network) / (len(networks) - 1) - 0.5)
            )
            for axes, number in ((left, row.average_precision), (right, row.fpr95)):
                _dot(axes, number, list(scores).index(score_key(method)) + shift, styles[method.key])
        for axes, title in ((left, "AP ↑"), (right, "FPR95 ↓")):
            axes.set(ylim=(len(scores) - 0.5, -0.5))
            axes.set_title(title, fontsize=7, loc="center")
            axes.set_yticks(range(len(scores)), [wrapped(title, 18) for title in scores.values()])
            axes.locator_params(axis="x", nbins=4)
        right.tick_params(labelleft=False)
        if len(networks) > 1:
            figure.legend(handles=_network_handles(results, networks), loc="outside lower left")

    spread = [_line(m, r.average_precision, "average_precision") for m, r in rows]
    spread += [_line(m, r.fpr95, "fpr95") for m, r in rows]
    header = ("method", "metric", "value", "low", "high", "num_images", "num_draws")
    lines = max(wrapped(title, 18).count("\n") + 1 for title in scores.values())
    below = 0.16 * len(networks) if len(networks) > 1 else 0.0
    size = (COLUMN, 0.8 + max(0.32, 0.14 * lines) * len(scores) + below)
    return write_figure(folder / f"forest_{dataset.info.key}", size, draw, Numbers(header, spread))


def _scores(rows: list[tuple[MethodInfo, Row]]) -> dict[str, str]:
    """Return key and title of the scores, that with the highest AP on any network first."""
    titles = {score_key(method): method.title for method, _ in rows}
    highest = {
        key: max(r.average_precision.value or 0.0 for m, r in rows if score_key(m) == key) for key in titles
    }
    return {key: titles[key] for key in sorted(titles, key=lambda key: -highest[key])}


def _dot(axes: Axes, number: Number, y: float, style: Any) -> None:
    if number.value is None:
        return
    if number.low is not None and number.high is not None:
        axes.plot([number.low, number.high], [y, y], color=style.color, lw=1.1, ls=style.dashes)
        axes.plot([number.low, number.high], [y, y], "|", color=style.color, ms=4, mew=1)
    axes.plot(number.value, y, **style.dot(ms=4.5, mew=1))


def _network_handles(results: ComparisonResults, networks: list[str]) -> list[Any]:
    from matplotlib.lines import Line2D

    dashes = network_dashes(results)
    return [
        Line2D([], [], color=MUTED, ls=dashes[key], marker="o", ms=4.5,
               mfc="white" if dashes[key] == "--" else MUTED, label=plain(network_title(results, key)))
        for key in networks
    ]  # fmt: skip


def _line(method: MethodInfo, number: Number, metric: str) -> tuple[Any, ...]:
    return (method.key, metric, number.value, number.low, number.high, number.num_images, number.num_draws)
