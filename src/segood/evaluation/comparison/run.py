"""A whole comparison: configuration -> a folder with everything, and `results.json` last.

In: `ComparisonConfig`, an output folder. Out: in the folder `config.yaml`, `environment.json`, `methods/`
(statistics, options, thresholds), `anomaly_p/` (score maps as the public benchmark reads them), `segments/`,
`closed_set/`, `gallery/`, `results.json`. Whatever is there, made in the same way, is not computed again: an
interrupted comparison continues, and a finished one is only read.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from segood import runs
from segood.evaluation.comparison.config import ComparisonConfig
from segood.evaluation.comparison.methods import Method
from segood.evaluation.comparison.original_task import measure_original_task
from segood.evaluation.comparison.pairs import best_baseline, pairs_with, with_reductions
from segood.evaluation.comparison.results import (
    ClosedSetRow,
    ComparedDataset,
    ComparisonResults,
    FeaturePath,
    Pair,
    Row,
    SweepPoint,
    Transfer,
)
from segood.evaluation.comparison.rows import Measured, measure_row, measure_sweep
from segood.evaluation.comparison.scoring import Job
from segood.evaluation.comparison.session import Session
from segood.evaluation.meta_transfer import feature_path, transfer
from segood.evaluation.results import DatasetInfo
from segood.files import write_json
from segood.progress import Progress, no_progress

RESULTS = "results.json"
PROXIES = "proxies.json"
CLOSED_SET = "closed_set"
REGION = "pixels labelled in or OoD; ignored ones (255) count nowhere and are cut from predictions"


def compare(
    config: ComparisonConfig,
    out: str | Path,
    *,
    data_root: str | Path = ".",
    progress: Progress = no_progress,
) -> ComparisonResults:
    """Measure all methods on all test sets.

    Args:
        config: networks, scores, test sets, what they are tuned on.
        out: folder: new, empty, or of an earlier comparison, whose results are reused where they were
            made in the same way.
        data_root: folder of relative data set roots.
        progress: see `segood.progress.Progress`.

    Returns:
        All numbers; a method that cannot be used somewhere has its reason there.

    Raises:
        UsageError: a value breaks its rule, `out` holds something else, labels that do not fit a network,
            another process writes to `out`.
        DataError: a data set is not what it has to be.
        OutputError: the disk is full or not writable.
    """
    config.check()
    with runs.locked(Path(out)):
        return _compare(Session.open(config, out, data_root), progress)


def _compare(session: Session, progress: Progress) -> ComparisonResults:
    config, out = session.config, session.out
    stored = {**dataclasses.asdict(config), "data_root": str(session.root)}
    runs.write_description(out, stored)
    if session.validation is not None:
        write_json(out / PROXIES, session.validation.pixel_shares)
    methods = {key: session.methods(key, progress) for key in session.models}
    jobs = {name: session.jobs(name, methods) for name in session.test_sets}
    for name, some in jobs.items():
        session.score(name, some, progress)
    closed = _original_task(session, progress)
    results = _results(session, methods, jobs, closed, stored, progress)
    results.save(out / RESULTS)
    return results


@dataclass
class _Collected:
    """What is measured data set by data set."""

    rows: list[Row] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)
    sweep: list[SweepPoint] = field(default_factory=list)
    paths: list[FeaturePath] = field(default_factory=list)
    datasets: list[ComparedDataset] = field(default_factory=list)
    main: dict[str, dict[str, Measured]] = field(default_factory=dict)  # the first score's, by data set


def _original_task(session: Session, progress: Progress) -> list[ClosedSetRow]:
    return [
        measure_original_task(
            key,
            model,
            frames,
            session.out / CLOSED_SET / key / f"{name}.npz",
            {**session.made_by[key], "working_size": frames.working_size},
            session.bootstrap(frames),
            progress,
        )
        for name, frames in session.closed.items()
        for key, model in session.models.items()
    ]


def _measure_set(
    session: Session, name: str, jobs: Sequence[Job], found: _Collected, progress: Progress
) -> None:
    """Read what is stored for a data set, and add its numbers."""
    config, frames = session.config, session.test_sets[name]
    protocol = config.datasets[name].protocol()
    tick = progress(f"numbers on {frames.dataset.title}", len(jobs))
    measured: dict[str, Measured] = {}
    for job in jobs:
        key = job.method.info.key
        one = measured[key] = measure_row(job, frames, protocol, config)
        if not session.is_main(job):
            one.segments = one.segments.iloc[:0]  # only the first score's are needed below
        elif one.row.segments_undefined is None and one.row.undefined is None:
            found.sweep += measure_sweep(job, frames, config) if config.sweep else []
            path = feature_path(one.segments, key, name)
            found.paths += [path] if path is not None else []
            found.main.setdefault(key, {})[name] = one
        tick()
    best = best_baseline([m.row for m in measured.values()], config.baseline)
    found.rows += [with_reductions(m.row, best) for m in measured.values()]
    found.pairs += pairs_with(config.main_method, measured, session.bootstrap(frames))
    found.datasets.append(
        ComparedDataset(
            frames.describe(),
            frames.network_input,
            REGION,
            protocol.min_segment_size,
            protocol.min_instance_size,
            best.method if best else None,
        )
    )


def _report_failure(session: Session, name: str, found: _Collected) -> None:
    """Add a test set that cannot be used: every row tells why."""
    source, reason = session.config.datasets[name], session.failed[name]
    protocol = source.protocol()
    found.rows += [Row(method, name, undefined=reason) for method in session.config.methods]
    info = DatasetInfo(name, source.title or source.name, "not opened", 0, 0, "unknown", "")
    found.datasets.append(
        ComparedDataset(info, "none", REGION, protocol.min_segment_size, protocol.min_instance_size)
    )


def _transfers(session: Session, main: Mapping[str, Mapping[str, Measured]]) -> list[Transfer]:
    meta = session.config.meta
    return [
        found
        for method, by_dataset in main.items()
        if len(by_dataset) > 1
        for found in transfer(
            {name: m.segments for name, m in by_dataset.items()},
            {name: m.ground_truth for name, m in by_dataset.items()},
            method,
            classifier=meta.classifier,
            probability_threshold=meta.probability_threshold,
            bootstraps={name: session.bootstrap(session.test_sets[name]) for name in by_dataset},
        )
    ]


def _results(
    session: Session,
    methods: Mapping[str, Sequence[Method]],
    jobs: Mapping[str, Sequence[Job]],
    closed: list[ClosedSetRow],
    stored: dict[str, Any],
    progress: Progress,
) -> ComparisonResults:
    found = _Collected()
    for name in session.config.datasets:
        if name in session.failed:
            _report_failure(session, name, found)
        else:
            _measure_set(session, name, jobs[name], found, progress)
    environment = runs.describe_environment()
    config = session.config
    return ComparisonResults(
        name=session.out.resolve().name,
        created=environment["created"],
        command=environment["command"],
        seed=config.seed,
        segood_version=environment["packages"].get("segood", "unknown"),
        baseline=config.baseline,
        main=config.main_method,
        networks=[session.describe(key) for key in session.models],
        methods=[m.info for some in methods.values() for m in some],
        datasets=found.datasets,
        rows=found.rows,
        closed_set=closed,
        pairs=found.pairs,
        sweep=found.sweep,
        paths=found.paths,
        transfers=_transfers(session, found.main) if config.transfer else [],
        fitting=session.tuned_by,
        config=runs.as_stored(stored),
        environment=environment,
        num_draws=config.num_draws,
    )
