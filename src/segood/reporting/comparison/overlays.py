"""Frames of a comparison side by side: truth, score of each network, segments (paper fig. 2).

In: a gallery frame. Out: figure files, and the segments in the picture as CSV.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from segood.evaluation.comparison.results import ComparedDataset, ComparisonResults
from segood.evaluation.gallery import GalleryFrame, load_gallery_frame
from segood.reporting import colors
from segood.reporting.charts import score_title
from segood.reporting.comparison.blocks import network_title
from segood.reporting.comparison.style import main_methods
from segood.reporting.overlays import draw_overlay
from segood.reporting.print_figure import PAGE, Numbers, plain, wrapped, write_figure
from segood.types import OUT_OF_DISTRIBUTION

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_COLUMNS = 640
_LEGEND = {
    "unknown object": colors.GROUND_TRUTH,
    "segment on an object": colors.HIT,
    "false alarm": colors.FALSE_ALARM,
    "missed object": colors.MISSED,
}


def write_overlays(
    results: ComparisonResults, dataset: ComparedDataset, gallery: Path, folder: Path
) -> list[Path]:
    """Write `overlay_{dataset}_{n}` for the frames in `gallery/{dataset}/`, n from 1 in file order.

    Raises:
        DataError: a file there is not a gallery frame.
    """
    written: list[Path] = []
    for number, path in enumerate(sorted((gallery / dataset.info.key).glob("*.npz")), start=1):
        stem = folder / f"overlay_{dataset.info.key}_{number}"
        written += _write_overlay(results, load_gallery_frame(path), dataset.info.title, stem)
    return written


def _write_overlay(results: ComparisonResults, frame: GalleryFrame, title: str, stem: Path) -> list[Path]:
    described = [network.key for network in results.networks if network.key in frame.scores]
    networks = described or sorted(frame.scores)
    if not networks:
        return []
    methods = main_methods(results)
    name = score_title(methods[0].score) if methods and methods[0].score == "entropy" else ""
    name = name or (methods[0].title if methods else "score")
    rows = len(networks)

    def draw(figure: Figure) -> None:
        grid = figure.add_gridspec(rows + 1, 3, height_ratios=[1] * rows + [0.05])
        _show_truth(figure.add_subplot(grid[:rows, 0]), frame, f"{title}, {frame.sample_id}")
        for at, key in enumerate(networks):
            axes = figure.add_subplot(grid[at, 1])
            shown = frame.low + _shrunk(frame.scores[key]) / 255 * (frame.high - frame.low)
            picture = axes.imshow(
                shown, cmap="inferno", vmin=frame.low, vmax=frame.high, interpolation="none"
            )
            _bare(axes, network_title(results, key))
            overlay = draw_overlay(frame.image, frame.labels.get(key), (), frame.target)
            _show(figure.add_subplot(grid[at, 2]), overlay, f"segments, {network_title(results, key)}")
        bar = figure.colorbar(picture, cax=figure.add_subplot(grid[rows, 1]), orientation="horizontal")
        bar.set_label(plain(name), fontsize=7)
        figure.legend(handles=_handles(), loc="outside lower left", ncols=4)

    header = ("network", "segment", "num_pixels", "num_ood_pixels", "mean_score")
    height, width = frame.target.shape
    size = (PAGE, 0.7 + rows * (0.24 + PAGE / 3.05 * height / width))
    return write_figure(stem, size, draw, Numbers(header, _segments(frame, networks)))


def _show_truth(axes: Axes, frame: GalleryFrame, title: str) -> None:
    """Show the frame, ignored pixels dimmed, with outlined objects."""
    ood = frame.target == OUT_OF_DISTRIBUTION
    _show(axes, draw_overlay(frame.image, target=np.where(ood, 0, frame.target)), title)
    if ood.any() and not ood.all():
        for color, width in (("black", 1.6), ("white", 0.8)):  # a dark rim keeps it visible on a bright road
            axes.contour(ood, levels=[0.5], colors=color, linewidths=width)


def _show(axes: Axes, picture: np.ndarray, title: str) -> None:
    height, width = picture.shape[:2]  # the axes count original pixels, whatever is stored
    axes.imshow(_shrunk(picture), interpolation="none", extent=(-0.5, width - 0.5, height - 0.5, -0.5))
    _bare(axes, title)


def _shrunk(picture: np.ndarray) -> np.ndarray:
    """Reduce a uint8 picture to what print resolves: the files would be five times as large."""
    height, width = picture.shape[:2]
    columns = min(width, MAX_COLUMNS)
    size = (columns, max(1, round(height * columns / width)))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX))


def _bare(axes: Axes, title: str) -> None:
    axes.set_title(wrapped(title, 42), fontsize=7)
    axes.set_axis_off()


def _handles() -> list[Any]:
    from matplotlib.patches import Patch

    return [
        Patch(fc="none" if name in ("unknown object", "missed object") else colors.css_color(color),
              ec="black" if name == "unknown object" else colors.css_color(color), label=name)
        for name, color in _LEGEND.items()
    ]  # fmt: skip


def _segments(frame: GalleryFrame, networks: list[str]) -> list[tuple[Any, ...]]:
    rows = []
    for key in networks:
        labels = frame.labels.get(key)
        for segment in [] if labels is None else np.unique(labels[labels > 0]).tolist():
            mask = labels == segment
            score = frame.low + float(frame.scores[key][mask].mean()) / 255 * (frame.high - frame.low)
            ood = int((frame.target[mask] == OUT_OF_DISTRIBUTION).sum())
            rows.append((key, segment, int(mask.sum()), ood, score))
    return rows
