"""Results arranged as tables are: one block per data set, one row per model, one row of change.

In: `RunResults`. Out: frozen blocks that the terminal table, Markdown and the page share, so that all
three show the same rows.
"""

from __future__ import annotations

from dataclasses import dataclass

from segood.evaluation.results import (
    ClosedSetResult,
    DatasetInfo,
    ModelInfo,
    PixelResult,
    RunResults,
    SegmentErrors,
    SegmentResult,
)
from segood.reporting.formats import difference


@dataclass(frozen=True)
class Change:
    """Difference of one metric between the two models of a pair; `better` is `None` if equal or undefined."""

    value: float | None
    better: bool | None


@dataclass(frozen=True)
class PixelBlock:
    """Pixel-level results of one data set with one score, in the order of the models."""

    dataset: DatasetInfo
    score: str
    rows: tuple[tuple[ModelInfo, PixelResult], ...]
    auroc: Change | None
    average_precision: Change | None
    fpr95: Change | None


@dataclass(frozen=True)
class SegmentBlock:
    """Segment-level results of one data set; `system` is (first model without, last with meta classifier)."""

    dataset: DatasetInfo
    score: str
    threshold: float
    num_ground_truth: int
    rows: tuple[tuple[ModelInfo, SegmentResult], ...]
    system: tuple[SegmentErrors, SegmentErrors] | None


@dataclass(frozen=True)
class ClosedSetBlock:
    """The original task on one data set."""

    dataset: DatasetInfo
    rows: tuple[tuple[ModelInfo, ClosedSetResult], ...]
    miou: Change | None
    flagged_share: Change | None


def model_pair(results: RunResults) -> tuple[ModelInfo, ModelInfo] | None:
    """Return the two models that a change is stated between, or `None` where there is no such pair.

    It is `before` and `after` where both are there, else the only two.
    """
    models = {model.key: model for model in results.models}
    if "before" in models and "after" in models:
        return models["before"], models["after"]
    return (results.models[0], results.models[1]) if len(results.models) == 2 else None


def pixel_blocks(results: RunResults) -> list[PixelBlock]:
    """Return one block per data set and score, in the order of the results."""
    pair = model_pair(results)
    groups: dict[tuple[str, str], list[PixelResult]] = {}
    for item in results.pixel:
        groups.setdefault((item.dataset, item.score), []).append(item)
    blocks = []
    for (dataset, score), items in groups.items():
        first, second = _of_pair(items, pair)
        both = first is not None and second is not None
        blocks.append(
            PixelBlock(
                dataset=dataset_info(results, dataset),
                score=score,
                rows=tuple((model_info(results, item.model), item) for item in items),
                auroc=_change(first.auroc, second.auroc, up=True) if both else None,
                average_precision=_change(first.average_precision, second.average_precision, up=True)
                if both
                else None,
                fpr95=_change(first.fpr95, second.fpr95, up=False) if both else None,
            )
        )
    return blocks


def segment_blocks(results: RunResults) -> list[SegmentBlock]:
    """Return one block per data set, score and threshold, in the order of the results."""
    pair = model_pair(results)
    groups: dict[tuple[str, str, float], list[SegmentResult]] = {}
    for item in results.segment:
        groups.setdefault((item.dataset, item.score, item.threshold), []).append(item)
    blocks = []
    for (dataset, score, threshold), items in groups.items():
        first, second = _of_pair(items, pair)
        end = second.meta.after if second is not None and second.meta is not None else None
        blocks.append(
            SegmentBlock(
                dataset=dataset_info(results, dataset),
                score=score,
                threshold=threshold,
                num_ground_truth=items[0].num_ground_truth,
                rows=tuple((model_info(results, item.model), item) for item in items),
                system=(first.before_meta, end) if first is not None and end is not None else None,
            )
        )
    return blocks


def closed_set_blocks(results: RunResults) -> list[ClosedSetBlock]:
    """Return one block per data set of the original task, in the order of the results."""
    pair = model_pair(results)
    groups: dict[str, list[ClosedSetResult]] = {}
    for item in results.closed_set:
        groups.setdefault(item.dataset, []).append(item)
    blocks = []
    for dataset, items in groups.items():
        first, second = _of_pair(items, pair)
        both = first is not None and second is not None
        blocks.append(
            ClosedSetBlock(
                dataset=dataset_info(results, dataset),
                rows=tuple((model_info(results, item.model), item) for item in items),
                miou=_change(first.miou, second.miou, up=True) if both else None,
                flagged_share=_change(first.flagged_share, second.flagged_share, up=False) if both else None,
            )
        )
    return blocks


def model_info(results: RunResults, key: str) -> ModelInfo:
    """Return the model of that key, or a stand-in that shows the key."""
    return next((m for m in results.models if m.key == key), ModelInfo(key, key, "", []))


def dataset_info(results: RunResults, key: str) -> DatasetInfo:
    """Return the data set of that key, or a stand-in that shows the key."""
    return next((d for d in results.datasets if d.key == key), DatasetInfo(key, key, "", 0, 0, "", ""))


def best(values: list[float | None], *, up: bool) -> set[int]:
    """Return the positions of the best defined values; none if all are equal or fewer than two defined.

    Example:
        >>> best([0.2, 0.4, None], up=True)
        {1}
    """
    defined = [v for v in values if v is not None]
    if len(defined) < 2 or len(set(defined)) == 1:
        return set()
    top = max(defined) if up else min(defined)
    return {i for i, v in enumerate(values) if v == top}


def _of_pair(items: list, pair: tuple[ModelInfo, ModelInfo] | None) -> tuple:
    if pair is None:
        return None, None
    by_model = {item.model: item for item in items}
    return by_model.get(pair[0].key), by_model.get(pair[1].key)


def _change(before: float | None, after: float | None, *, up: bool) -> Change:
    value = difference(before, after)
    return Change(value, None if not value else (value > 0) == up)
