"""Figures for print: curves, violins and coefficients as SVG and PNG.

In: a run directory. Out: files in its `figures/`. Matplotlib is used through `Figure` objects only: no
pyplot, no global state, no display needed. Pixel frequencies of proxies are drawn where proxies are
prepared (`segood.data.prepare_coco`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segood.errors import DataError, UsageError
from segood.files import atomic_path
from segood.reporting.blocks import PixelBlock, model_info, pixel_blocks
from segood.reporting.charts import TOP_COEFFICIENTS, score_title
from segood.reporting.formats import metric
from segood.reporting.inputs import read_run
from segood.reporting.statistics import density, feature_words, has_pixels, operating_point, quantile

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FIGURES = "figures"
FORMATS = ("svg", "png")
_MODELS = (("#7b8794", ":"), ("#2f5fd0", "-"), ("#b3541e", "--"), ("#6b4fb3", "-."))
_IN, _OOD, _ALARM, _OBJECT, _GRID = "#2a7f9e", "#d9730d", "#c4501b", "#1c8a78", "#dddddd"


def write_figures(run_dir: str | Path) -> list[Path]:
    """Write the figures of a run into its `figures/` folder, each as SVG and PNG.

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
            written += _write(folder / f"roc_{name}", (3.6, 3.3), _roc, block, threshold)
        if any(item.pr for _, item in block.rows):
            written += _write(folder / f"pr_{name}", (3.6, 3.3), _pr, block, threshold)
        if any(has_pixels(item) for _, item in block.rows):
            size = (1.2 + 1.5 * len(block.rows), 3.3)
            written += _write(folder / f"violin_{name}", size, _violin, block, threshold)
    for info in parts.results.meta_models:
        if info.coefficients:
            ranked = sorted(info.coefficients.items(), key=lambda item: -abs(item[1]))[:TOP_COEFFICIENTS]
            class_names = model_info(parts.results, info.model).class_names
            bars = {feature_words(name, class_names): value for name, value in ranked}
            size = (6.4, 0.7 + 0.22 * len(bars))
            written += _write(folder / f"meta_{info.model}_{info.dataset}", size, _coefficients, bars)
    return written


def _write(stem: Path, size: tuple[float, float], draw: Callable[..., None], *args: Any) -> list[Path]:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UsageError(
            f"figures need {error.name}; install it with `pip install 'segood[report]'`"
        ) from error
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    draw(axes, *args)
    paths = []
    for suffix in FORMATS:
        path = stem.with_name(f"{stem.name.replace(' ', '_')}.{suffix}")
        with atomic_path(path) as temporary:
            # Without a date two runs differ only where their numbers do.
            figure.savefig(temporary, dpi=200, metadata={"Date": None} if suffix == "svg" else None)
        paths.append(path)
    return paths


def _roc(axes: Axes, block: PixelBlock, threshold: float | None) -> None:
    axes.plot([0, 1], [0, 1], color=_GRID, lw=0.8)
    for position, (model, item) in enumerate(block.rows):
        if item.roc is None:
            continue
        color, dash = _style(position, len(block.rows))
        label = f"{model.title}, AUROC {metric(item.auroc)}"
        axes.plot(item.roc.x, item.roc.y, color=color, ls=dash, lw=1.6, label=label)
        point = operating_point(item, threshold)
        if point is not None:
            axes.plot(point.fpr, point.tpr, "D", ms=5, mfc="white", mec=color, mew=1.4, clip_on=False)
    _finish(axes, block.dataset.title, "false positive rate", "true positive rate")


def _pr(axes: Axes, block: PixelBlock, threshold: float | None) -> None:
    for position, (model, item) in enumerate(block.rows):
        if item.pr is None:
            continue
        color, dash = _style(position, len(block.rows))
        label = f"{model.title}, AP {metric(item.average_precision)}"
        axes.plot(item.pr.x, item.pr.y, color=color, ls=dash, lw=1.6, label=label)
        point = operating_point(item, threshold)
        if point is not None and point.precision is not None:
            axes.plot(point.tpr, point.precision, "D", ms=5, mfc="white", mec=color, mew=1.4, clip_on=False)
    _finish(axes, block.dataset.title, "recall", "precision")


def _finish(axes: Axes, title: str, x_label: str, y_label: str) -> None:
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel=x_label, ylabel=y_label)
    axes.set_title(_plain(title), fontsize=9, loc="left")
    axes.grid(color=_GRID, lw=0.5)
    axes.set_axisbelow(True)
    axes.legend(fontsize=7, frameon=False, loc="lower right" if y_label != "precision" else "best")


def _violin(axes: Axes, block: PixelBlock, threshold: float | None) -> None:
    for position, (_, item) in enumerate(block.rows):
        edges = item.distribution.edges
        for counts, side, color, name in (
            (item.distribution.in_distribution, -1, _IN, "in distribution"),
            (item.distribution.ood, 1, _OOD, "out of distribution"),
        ):
            if not sum(counts):
                continue
            centers, widths = density(edges, counts)
            label = name if position == 0 else None
            axes.fill_betweenx(
                centers, position, position + side * 0.42 * widths, fc=color, alpha=0.4, label=label
            )
            axes.plot(position + side * 0.42 * widths, centers, color=color, lw=0.8)
            low, middle, high = (quantile(edges, counts, share) for share in (0.25, 0.5, 0.75))
            axes.plot([position + side * 0.06] * 2, [low, high], color=color, lw=3, solid_capstyle="butt")
            axes.plot(position + side * 0.06, middle, "o", ms=4, mfc="white", mec=color)
    if threshold is not None:
        axes.axhline(threshold, color="#5f6b76", lw=0.8, ls=":")
    axes.set_xticks(range(len(block.rows)), [_plain(model.title) for model, _ in block.rows])
    edges = block.rows[0][1].distribution.edges
    axes.set(xlim=(-0.6, len(block.rows) - 0.4), ylim=(edges[0], edges[-1]), ylabel=score_title(block.score))
    axes.set_title(_plain(block.dataset.title), fontsize=9, loc="left", pad=16)
    axes.legend(
        fontsize=7, frameon=False, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.1, ncols=2
    )


def _coefficients(axes: Axes, bars: Mapping[str, float]) -> None:
    rows = range(len(bars))
    axes.barh(
        rows, list(bars.values()), color=[_ALARM if v > 0 else _OBJECT for v in bars.values()], height=0.65
    )
    axes.set_yticks(rows, [_plain(name) for name in bars], fontsize=7)
    axes.invert_yaxis()
    axes.axvline(0, color="#5f6b76", lw=0.8)
    axes.set_xlabel("← object · coefficient · false alarm →", fontsize=8)


def _style(position: int, total: int) -> tuple[str, str]:
    return _MODELS[(1 if total == 1 else position) % len(_MODELS)]


def _plain(text: str) -> str:
    """Keep Matplotlib from reading `$` in names as mathematics."""
    return text.replace("$", r"\$")
