"""Evaluate a run directory: networks and data sets by configuration -> files in the run.

In: a run directory that `segood.training.train` left, or networks by key. Out: `segments.parquet`,
`gallery/`, `meta.json`, `evaluation.yaml`, `exploration.json` with the segment tables of its thresholds in
`exploration/`, on request `pixels_per_image.csv` and, last, `metrics.json`;
older ones stay until all are there.
"""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from segood import runs
from segood.errors import DataError, UndefinedMetricError, UsageError
from segood.evaluation.config import EvaluationConfig, MetaConfig, stored_evaluation
from segood.evaluation.describe import describe_dataset, describe_model
from segood.evaluation.exploration import FILE as EXPLORATION_FILE
from segood.evaluation.exploration import Exploration
from segood.evaluation.explore import begin, explore
from segood.evaluation.false_alarms import describe_classifier, features_of, filter_false_alarms
from segood.evaluation.measurement import Measurement, path_of
from segood.evaluation.processes import ALONE, Team, wait_for, work_in_processes
from segood.evaluation.provenance import image_hashes
from segood.evaluation.region import read_region
from segood.evaluation.results import ModelInfo, RunResults
from segood.evaluation.runner import (
    check_closed_set,
    check_test_set,
    empty_segments,
)
from segood.evaluation.segment_tables import read_table
from segood.evaluation.staging import holds_only_leftovers, recover, staged, tidy, work_folder
from segood.files import atomic_path, remove_unfinished, write_text
from segood.meta import MetaClassifier
from segood.models import SegmentationModel, list_models, load_model, read_header
from segood.models.config import ModelConfig
from segood.models.device import default_device
from segood.progress import Progress, no_progress

TITLES = {"before": "before fine-tuning", "after": "after fine-tuning"}
FILTERED = (runs.SEGMENTS, runs.META, runs.EVALUATION, EXPLORATION_FILE, runs.METRICS)
"""What depends on the meta classification; the metrics come last."""
PIXELS_PER_IMAGE = "pixels_per_image.csv"


def evaluate_run(
    run: str | Path,
    config: EvaluationConfig | None = None,
    *,
    models: Mapping[str, ModelConfig] | None = None,
    data_root: str | Path | None = None,
    processes: int = 1,
    progress: Progress = no_progress,
) -> RunResults:
    """Evaluate the networks of a run, filter false alarms, and write all numbers into the run.

    An evaluation that was cut off keeps what it has measured; the same call goes on with it.

    Args:
        run: run directory; a new one is made if `models` are given.
        config: what to evaluate; what the run's `config.yaml` says if not given. `evaluation.yaml`
            tells afterwards what it was; `segood evaluate RUN --config evaluation.yaml` repeats it.
        models: networks by key; by default the run's own: `before` and `after` fine-tuning, or those
            that it was evaluated with the first time.
        data_root: folder of relative data set roots; the run's own if not given.
        processes: how many share the frames; the results are the same, bit for bit, where each has equally
            many threads (`OMP_NUM_THREADS`). Started anew, so a script that calls this needs
            `if __name__ == "__main__":`.
        progress: see `segood.progress.Progress`.

    Raises:
        UsageError: nothing to evaluate, a value breaks its rule, `models` for the directory of a
            training, labels that do not fit a network, another process writes to `run`.
        DataError: no run directory, or a data set is not what it has to be.
        OutputError: the disk is full or not writable. Whatever fails, older results stay as they were.
    """
    request = _Request(Path(run), config, models or {}, None if data_root is None else str(data_root))
    with runs.locked(request.run):
        return _evaluate(request, processes, progress)


def evaluate_share(
    run: str | Path,
    config: EvaluationConfig | None = None,
    *,
    models: Mapping[str, ModelConfig] | None = None,
    data_root: str | Path | None = None,
    team: Team,
    progress: Progress = no_progress,
) -> RunResults | None:
    """Evaluate as one of several processes that torchrun or SLURM started; the arguments are as above.

    Returns:
        The results in the first process, which puts together what all have measured; None in others.
    """
    request = _Request(Path(run), config, models or {}, None if data_root is None else str(data_root))
    if team.rank:
        opened = _open(request)
        work = work_folder(request.run, opened.measurement.fingerprint())
        opened.measurement.measure(work, *team, opened.measurement.bars(no_progress))
        return None
    with runs.locked(request.run):
        return _evaluate(request, 1, progress, team)


class _Request(NamedTuple):
    """What is asked for, as given; another process can be told."""

    run: Path
    config: EvaluationConfig | None
    models: Mapping[str, ModelConfig]
    data_root: str | None


class _Opened(NamedTuple):
    measurement: Measurement
    stored: Mapping[str, Any]
    models: Mapping[str, ModelConfig]
    infos: list[ModelInfo]
    root: Path


