"""ROC and precision–recall curves of all methods on one data set (paper fig. 5).

In: `ComparisonResults`, a data set. Out: figure files; the legend is ordered by AUROC or AP, the large marker
is the operating point of the method's threshold.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segood.evaluation.comparison.results import ComparedDataset, ComparisonResults, Row
from segood.evaluation.results import Curve, PixelResult
from segood.reporting.comparison.blocks import method_label
from segood.reporting.comparison.style import Style, method_styles
from segood.reporting.formats import metric
from segood.reporting.print_figure import (
    COLUMN,
    GRID,
    MUTED,
    PAGE,
    Numbers,
    axes_of,
    curve_rows,
    wrapped,
    write_figure,
)
from segood.reporting.statistics import OperatingPoint, operating_point, thin_curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LOWEST = 1e-4
_LEGEND_ROW = 0.145  # inches
_CHARACTERS = 58  # of a label of the legend that fits a column
_MARK = "(large marker: at the threshold)"
_LEGEND: dict[str, Any] = {
    "loc": "outside lower left", "alignment": "left", "handlelength": 3.2, "labelspacing": 0.3,
    "borderaxespad": 0.2,
}  # fmt: skip


def write_roc(results: ComparisonResults, dataset: ComparedDataset, folder: Path) -> list[Path]:
    """Write `roc_{dataset}`: linear beside logarithmic false positive rate; nothing without curves."""
    rows = _ordered(results, dataset, lambda row: row.roc, lambda row: row.auroc.value)
    if not rows:
        return []
    styles = method_styles(results)

    def draw(figure: Figure) -> None:
        linear = axes_of(figure, dataset.info.title, 1, 2, 1)
        log = axes_of(figure, "", 1, 2, 2)
        linear.plot([0, 1], [0, 1], color=GRID, lw=0.8)
        handles = []
        for at, row in enumerate(rows):
            assert row.roc is not None
            x, y, _ = thin_curve(row.roc)
            label = f"{metric(row.auroc.value)} {method_label(results, row.method)}"
            handles += linear.plot(x, y, **_line(styles[row.method], at), label=wrapped(label, _CHARACTERS))
            log.plot(*_right_of(_LOWEST, x, y), **_line(styles[row.method], at))
            point = row_point(row)
            if point is not None:
                _mark(linear, point.fpr, point.tpr, styles[row.method])
                if point.fpr >= _LOWEST:
                    _mark(log, point.fpr, point.tpr, styles[row.method])
        for axes in (linear, log):
            axes.axhline(0.95, color=MUTED, lw=0.7, ls=":")
            axes.set(ylim=(0, 1.02), xlabel="false positive rate")
        linear.set(xlim=(0, 1), ylabel="true positive rate")
        log.set(xlim=(_LOWEST, 1), xscale="log")
        log.tick_params(labelleft=False)
        log.annotate(
            "95 % TPR", (0.02, 0.945), xycoords=("axes fraction", "data"), va="top", fontsize=7, color=MUTED
        )
        figure.legend(handles=handles, title=f"AUROC {_MARK}", ncols=2, **_LEGEND)

    size = (PAGE, 2.9 + _LEGEND_ROW * (len(rows) // 2 + 2))
    return write_figure(
        folder / f"roc_{dataset.info.key}", size, draw, _numbers(rows, lambda row: row.roc, "fpr", "tpr")
    )


def write_pr(results: ComparisonResults, dataset: ComparedDataset, folder: Path) -> list[Path]:
    """Write `pr_{dataset}`, with the share of OoD pixels as the floor of guessing; nothing without curves."""
    rows = _ordered(results, dataset, lambda row: row.pr, lambda row: row.average_precision.value)
    if not rows:
        return []
    styles = method_styles(results)

    def draw(figure: Figure) -> None:
        axes = axes_of(figure, dataset.info.title)
        handles = []
        for at, row in enumerate(rows):
            assert row.pr is not None
            x, y, _ = thin_curve(row.pr)
            label = f"{metric(row.average_precision.value)} {method_label(results, row.method)}"
            handles += axes.plot(x, y, **_line(styles[row.method], at), label=wrapped(label, _CHARACTERS))
            point = row_point(row)
            if point is not None and point.precision is not None:
                _mark(axes, point.tpr, point.precision, styles[row.method])
        floor = max(row.num_ood / max(1, row.num_in + row.num_ood) for row in rows)
        axes.axhline(floor, color=MUTED, lw=0.8, ls=":")
        guess = axes.plot([], [], color=MUTED, lw=0.8, ls=":", label=f"{metric(floor)} guessing")
        axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="recall", ylabel="precision")
        figure.legend(handles=handles + guess, title=f"AP {_MARK}", **_LEGEND)

    size = (COLUMN, 2.9 + _LEGEND_ROW * (len(rows) + 2))
    return write_figure(
        folder / f"pr_{dataset.info.key}",
        size,
        draw,
        _numbers(rows, lambda row: row.pr, "recall", "precision"),
    )


def _ordered(
    results: ComparisonResults,
    dataset: ComparedDataset,
    curve: Callable[[Row], Curve | None],
    value: Callable[[Row], float | None],
) -> list[Row]:
    """Return the rows with a curve, the highest value first."""
    styles = method_styles(results)
    rows = [r for r in results.rows if r.dataset == dataset.info.key and r.method in styles and curve(r)]
    return sorted(rows, key=lambda row: -(value(row) or 0.0))


def _line(style: Style, at: int) -> dict[str, Any]:
    """Shift the markers from curve to curve, so that they do not hide each other."""
    return style.line(markevery=(0.02 + 0.024 * (at % 9), 0.22))


def _right_of(start: float, x: list[float], y: list[float]) -> tuple[list[float], list[float]]:
    """Return the part of a rising curve from `start` on; its first point has what is reached until there."""
    below = sum(1 for value in x if value < start)
    head = ([start], [y[below - 1]]) if below else ([], [])
    return head[0] + x[below:], head[1] + y[below:]


def row_point(row: Row) -> OperatingPoint | None:
    """Return the rates at the method's threshold, where the stored counts or curve determine them."""
    if row.distribution is None:
        return None
    pixels = PixelResult(
        row.method, row.dataset, "", row.num_in, row.num_ood, None, None, None, {}, row.roc, row.pr,
        row.distribution,
    )  # fmt: skip
    return operating_point(pixels, row.threshold)


def _mark(axes: Axes, x: float, y: float, style: Style) -> None:
    axes.plot(x, y, **style.dot(ms=5.8, mew=1.3), clip_on=False, zorder=5)


def _numbers(rows: list[Row], curve: Callable[[Row], Curve | None], x: str, y: str) -> Numbers:
    points = []
    for row in rows:
        found = curve(row)
        assert found is not None
        points += curve_rows((row.method,), found.x, found.y, found.thresholds)
    return Numbers(("method", x, y, "threshold"), points)
