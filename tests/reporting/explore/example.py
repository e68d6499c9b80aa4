"""The exploration of a fabricated run: segments counted at every threshold, in agreement with its metrics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from segood.evaluation.exploration import (
    FILE,
    Contribution,
    Exploration,
    ModelSweep,
    PixelCounts,
    SegmentCounts,
    ShownFrame,
    ShownObject,
    ShownSegment,
)
from segood.evaluation.gallery import GalleryFrame, load_gallery_frame
from segood.evaluation.outlines import outline_segments
from segood.evaluation.results import RunResults

THRESHOLDS = (0.5, 0.6, 0.7, 0.8)
PROBABILITIES = (0.25, 0.5, 0.75, 1.01)
FEATURES = ("entropy_mean", "size", "neighbor_share_3", "class_probability_6")


def fabricate_exploration(folder: Path) -> Exploration:
    """Write `exploration.json` into a fabricated run and return it."""
    results = RunResults.load(folder / "metrics.json")
    table = pd.read_parquet(folder / "segments.parquet")
    own = results.segment[0].threshold
    sweeps: list[ModelSweep] = []
    shown: list[ShownFrame] = []
    for dataset in [d.key for d in results.datasets if (folder / "gallery" / d.key).exists()]:
        frames = [load_gallery_frame(p) for p in sorted((folder / "gallery" / dataset).glob("*.npz"))]
        drawn = []
        for frame in frames:
            truth = cv2.connectedComponents((frame.target == 1).astype(np.uint8), connectivity=8)[1]
            segments = {
                model.key: [
                    _segments(frame, model.key, t, own, truth, _rows(table, model.key, dataset, frame))
                    for t in THRESHOLDS
                ]
                for model in results.models
            }
            drawn.append(ShownFrame(dataset, frame.sample_id, *frame.target.shape, _objects(truth), segments))
        shown += drawn
        for model in results.models:
            sweeps.append(_sweep(model.key, dataset, frames, drawn))
    exploration = Exploration("entropy", list(THRESHOLDS), own, list(PROBABILITIES), 0.5, sweeps, shown)
    exploration.save(folder / FILE)
    return exploration


def _rows(table: pd.DataFrame, model: str, dataset: str, frame: GalleryFrame) -> dict[int, float]:
    here = (table.model == model) & (table.dataset == dataset) & (table.sample_id == frame.sample_id)
    return dict(zip(table[here].segment, table[here].meta_probability, strict=True))


def _segments(
    frame: GalleryFrame, model: str, threshold: float, own: float, truth: np.ndarray, known: dict[int, float]
) -> list[ShownSegment]:
    labels = frame.labels[model]
    if threshold != own:
        mask = (frame.scores[model] / 255 >= threshold) & (frame.target != 255)
        labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[1].astype(np.int32)
    ids = np.unique(labels[labels > 0]).tolist()
    outlines = outline_segments(labels.astype(np.int32), ids)
    found = []
    for key in ids:
        mask = labels == key
        objects = np.unique(truth[mask & (truth > 0)]).tolist()
        draw = np.random.default_rng([key, round(1000 * threshold), int(mask.sum())])
        chance = (
            known[key]
            if threshold == own
            else float(draw.uniform(0.3, 1) if not objects else draw.uniform(0, 0.7))
        )
        found.append(
            ShownSegment(key, outlines[key], int(mask.sum()), not objects, objects, **_reasons(chance, draw))
        )
    return found


def _reasons(chance: float, draw: np.random.Generator) -> dict[str, Any]:
    logit, intercept = float(np.log(chance / (1 - chance))), 0.3
    parts = sorted(draw.normal(0, 1, len(FEATURES)).round(6).tolist(), key=lambda v: -abs(v))
    named = [
        Contribution(n, round(float(draw.uniform(0, 1)), 4), v) for n, v in zip(FEATURES, parts, strict=True)
    ]
    rest = logit - intercept - sum(parts)
    return {
        "probability": chance,
        "logit": logit,
        "intercept": intercept,
        "contributions": named,
        "rest": rest,
    }


def _objects(truth: np.ndarray) -> list[ShownObject]:
    ids = np.unique(truth[truth > 0]).tolist()
    outlines = outline_segments(truth.astype(np.int32), ids)
    return [ShownObject(key, int((truth == key).sum()), outlines[key]) for key in ids]


def _sweep(model: str, dataset: str, frames: list[GalleryFrame], drawn: list[ShownFrame]) -> ModelSweep:
    pixels, counts, numbers = [], [], []
    for place, threshold in enumerate(THRESHOLDS):
        flagged = [(f, f.scores[model] / 255 >= threshold) for f in frames]
        pixels.append(
            PixelCounts(
                sum(int((mask & (f.target == 1)).sum()) for f, mask in flagged),
                sum(int((mask & (f.target == 0)).sum()) for f, mask in flagged),
            )
        )
        per_frame = [(frame, frame.segments[model][place]) for frame in drawn]
        numbers.append(sum(len(segments) for _, segments in per_frame))
        counts.append([_count(per_frame, least) for least in PROBABILITIES])
    return ModelSweep(
        model, dataset,
        sum(int((f.target == 0).sum()) for f in frames), sum(int((f.target == 1).sum()) for f in frames),
        sum(len(frame.objects) for frame in drawn), numbers, pixels, counts, [None] * len(THRESHOLDS),
    )  # fmt: skip


def _count(per_frame: list[tuple[ShownFrame, list[ShownSegment]]], least: float) -> SegmentCounts:
    false_positives = false_negatives = rightly = wrongly = 0
    for frame, segments in per_frame:
        kept = [s for s in segments if (s.probability or 0) < least]
        removed = [s for s in segments if (s.probability or 0) >= least]
        false_positives += sum(s.is_false_positive for s in kept)
        touched = {key for s in kept for key in s.ground_truth}
        false_negatives += sum(o.ground_truth not in touched for o in frame.objects)
        rightly += sum(s.is_false_positive for s in removed)
        wrongly += sum(not s.is_false_positive for s in removed)
    return SegmentCounts(false_positives, false_negatives, rightly, wrongly)
