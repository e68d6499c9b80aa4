"""A whole comparison: configuration -> a folder with everything, and `results.json` last.

In: `ComparisonConfig`, an output folder. Out: in the folder `config.yaml`, `environment.json`, `methods/`
(statistics, options, thresholds), `anomaly_p/` (score maps as the public benchmark reads them), `segments/`,
`closed_set/`, `gallery/`, `results.json`. Whatever is there, made in the same way, is not computed again: an
interrupted comparison continues, and a finished one is only read.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from segood import runs
from segood.errors import DataError
from segood.evaluation.bootstrap import Bootstrap
from segood.evaluation.comparison.config import ComparisonConfig, TestSet
from segood.evaluation.comparison.methods import Method, prepare_methods
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
from segood.evaluation.comparison.scoring import Job, keep_pictures, score_frames
from segood.evaluation.comparison.sources import (
    Frames,
    Validation,
    open_labelled,
    open_test_set,
    open_validation,
)
from segood.evaluation.comparison.store import Store
from segood.evaluation.describe import describe_model, weights_hash
from segood.evaluation.fitting import check_labels_fit
from segood.evaluation.meta_transfer import feature_path, transfer
from segood.evaluation.protocols import SegmentProtocol, default_protocol
from segood.evaluation.run import TITLES
from segood.files import write_json
from segood.models import SegmentationModel
from segood.progress import Progress, no_progress

RESULTS = "results.json"
PROXIES = "proxies.json"
METHODS = "methods"
CLOSED_SET = "closed_set"
FORMAT = 1
"""Raised whenever the same inputs give other stored maps or segments."""
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
        UsageError: a value breaks its rule, `out` holds something else, labels that do not fit a network.
        DataError: a data set is not what it has to be.
        OutputError: the disk is full or not writable.
    """
    config.check()
    session = Session.open(config, out, data_root)
    return session.run(progress)


