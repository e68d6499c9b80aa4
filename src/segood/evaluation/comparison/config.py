"""How a configuration describes a comparison: networks × scores × test sets, and what they are tuned on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from segood.checks import check_choice
from segood.data.config import DatasetConfig
from segood.errors import DataError, UsageError
from segood.evaluation.config import MetaConfig
from segood.models.config import ModelConfig
from segood.records import from_dict
from segood.user_code import is_import_path

if TYPE_CHECKING:
    from segood.evaluation.protocols import SegmentProtocol


@dataclass
class FrameSource(DatasetConfig):
    """A data set, and how its frames go through the networks.

    Args:
        working_size: rows and columns that frames are brought to before the network; those of the network
            where not given. Scores are upsampled to the labels' size, labels stay as they are.
        num_frames: use only so many frames, evenly spaced; all where not given.
    """

    working_size: tuple[int, int] | None = None
    num_frames: int | None = None


@dataclass
class TestSet(FrameSource):
    """A data set whose labels tell OoD pixels, and its protocol.

    Args:
        min_segment_size: smaller predicted segments do not count in SegmentMeIfYouCan's metrics, in pixels;
            the data set's usual value where not given, as for the other two.
        min_instance_size: nor do smaller ground-truth instances.
        smiyc_threshold: score > threshold is predicted there; `method` takes the method's own threshold
            (fixed, or from the validation split); where not given, the best pixel F1 on the same data, which
            is flagged in the results.
    """

    min_segment_size: int | None = None
    min_instance_size: int | None = None
    smiyc_threshold: float | Literal["method"] | None = None

    __test__ = False  # not a test class, whatever pytest thinks

    def protocol(self) -> SegmentProtocol:
        """Return SegmentMeIfYouCan's protocol, with the data set's usual sizes where none are given.

        Raises:
            UsageError: no sizes are usual for the data set.
        """
        from segood.evaluation.protocols import SegmentProtocol, default_protocol

        segment, instance = self.min_segment_size, self.min_instance_size
        threshold = None if self.smiyc_threshold == "method" else self.smiyc_threshold
        if segment is not None and instance is not None:
            return SegmentProtocol(segment, instance, threshold)
        usual = default_protocol(self.name)
        return SegmentProtocol(
            usual.min_segment_size if segment is None else segment,
            usual.min_instance_size if instance is None else instance,
            threshold,
            usual.source,
        )


@dataclass
class ScoreConfig:
    """A score that all networks are tried with.

    Args:
        name: one of `segood.scores.list_scores`, or the import path of a score of yours; the entry's key
            where not given.
        options: of the score; those given are not searched for.
        search: look for the best of the score's `search_space` on the validation split.
        threshold: a pixel is OoD where the score reaches this; chosen on the validation split if not given.
        title: how tables call it.
    """

    name: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    search: bool = True
    threshold: float | None = None
    title: str | None = None


@dataclass
class ValidationConfig:
    """What options and thresholds are chosen on; never a test set.

    Args:
        street: in-distribution frames with train ids: every labelled pixel is in distribution.
        proxies: proxy frames: their objects are OoD, all else is ignored.
        without: a proxy set whose frames are left out of `proxies`: those that networks were trained with.
        num_search_frames: frames of either kind that options are searched on (a score with 20 options has 20
            maps per frame); thresholds are chosen on all.
        num_thresholds: candidates tried per score.
        max_fpr: thresholds that flag a larger share of the street pixels are not tried.
    """

    street: FrameSource
    proxies: FrameSource
    without: DatasetConfig | None = None
    num_search_frames: int = 6
    num_thresholds: int = 33
    max_fpr: float = 0.05


@dataclass
class ComparisonConfig:
    """Networks × scores × test sets.

    Args:
        models: networks by key.
        scores: scores by key; a method is `NETWORK/SCORE`.
        datasets: test sets by key.
        baseline: key of the network before OoD training, whose best score the others are measured against.
        main: method that others are paired with; the last network with the first score if not given.
        fitting: frames with train ids for scores with statistics (Mahalanobis, standardised max-logit).
        validation: what options and thresholds are chosen on.
        closed_set: data sets of the original task by key, for the mIoU of every network.
        meta: false-alarm filter.
        transfer: also apply each meta classifier of the first score to the other test sets.
        sweep: thresholds for the figure of errors over thresholds, of the first score.
        gallery_frames: frames per test set for the pictures.
        num_draws: of the bootstrap over images.
        seed: of the bootstrap.
    """

    models: dict[str, ModelConfig] = field(default_factory=dict)
    scores: dict[str, ScoreConfig] = field(default_factory=dict)
    datasets: dict[str, TestSet] = field(default_factory=dict)
    baseline: str | None = None
    main: str | None = None
    fitting: FrameSource | None = None
    validation: ValidationConfig | None = None
    closed_set: dict[str, FrameSource] = field(default_factory=dict)
    meta: MetaConfig = field(default_factory=MetaConfig)
    transfer: bool = True
    sweep: list[float] = field(default_factory=list)
    gallery_frames: int = 2
    num_draws: int = 1000
    seed: int = 0

    def check(self) -> None:
        """Raise `UsageError` where a value breaks its rule, before anything is opened."""
        from segood.scores import list_scores

        for name in ("models", "scores", "datasets"):
            if not getattr(self, name):
                raise UsageError(f"a comparison needs at least one entry in `{name}`")
            for key in getattr(self, name):
                if not key or set(key) & set("/\\") or key.startswith("."):
                    raise UsageError(f"`{name}` must have keys that can name a folder; got {key!r}")
        for key, score in self.scores.items():
            if not is_import_path(score.name or key):
                check_choice(f"scores.{key}.name", score.name or key, list_scores())
            if score.threshold is not None and not math.isfinite(score.threshold):
                raise UsageError(f"`scores.{key}.threshold` must be a finite number; got {score.threshold}")
        for test_set in self.datasets.values():
            test_set.protocol()
        if self.baseline is not None:
            check_choice("baseline", self.baseline, self.models)
        check_choice("main", self.main_method, self.methods)
        self.meta.check()
        sources: dict[str, Any] = {**self.datasets, **self.closed_set, "fitting": self.fitting}
        if self.validation is not None:
            sources |= {"street": self.validation.street, "proxies": self.validation.proxies}
        for key, source in sources.items():
            if source is not None and source.num_frames is not None and source.num_frames < 1:
                raise UsageError(f"`num_frames` of {key} must be at least 1; got {source.num_frames}")
        for name, least in (("num_draws", 1), ("gallery_frames", 0)):
            if getattr(self, name) < least:
                raise UsageError(f"`{name}` must be at least {least}; got {getattr(self, name)}")

    @property
    def methods(self) -> list[str]:
        """Keys of all methods, network by network."""
        return [f"{model}/{score}" for model in self.models for score in self.scores]

    @property
    def main_score(self) -> str:
        """Key of the first score, which has the pictures, the sweep and the transfers."""
        return self.main.split("/", 1)[-1] if self.main else next(iter(self.scores))

    @property
    def main_method(self) -> str:
        """Key of the method that others are paired with."""
        return self.main or f"{list(self.models)[-1]}/{next(iter(self.scores))}"


def stored_comparison(stored: Mapping[str, Any]) -> ComparisonConfig:
    """Return the configuration that a comparison's `config.yaml` or `results.json` holds.

    Raises:
        DataError: it was written by another version.
    """
    raw = {key: value for key, value in stored.items() if key != "data_root"}
    try:
        return from_dict(ComparisonConfig, raw)
    except (TypeError, KeyError) as error:
        raise DataError(f"the comparison's configuration is of another version: {error}") from error
