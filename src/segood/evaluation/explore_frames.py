"""The frames of a data set at every threshold that the report's reader can move to.

In: per frame and network the logits, what the evaluation's own threshold found in them, the target. Out:
`Swept`: pixel and segment counts per threshold, the frames of the gallery with outlines of their segments;
per network and other threshold a segment table on disk, which meta classification needs (`explore`).

Memory: features take 0.3 KB per segment, and 10 MB per network and other threshold at most: beyond
`MOST_SEGMENTS` only counts go on, and meta classification is undefined there. Neither networks nor score are
asked again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from segood.evaluation.contingency import overlaps
from segood.evaluation.exploration import ModelSweep, PixelCounts, ShownFrame, ShownSegment
from segood.evaluation.explore_shown import draw_objects, draw_segments
from segood.evaluation.gallery import GalleryFrame
from segood.files import atomic_path
from segood.records import from_dict
from segood.segments import Segments, extract_segments
from segood.segments.components import label_components
from segood.types import IGNORE, IN_DISTRIBUTION, OUT_OF_DISTRIBUTION

MOST_SEGMENTS = 30_000
"""Segments of a network on a data set up to which a threshold other than the run's keeps their features."""


@dataclass(frozen=True)
class Swept:
    """What the frames of one data set gave.

    Attributes:
        thresholds: rising.
        sweeps: one per network; `segments` and `undefined` are empty until meta classification fills them.
        frames: of the gallery; segments without probability.
    """

    thresholds: list[float]
    sweeps: list[ModelSweep]
    frames: list[ShownFrame]


def table_path(folder: Path, model: str, dataset: str, step: int) -> Path:
    """Return where the segments at one threshold are kept: `DATASET/MODEL/STEP.parquet`."""
    return folder / dataset / model / f"{step:02d}.parquet"


class DatasetSweep:
    """Collect what one data set gives at every threshold, while an evaluation goes over its frames.

    Args:
        dataset: its key.
        models: keys of the networks.
        thresholds: rising, `threshold` among them.
        threshold: the evaluation's own, whose segments the evaluation keeps itself.
    """

    def __init__(
        self, dataset: str, models: Sequence[str], thresholds: Sequence[float], threshold: float
    ) -> None:
        self._dataset, self._models, self._thresholds = dataset, list(models), list(thresholds)
        self._own = self._thresholds.index(threshold)
        steps = len(self._thresholds)
        self._pixels = {m: np.zeros((2, steps + 1), np.int64) for m in models}
        self._predicted = {m: [0] * steps for m in models}
        self._tables = {m: [_Table() for _ in range(steps)] for m in models}
        self._num_objects = dict.fromkeys(models, 0)
        self._frames: dict[str, ShownFrame] = {}

    def add(
        self,
        model: str,
        sample_id: str,
        logits: Tensor,
        found: Segments,
        target: np.ndarray,
        picture: GalleryFrame | None = None,
    ) -> None:
        """Count one frame of one network.

        Args:
            model: its key.
            sample_id: of the frame.
            logits: (C,H,W) at the size of the labels.
            found: the segments at the evaluation's own threshold, target 255 ignored, with their score map.
            target: (H,W) 0, 1, 255.
            picture: of the gallery, where the frame is in it.
        """
        truth, num_objects = label_components(target == OUT_OF_DISTRIBUTION)
        self._num_objects[model] += int(num_objects)
        counts = _pixels_reaching(found.score_map, target, self._thresholds)
        self._pixels[model] += counts
        if picture is not None and sample_id not in self._frames:
            height, width = picture.target.shape
            objects = draw_objects(truth, picture)
            self._frames[sample_id] = ShownFrame(self._dataset, sample_id, height, width, objects, {})
        score_map = torch.as_tensor(found.score_map, device=logits.device)
        shown: list[list[ShownSegment]] = []
        for step, threshold in enumerate(self._thresholds):
            if not counts[:, step + 1].any():
                shown.append([])
                continue
            here = found
            if step != self._own:
                here = extract_segments(
                    logits=logits, score_map=score_map, threshold=threshold, ignore=target == IGNORE
                )
            touched = _touched(here, truth)
            self._predicted[model][step] += len(here)
            if step != self._own:
                self._tables[model][step].add(sample_id, here.features, touched)
            if picture is not None:
                shown.append(draw_segments(here, touched, picture, coarse=step != self._own))
        if picture is not None:
            self._frames[sample_id].segments[model] = shown

    def state(self) -> dict[str, Any]:
        """Return everything as `save_state` keeps it."""
        return {
            "pixels": self._pixels,
            "predicted": self._predicted,
            "num_objects": self._num_objects,
            "tables": {m: [table.state() for table in tables] for m, tables in self._tables.items()},
            "frames": [dataclasses.asdict(frame) for frame in self._frames.values()],
        }

    def add_state(self, state: Mapping[str, Any]) -> None:
        """Add what `state` of a sweep over the next frames returned."""
        for m in self._models:
            self._pixels[m] += state["pixels"][m]
            self._num_objects[m] += state["num_objects"][m]
            for step, table in enumerate(self._tables[m]):
                self._predicted[m][step] += state["predicted"][m][step]
                table.add_state(state["tables"][m][step])
        frames = [from_dict(ShownFrame, frame) for frame in state["frames"]]
        self._frames.update({frame.sample_id: frame for frame in frames})

    def finish(self, folder: Path) -> Swept:
        """Write the segment tables of all other thresholds into `folder` and return the rest."""
        for model, tables in self._tables.items():
            for step, table in enumerate(tables):
                if step != self._own:
                    table.save(table_path(folder, model, self._dataset, step))
        return Swept(self._thresholds, [self._sweep(m) for m in self._models], list(self._frames.values()))

    def _sweep(self, model: str) -> ModelSweep:
        num_in, num_ood = self._pixels[model][:, 0].tolist()
        return ModelSweep(
            model=model,
            dataset=self._dataset,
            num_in=num_in,
            num_ood=num_ood,
            num_ground_truth=self._num_objects[model],
            num_segments=self._predicted[model],
            pixels=[PixelCounts(tp=tp, fp=fp) for fp, tp in self._pixels[model][:, 1:].T.tolist()],
            segments=[],
            undefined=[],
        )