@dataclasses.dataclass
class Session:
    """Everything opened and checked, nothing computed yet."""

    config: ComparisonConfig
    out: Path
    root: Path
    models: dict[str, SegmentationModel]
    test_sets: dict[str, Frames]
    closed: dict[str, Frames]
    fitting: Frames | None
    validation: Validation | None
    made_by: dict[str, dict[str, Any]]
    tuned_by: dict[str, str]

    @classmethod
    def open(cls, config: ComparisonConfig, out: str | Path, data_root: str | Path) -> Session:
        """Open networks and data sets; raise before anything is computed."""
        out, root = Path(out), Path(data_root)
        test_sets = {k: open_test_set(k, s, root) for k, s in config.datasets.items()}
        closed = {k: open_labelled(k, s, root) for k, s in config.closed_set.items()}
        fitting = open_labelled("fitting", config.fitting, root) if config.fitting else None
        validation = open_validation(config.validation, root) if config.validation else None
        models = {k: m.load_trained(f"models.{k}") for k, m in config.models.items()}
        for frames in (*closed.values(), *([fitting] if fitting else [])):
            for model in models.values():
                check_labels_fit(frames.dataset, model)
        _claim(out)
        made_by = {
            key: {
                "format": FORMAT,
                "weights_sha256": weights_hash(model),
                "preprocessing": model.preprocessing.to_dict(),
                "inference": model.inference.to_dict(),
            }
            for key, model in models.items()
        }
        tuned_by = {}
        if fitting is not None:
            tuned_by["statistics"] = fitting.words()
        if validation is not None:
            tuned_by["options and thresholds"] = validation.words()
        return cls(config, out, root, models, test_sets, closed, fitting, validation, made_by, tuned_by)

    def run(self, progress: Progress) -> ComparisonResults:
        """Compute what is missing, measure everything, write `results.json`."""
        config, out = self.config, self.out
        stored = {**dataclasses.asdict(config), "data_root": str(self.root)}
        runs.write_description(out, stored)
        if self.validation is not None:
            write_json(out / PROXIES, self.validation.pixel_shares)
        methods = {key: self.methods(key, progress) for key in self.models}
        jobs = {name: self.jobs(name, methods) for name in self.test_sets}
        for name, frames in self.test_sets.items():
            self.score(name, frames, jobs[name], progress)
        closed = [
            measure_original_task(
                key, model, frames, out / CLOSED_SET / key / f"{name}.npz",
                {**self.made_by[key], "working_size": frames.working_size},
                self._bootstrap(frames), progress,
            )
            for name, frames in self.closed.items()
            for key, model in self.models.items()
        ]  # fmt: skip
        results = self.measure(methods, jobs, closed, stored, progress)
        results.save(out / RESULTS)
        return results

    def methods(self, network: str, progress: Progress) -> list[Method]:
        """Make all scores ready for a network."""
        return prepare_methods(
            network,
            self.models[network],
            self.config.scores,
            fitting=self.fitting,
            validation=self.validation,
            validation_config=self.config.validation,
            folder=self.out / METHODS,
            made_by={**self.made_by[network], **self.tuned_by},
            progress=progress,
        )

    def jobs(self, name: str, methods: Mapping[str, Sequence[Method]]) -> list[Job]:
        """Return all methods on a data set."""
        frames = self.test_sets[name]
        jobs = []
        for network, some in methods.items():
            for method in some:
                sweep = self.config.sweep if method.info.key.endswith(f"/{self.config.main_score}") else []
                thresholds = {*sweep, *([] if method.threshold is None else [method.threshold])}
                maps_by: dict[str, Any] = {
                    **self.made_by[network],
                    "working_size": frames.working_size,
                    "resolution": frames.dataset.resolution,
                    "score": None if method.score is None else method.fingerprint(),
                }
                store = Store(
                    self.out, method.info.key, name, maps_by, {"thresholds": sorted(thresholds)}
                )  # fmt: skip
                jobs.append(Job(method, store, tuple(sorted(thresholds)), method.info.undefined))
        return jobs

    def score(self, name: str, frames: Frames, jobs: Sequence[Job], progress: Progress) -> None:
        """Compute missing score maps and segments of a data set, and its pictures."""
        num_computed = 0
        for network, model in self.models.items():
            own = [j for j in jobs if j.method.info.network == network]
            num_computed += score_frames(network, model, frames, own, progress)
        shown = min(self.config.gallery_frames, len(frames))
        positions = np.unique(np.linspace(0, len(frames) - 1, shown).round().astype(int)).tolist()
        main = {j.method.info.network: j.method for j in jobs if self._is_main(j)}
        keep_pictures(
            self.out / runs.GALLERY, frames, positions, main.get, self.models, renew=num_computed > 0
        )

    def _bootstrap(self, frames: Frames) -> Bootstrap:
        return Bootstrap(len(frames), num_draws=self.config.num_draws, seed=self.config.seed)

    def _is_main(self, job: Job) -> bool:
        return job.method.info.key.split("/", 1)[1] == self.config.main_score

    def measure(
        self,
        methods: Mapping[str, Sequence[Method]],
        jobs: Mapping[str, Sequence[Job]],
        closed: list[ClosedSetRow],
        stored: dict[str, Any],
        progress: Progress,
    ) -> ComparisonResults:
        """Read what is stored, and return all numbers."""
        config = self.config
        rows: list[Row] = []
        pairs: list[Pair] = []
        sweep: list[SweepPoint] = []
        paths: list[FeaturePath | None] = []
        compared: list[ComparedDataset] = []
        main: dict[str, dict[str, Measured]] = {}  # the main score's methods, by data set
        for name, frames in self.test_sets.items():
            protocol = protocol_of(config.datasets[name], frames.dataset.name)
            tick = progress(f"numbers on {frames.dataset.title}", len(jobs[name]))
            measured: dict[str, Measured] = {}
            for job in jobs[name]:
                found = measured[job.method.info.key] = measure_row(job, frames, protocol, config)
                if not self._is_main(job):
                    found.segments = found.segments.iloc[:0]  # only the main score's are needed below
                elif found.row.segments_undefined is None and found.row.undefined is None:
                    sweep += measure_sweep(job, frames, config) if config.sweep else []
                    paths.append(feature_path(found.segments, job.method.info.key, name))
                    main.setdefault(job.method.info.key, {})[name] = found
                tick()
            best = best_baseline([m.row for m in measured.values()], config.baseline)
            rows += [with_reductions(m.row, best) for m in measured.values()]
            pairs += pairs_with(config.main_method, measured, self._bootstrap(frames))
            compared.append(
                ComparedDataset(
                    frames.describe(), frames.network_input, REGION, protocol.min_segment_size,
                    protocol.min_instance_size, best.method if best else None,
                )
            )  # fmt: skip
        environment = runs.describe_environment()
        return ComparisonResults(
            name=self.out.resolve().name,
            created=environment["created"],
            command=environment["command"],
            seed=config.seed,
            segood_version=environment["packages"].get("segood", "unknown"),
            baseline=config.baseline,
            main=config.main_method,
            networks=[self._describe(key) for key in self.models],
            methods=[m.info for some in methods.values() for m in some],
            datasets=compared,
            rows=rows,
            closed_set=closed,
            pairs=pairs,
            sweep=sweep,
            paths=[p for p in paths if p is not None],
            transfers=self._transfers(main) if config.transfer else [],
            fitting=self.tuned_by,
            config=runs.as_stored(stored),
            environment=environment,
            num_draws=config.num_draws,
        )

    def _transfers(self, main: Mapping[str, Mapping[str, Measured]]) -> list[Transfer]:
        return [
            found
            for method, by_dataset in main.items()
            if len(by_dataset) > 1
            for found in transfer(
                {name: m.segments for name, m in by_dataset.items()},
                {name: m.ground_truth for name, m in by_dataset.items()},
                method,
                classifier=self.config.meta.classifier,
                probability_threshold=self.config.meta.probability_threshold,
                bootstraps={name: self._bootstrap(self.test_sets[name]) for name in by_dataset},
            )
        ]

    def _describe(self, key: str) -> Any:
        described = self.config.models[key]
        file = Path(described.checkpoint or described.name)
        info = describe_model(key, TITLES.get(key, key), self.models[key], file if file.is_file() else None)
        return dataclasses.replace(info, weights_sha256=self.made_by[key]["weights_sha256"])


