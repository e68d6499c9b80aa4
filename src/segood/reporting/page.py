"""One self-contained HTML page per run: what came out, where it works, why, at what cost, how to repeat it.

In: a run directory. Out: `report.html`, which needs no network, no server and no build step: style,
script, Plotly and all pictures are inside. Names from outside are escaped by the template.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from segood.evaluation.results import RunResults
from segood.files import write_text
from segood.reporting import colors, formats
from segood.reporting.blocks import (
    best,
    closed_set_blocks,
    dataset_info,
    model_pair,
    pixel_blocks,
    segment_blocks,
)
from segood.reporting.explore import sections
from segood.reporting.explore.embed import embed
from segood.reporting.explore.full_size import write_full_size
from segood.reporting.explore.inputs import read_sliders
from segood.reporting.explore.page import Explored, explore
from segood.reporting.explore.sampling import MAX_FRAMES, kept_in_words
from segood.reporting.gallery import Gallery, build_gallery
from segood.reporting.inputs import RunParts, read_run
from segood.reporting.page_template import plotly_script, render_page, template_text
from segood.reporting.summary import headline, outcome, tiles

PAGE = "report.html"
SCRIPTS = ("state", "numbers", "charts", "overlay", "gallery", "details", "start")
"""Parts of the script that moves the page, in the order they are put together."""


def build_report(run_dir: str | Path, *, max_frames: int = MAX_FRAMES, full_size: bool = False) -> Path:
    """Write `report.html` into a run directory.

    What is missing there is stated on the page.

    Args:
        run_dir: folder as laid out in `segood.runs`.
        max_frames: most frames in the gallery; more are sampled evenly, which the page says.
        full_size: also write the frames as large as they can be had into `report_images/`, and link to them.

    Returns:
        Path of the page, written atomically.

    Raises:
        DataError: no such folder, or nothing of a run in it.
        OutputError: the page cannot be written.
        UsageError: the libraries for reports are not installed.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_text(Path(folder) / "config.yaml", "seed: 0")  # a run that got no further
        ...     build_report(folder).name
        'report.html'
    """
    parts = read_run(run_dir)
    context = _context(parts, max_frames, full_size)
    context |= {
        "plotly": plotly_script() if context["charts"] else "",
        "style": template_text("report.css", "explore.css"),
        "script": template_text("report.js"),
        "explore_script": template_text(*(f"explore_{name}.js" for name in SCRIPTS)),
    }
    write_text(parts.folder / PAGE, render_page("report.html", context))
    return parts.folder / PAGE


def _context(parts: RunParts, max_frames: int, full_size: bool) -> dict[str, Any]:
    results = parts.results or RunResults(parts.folder.name, "", "", None, "", [], [])
    sliders = read_sliders(parts.folder, parts.results)
    explored = explore(sliders.exploration, parts.gallery, results, max_frames)
    charts: dict[str, Any] = {}
    thresholds = {(item.dataset, item.score): item.threshold for item in results.segment}
    score = results.pixel[0].score if results.pixel else "entropy"
    return {
        "results": results,
        "has_results": parts.results is not None,
        "missing": [*parts.missing, *([sliders.reason] if sliders.damaged else [])],
        "no_sliders": sliders.reason,
        "headline": headline(results),
        "outcome": outcome(results) if parts.results else "This run has no results yet.",
        "tiles": tiles(results),
        "pair": model_pair(results),
        "pixel": pixel_blocks(results),
        "segment": segment_blocks(results),
        "closed": closed_set_blocks(results),
        "unmeasured": _unmeasured(results),
        "commands": _commands(parts, results),
        "curves": sections.curves(results, thresholds, explored.exploration, charts),
        "sweeps": sections.sweeps(results, explored.exploration, charts),
        "violins": sections.distributions(results, thresholds, charts),
        "classes": sections.classes(results, charts),
        "meta_models": sections.meta_models(results, charts),
        "paths": sections.feature_paths(results, parts.segments, charts),
        "charts": charts,
        "charts_json": embed(charts, limit=1 << 40).text,
        "explored": explored,
        "config": parts.config,
        "environment": _flat(parts.environment or {}),
        "folder": str(parts.folder),
        "gradient": colors.css_gradient(),
        "colors": {name.lower(): colors.css_color(getattr(colors, name)) for name in _OVERLAY_COLORS},
        "best": best,
        "f": formats,
        **_gallery(parts, results, explored, thresholds, score, max_frames, full_size),
    }


_OVERLAY_COLORS = (
    "HIT", "FALSE_ALARM", "REMOVED_RIGHTLY", "REMOVED_WRONGLY", "MISSED", "GROUND_TRUTH", "KEPT", "REMOVED",
)  # fmt: skip


def _gallery(
    parts: RunParts,
    results: RunResults,
    explored: Explored,
    thresholds: dict[tuple[str, str], float],
    score: str,
    max_frames: int,
    full_size: bool,
) -> dict[str, Any]:
    """Return what the gallery's template reads."""
    titles = {model.key: model.title for model in results.models}
    gallery = Gallery()
    if parts.gallery:
        gallery = build_gallery(
            parts.gallery,
            parts.segments,
            titles,
            score=score,
            max_frames=min(max_frames, max(1, sum(map(len, explored.paths.values())))),
            budget=explored.picture_budget,
            exploration=explored.exploration,
        )
    threshold = next((t for (_, s), t in thresholds.items() if s == score), None)
    order = {dataset.key: place for place, dataset in enumerate(results.datasets)}
    return {
        "gallery": gallery,
        "gallery_kept": kept_in_words(parts.gallery, results),
        "frames": sorted(gallery.items, key=lambda item: order.get(item.dataset, len(order))),
        "gallery_titles": {key: dataset_info(results, key).title for key in parts.gallery},
        "gallery_range": gallery.score_range,
        "gallery_ends": [f"{v:.3g}".replace("-", "−") for v in gallery.score_range]
        if gallery.score_range
        else ["low", "high"],
        "gallery_mark": _position(threshold, gallery.score_range),
        "gallery_threshold": threshold,
        "score": score,
        "full_size": write_full_size(parts.folder, explored.paths, parts.segments, titles)
        if full_size
        else {},
    }


def _position(threshold: float | None, score_range: tuple[float, float] | None) -> float | None:
    """Return where on the colour bar the threshold lies, from 0 to 1; `None` where it is not on it."""
    if threshold is None or score_range is None:
        return None
    share = (threshold - score_range[0]) / (score_range[1] - score_range[0])
    return share if 0 <= share <= 1 else None


def _unmeasured(results: RunResults) -> list[str]:
    """Return the titles of data sets without any number, as those without ground truth are."""
    measured = {item.dataset for item in results.pixel} | {item.dataset for item in results.segment}
    measured |= {item.dataset for item in results.closed_set}
    return [dataset.title for dataset in results.datasets if dataset.key not in measured]


def _commands(parts: RunParts, results: RunResults) -> list[str]:
    """Return the commands that made this run, in order, each once."""
    trained = (parts.environment or {}).get("command")
    return list(dict.fromkeys(text for text in (trained, results.command) if isinstance(text, str) and text))


def _flat(value: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return nested facts as (name, value) lines."""
    lines: list[tuple[str, str]] = []
    for key, item in value.items():
        if isinstance(item, dict):
            lines += _flat(item, f"{prefix}{key} · ")
        else:
            lines.append(
                (f"{prefix}{key}", ", ".join(map(str, item)) if isinstance(item, list) else str(item))
            )
    return lines
