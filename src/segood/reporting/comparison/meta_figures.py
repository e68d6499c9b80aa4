"""What the meta classifier gains, and which features it looks at first.

In: `ComparisonResults`. Out: figure files: segment errors over thresholds before and after meta
classification, and the LARS path of the features.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segood.evaluation.comparison.results import (
    ComparedDataset,
    ComparisonResults,
    FeaturePath,
    MethodInfo,
    SweepPoint,
)
from segood.reporting.charts import score_title
from segood.reporting.comparison.blocks import dataset_title, method_label, network_title, row_or_empty
from segood.reporting.comparison.style import COLORS, MARKERS
from segood.reporting.formats import count
from segood.reporting.print_figure import COLUMN, GRID, MUTED, Numbers, axes_of, plain, wrapped, write_figure
from segood.reporting.statistics import feature_words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NUM_FEATURES = 8
NUM_STEPS = 12


def write_errors(results: ComparisonResults, dataset: ComparedDataset, folder: Path) -> list[Path]:
    """Write `errors_{dataset}`; nothing where no threshold was tried."""
    lines: dict[str, list[SweepPoint]] = {}
    for point in results.sweep:
        if point.dataset == dataset.info.key:
            lines.setdefault(point.method, []).append(point)
    if not lines:
        return []
    methods = {method.key: method for method in results.methods}
    titles = {methods[key].title for key in lines if key in methods}

    def draw(figure: Figure) -> None:
        axes = axes_of(figure, dataset.info.title)
        for at, (key, points) in enumerate(lines.items()):
            name = (
                network_title(results, methods[key].network)
                if len(titles) == 1
                else method_label(results, key)
            )
            points = sorted(points, key=lambda point: point.threshold)
            x = [point.threshold for point in points]
            style: dict[str, Any] = {
                "color": COLORS[at % len(COLORS)],
                "marker": MARKERS[at],
                "ms": 3.5,
                "lw": 1.2,
            }
            axes.plot(x, [p.errors for p in points], ls="--", mfc="white", label=wrapped(name, 58), **style)
            after = [(p.threshold, p.errors_meta) for p in points if p.errors_meta is not None]
            if after:
                label = wrapped(f"{name}, meta classification", 58)
                axes.plot(*zip(*after, strict=True), ls="-", label=label, **style)
        best = _best_baseline(results, dataset)
        if best is not None:
            label = (
                f"best baseline: {method_label(results, dataset.best_baseline or '')}, {count(round(best))}"
            )
            axes.axhline(best, color=MUTED, lw=1, ls="-.", label=wrapped(label, 58))
        score = _axis_title(methods, lines)
        axes.set(xlabel=plain(f"threshold on the {score}"), ylabel="errors (FP + FN segments)")
        axes.set_ylim(bottom=0)
        figure.legend(loc="outside lower left", handlelength=3)

    header = ("method", "threshold", "errors", "false_positives", "false_negatives", "errors_meta")
    rows = [
        (p.method, p.threshold, p.errors, p.false_positives, p.false_negatives, p.errors_meta)
        for points in lines.values()
        for p in points
    ]
    size = (COLUMN, 2.8 + 0.3 * len(lines))
    return write_figure(folder / f"errors_{dataset.info.key}", size, draw, Numbers(header, rows))


def write_path(results: ComparisonResults, path: FeaturePath, folder: Path) -> list[Path]:
    """Write `lars_{dataset}_{method}`; nothing where no feature ever entered."""
    if not path.order or len(path.alphas) < 2:
        return []
    shown = path.order[:NUM_FEATURES]
    words = [feature_words(name, _class_names(results, path.method)) for name in shown]
    last = min(len(path.alphas) - 1, NUM_STEPS)

    def draw(figure: Figure) -> None:
        axes = axes_of(figure, dataset_title(results, path.dataset))
        for values in path.coefficients[NUM_FEATURES:]:
            axes.plot(values[: last + 1], color=GRID, lw=0.8)
        axes.axhline(0, color=MUTED, lw=0.8)
        ends = [values[last] for values in path.coefficients[:NUM_FEATURES]]
        for at, (values, name, place) in enumerate(zip(path.coefficients, words, _apart(ends), strict=False)):
            color = COLORS[at % len(COLORS)]
            axes.plot(range(at, last + 1), values[at : last + 1], color=color, lw=1.3)
            leader = {"arrowstyle": "-", "color": color, "lw": 0.6, "shrinkB": 1}
            axes.annotate(
                str(at + 1), (last, ends[at]), (1.04, place), textcoords=("axes fraction", "data"),
                color=color, fontsize=7, va="center", arrowprops=leader,
            )  # fmt: skip
            label = wrapped(f"{at + 1}  {name}", 62)
            axes.plot([], [], color=color, lw=1.3, label=label)
        axes.set(xlim=(0, last), xlabel="features taken in", ylabel="coefficient (standardised features)")
        axes.locator_params(axis="x", integer=True)
        steps = f"order of entry, first {last} of {len(path.alphas) - 1} steps"
        head = f"{method_label(results, path.method)}; {steps}"
        figure.legend(loc="outside lower left", title=wrapped(head, 62), alignment="left", handlelength=2)

    header = ("feature", "entry", "step", "alpha", "coefficient")
    rows = [
        (name, entry, step, path.alphas[step], value)
        for entry, (name, values) in enumerate(zip(path.order, path.coefficients, strict=True), start=1)
        for step, value in enumerate(values)
    ]
    stem = f"lars_{path.dataset}_{path.method.replace('/', '__')}"
    return write_figure(folder / stem, (COLUMN, 2.9 + 0.16 * len(shown)), draw, Numbers(header, rows))


def _apart(values: list[float]) -> list[float]:
    """Return heights for labels of `values`, at least a line of text apart, in the same order."""
    gap = 0.055 * (max(*values, 0.0) - min(*values, 0.0))
    places = dict(enumerate(values))
    order = sorted(places, key=lambda at: values[at])
    for _ in range(100):  # neighbours that are too close give way, each by half
        for lower, upper in itertools.pairwise(order):
            short = gap - (places[upper] - places[lower])
            if short > 0:
                places[lower] -= short / 2
                places[upper] += short / 2
    return [places[at] for at in range(len(values))]


def _best_baseline(results: ComparisonResults, dataset: ComparedDataset) -> float | None:
    method = next((one for one in results.methods if one.key == dataset.best_baseline), None)
    return row_or_empty(results, method, dataset.info.key).errors.value if method else None


def _axis_title(methods: dict[str, MethodInfo], lines: dict[str, Any]) -> str:
    found = {(methods[key].score, methods[key].title) for key in lines if key in methods}
    if len(found) != 1:
        return "score"
    score, title = found.pop()
    return score_title(score) if score == "entropy" else title


def _class_names(results: ComparisonResults, method: str) -> list[str]:
    network = next((one.network for one in results.methods if one.key == method), None)
    return next((one.class_names for one in results.networks if one.key == network), [])
