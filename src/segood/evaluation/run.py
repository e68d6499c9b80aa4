"""Evaluate a run directory: networks and data sets by configuration -> files in the run.

In: a run directory that `segood.training.train` left, or networks by key. Out: `segments.parquet`,
`gallery/`, `meta.json` and, last, `metrics.json`.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from segood import runs
from segood.errors import DataError, UndefinedMetricError, UsageError
from segood.evaluation.config import EvaluationConfig, MetaConfig, stored_evaluation
from segood.evaluation.false_alarms import describe_classifier, feature_columns, filter_false_alarms
from segood.evaluation.results import ModelInfo, RunResults
from segood.evaluation.runner import (
    Measured,
    describe_dataset,
    describe_model,
    measure_closed_set,
    measure_dataset,
)
from segood.files import atomic_path
from segood.meta import MetaClassifier
from segood.models import SegmentationModel, load_model
from segood.models.config import ModelConfig
from segood.progress import Progress, no_progress

TITLES = {"before": "before fine-tuning", "after": "after fine-tuning"}


def evaluate_run(
    run: str | Path,
    config: EvaluationConfig | None = None,
    *,
    models: Mapping[str, ModelConfig] | None = None,
    data_root: str | Path | None = None,
    progress: Progress = no_progress,
) -> RunResults:
    """Evaluate the networks of a run, filter false alarms, and write all numbers into the run.

    Args:
        run: run directory; a new one is made if `models` are given.
        config: what to evaluate; what the run's `config.yaml` says if not given.
        models: networks by key; by default the run's own: `before` and `after` fine-tuning.
        data_root: folder of relative data set roots; the run's own if not given.
        progress: see `segood.progress.Progress`.

    Raises:
        UsageError: nothing to evaluate, or a value breaks its rule.
        DataError: no run directory, or a data set is not what it has to be.
    """
    run = Path(run)
    stored = runs.read_config(run) if (run / runs.CONFIG).exists() or not models else {}
    config = config or stored_evaluation(stored)
    config.check()
    if not config.datasets and not config.closed_set:
        raise UsageError("nothing to evaluate: the configuration names no `datasets` and no `closed_set`")
    root = Path(data_root if data_root is not None else stored.get("data_root", "."))
    opened = {key: item.open(root) for key, item in config.datasets.items()}
    closed = {key: item.open(root) for key, item in config.closed_set.items()}
    networks, infos = _networks(run, models or {})
    if not (run / runs.CONFIG).exists():
        described = {key: dataclasses.asdict(m) for key, m in (models or {}).items()}
        runs.write_description(
            runs.claim_run(run),
            {"models": described, "evaluation": dataclasses.asdict(config), "data_root": str(root)},
        )
    shutil.rmtree(run / runs.GALLERY, ignore_errors=True)
    (run / runs.METRICS).unlink(missing_ok=True)  # numbers and segments on disk always belong together
    gallery = run / runs.GALLERY
    measured = [
        measure_dataset(key, item, networks, config, gallery=gallery, progress=progress)
        for key, item in opened.items()
    ]
    closed_results = [
        result
        for key, item in closed.items()
        for result in measure_closed_set(key, item, networks, config, progress=progress)
    ]
    environment = runs.describe_environment()
    results = RunResults(
        name=run.name,
        created=environment["created"],
        command=environment["command"],
        seed=stored.get("seed"),
        segood_version=environment["packages"].get("segood", "unknown"),
        models=infos,
        datasets=[m.dataset for m in measured] + [describe_dataset(k, item) for k, item in closed.items()],
        pixel=[p for m in measured for p in m.pixel],
        segment=[s for m in measured for s in m.segment],
        closed_set=closed_results,
    )
    return _filter_and_save(run, results, _all_segments(measured), config.meta)


def filter_run(run: str | Path, config: MetaConfig) -> RunResults:
    """Repeat the meta classification of an evaluated run with another protocol or threshold.

    Raises:
        DataError: the run has not been evaluated.
    """
    run = Path(run)
    results = RunResults.load(run / runs.METRICS)
    return _filter_and_save(run, results, read_segments(run), config)


def read_segments(run: str | Path) -> pd.DataFrame:
    """Return the segment table of an evaluated run.

    Raises:
        DataError: it is missing or unreadable.
    """
    path = Path(run) / runs.SEGMENTS
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:  # pyarrow's errors are ValueErrors
        raise DataError(
            f"{path}: cannot read the segment table; run `segood evaluate {run}` first"
        ) from error


def _filter_and_save(
    run: Path, results: RunResults, segments: pd.DataFrame, config: MetaConfig
) -> RunResults:
    filtered = filter_false_alarms(segments, results.segment, config)
    meta_models = []
    for model in (m.key for m in results.models):
        rows = segments[segments["model"] == model]
        classifier = _fit(rows, run.name, model, config)
        if classifier is not None:
            meta_models.append(describe_classifier(model, "all test sets", classifier, len(rows)))
            classifier.save(run / runs.META)  # the last network's, that is the fine-tuned one's, stays
    with atomic_path(run / runs.SEGMENTS) as temporary:
        filtered.segments.to_parquet(temporary, index=False)
    results = dataclasses.replace(results, segment=filtered.results, meta_models=meta_models)
    results.save(run / runs.METRICS)
    return results


def _fit(rows: pd.DataFrame, run: str, model: str, config: MetaConfig) -> MetaClassifier | None:
    try:
        return MetaClassifier(threshold=config.probability_threshold).fit(
            rows[feature_columns(rows)],
            rows["is_false_positive"].to_numpy(bool),
            provenance={"run": run, "model": model, "datasets": sorted(set(rows["dataset"]))},
        )
    except UndefinedMetricError:
        return None  # only one kind of segment; the results say so per data set


def _all_segments(measured: list[Measured]) -> pd.DataFrame:
    if not measured:
        raise UsageError("no OoD test set to evaluate on: name at least one under `datasets`")
    return pd.concat([m.segments for m in measured], ignore_index=True)


def _networks(
    run: Path, models: Mapping[str, ModelConfig]
) -> tuple[dict[str, SegmentationModel], list[ModelInfo]]:
    if not models:
        files = {"before": run / runs.START, "after": run / runs.FINAL}
        missing = [str(path) for path in files.values() if not path.exists()]
        if missing:
            raise DataError(
                f"{missing[0]} is missing: training has not finished; `segood train --resume` goes on"
            )
        loaded = {key: load_model(str(path)) for key, path in files.items()}
    else:
        files = {key: Path(m.checkpoint or m.name) for key, m in models.items()}
        loaded = {key: m.load() for key, m in models.items()}
    infos = [
        describe_model(key, TITLES.get(key, key), model, files[key] if files[key].is_file() else None)
        for key, model in loaded.items()
    ]
    return loaded, infos
