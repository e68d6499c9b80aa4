"""How a configuration describes an evaluation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from segood.checks import check_unit_interval
from segood.data.config import DatasetConfig
from segood.errors import DataError, UsageError
from segood.runs import CONFIG

EXPLORED = tuple(round(0.05 * step, 2) for step in range(6, 20))
"""Thresholds that the report's reader can move to, for scores in [0, 1]."""


@dataclass
class MetaConfig:
    """How false alarms are filtered.

    Args:
        protocol: `group` holds whole images out, `leave-one-out` single segments (the paper).
        preset: `paper` repeats the published choices (one scaler over all segments, penalised intercept).
            It concerns the cross-validated numbers only: `meta.json` always holds the default classifier.
        probability_threshold: a segment is removed where its false-positive probability reaches this.
        classifier: `linear`, or `neural` with one hidden layer. It concerns the cross-validated numbers only:
            `meta.json` always holds the linear one, whose decisions can be explained.
    """

    protocol: Literal["group", "leave-one-out"] = "group"
    preset: Literal["paper"] | None = None
    probability_threshold: float = 0.5
    classifier: Literal["linear", "neural"] = "linear"

    def check(self) -> None:
        """Raise `UsageError` where a value breaks its rule, before hours go into measuring segments."""
        check_unit_interval("meta.probability_threshold", self.probability_threshold)
        if self.classifier == "neural" and self.preset is not None:
            raise UsageError("`meta.preset` is made for the linear classifier; leave it out with `neural`")
        if self.classifier == "neural" and self.protocol == "leave-one-out":
            # Few segments would do, but how many there are is known hours later.
            raise UsageError(
                "`meta.classifier` neural with leave-one-out is refitted for every segment; use "
                "`meta.protocol` group, or `segood meta RUN` afterwards, which offers it for few segments"
            )


@dataclass
class EvaluationConfig:
    """What is evaluated, and how.

    Args:
        datasets: OoD test sets by a short key.
        closed_set: data sets of the original task by a short key, for the mIoU before and after.
        score: OoD score, see `segood.scores.list_scores`, or the import path of yours: my_score.py:MyScore.
        threshold: a pixel is OoD where the score reaches this.
        meta: false-alarm filter.
        gallery_frames: frames per data set shown in the report.
        per_image: write the pixel metrics of every frame, too (`pixels_per_image.csv`).
        explore: thresholds that the report's reader can move to, besides `threshold`; 0.30, 0.35, … 0.95 if
            not given, where the score lies in [0, 1], else none. An empty list leaves out the exploration.
        region: where is looked at; pixels outside count as ignored in all numbers of `datasets`.
            `{polygon: [[row, col], ...]}` in shares of the image, `{mask: FILE}` (above 0 is inside; a
            relative one lies under `data_root`) or `{classes: [0, 1]}`: the hull of what a network predicts
            as these, for every network its own, and without exploration. The whole image if not given.
    """

    datasets: dict[str, DatasetConfig] = field(default_factory=dict)
    closed_set: dict[str, DatasetConfig] = field(default_factory=dict)
    score: str = "entropy"
    threshold: float = 0.7
    meta: MetaConfig = field(default_factory=MetaConfig)
    gallery_frames: int = 12
    per_image: bool = False
    explore: list[float] | None = None
    region: dict[str, Any] | None = None

    def check(self) -> None:
        """Raise `UsageError` where a value breaks its rule."""
        from segood.evaluation.region import check_region  # arrays; the command line need not wait for them

        check_region(self.region)
        if self.score == "entropy":
            check_unit_interval("threshold", self.threshold)
        self.meta.check()
        if self.gallery_frames < 0:
            raise UsageError(f"`gallery_frames` must not be negative; got {self.gallery_frames}")
        for value in self.explore or ():
            if self.score == "entropy":
                check_unit_interval("explore", value)
            elif not math.isfinite(value):
                raise UsageError(f"`explore` must hold finite numbers; got {value}")
        if len(set(self.explore or ())) != len(self.explore or ()):
            raise UsageError(f"`explore` must not name a threshold twice; got {self.explore}")

    def explored(self, score_range: tuple[float, float]) -> list[float]:
        """Return the thresholds that are explored, rising, `threshold` among them; none if switched off.

        Args:
            score_range: of the score.

        Example:
            >>> EvaluationConfig(threshold=0.72).explored((0.0, 1.0))[7:11]
            [0.65, 0.7, 0.72, 0.75]
            >>> EvaluationConfig(score="max_logit", threshold=-8.0).explored((-50.0, 50.0))
            [-8.0]
        """
        if self.explore is not None:
            return sorted({*self.explore, self.threshold}) if self.explore else []
        grid = EXPLORED if tuple(score_range) == (0.0, 1.0) else ()
        return sorted({*grid, self.threshold})


def stored_evaluation(stored: Mapping[str, Any]) -> EvaluationConfig:
    """Return the evaluation that a run's `config.yaml` describes.

    Args:
        stored: what `segood.runs.read_config` returns.

    Raises:
        DataError: it was written by another version.
    """
    try:
        raw = dict(stored.get("evaluation") or {})
        for name in ("datasets", "closed_set"):
            raw[name] = {key: DatasetConfig(**item) for key, item in (raw.get(name) or {}).items()}
        raw["meta"] = MetaConfig(**(raw.get("meta") or {}))
        return EvaluationConfig(**raw)
    except (TypeError, ValueError, AttributeError) as error:
        raise DataError(f"the run's {CONFIG} is damaged or of another version: {error}") from error