@dataclass
class _Table:
    """Segments of one network at one threshold, frame after frame."""

    sample_ids: list[str] = field(default_factory=list)
    touched: list[list[int]] = field(default_factory=list)
    features: list[pd.DataFrame] = field(default_factory=list)

    def add(self, sample_id: str, features: pd.DataFrame, touched: list[list[int]]) -> None:
        self.sample_ids += [sample_id] * len(touched)
        self.touched += touched
        if len(self.touched) <= MOST_SEGMENTS:
            self.features.append(features.astype(np.float32))
        else:
            self.features = []

    def state(self) -> dict[str, Any]:
        features = pd.concat(self.features, ignore_index=True) if self.features else None
        segments = [index for part in self.features for index in part.index.tolist()]
        known = {"sample_ids": self.sample_ids, "touched": self.touched}
        return {**known, "features": features, "segments": segments}

    def add_state(self, state: Mapping[str, Any]) -> None:
        self.sample_ids += state["sample_ids"]
        self.touched += state["touched"]
        if len(self.touched) > MOST_SEGMENTS:
            self.features = []
        elif state["features"] is not None:
            index = pd.Index(state["segments"], name="segment")
            self.features.append(state["features"].set_index(index))

    def save(self, path: Path) -> None:
        rows = pd.concat(self.features).reset_index() if self.features else pd.DataFrame()
        rows = rows.assign(sample_id=self.sample_ids, ground_truth=pd.Series(self.touched, dtype=object))
        rows["is_false_positive"] = np.array([not ids for ids in self.touched], bool)
        with atomic_path(path) as temporary:
            rows.to_parquet(temporary, index=False, compression="zstd")


def _pixels_reaching(score_map: np.ndarray, target: np.ndarray, thresholds: Sequence[float]) -> np.ndarray:
    """Return (2, T+1) pixels, in-distribution and OoD: all of them, then those that reach each threshold."""
    # A score of 0.7 reaches the threshold 0.7, in float32 as well.
    reached = np.searchsorted(np.array(thresholds, np.float32), score_map, side="right")
    exactly = [
        np.bincount(reached[target == kind], minlength=len(thresholds) + 1)
        for kind in (IN_DISTRIBUTION, OUT_OF_DISTRIBUTION)
    ]
    return np.stack(exactly)[:, ::-1].cumsum(axis=1)[:, ::-1]


def _touched(found: Segments, truth: np.ndarray) -> list[list[int]]:
    """Return for each segment the ground-truth segments it shares pixels with."""
    touched: list[list[int]] = [[] for _ in range(len(found))]
    shared = overlaps(found.labels, truth)
    for segment, key in zip(shared.first.tolist(), shared.second.tolist(), strict=True):
        touched[segment - 1].append(key)
    return touched
