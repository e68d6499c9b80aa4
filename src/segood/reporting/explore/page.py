"""What the sliders need on the page: records, places of the run's own values, words, room for pictures.

In: parts of a run, its sliders. Out: `Explored`, which the template and the page's script read.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segood.evaluation.exploration import Exploration
from segood.evaluation.results import RunResults
from segood.reporting.blocks import dataset_info, model_info, model_pair
from segood.reporting.explore.embed import Embedded, embed, with_frames
from segood.reporting.explore.numbers import position
from segood.reporting.explore.sampling import sample_frames, sample_ids
from segood.reporting.statistics import OperatingPoint, feature_words

PAGE_LIMIT = 24_300_000
"""Characters of the whole page."""
EMBED_LIMIT = 10_500_000
"""Most characters of embedded records; beyond, fewer frames are shown."""
OTHER_PARTS = 5_500_000
"""Characters that Plotly, style, script, tables and charts take."""


@dataclass(frozen=True)
class Explored:
    """The sliders' part of the page.

    Attributes:
        exploration: None where the page has no sliders.
        embedded: the record for the script, with the frames that are shown.
        context: what the script needs beside it, likewise.
        paths: gallery files that are shown, per data set.
        picture_budget: bytes that pictures may take.
    """

    exploration: Exploration | None
    embedded: Embedded | None
    context: Embedded | None
    paths: dict[str, list[Path]]
    picture_budget: int


def explore(
    exploration: Exploration | None,
    gallery: dict[str, list[Path]],
    results: RunResults,
    max_frames: int,
    *,
    embed_limit: int = EMBED_LIMIT,
) -> Explored:
    """Arrange the records of the sliders, with fewer frames where they would not fit on a page.

    Args:
        exploration: of the run, if it has one.
        gallery: `.npz` files per data set.
        results: for titles and class names.
        max_frames: most frames of the page.
        embed_limit: most characters of embedded records.
    """
    paths = sample_frames(gallery, max_frames)
    if exploration is None:
        return Explored(None, None, None, paths, _budget(0))
    embedded = embed(with_frames(exploration, set(sample_ids(paths))))
    limit = sum(map(len, paths.values()))
    while len(embedded.text) > embed_limit and limit > 1:
        limit = max(1, limit * 2 // 3)
        paths = sample_frames(gallery, limit)
        embedded = embed(with_frames(exploration, set(sample_ids(paths))))
    context = embed(script_context(exploration, results))
    return Explored(exploration, embedded, context, paths, _budget(len(embedded.text)))


def script_context(exploration: Exploration, results: RunResults) -> dict[str, Any]:
    """Return places of the run's own values, titles, and features in words, per network."""
    used: dict[str, set[str]] = {}
    for frame in exploration.frames:
        for key, steps in frame.segments.items():
            names = (c.feature for segments in steps for s in segments for c in s.contributions)
            used.setdefault(key, set()).update(names)
    models = list(dict.fromkeys([s.model for s in exploration.sweeps] + list(used)))
    found = [s.dataset for s in exploration.sweeps] + [f.dataset for f in exploration.frames]
    datasets = list(dict.fromkeys(found))
    infos = {key: model_info(results, key) for key in models}
    return {
        "threshold": position(exploration.thresholds, exploration.threshold),
        "probability": position(exploration.probabilities, exploration.probability_threshold),
        "model": shown_model(exploration, results),
        "models": {key: info.title for key, info in infos.items()},
        "datasets": {key: dataset_info(results, key).title for key in datasets},
        "words": {
            key: {name: feature_words(name, infos[key].class_names) for name in sorted(names)}
            for key, names in used.items()
        },
    }


def shown_model(exploration: Exploration, results: RunResults) -> str | None:
    """Return the network whose segments are shown first: the last one."""
    keys = list(dict.fromkeys(key for frame in exploration.frames for key in frame.segments))
    keys = keys or list(dict.fromkeys(sweep.model for sweep in exploration.sweeps))
    pair = model_pair(results)
    if pair is not None and pair[1].key in keys:
        return pair[1].key
    ordered = [model.key for model in results.models if model.key in keys]
    return next(reversed(ordered or keys), None)


def operating_points(exploration: Exploration | None, dataset: str, score: str) -> dict[str, OperatingPoint]:
    """Return the operating points at the run's threshold that the exploration counted, by model."""
    if exploration is None or exploration.score != score:
        return {}
    at = position(exploration.thresholds, exploration.threshold)
    return {
        sweep.model: OperatingPoint(
            sweep.pixels[at].fp / sweep.num_in,
            sweep.pixels[at].tp / sweep.num_ood,
            sweep.pixels[at].tp / flagged if (flagged := sweep.pixels[at].tp + sweep.pixels[at].fp) else None,
        )
        for sweep in exploration.sweeps
        if sweep.dataset == dataset and sweep.num_in and sweep.num_ood
    }


def _budget(embedded: int) -> int:
    return (PAGE_LIMIT - OTHER_PARTS - embedded) * 3 // 4
