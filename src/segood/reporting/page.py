"""One self-contained HTML page per run: numbers, curves, pictures, how to repeat it.

In: a run directory. Out: `report.html`, which needs no network, no server and no build step: style,
script, Plotly and all pictures are inside. Names from outside are escaped by the template.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

from segood.errors import UsageError
from segood.evaluation.results import ClosedSetResult, RunResults
from segood.files import write_text
from segood.reporting import colors, formats
from segood.reporting.blocks import (
    best,
    closed_set_blocks,
    dataset_info,
    model_info,
    model_pair,
    pixel_blocks,
    segment_blocks,
)
from segood.reporting.charts import coefficient_chart, pr_chart, roc_chart, violin_chart
from segood.reporting.gallery import MAX_FRAMES, Gallery, GalleryItem, build_gallery
from segood.reporting.inputs import RunParts, read_run
from segood.reporting.statistics import feature_words
from segood.reporting.summary import headline, outcome, tiles

PAGE = "report.html"


def build_report(run_dir: str | Path, *, max_frames: int = MAX_FRAMES) -> Path:
    """Write `report.html` into a run directory.

    What is missing there is stated on the page.

    Args:
        run_dir: folder as laid out in `segood.runs`.
        max_frames: most frames in the gallery; more are sampled evenly, which the page says.

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
    jinja2, get_plotlyjs = _libraries()
    parts = read_run(run_dir)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("segood.reporting", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    context = _context(parts, max_frames)
    context |= {
        "plotly": get_plotlyjs() if context["charts"] else "",
        "style": _asset("report.css"),
        "script": _asset("report.js"),
    }
    write_text(parts.folder / PAGE, environment.get_template("report.html").render(context))
    return parts.folder / PAGE


def _libraries() -> tuple[Any, Callable[[], str]]:
    try:
        import jinja2
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise UsageError(
            f"reports need {error.name}; install it with `pip install 'segood[report]'`"
        ) from error
    return jinja2, get_plotlyjs


def _asset(name: str) -> str:
    return (resources.files("segood.reporting") / "templates" / name).read_text(encoding="utf-8")


def _context(parts: RunParts, max_frames: int) -> dict[str, Any]:
    results = parts.results or RunResults(parts.folder.name, "", "", None, "", [], [])
    charts: dict[str, Any] = {}
    pair = model_pair(results)
    last = pair[1] if pair else results.models[-1] if results.models else None
    thresholds = {(item.dataset, item.score): item.threshold for item in results.segment}
    titles = {model.key: model.title for model in results.models}
    score = results.pixel[0].score if results.pixel else "entropy"
    gallery = (
        build_gallery(parts.gallery, parts.segments, titles, score=score, max_frames=max_frames)
        if parts.gallery
        else Gallery()
    )
    threshold = next((t for (_, s), t in thresholds.items() if s == score), None)
    return {
        "results": results,
        "has_results": parts.results is not None,
        "missing": parts.missing,
        "headline": headline(results),
        "outcome": outcome(results) if parts.results else "This run has no results yet.",
        "tiles": tiles(results),
        "pair": pair,
        "last": last,
        "pixel": pixel_blocks(results),
        "segment": segment_blocks(results),
        "closed": closed_set_blocks(results),
        "per_class": _per_class,
        "curves": _curves(results, thresholds, charts),
        "violins": _violins(results, thresholds, charts),
        "gallery": gallery,
        "gallery_groups": _groups(results, gallery),
        "gallery_titles": {key: dataset_info(results, key).title for key in parts.gallery},
        "gallery_range": gallery.score_range,
        "gallery_ends": [f"{v:.3g}".replace("-", "−") for v in gallery.score_range]
        if gallery.score_range
        else ["low", "high"],
        "gallery_mark": _position(threshold, gallery.score_range),
        "gallery_threshold": threshold,
        "score": score,
        "meta_models": _meta_models(results, charts),
        "charts": charts,
        "config": parts.config,
        "environment": _flat(parts.environment or {}),
        "folder": str(parts.folder),
        "gradient": colors.css_gradient(),
        "colors": {name.lower(): colors.css_color(getattr(colors, name)) for name in _OVERLAY_COLORS},
        "best": best,
        "f": formats,
    }


_OVERLAY_COLORS = ("HIT", "FALSE_ALARM", "REMOVED_RIGHTLY", "REMOVED_WRONGLY", "MISSED", "GROUND_TRUTH")


def _curves(
    results: RunResults, thresholds: dict[tuple[str, str], float], charts: dict[str, Any]
) -> list[dict[str, Any]]:
    """Add ROC and PR charts to `charts`; return where they go and what they say in words."""
    found = []
    for number, block in enumerate(pixel_blocks(results)):
        threshold = thresholds.get((block.dataset.key, block.score))
        figures = {"roc": roc_chart(block, threshold), "pr": pr_chart(block, threshold)}
        figures = {kind: figure for kind, figure in figures.items() if figure is not None}
        charts |= {f"{kind}-{number}": figure for kind, figure in figures.items()}
        words = "; ".join(
            f"{model.title}: AUROC {formats.metric(item.auroc)}, AP {formats.metric(item.average_precision)},"
            f" FPR95 {formats.metric(item.fpr95)}"
            for model, item in block.rows
        )
        ids = {kind: f"{kind}-{number}" for kind in figures}
        found.append({"block": block, "ids": ids, "threshold": threshold, "words": words})
    return found


def _violins(
    results: RunResults, thresholds: dict[tuple[str, str], float], charts: dict[str, Any]
) -> list[dict[str, Any]]:
    found = []
    for number, block in enumerate(pixel_blocks(results)):
        figure = violin_chart(block, thresholds.get((block.dataset.key, block.score)))
        if figure is not None:
            charts[f"violin-{number}"] = figure
            found.append({"block": block, "id": f"violin-{number}"})
    return found


def _meta_models(results: RunResults, charts: dict[str, Any]) -> list[dict[str, Any]]:
    found = []
    for number, info in enumerate(results.meta_models):
        model = model_info(results, info.model)
        figure = coefficient_chart(info, model.class_names)
        if figure is None:
            continue
        charts[f"meta-{number}"] = figure
        ranked = sorted(info.coefficients.items(), key=lambda item: -abs(item[1]))
        rows = [(feature_words(name, model.class_names), name, value) for name, value in ranked]
        found.append(
            {
                "id": f"meta-{number}",
                "info": info,
                "model": model,
                "dataset": dataset_info(results, info.dataset),
                "rows": rows,
            }
        )
    return found


def _position(threshold: float | None, score_range: tuple[float, float] | None) -> float | None:
    """Return where on the colour bar the threshold lies, from 0 to 1; `None` where it is not on it."""
    if threshold is None or score_range is None:
        return None
    share = (threshold - score_range[0]) / (score_range[1] - score_range[0])
    return share if 0 <= share <= 1 else None


def _groups(results: RunResults, gallery: Gallery) -> list[tuple[str, list[GalleryItem]]]:
    """Return the frames per data set, data sets in the order of the results."""
    keys = [dataset.key for dataset in results.datasets]
    keys += [item.dataset for item in gallery.items if item.dataset not in keys]
    groups = [(key, [item for item in gallery.items if item.dataset == key]) for key in dict.fromkeys(keys)]
    return [(key, items) for key, items in groups if items]


def _per_class(rows: tuple[tuple[Any, ClosedSetResult], ...]) -> list[tuple[str, list[float | None]]]:
    """Return class by class the IoU of each model, in the order of the first model's classes."""
    names = list(dict.fromkeys(name for _, item in rows for name in item.iou))
    return [(name, [item.iou.get(name) for _, item in rows]) for name in names]


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
