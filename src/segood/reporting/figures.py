"""Figures for print: curves, violins and coefficients of a run.

In: a run directory. Out: files in its `figures/`, as SVG, PDF, PNG, with the numbers behind them as CSV.
Pixel frequencies of proxies are drawn where proxies are prepared (`segood.data.prepare_coco`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from segood.errors import DataError
from segood.evaluation.results import Curve, ModelInfo, PixelResult
from segood.reporting.blocks import PixelBlock, model_info, pixel_blocks
from segood.reporting.charts import TOP_COEFFICIENTS, score_title
from segood.reporting.formats import metric
from segood.reporting.inputs import read_run
from segood.reporting.print_figure import (
    FIGURES,
    GRID,
    MUTED,
    Numbers,
    axes_of,
    curve_rows,
    plain,
    write_figure,
)
from segood.reporting.print_violins import Violin, draw_violins, violin_numbers
from segood.reporting.statistics import feature_words, has_pixels, operating_point

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MODELS = (("#7b8794", ":"), ("#2f5fd0", "-"), ("#b3541e", "--"), ("#6b4fb3", "-."))
_ALARM, _OBJECT = "#c4501b", "#1c8a78"


def write_figures(run_dir: str | Path) -> list[Path]:
    """Write the figures of a run into its `figures/` folder, each as SVG, PDF, PNG and CSV.

    Args:
        run_dir: folder as laid out in `segood.runs`, with `metrics.json`.

    Returns:
        Paths in the order ROC, precision–recall and violins per data set, coefficients.

    Raises:
        DataError: no run directory, or no readable `metrics.json` in it.
        OutputError: a file cannot be written.
        UsageError: Matplotlib is not installed.

    Example:
        >>> import tempfile
        >>> from segood.evaluation.results import RunResults
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     RunResults("demo", "", "", 0, "0", [], []).save(Path(folder) / "metrics.json")
        ...     write_figures(folder)  # a run without numbers has no figures
        []
    """
    parts = read_run(run_dir)
    if parts.results is None:
        raise DataError(f"{parts.folder}: figures need numbers; {parts.missing[0]}")
    folder = parts.folder / FIGURES
    thresholds = {(item.dataset, item.score): item.threshold for item in parts.results.segment}
    written: list[Path] = []
    for block in pixel_blocks(parts.results):
        name = block.dataset.key if block.score == "entropy" else f"{block.dataset.key}_{block.score}"
        threshold = thresholds.get((block.dataset.key, block.score))
        if any(item.roc for _, item in block.rows):
            numbers = _curve_numbers(block, lambda item: item.roc, "fpr", "tpr")
            written += write_figure(folder / f"roc_{name}", _SQUARE, partial(_roc, block, threshold), numbers)
        if any(item.pr for _, item in block.rows):
            numbers = _curve_numbers(block, lambda item: item.pr, "recall", "precision")
            written += write_figure(folder / f"pr_{name}", _SQUARE, partial(_pr, block, threshold), numbers)
        if any(has_pixels(item) for _, item in block.rows):
            violins = [Violin(model.title, item.distribution, threshold) for model, item in block.rows]
            written += write_figure(
                folder / f"violin_{name}",
                (1.2 + 1.5 * len(violins), 3.3),
                partial(_violins, block, violins),
                violin_numbers([model.key for model, _ in block.rows], violins),
            )
    for info in parts.results.meta_models:
        if info.coefficients:
            ranked = sorted(info.coefficients.items(), key=lambda item: -abs(item[1]))[:TOP_COEFFICIENTS]
            bars = _bars(ranked, model_info(parts.results, info.model))
            written += write_figure(
                folder / f"meta_{info.model}_{info.dataset}",
                (6.4, 0.7 + 0.22 * len(bars)),
                partial(_coefficients, bars),
                Numbers(("feature", "coefficient"), list(info.coefficients.items())),
            )
    return written


_SQUARE = (3.6, 3.3)


def _curve_numbers(
    block: PixelBlock, curve: Callable[[PixelResult], Curve | None], x: str, y: str
) -> Numbers:
    points = []
    for model, item in block.rows:
        found = curve(item)
        if found is not None:
            points += curve_rows((model.key,), found.x, found.y, found.thresholds)
    return Numbers(("model", x, y, "threshold"), points)


def _bars(ranked: list[tuple[str, float]], model: ModelInfo) -> dict[str, float]:
    return {feature_words(name, model.class_names): value for name, value in ranked}


def _roc(block: PixelBlock, threshold: float | None, figure: Figure) -> None:
    axes = axes_of(figure, block.dataset.title)
    axes.plot([0, 1], [0, 1], color=GRID, lw=0.8)
    for position, (model, item) in enumerate(block.rows):
        if item.roc is None:
            continue
        color, dash = _style(position, len(block.rows))
        label = f"{model.title}, AUROC {metric(item.auroc)}"
        axes.plot(item.roc.x, item.roc.y, color=color, ls=dash, lw=1.6, label=plain(label))
        point = operating_point(item, threshold)
        if point is not None:
            axes.plot(point.fpr, point.tpr, "D", ms=5, mfc="white", mec=color, mew=1.4, clip_on=False)
    _finish(axes, "false positive rate", "true positive rate")


def _pr(block: PixelBlock, threshold: float | None, figure: Figure) -> None:
    axes = axes_of(figure, block.dataset.title)
    for position, (model, item) in enumerate(block.rows):
        if item.pr is None:
            continue
        color, dash = _style(position, len(block.rows))
        label = f"{model.title}, AP {metric(item.average_precision)}"
        axes.plot(item.pr.x, item.pr.y, color=color, ls=dash, lw=1.6, label=plain(label))
        point = operating_point(item, threshold)
        if point is not None and point.precision is not None:
            axes.plot(point.tpr, point.precision, "D", ms=5, mfc="white", mec=color, mew=1.4, clip_on=False)
    _finish(axes, "recall", "precision")


def _finish(axes: Axes, x_label: str, y_label: str) -> None:
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel=x_label, ylabel=y_label)
    axes.legend(loc="lower right" if y_label != "precision" else "best")


def _violins(block: PixelBlock, violins: list[Violin], figure: Figure) -> None:
    axes = axes_of(figure)
    draw_violins(axes, violins, score_title(block.score))
    axes.set_title(plain(block.dataset.title), pad=16)


def _coefficients(bars: dict[str, float], figure: Figure) -> None:
    axes = axes_of(figure)
    axes.grid(visible=False)
    colors = [_ALARM if value > 0 else _OBJECT for value in bars.values()]
    axes.barh(range(len(bars)), list(bars.values()), color=colors, height=0.65)
    axes.set_yticks(range(len(bars)), [plain(name) for name in bars])
    axes.invert_yaxis()
    axes.axvline(0, color=MUTED, lw=0.8)
    axes.set_xlabel("← object · coefficient · false alarm →")


def _style(position: int, total: int) -> tuple[str, str]:
    return _MODELS[(1 if total == 1 else position) % len(_MODELS)]
