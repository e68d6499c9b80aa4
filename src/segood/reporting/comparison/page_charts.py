"""Where the charts of a comparison's page go: an id for each, and what it says in words.

In: `ComparisonResults`. Out: figures by id, and per data set the ids that exist.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from segood.evaluation.comparison.results import ComparedDataset, ComparisonResults
from segood.reporting.charts import Figure
from segood.reporting.comparison.blocks import dataset_title, method_label, network_title, row_or_empty
from segood.reporting.comparison.page_curves import pr_figure, roc_figure
from segood.reporting.comparison.page_forest import forest_figure, scatter_figure
from segood.reporting.comparison.page_meta import class_names, errors_figure, path_figure, sweep_lines
from segood.reporting.comparison.page_violins import violin_figures
from segood.reporting.comparison.style import score_key
from segood.reporting.formats import count, metric
from segood.reporting.statistics import feature_words


@dataclass(frozen=True)
class DatasetPlaces:
    """Charts of one data set: `ids` by kind (roc, pr, forest, scatter, violin, errors); rows beside them."""

    key: str
    title: str
    ids: dict[str, str]
    words: dict[str, str]
    sweep: list[tuple[str, list[tuple[str, str, str]]]]
    values: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class PathPlace:
    """The LARS path of one method on one data set."""

    id: str
    dataset: str
    title: str
    method: str
    words: str
    first: list[str]


@dataclass(frozen=True)
class Places:
    """All charts of the page; `scores` are the scores that have violins, with their titles."""

    datasets: list[DatasetPlaces]
    paths: list[PathPlace]
    scores: dict[str, str]

    def having(self, *kinds: str) -> list[DatasetPlaces]:
        """Return the data sets with a chart of one of these kinds."""
        return [one for one in self.datasets if set(kinds) & set(one.ids)]


def add_charts(results: ComparisonResults, charts: dict[str, Figure]) -> Places:
    """Add all figures to `charts` by their ids; return where they go.

    The violins of score `s` have the id of their place with `/s` behind.
    """
    datasets, scores = [], {}
    for at, dataset in enumerate(results.datasets):
        figures = {
            "roc": roc_figure(results, dataset),
            "pr": pr_figure(results, dataset),
            "forest": forest_figure(results, dataset),
            "scatter": scatter_figure(results, dataset),
            "errors": errors_figure(results, dataset),
        }
        ids = {kind: f"{kind}-{at}" for kind, figure in figures.items() if figure is not None}
        charts.update({ids[kind]: figure for kind, figure in figures.items() if figure is not None})
        violins = violin_figures(results, dataset)
        if violins:
            ids["violin"] = f"violin-{at}"
        for score, figure in violins.items():
            charts[f"violin-{at}/{score}"] = figure
            scores[score] = next(m.title for m in results.methods if score_key(m) == score)
        datasets.append(_places(results, dataset, ids))
    return Places(datasets, _paths(results, charts), _in_order(results, scores))


def _places(results: ComparisonResults, dataset: ComparedDataset, ids: dict[str, str]) -> DatasetPlaces:
    rows = {m.key: row_or_empty(results, m, dataset.info.key) for m in results.methods}
    values = {
        key: {"auroc": metric(row.auroc.value), "ap": metric(row.average_precision.value),
              "ms": metric(row.milliseconds, 1)}
        for key, row in rows.items() if row.auroc.value is not None or row.milliseconds is not None
    }  # fmt: skip
    words = {
        kind: "; ".join(f"{method_label(results, key)} {value[kind]}" for key, value in values.items())
        for kind in ("auroc", "ap")
    }
    sweep = [
        (key, [(f"{p.threshold:.4g}", count(p.errors), count(p.errors_meta)) for p in points])
        for key, points in sweep_lines(results, dataset).items()
    ]
    return DatasetPlaces(dataset.info.key, dataset.info.title, ids, words, sweep, values)


def _paths(results: ComparisonResults, charts: dict[str, Figure]) -> list[PathPlace]:
    places = []
    for at, path in enumerate(results.paths):
        figure = path_figure(results, path)
        if figure is None:
            continue
        charts[f"lars-{at}"] = figure
        first = [feature_words(name, class_names(results, path.method)) for name in path.order[:8]]
        method = next((one for one in results.methods if one.key == path.method), None)
        network = network_title(results, method.network) if method else path.method
        words = (
            f"{method_label(results, path.method)}, {count(path.num_segments)} segments, "
            f"{count(path.num_false_positives)} of them false"
        )
        title = f"{dataset_title(results, path.dataset)}, {network}"
        places.append(PathPlace(f"lars-{at}", path.dataset, title, path.method, words, first))
    return places


def _in_order(results: ComparisonResults, scores: dict[str, str]) -> dict[str, str]:
    order = dict.fromkeys(score_key(method) for method in results.methods)
    return {key: scores[key] for key in order if key in scores}
