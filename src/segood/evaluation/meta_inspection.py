"""Look into the meta classification of a run: what it removes, how far it carries over, and why.

In: an evaluated run. Out: `MetaInspection`: removals per segment size, transfers between the run's data sets,
feature rankings, and the reasons behind one segment. Repeats the run's meta classification on the way.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from segood import runs
from segood.errors import UsageError
from segood.evaluation.comparison.results import FeaturePath, RemovedBySize, Transfer
from segood.evaluation.config import MetaConfig
from segood.evaluation.false_alarms import features_of
from segood.evaluation.meta_explanation import Explanation, explain_segment, find_segment
from segood.evaluation.meta_numbers import feature_path, removed_by_size, transfer
from segood.evaluation.results import RunResults
from segood.evaluation.run import filter_run, read_segments
from segood.evaluation.staging import recover
from segood.meta import MetaClassifier


@dataclass(frozen=True)
class MetaInspection:
    """What `segood meta` shows.

    Attributes:
        results: the run's numbers, filtered anew.
        by_size: (model, data set) -> removals per size, where meta classification is defined.
        transfers: None where not asked for; without intervals, a run does not keep objects per frame.
        paths: feature rankings, one per model and data set with both kinds of segments; None likewise.
        explanation: of one segment; None likewise.
    """

    results: RunResults
    by_size: dict[tuple[str, str], list[RemovedBySize]]
    transfers: list[Transfer] | None = None
    paths: list[FeaturePath] | None = None
    explanation: Explanation | None = None

    def as_plain(self) -> Any:
        """Return JSON values: the segment results, each with its `by_size`, as a list.

        Where more was asked for, an object with `segment` (that list), and `transfer`, `ranking` and
        `explanation`, those that were.
        """
        segment = [
            {
                **dataclasses.asdict(item),
                "by_size": [dataclasses.asdict(r) for r in self.by_size.get((item.model, item.dataset), [])],
            }
            for item in self.results.segment
        ]
        more: dict[str, Any] = {}
        if self.transfers is not None:
            more["transfer"] = [dataclasses.asdict(item) for item in self.transfers]
        if self.paths is not None:
            more["ranking"] = [dataclasses.asdict(item) for item in self.paths]
        if self.explanation is not None:
            more["explanation"] = dataclasses.asdict(self.explanation)
        return {"segment": segment, **more} if more else segment


def inspect_run(
    run: str | Path,
    config: MetaConfig,
    *,
    transfers: bool = False,
    ranking: int | None = None,
    explain: str | None = None,
) -> MetaInspection:
    """Repeat the meta classification of an evaluated run and look into it.

    Args:
        run: run directory; its files are updated as by `segood.evaluation.run.filter_run`.
        config: protocol, classifier, preset, probability threshold.
        transfers: apply each network's classifier of one data set to the others, too.
        ranking: number of features of the rankings; none if not given.
        explain: `MODEL/DATASET/SAMPLE_ID/SEGMENT`; sample ids may hold slashes.

    Raises:
        DataError: the run has not been evaluated.
        UsageError: `explain` names no segment, `ranking` is below 1, transfers of fewer than two data
            sets, and as `segood.meta.cross_validate`; the run stays as it was.
        UndefinedMetricError: `explain` for a network without segments of both kinds.
    """
    run = Path(run)
    with runs.locked(run):
        recover(run)
    results, segments = RunResults.load(run / runs.METRICS), read_segments(run)
    if ranking is not None and ranking < 1:
        raise UsageError(f"`ranking` must be a number of features, at least 1; got {ranking}")
    datasets = list(dict.fromkeys(item.dataset for item in results.segment))
    if transfers and len(datasets) < 2:
        raise UsageError(f"`transfer` needs two OoD test sets; the run has {', '.join(datasets) or 'none'}")
    row, classifier = 0, None
    if explain is not None:
        row = find_segment(segments, results, explain)
        rows = segments[segments["model"] == segments["model"].iloc[row]]
        classifier = MetaClassifier(config.probability_threshold)
        classifier.fit(features_of(rows), rows["is_false_positive"].to_numpy(bool))
    results = filter_run(run, config)
    segments = read_segments(run)
    tables = {(i.model, i.dataset): _rows(segments, i.model, i.dataset) for i in results.segment}
    paths = None
    if ranking is not None:
        found = [feature_path(rows, *key, limit=ranking) for key, rows in tables.items()]
        paths = [path for path in found if path is not None]
    return MetaInspection(
        results,
        {
            (i.model, i.dataset): removed_by_size(rows, rows["removed"].to_numpy(bool))
            for i, rows in zip(results.segment, tables.values(), strict=True)
            if i.meta is not None and i.meta.undefined is None
        },
        _transfers(results, tables, config) if transfers else None,
        paths,
        explain_segment(segments.iloc[row], classifier) if classifier is not None else None,
    )


def _rows(segments: pd.DataFrame, model: str, dataset: str) -> pd.DataFrame:
    return segments[(segments["model"] == model) & (segments["dataset"] == dataset)]


def _transfers(
    results: RunResults, tables: dict[tuple[str, str], pd.DataFrame], config: MetaConfig
) -> list[Transfer]:
    found = []
    for model in dict.fromkeys(item.model for item in results.segment):
        items = [item for item in results.segment if item.model == model]
        found += transfer(
            {item.dataset: tables[model, item.dataset] for item in items},
            {item.dataset: item.num_ground_truth for item in items},
            model,
            classifier=config.classifier,
            probability_threshold=config.probability_threshold,
        )
    return found
