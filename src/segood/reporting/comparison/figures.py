"""Figures of a comparison, for print.

In: the folder of a comparison: `results.json`, where they exist `gallery/` and `proxies.json`. Out: files in
its `figures/`, each as SVG, PDF and PNG, with the numbers behind it as CSV.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from segood.errors import DataError
from segood.evaluation.comparison.results import ComparedDataset, ComparisonResults
from segood.reporting.charts import score_title
from segood.reporting.comparison.blocks import network_title, row_or_empty
from segood.reporting.comparison.curves import write_pr, write_roc
from segood.reporting.comparison.forest import write_forest
from segood.reporting.comparison.meta_figures import write_errors, write_path
from segood.reporting.comparison.overlays import write_overlays
from segood.reporting.comparison.style import main_methods
from segood.reporting.print_figure import (
    COLUMN,
    FIGURES,
    FORMATS,
    Numbers,
    axes_of,
    plain,
    write_figure,
    write_numbers,
)
from segood.reporting.print_violins import Violin, draw_violins, violin_numbers
from segood.runs import GALLERY

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RESULTS = "results.json"
PROXIES = "proxies.json"


def write_comparison_figures(folder: str | Path) -> list[Path]:
    """Write the figures of a comparison into its `figures/` folder, each as SVG, PDF, PNG and CSV.

    Args:
        folder: of the comparison, with `results.json`; frames in `gallery/{dataset}/*.npz` and pixel shares
            of proxies in `proxies.json`, a list of `{"category", "pixel_share"}`, are drawn where they exist.

    Returns:
        Paths in the order violins, ROC, precision–recall, forest, errors, overlays per data set, LARS paths,
        proxies. What is undefined or empty has no figure.

    Raises:
        DataError: no readable `results.json`; a broken frame in the gallery; another form of `proxies.json`.
        OutputError: a file cannot be written.
        UsageError: Matplotlib is not installed.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     ComparisonResults("c", "", "", 0, "0", None, "", [], [], []).save(Path(folder) / RESULTS)
        ...     write_comparison_figures(folder)  # a comparison without numbers has no figures
        []
    """
    folder = Path(folder)
    results = ComparisonResults.load(folder / RESULTS)
    target = folder / FIGURES
    written: list[Path] = []
    for dataset in results.datasets:
        written += write_violins(results, dataset, target)
        written += write_roc(results, dataset, target)
        written += write_pr(results, dataset, target)
        written += write_forest(results, dataset, target)
        written += write_errors(results, dataset, target)
        written += write_overlays(results, dataset, folder / GALLERY, target)
    for path in results.paths:
        written += write_path(results, path, target)
    return written + (_write_proxies(folder / PROXIES, target) if (folder / PROXIES).exists() else [])


def write_violins(results: ComparisonResults, dataset: ComparedDataset, folder: Path) -> list[Path]:
    """Write `violins_{dataset}`: the main score on every network; nothing where no pixel was counted."""
    keys, violins = [], []
    methods = main_methods(results)
    for method in methods:
        row = row_or_empty(results, method, dataset.info.key)
        if row.distribution and sum(row.distribution.in_distribution) + sum(row.distribution.ood):
            keys.append(method.network)
            title = network_title(results, method.network)
            violins.append(Violin(title, row.distribution, row.threshold))
    if not violins:
        return []
    score = score_title("entropy") if methods[0].score == "entropy" else methods[0].title

    def draw(figure: Figure) -> None:
        axes = axes_of(figure)
        draw_violins(axes, violins, score)
        axes.set_title(plain(dataset.info.title), pad=16)

    size = (max(COLUMN, 1.0 + 1.3 * len(violins)), 3.0)
    stem = folder / f"violins_{dataset.info.key}"
    return write_figure(stem, size, draw, violin_numbers(keys, violins))


def _write_proxies(source: Path, folder: Path) -> list[Path]:
    from segood.data.coco_preparation import draw_pixel_shares

    try:
        entries = json.loads(source.read_text(encoding="utf-8"))
        shares = {str(one["category"]): float(one["pixel_share"]) for one in entries}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f'{source}: not a list of {{"category", "pixel_share"}} ({error}); remove it or prepare it again'
        ) from error
    if not shares:
        return []
    paths = [folder / f"proxies.{suffix}" for suffix in FORMATS]
    for path in paths:
        draw_pixel_shares(shares, path)
    numbers = Numbers(("category", "pixel_share"), list(shares.items()))
    return [*paths, write_numbers(folder / "proxies.csv", numbers)]
