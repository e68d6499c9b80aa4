"""The page's sections as data: which charts stand where, and what they say in words.

In: results and parts of a run. Out: lists of entries for the template; figures go into `charts` by id.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import pandas as pd

from segood.errors import SegoodError
from segood.evaluation.comparison.results import FeaturePath
from segood.evaluation.exploration import Exploration
from segood.evaluation.meta_transfer import feature_path
from segood.evaluation.results import ClosedSetResult, RunResults
from segood.reporting.blocks import closed_set_blocks, dataset_info, model_info, model_pair, pixel_blocks
from segood.reporting.charts import Figure, coefficient_chart, pr_chart, roc_chart, violin_chart
from segood.reporting.explore.charts import histogram_chart, iou_chart, path_chart, sweep_chart
from segood.reporting.explore.numbers import number_blocks
from segood.reporting.explore.page import operating_points
from segood.reporting.formats import metric
from segood.reporting.statistics import feature_words

Charts = dict[str, Figure]
Entries = list[dict[str, Any]]
PATH_FEATURES = 12
"""Steps of the least-angle regression that are drawn."""
LARGEST_COEFFICIENT = 10.0
"""Above, per standard deviation of a feature and for a target of 0 or 1, features that add up to one another
cancel out and the path says nothing any more."""


def curves(
    results: RunResults,
    thresholds: dict[tuple[str, str], float],
    exploration: Exploration | None,
    charts: Charts,
) -> Entries:
    """Add ROC and PR charts; return where they go."""
    found = []
    for number, block in enumerate(pixel_blocks(results)):
        threshold = thresholds.get((block.dataset.key, block.score))
        points = operating_points(exploration, block.dataset.key, block.score)
        drawn = {"roc": roc_chart(block, threshold, points), "pr": pr_chart(block, threshold, points)}
        figures = {kind: figure for kind, figure in drawn.items() if figure is not None}
        charts |= {f"{kind}-{number}": figure for kind, figure in figures.items()}
        words = "; ".join(
            f"{model.title}: AUROC {metric(item.auroc)}, AP {metric(item.average_precision)},"
            f" FPR95 {metric(item.fpr95)}"
            for model, item in block.rows
        )
        ids = {kind: f"{kind}-{number}" for kind in figures}
        found.append({"block": block, "ids": ids, "threshold": threshold, "words": words})
    return found


def sweeps(results: RunResults, exploration: Exploration | None, charts: Charts) -> Entries:
    """Add the charts of errors over the threshold; return the numbers per data set beside them."""
    found = []
    for number, (dataset, rows) in enumerate(number_blocks(exploration, results) if exploration else []):
        assert exploration is not None
        charts[f"sweep-{number}"] = sweep_chart(exploration, dataset, rows)
        found.append({"id": f"sweep-{number}", "dataset": dataset, "rows": rows})
    return found


def distributions(results: RunResults, thresholds: dict[tuple[str, str], float], charts: Charts) -> Entries:
    """Add violins and histograms of the score; return where they go."""
    found = []
    for number, block in enumerate(pixel_blocks(results)):
        threshold = thresholds.get((block.dataset.key, block.score))
        violin, histogram = violin_chart(block, threshold), histogram_chart(block, threshold)
        if violin is not None and histogram is not None:
            charts |= {f"violin-{number}": violin, f"histogram-{number}": histogram}
            found.append({"block": block, "number": number})
    return found


def classes(results: RunResults, charts: Charts) -> Entries:
    """Add the bars of the IoU per class; return where they go, with the rows of their tables."""
    found = []
    for number, block in enumerate(closed_set_blocks(results)):
        figure = iou_chart(block)
        if figure is not None:
            charts[f"iou-{number}"] = figure
            found.append({"id": f"iou-{number}", "block": block, "classes": _per_class(block.rows)})
    return found


def meta_models(results: RunResults, charts: Charts) -> Entries:
    """Add the coefficients of the meta classifiers; return where they go, with all of them in words."""
    found = []
    for number, info in enumerate(results.meta_models):
        model = model_info(results, info.model)
        figure = coefficient_chart(info, model.class_names)
        if figure is None:
            continue
        charts[f"meta-{number}"] = figure
        ranked = sorted(info.coefficients.items(), key=lambda item: -abs(item[1]))
        rows = [(feature_words(name, model.class_names), name, value) for name, value in ranked]
        dataset = dataset_info(results, info.dataset)
        found.append({"id": f"meta-{number}", "info": info, "model": model, "dataset": dataset, "rows": rows})
    return found


def feature_paths(results: RunResults, segments: pd.DataFrame | None, charts: Charts) -> Entries:
    """Add the last network's path of least-angle regression per data set with both kinds of segments."""
    pair = model_pair(results)
    last = pair[1] if pair else results.models[-1] if results.models else None
    if segments is None or last is None or "is_false_positive" not in segments:
        return []
    found: Entries = []
    for dataset in results.datasets:
        rows = segments[(segments["model"] == last.key) & (segments["dataset"] == dataset.key)]
        try:
            path = feature_path(rows, last.key, dataset.key, limit=PATH_FEATURES) if len(rows) else None
        except (SegoodError, TypeError, ValueError):
            continue  # columns of an older version; the page does without
        whole = path
        path = readable_part(whole) if whole is not None else None
        if whole is None or path is None or not path.order:
            continue
        name = f"lars-{len(found)}"
        charts[name] = path_chart(path, last.class_names)
        words = [feature_words(feature, last.class_names) for feature in path.order]
        final = [values[-1] for values in path.coefficients]
        order = list(zip(words, path.order, final, strict=True))
        found.append({"id": name, "dataset": dataset, "model": last, "path": path, "order": order,
                      "is_cut": path is not whole})  # fmt: skip
    return found


def readable_part(path: FeaturePath) -> FeaturePath:
    """Return the path up to where features that add up to one another make its coefficients explode.

    Example:
        >>> path = FeaturePath("m", "d", 9, 3, ["a", "b"], [2.0, 1.0, 0.5], [[0, 1, 1e12], [0, 0, -1e12]])
        >>> readable_part(path).order, readable_part(path).coefficients
        (['a'], [[0, 1]])
    """
    steps = range(len(path.alphas))
    largest = [max((abs(values[k]) for values in path.coefficients), default=0.0) for k in steps]
    last = next((k for k in steps if largest[k] > LARGEST_COEFFICIENT), len(path.alphas))
    if last == len(path.alphas):
        return path
    entered = last - 1
    return dataclasses.replace(
        path,
        order=path.order[:entered],
        alphas=path.alphas[:last],
        coefficients=[values[:last] for values in path.coefficients[:entered]],
    )


def _per_class(rows: tuple[tuple[Any, ClosedSetResult], ...]) -> list[tuple[str, list[float | None]]]:
    """Return class by class the IoU of each model, in the order of the first model's classes."""
    names = list(dict.fromkeys(name for _, item in rows for name in item.iou))
    return [(name, [item.iou.get(name) for _, item in rows]) for name in names]
