"""A comparison opened and checked, nothing computed yet.

In: `ComparisonConfig`, an output folder. Out: `Session`: networks, test sets, what each was made by, and the
steps that compute what is missing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from segood import runs
from segood.errors import DataError, UsageError
from segood.evaluation.bootstrap import Bootstrap
from segood.evaluation.comparison.config import ComparisonConfig
from segood.evaluation.comparison.methods import Method, prepare_methods
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
from segood.evaluation.results import ModelInfo
from segood.evaluation.run import TITLES
from segood.models import SegmentationModel
from segood.progress import Progress

METHODS = "methods"
FORMAT = 1
"""Raised whenever the same inputs give other stored maps or segments."""


@dataclasses.dataclass
class Session:
    """Everything opened and checked, nothing computed yet.

    Attributes:
        config, out, root: as given.
        models: networks by key.
        test_sets: by key, those that can be used.
        closed: data sets of the original task by key.
        fitting, validation: what methods are tuned on, None where the configuration has none.
        made_by: by network, what identifies it.
        tuned_by: in words, what methods are tuned on.
        failed: test sets that cannot be used, with the reason.
    """

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
    failed: dict[str, str]

    @classmethod
    def open(cls, config: ComparisonConfig, out: str | Path, data_root: str | Path) -> Session:
        """Open networks and data sets before anything is computed.

        Raises:
            SegoodError: one cannot be used; of the test sets only if none can.
        """
        out, root = Path(out), Path(data_root)
        test_sets, failed = {}, {}
        for key, source in config.datasets.items():
            try:
                test_sets[key] = open_test_set(key, source, root)
            except (DataError, UsageError) as error:
                failed[key] = str(error)
                if len(failed) == len(config.datasets):
                    raise
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
        return cls(
            config, out, root, models, test_sets, closed, fitting, validation, made_by, tuned_by, failed
        )

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

    def score(self, name: str, jobs: Sequence[Job], progress: Progress) -> None:
        """Compute missing score maps and segments of a data set, and its pictures."""
        frames = self.test_sets[name]
        gallery = self.out / runs.GALLERY
        for network, model in self.models.items():
            own = [j for j in jobs if j.method.info.network == network]
            score_frames(network, model, frames, own, progress, gallery / frames.key)
        shown = min(self.config.gallery_frames, len(frames))
        positions = np.unique(np.linspace(0, len(frames) - 1, shown).round().astype(int)).tolist()
        main = {j.method.info.network: j.method for j in jobs if self.is_main(j)}
        keep_pictures(gallery, frames, positions, main.get, self.models)

    def bootstrap(self, frames: Frames) -> Bootstrap:
        """Return the draws over a data set's frames."""
        return Bootstrap(len(frames), num_draws=self.config.num_draws, seed=self.config.seed)

    def is_main(self, job: Job) -> bool:
        """Return whether a job is of the first score."""
        return job.method.info.key.split("/", 1)[1] == self.config.main_score

    def describe(self, key: str) -> ModelInfo:
        """Return what the results say about a network."""
        described = self.config.models[key]
        file = Path(described.checkpoint or described.name)
        info = describe_model(key, TITLES.get(key, key), self.models[key], file if file.is_file() else None)
        return dataclasses.replace(info, weights_sha256=self.made_by[key]["weights_sha256"])


def _claim(out: Path) -> None:
    """Take a folder that is new, empty, or holds a comparison (`scores` are what no other run configures)."""
    is_comparison = (out / runs.CONFIG).is_file() and "scores" in runs.read_config(out)
    runs.claim_run(out, resume=is_comparison, remedy="choose another --out, or remove it")
