"""Networks on some frames of a data set -> counts and tables that add up, whoever measured which frames.

In: networks by key, frames, an `EvaluationConfig`. Out: a part: everything the frames add to a run's results.
Parts of neighbouring frames are put together in order; whole numbers make the sum the same however the frames
were divided, and a part can be kept in a file.
Resolution rule: logits are upsampled to the labels' size; labels are never resized here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from segood.data.dataset import SegmentationDataset
from segood.evaluation.closed_set import ClosedSetMetrics
from segood.evaluation.config import EvaluationConfig
from segood.evaluation.explore_frames import DatasetSweep
from segood.evaluation.gallery import GalleryFrame, save_gallery_frame
from segood.evaluation.image_counts import ImageCounts
from segood.evaluation.pixel import PixelMetrics
from segood.evaluation.region import cut_to_region
from segood.evaluation.segment import match_segments
from segood.models.observation import observe
from segood.scores import get_score
from segood.segments import extract_segments
from segood.segments.region import Region
from segood.types import IGNORE, OUT_OF_DISTRIBUTION

if TYPE_CHECKING:
    from segood.models import SegmentationModel


class DatasetPart:
    """What frames of an OoD test set give, for every network.

    Args:
        key: the data set's key in all results.
        models: keys of the networks.
        config: score and threshold.
        region: see `segood.evaluation.runner.measure_dataset`.
        explores: whether the configuration's other thresholds are looked at, too.
    """

    def __init__(
        self,
        key: str,
        models: Sequence[str],
        config: EvaluationConfig,
        region: Region | None = None,
        *,
        explores: bool = False,
    ) -> None:
        self.key, self.models, self.config, self.region = key, list(models), config, region
        self.score = get_score(config.score)
        self.score.check_fitted()
        self.metrics = {
            m: PixelMetrics(range=self.score.range, spacing=self.score.spacing, per_image=config.per_image)
            for m in models
        }
        self.counts = {m: ImageCounts() for m in models}
        self.truth: dict[str, dict[str, int]] = {m: {} for m in models}
        self.tables: dict[str, list[pd.DataFrame]] = {m: [] for m in models}
        thresholds = config.explored(self.score.range) if explores and not self._per_network else []
        self.sweep = DatasetSweep(key, self.models, thresholds, config.threshold) if thresholds else None
        self.num_with_ood = 0

    @property
    def _per_network(self) -> bool:
        return self.region is not None and self.region.needs_classes

    def measure(
        self,
        dataset: SegmentationDataset,
        indices: Iterable[int],
        models: Mapping[str, SegmentationModel],
        gallery: Path | None,
        tick: Callable[[], None],
    ) -> None:
        """Add frames.

        Args:
            dataset: all of its frames decide which are shown.
            indices: of the frames, rising.
            models: networks by key.
            gallery: folder for the frames that the report shows; none are kept without it.
            tick: called after every frame.
        """
        shown = shown_frames(len(dataset), self.config.gallery_frames) if gallery is not None else set()
        for index in indices:
            sample = dataset[index]
            assert sample.target is not None, "test sets have labels"
            common = sample.target if self._per_network else cut_to_region(sample.target, self.region, None)
            picture = GalleryFrame.start(sample._replace(target=common)) if index in shown else None
            seen = {
                m: self._add(m, model, sample.sample_id, sample.image, common, picture)
                for m, model in models.items()
            }
            self.num_with_ood += any(with_ood for _, _, with_ood in seen.values())
            if gallery is not None and picture is not None:
                maps = {m: score_map for m, (score_map, _, _) in seen.items()}
                labels = {m: found for m, (_, found, _) in seen.items()}
                frame = picture.with_models(maps, labels, self.score.range)
                save_gallery_frame(gallery / self.key / f"{index:04d}.npz", frame)
            tick()

    def _add(
        self,
        key: str,
        model: SegmentationModel,
        sample_id: str,
        image: np.ndarray,
        target: np.ndarray,
        picture: GalleryFrame | None,
    ) -> tuple[np.ndarray, np.ndarray, bool]:
        """Add a frame as one network sees it; return score map, segment ids, whether an OoD pixel counts."""
        seen = observe(model, image, target.shape, scores=[self.score])
        if self._per_network:
            target = cut_to_region(target, self.region, seen.logits().argmax(0).cpu().numpy())
        # Extracting segments computes the entropy anyway, in the same pass.
        other = None if self.score.name == "entropy" else self.score.of(seen)
        found = extract_segments(
            logits=seen.logits(), score_map=other, threshold=self.config.threshold, ignore=target == IGNORE
        )
        match = match_segments(found.labels, target)
        self.metrics[key].update(found.score_map, target, name=sample_id)
        self.counts[key].add(found.score_map, target)
        self.tables[key].append(segment_rows(key, self.key, sample_id, found.features, match))
        if self.sweep is not None:
            self.sweep.add(key, sample_id, seen.logits(), found, target, picture)
        self.truth[key][sample_id] = len(match.ground_truth)
        return found.score_map, found.labels, bool((target == OUT_OF_DISTRIBUTION).any())

    def state(self) -> dict[str, Any]:
        """Return everything as `save_state` keeps it."""
        return {
            "num_with_ood": self.num_with_ood,
            "metrics": {m: _sparse(metric.state_dict()) for m, metric in self.metrics.items()},
            "counts": {m: counts.state() for m, counts in self.counts.items()},
            "truth": self.truth,
            "segments": {
                m: pd.concat([t.drop(columns="ground_truth") for t in tables], ignore_index=True)
                for m, tables in self.tables.items()
            },
            "touched": {
                m: [ids for table in tables for ids in table["ground_truth"]]
                for m, tables in self.tables.items()
            },
            "sweep": None if self.sweep is None else self.sweep.state(),
        }

    def add_state(self, state: Mapping[str, Any]) -> None:
        """Add what `state` of the part with the next frames returned."""
        self.num_with_ood += state["num_with_ood"]
        for m in self.models:
            layout = self.metrics[m].layout
            other = PixelMetrics(
                layout.range, layout.spacing, layout.num_bins, per_image=self.config.per_image
            )
            other.load_state_dict(_dense(state["metrics"][m]))
            self.metrics[m].merge(other)
            self.counts[m].add_state(state["counts"][m])
            self.truth[m].update(state["truth"][m])
            rows = state["segments"][m].assign(ground_truth=pd.Series(state["touched"][m], dtype=object))
            self.tables[m].append(rows)
        if self.sweep is not None:
            self.sweep.add_state(state["sweep"])


class ClosedSetPart:
    """What frames of the original task give, for every network: confusion matrices and flagged pixels.

    Args:
        key: the data set's key in all results.
        models: keys of the networks.
        config: score and threshold.
    """

    def __init__(self, key: str, models: Sequence[str], config: EvaluationConfig) -> None:
        self.key, self.models, self.config = key, list(models), config
        self.score = get_score(config.score)
        self.score.check_fitted()
        self.confusions: dict[str, list[np.ndarray]] = {m: [] for m in models}
        self.flagged = {m: np.zeros(2, np.int64) for m in models}  # flagged, of all labelled pixels

    def measure(
        self,
        dataset: SegmentationDataset,
        indices: Iterable[int],
        models: Mapping[str, SegmentationModel],
        tick: Callable[[], None],
    ) -> None:
        """Add frames; `tick` is called after each."""
        for index in indices:
            image, target, name = dataset[index]
            assert target is not None, "checked before"
            for key, model in models.items():
                seen = observe(model, image, target.shape, scores=[self.score])
                flagged = self.score.of(seen).cpu().numpy() >= self.config.threshold
                frame = ClosedSetMetrics(model.num_classes, model.class_names)
                frame.update(seen.logits().argmax(0).cpu().numpy(), target, name=name)
                labelled = target < model.num_classes
                self.confusions[key].append(frame.confusion)
                self.flagged[key] += (np.count_nonzero(flagged[labelled]), np.count_nonzero(labelled))
            tick()

    def state(self) -> dict[str, Any]:
        """Return everything as `save_state` keeps it."""
        return {
            "confusions": {m: np.stack(frames) for m, frames in self.confusions.items()},
            "flagged": self.flagged,
        }

    def add_state(self, state: Mapping[str, Any]) -> None:
        """Add what `state` of the part with the next frames returned."""
        for m in self.models:
            self.confusions[m] += list(state["confusions"][m])
            self.flagged[m] += state["flagged"][m]


def shown_frames(count: int, wanted: int) -> set[int]:
    """Return which frames of a data set the report shows: evenly spread, from the first to the last."""
    return set(np.linspace(0, count - 1, min(wanted, count)).round().astype(int).tolist())


def segment_rows(
    model: str, dataset: str, sample_id: str, features: pd.DataFrame, match: Any
) -> pd.DataFrame:
    """Return the rows of a segment table that one frame gives, see `segood.evaluation.runner.Measured`."""
    rows = pd.concat([features, match.segments], axis=1)
    rows["ground_truth"] = match.touched
    rows.insert(0, "segment", rows.index.to_numpy())
    for position, (name, value) in enumerate(
        (("model", model), ("dataset", dataset), ("sample_id", sample_id))
    ):
        rows.insert(position, name, value)
    return rows


_COUNTS = ("num_in", "num_ood")


def _sparse(state: dict[str, Any]) -> dict[str, Any]:
    """Leave the empty bins out, which are nearly all."""
    kept = {key: np.flatnonzero(state[key]) for key in _COUNTS}
    return {**state, **{key: [at.astype(np.int32), state[key][at]] for key, at in kept.items()}}


def _dense(state: Mapping[str, Any]) -> dict[str, Any]:
    full = {}
    for key in _COUNTS:
        at, pixels = state[key]
        full[key] = np.zeros(state["num_bins"], np.int64)
        full[key][at] = pixels
    return {**state, **full}
