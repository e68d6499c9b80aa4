"""`segood evaluate` for a folder of score maps: what the options mean, and which do not go together.

In: values of the options. Out: `MapRequest`, which opens the data set and measures the maps.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from segood.data.config import DatasetConfig
from segood.errors import UsageError
from segood.evaluation.comparison.results import ComparisonResults
from segood.evaluation.config import EvaluationConfig
from segood.evaluation.exchange import evaluate_score_maps
from segood.evaluation.protocols import SegmentProtocol, default_protocol
from segood.progress import Progress, no_progress


@dataclasses.dataclass(frozen=True)
class MapRequest:
    """What `segood evaluate --scores` was asked for.

    Args:
        scores: folder of score maps.
        dataset: what they were made of.
        data_root: folder of a relative data set root.
        min_segment_size, min_instance_size: in pixels; the data set's usual ones where not given.
        smiyc_threshold: predicted is score > threshold; best pixel F1 on the same data where not given.
        seed: of the bootstrap.
    """

    scores: str
    dataset: DatasetConfig
    data_root: str | None = None
    min_segment_size: int | None = None
    min_instance_size: int | None = None
    smiyc_threshold: float | None = None
    seed: int = 0

    def protocol(self) -> SegmentProtocol:
        """Return the protocol asked for.

        Raises:
            UsageError: a value breaks its rule, or sizes are neither given nor usual.

        Example:
            >>> request = MapRequest("scores", DatasetConfig("road_anomaly_21", "ra21"), min_segment_size=9)
            >>> request.protocol()
            SegmentProtocol(min_segment_size=9, min_instance_size=100, threshold=None, source='given')
        """
        sizes = {"min_segment_size": self.min_segment_size, "min_instance_size": self.min_instance_size}
        given = {name: size for name, size in sizes.items() if size is not None}
        usual = SegmentProtocol(0, 0) if len(given) == len(sizes) else default_protocol(self.dataset.name)
        source = "given" if given else usual.source
        return dataclasses.replace(usual, **given, threshold=self.smiyc_threshold, source=source)  # type: ignore[arg-type]

    def evaluate(self, progress: Progress = no_progress) -> ComparisonResults:
        """Open the data set and measure the maps.

        Raises:
            UsageError, DataError: as `evaluate_score_maps`, or the data set cannot be opened.
        """
        self.dataset.check()
        protocol = self.protocol()
        dataset = self.dataset.open(self.data_root or ".")
        return evaluate_score_maps(self.scores, dataset, protocol, seed=self.seed, progress=progress)


_MAPS_ONLY = ("dataset", "min_segment_size", "min_instance_size", "smiyc_threshold", "out")


def map_request(given: Mapping[str, object], config: EvaluationConfig) -> MapRequest | None:
    """Tell the two forms of `segood evaluate` apart, and refuse mixtures.

    Args:
        given: values of the options `run`, `scores`, `dataset`, `min_segment_size`, `min_instance_size`,
            `smiyc_threshold`, `out`, `models`, `data_root`; None or empty where not given.
        config: the options that are for runs.

    Returns:
        What to do with `--scores`, None for a run.

    Raises:
        UsageError: options of both forms, of neither, or `--scores` without a data set.

    Example:
        >>> map_request({"run": "runs/a", "scores": None}, EvaluationConfig()) is None
        True
    """
    run, scores = given.get("run"), given.get("scores")
    if scores is None:
        if run is None:
            raise UsageError(
                "give a run directory, or --scores DIR with --dataset.name and --dataset.root, to evaluate"
            )
        for name in _MAPS_ONLY:
            if given.get(name) is not None:
                raise UsageError(f"--{name} belongs to --scores DIR; leave it out for run {run}")
        return None
    if run is not None:
        raise UsageError(f"--scores evaluates a folder of score maps, not a run; leave out {run} or --scores")
    if given.get("dataset") is None:
        raise UsageError("--scores needs the data set of the maps: --dataset.name and --dataset.root")
    usual = EvaluationConfig()
    changed = [f for f in EvaluationConfig.__dataclass_fields__ if getattr(config, f) != getattr(usual, f)]
    if given.get("models") or changed:
        name = "models" if given.get("models") else changed[0]
        hint = "; the threshold of score maps is --smiyc_threshold" if name == "threshold" else ""
        raise UsageError(f"--{name} is for runs, not for --scores{hint}; leave it out")
    fields = MapRequest.__dataclass_fields__
    return MapRequest(**{k: v for k, v in given.items() if k in fields and v is not None})  # type: ignore[arg-type]