def protocol_of(test_set: TestSet, name: str) -> SegmentProtocol:
    """Return the protocol of a test set: what the configuration says, else the data set's usual one."""
    segment, instance, threshold = (
        test_set.min_segment_size, test_set.min_instance_size, test_set.smiyc_threshold
    )  # fmt: skip
    if segment is not None and instance is not None:
        return SegmentProtocol(segment, instance, threshold)
    usual = default_protocol(name)
    return SegmentProtocol(
        usual.min_segment_size if segment is None else segment,
        usual.min_instance_size if instance is None else instance,
        threshold,
        usual.source,
    )


def stored_comparison(stored: Mapping[str, Any]) -> ComparisonConfig:
    """Return the configuration that a comparison's `config.yaml` or `results.json` holds.

    Raises:
        DataError: it was written by another version.
    """
    from segood.records import from_dict

    raw = {key: value for key, value in stored.items() if key != "data_root"}
    try:
        return from_dict(ComparisonConfig, raw)
    except (TypeError, KeyError) as error:
        raise DataError(f"the comparison's configuration is of another version: {error}") from error


def _claim(out: Path) -> None:
    """Take a folder that is new, empty, or holds a comparison (`scores` are what no other run configures)."""
    is_comparison = (out / runs.CONFIG).is_file() and "scores" in runs.read_config(out)
    runs.claim_run(out, resume=is_comparison, remedy="choose another --out, or remove it")