def _open(request: _Request) -> _Opened:
    """Open networks and data sets; raise before anything is measured."""
    run = request.run
    stored = runs.read_config(run) if (run / runs.CONFIG).exists() or not request.models else {}
    models = _given_models(run, stored, request.models)
    config = request.config or stored_evaluation(stored)
    config.check()
    if not config.datasets and not config.closed_set:
        raise UsageError("nothing to evaluate: the configuration names no `datasets` and no `closed_set`")
    root = Path(request.data_root if request.data_root is not None else stored.get("data_root", "."))
    region = read_region(config.region, root)
    opened = {key: item.open(root) for key, item in config.datasets.items()}
    closed = {key: item.open(root) for key, item in config.closed_set.items()}
    networks, infos = _networks(run, models, stored)
    for item in opened.values():
        check_test_set(item)
    for item in closed.values():
        check_closed_set(item, list(networks.values()))
    return _Opened(Measurement(config, networks, opened, closed, region), stored, models, infos, root)


def _measure(request: _Request, work: Path, rank: int, processes: int, tick: Callable[[str], None]) -> None:
    """Measure one process' share; opens everything anew."""
    measurement = _open(request).measurement
    keys = {**measurement.opened, **measurement.closed}
    measurement.measure(work, rank, processes, {key: partial(tick, key) for key in keys})


def _evaluate(request: _Request, processes: int, progress: Progress, team: Team = ALONE) -> RunResults:
    measurement, stored, models, infos, root = _open(request)
    run, config, region = request.run, measurement.config, measurement.region
    work = work_folder(run, measurement.fingerprint())
    tidy(run, work)
    bars = measurement.bars(progress)
    if processes > 1:
        try:
            work_in_processes(partial(_measure, request, work), processes, bars)
        except BaseException:
            remove_unfinished(work)  # what the others were ended over
            raise
    else:
        measurement.measure(work, *team, bars)
        wait_for([path_of(work, piece) for piece in measurement.pieces()])
    described = {key: dataclasses.asdict(m) for key, m in models.items()}
    what = {**({"models": described} if models else {}), "data_root": str(root), **dataclasses.asdict(config)}
    description = (runs.CONFIG, runs.ENVIRONMENT) if models else ()  # a training has written its own
    parts = (*description, runs.GALLERY, runs.EXPLORATION, PIXELS_PER_IMAGE, *FILTERED)
    with staged(run, parts) as folder:
        tables = folder / runs.EXPLORATION
        measured, closed_results = measurement.results(work, tables)
        if (work / runs.GALLERY).exists():
            shutil.copytree(work / runs.GALLERY, folder / runs.GALLERY)
        environment = runs.describe_environment()
        results = RunResults(
            name=run.resolve().name,
            created=environment["created"],
            command=environment["command"],
            seed=stored.get("seed"),
            segood_version=environment["packages"].get("segood", "unknown"),
            models=infos,
            datasets=[m.dataset for m in measured]
            + [describe_dataset(k, item) for k, item in measurement.closed.items()],
            pixel=[p for m in measured for p in m.pixel],
            segment=[s for m in measured for s in m.segment],
            closed_set=closed_results,
        )
        if models:
            runs.write_description(
                folder,
                {"models": described, "evaluation": dataclasses.asdict(config), "data_root": str(root)},
            )
        runs.write_yaml(folder / runs.EVALUATION, what)
        images = [m.images for m in measured if m.images is not None]
        if images:
            write_text(folder / PIXELS_PER_IMAGE, pd.concat(images).to_csv(index=False, lineterminator="\n"))
        rows = [m.segments for m in measured] or [empty_segments(measurement.networks)]
        segments = pd.concat(rows, ignore_index=True)
        begun = begin([m.swept for m in measured if m.swept is not None], config)
        explored = None if begun is None else explore(begun, segments, tables, config.meta)
        origin = {
            "region": None if region is None else region.to_dict(),
            "images": {key: image_hashes(item) for key, item in measurement.opened.items()},
        }
        results = _filter_and_save(folder, results, segments, config.meta, explored, origin)
    shutil.rmtree(work, ignore_errors=True)
    return results


def filter_run(run: str | Path, config: MetaConfig) -> RunResults:
    """Repeat the meta classification of an evaluated run with another protocol or threshold.

    The exploration is repeated, too; one that cannot be, because a part of it is missing or of another
    version, is removed, since it would belong to older results.

    Raises:
        DataError: the run has not been evaluated.
    """
    run = Path(run)
    with runs.locked(run):
        recover(run)
        results = RunResults.load(run / runs.METRICS)
        segments = read_segments(run)
        what = runs.read_config(run, runs.EVALUATION) if (run / runs.EVALUATION).exists() else None
        explored = None
        with contextlib.suppress(DataError):
            begun = Exploration.load(run / EXPLORATION_FILE)
            explored = explore(begun, segments, run / runs.EXPLORATION, config)
        with staged(run, FILTERED) as folder:
            if what is not None:
                runs.write_yaml(folder / runs.EVALUATION, {**what, "meta": dataclasses.asdict(config)})
            return _filter_and_save(folder, results, segments, config, explored, _known_origin(run))


def read_segments(run: str | Path) -> pd.DataFrame:
    """Return the segment table of an evaluated run.

    Raises:
        DataError: it is missing, unreadable, or lacks what it should hold.
    """
    return read_table(Path(run) / runs.SEGMENTS, f"run `segood evaluate {run}` first")


def load_final(run: str | Path) -> tuple[SegmentationModel, ModelInfo]:
    """Load the network that a run's `meta.json` belongs to: the fine-tuned one, or the last of those given.

    Raises:
        DataError: no run directory, or its training has not finished.
        CheckpointError, UsageError: as `segood.load_model`.
    """
    run = Path(run)
    stored = runs.read_config(run)
    given = _given_models(run, stored, None)
    if not given and not (run / runs.FINAL).exists():
        raise DataError(
            f"{run / runs.FINAL} is missing: training has not finished; `segood train --resume` goes on"
        )
    if not given:
        model, file, key = _trained_network(run / runs.FINAL, stored), run / runs.FINAL, "after"
    else:
        key, described = list(given.items())[-1]
        model = described.load_trained(f"models.{key}", "cpu")
        file = Path(described.checkpoint or described.name)
    return model, describe_model(key, TITLES.get(key, key), model, file if file.is_file() else None)


def _filter_and_save(
    folder: Path,
    results: RunResults,
    segments: pd.DataFrame,
    config: MetaConfig,
    explored: Exploration | None,
    origin: Mapping[str, Any],
) -> RunResults:
    filtered = filter_false_alarms(segments, results.segment, config)
    meta_models = []
    last = results.models[-1].key
    for model in (m.key for m in results.models):
        rows = segments[segments["model"] == model]
        classifier = _fit(rows, results.name, model, config, origin)
        if classifier is not None:
            meta_models.append(describe_classifier(model, "all test sets", classifier, len(rows)))
            if model == last:  # the fine-tuned network: where it has none, there is no file
                classifier.save(folder / runs.META)
    with atomic_path(folder / runs.SEGMENTS) as temporary:
        filtered.segments.to_parquet(temporary, index=False)
    if explored is not None:
        explored.save(folder / EXPLORATION_FILE)
    results = dataclasses.replace(results, segment=filtered.results, meta_models=meta_models)
    results.save(folder / runs.METRICS)
    return results


def _known_origin(run: Path) -> dict[str, Any]:
    """Return what the evaluation wrote down about region and images; the segment table does not tell it."""
    try:
        known = MetaClassifier.load(run / runs.META).provenance
    except DataError:  # none was fitted, or it is damaged; a new one is written in its place
        return {}
    return {key: known[key] for key in ("region", "images") if key in known}


def _fit(
    rows: pd.DataFrame, run: str, model: str, config: MetaConfig, origin: Mapping[str, Any]
) -> MetaClassifier | None:
    try:
        return MetaClassifier(threshold=config.probability_threshold).fit(
            features_of(rows),
            rows["is_false_positive"].to_numpy(bool),
            provenance={"run": run, "model": model, "datasets": sorted(set(rows["dataset"])), **origin},
        )
    except UndefinedMetricError:
        return None  # only one kind of segment; the results say so per data set


def _given_models(
    run: Path, stored: Mapping[str, Any], models: Mapping[str, ModelConfig] | None
) -> Mapping[str, ModelConfig]:
    """Return the networks to load by configuration; none for a run that a training left."""
    if not models:
        try:
            return {key: ModelConfig(**item) for key, item in (stored.get("models") or {}).items()}
        except TypeError as error:
            raise DataError(f"{run / runs.CONFIG} is of another version: {error}") from error
    if stored and "models" not in stored:
        raise UsageError(
            f"{run} holds a training, which is evaluated with its own networks; "
            "leave `models` out, or choose another directory for them"
        )
    if not stored and not holds_only_leftovers(run):
        runs.claim_run(run, remedy="choose another directory, or remove it")
    return models


def _trained_network(path: Path, stored: Mapping[str, Any]) -> SegmentationModel:
    """Load a checkpoint of a training; where its network is code of the user's, the run names that code."""
    name = (read_header(path) or {}).get("name")
    described = stored.get("model") or {}
    if name is not None and name == described.get("name") and name not in list_models():
        return load_model(name, path)  # the header tells classes, options and preprocessing
    return load_model(path)


def _networks(
    run: Path, models: Mapping[str, ModelConfig], stored: Mapping[str, Any]
) -> tuple[dict[str, SegmentationModel], list[ModelInfo]]:
    if not models:
        files = {"before": run / runs.START, "after": run / runs.FINAL}
        missing = [str(path) for path in files.values() if not path.exists()]
        if missing:
            raise DataError(
                f"{missing[0]} is missing: training has not finished; `segood train --resume` goes on"
            )
        device = default_device()
        loaded = {key: _trained_network(path, stored).to(device) for key, path in files.items()}
    else:
        files = {key: Path(m.checkpoint or m.name) for key, m in models.items()}
        loaded = {key: m.load_trained(f"models.{key}") for key, m in models.items()}
    infos = [
        describe_model(key, TITLES.get(key, key), model, files[key] if files[key].is_file() else None)
        for key, model in loaded.items()
    ]
    return loaded, infos
