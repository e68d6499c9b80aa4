"""Networks on data sets -> pixel-level, segment-level and closed-set numbers, and the segment table.

In: networks by key, an `EvaluationConfig`. Out: `RunResults` (without meta classification, which
works on the segment table alone, see `evaluation/false_alarms.py`), the table, and gallery frames.
Resolution rule: logits are upsampled to the labels' size; labels are never resized here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from segood.data import Sample
from segood.data.dataset import SegmentationDataset
from segood.errors import DataError
from segood.evaluation.closed_set import ClosedSetMetrics
from segood.evaluation.config import EvaluationConfig
from segood.evaluation.gallery import GalleryFrame, save_gallery_frame
from segood.evaluation.pixel import PixelMetrics
from segood.evaluation.results import (
    ClosedSetResult,
    DatasetInfo,
    ModelInfo,
    PixelResult,
    SegmentErrors,
    SegmentResult,
)
from segood.evaluation.segment import match_segments
from segood.progress import Progress, no_progress
from segood.scores import get_score
from segood.segments import extract_segments
from segood.types import IGNORE, OUT_OF_DISTRIBUTION

if TYPE_CHECKING:
    from segood.models import SegmentationModel


@dataclass(frozen=True)
class Measured:
    """What the frames of one data set gave.

    Attributes:
        dataset: facts about the data set.
        pixel: one result per model.
        segment: one result per model, before meta classification.
        segments: one row per predicted segment: model, dataset, sample_id, segment, features,
            num_ood_pixels, iou, adjusted_iou, is_false_positive, ground_truth (ids of the
            ground-truth segments of this frame that it touches).
    """

    dataset: DatasetInfo
    pixel: list[PixelResult]
    segment: list[SegmentResult]
    segments: pd.DataFrame


@dataclass
class _Counts:
    """Running sums of one model on one data set."""

    metrics: PixelMetrics
    num_predicted: int = 0
    false_positives: int = 0
    false_negatives: int = 0
    tables: list[pd.DataFrame] = field(default_factory=list)


def measure_dataset(
    key: str,
    dataset: SegmentationDataset,
    models: Mapping[str, SegmentationModel],
    config: EvaluationConfig,
    *,
    gallery: Path | None = None,
    progress: Progress = no_progress,
) -> Measured:
    """Run every network over every frame of one OoD test set, once.

    Args:
        key: the data set's key in all results.
        dataset: its targets hold 0 in-distribution, 1 OoD, 255 ignore.
        models: networks by key.
        config: score and threshold.
        gallery: folder for the frames that the report shows; none are kept without it.
        progress: see `segood.progress.Progress`.

    Raises:
        DataError: the data set has frames without labels, or is not an OoD test set.
    """
    _require_ood_labels(dataset)
    score = get_score(config.score)
    counts = {m: _Counts(PixelMetrics(range=score.range, spacing=score.spacing)) for m in models}
    shown = set(
        np.linspace(0, len(dataset) - 1, min(config.gallery_frames, len(dataset))).round().astype(int)
    )
    num_ground_truth = num_with_ood = 0
    tick = progress(dataset.title, len(dataset))
    for index in range(len(dataset)):
        sample = dataset[index]
        target = sample.target
        assert target is not None, "checked above"
        frame = GalleryFrame.start(sample) if gallery and index in shown else None
        for model_key, model in models.items():
            logits = model.predict_logits(sample.image, size=target.shape)
            score_map = score(logits=logits[None])[0].cpu().numpy()
            found = extract_segments(
                logits=logits, score_map=score_map, threshold=config.threshold, ignore=target == IGNORE
            )
            match = match_segments(found.labels, target)
            count = counts[model_key]
            count.metrics.update(score_map, target, name=sample.sample_id)
            count.num_predicted += len(match.segments)
            count.false_positives += match.num_false_positives
            count.false_negatives += match.num_false_negatives
            count.tables.append(_segment_rows(model_key, key, sample, found.features, match))
            if frame is not None:
                frame = frame.with_model(model_key, score_map, found.labels)
        num_ground_truth += len(match.ground_truth)
        num_with_ood += bool((target == OUT_OF_DISTRIBUTION).any())
        if frame is not None and gallery is not None:
            save_gallery_frame(gallery / key / f"{index:04d}.npz", frame)
        tick()
    segments = pd.concat([t for c in counts.values() for t in c.tables], ignore_index=True)
    return Measured(
        describe_dataset(key, dataset, num_with_ood),
        [c.metrics.to_result(model=m, dataset=key, score=config.score) for m, c in counts.items()],
        [_segment_result(m, key, config, c, num_ground_truth) for m, c in counts.items()],
        segments,
    )


def measure_closed_set(
    key: str,
    dataset: SegmentationDataset,
    models: Mapping[str, SegmentationModel],
    config: EvaluationConfig,
    *,
    progress: Progress = no_progress,
) -> list[ClosedSetResult]:
    """Return mIoU on the original task and the share of its pixels flagged OoD, per network."""
    score = get_score(config.score)
    metrics = {k: ClosedSetMetrics(m.num_classes, m.class_names) for k, m in models.items()}
    tick = progress(dataset.title, len(dataset))
    for index in range(len(dataset)):
        image, target, sample_id = dataset[index]
        if target is None:
            raise DataError(f"{dataset.title}: {sample_id} has no label; the closed set needs labels for all")
        for model_key, model in models.items():
            logits = model.predict_logits(image, size=target.shape)
            flagged = score(logits=logits[None])[0].cpu().numpy() >= config.threshold
            metrics[model_key].update(logits.argmax(0).cpu().numpy(), target, flagged=flagged)
        tick()
    results = []
    for model_key, metric in metrics.items():
        report = metric.compute()
        results.append(
            ClosedSetResult(
                model=model_key,
                dataset=key,
                num_images=len(dataset),
                num_pixels=report.num_pixels,
                miou=report.miou,
                iou=dict(report.iou),
                flagged_share=report.flagged_share or 0.0,
                threshold=config.threshold,
            )
        )
    return results


def describe_dataset(key: str, dataset: SegmentationDataset, num_images_with_ood: int = 0) -> DatasetInfo:
    """Return what the results say about a data set; hashes its files."""
    return DatasetInfo(
        key=key,
        title=dataset.title,
        protocol=dataset.protocol,
        num_images=len(dataset),
        num_images_with_ood=num_images_with_ood,
        resolution=dataset.resolution,
        content_hash=dataset.content_hash(),
    )


def describe_model(key: str, title: str, model: SegmentationModel, checkpoint: Path | None) -> ModelInfo:
    """Return what the results say about a network; hashes its checkpoint file."""
    digest = None
    if checkpoint is not None:
        with checkpoint.open("rb") as handle:
            digest = (
                hashlib.file_digest(handle, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else None
            )
    return ModelInfo(
        key=key,
        title=title,
        network=model.name or type(model.network).__name__,
        class_names=list(model.class_names),
        checkpoint=checkpoint.name if checkpoint else None,
        sha256=digest,
    )


def _require_ood_labels(dataset: SegmentationDataset) -> None:
    if dataset.role != "ood":
        raise DataError(
            f"{dataset.title} is a {dataset.role} data set; "
            "an OoD evaluation needs one whose labels tell OoD pixels"
        )
    missing = [r.sample_id for r in dataset.records if r.label is None]
    if missing:
        raise DataError(
            f"{dataset.title}: {len(missing)} frames have no public label, first {missing[0]}; "
            "export score maps for them with `segood score`"
        )


def _segment_rows(
    model: str, dataset: str, sample: Sample, features: pd.DataFrame, match: Any
) -> pd.DataFrame:
    rows = pd.concat([features, match.segments], axis=1)
    rows["ground_truth"] = match.touched
    rows.insert(0, "segment", rows.index.to_numpy())
    for position, (name, value) in enumerate(
        (("model", model), ("dataset", dataset), ("sample_id", sample.sample_id))
    ):
        rows.insert(position, name, value)
    return rows


def _segment_result(
    model: str, dataset: str, config: EvaluationConfig, counts: _Counts, num_ground_truth: int
) -> SegmentResult:
    hit = (
        pd.concat([t["adjusted_iou"] for t in counts.tables])
        if counts.num_predicted
        else pd.Series(dtype=float)
    )
    return SegmentResult(
        model=model,
        dataset=dataset,
        score=config.score,
        threshold=config.threshold,
        num_ground_truth=num_ground_truth,
        before_meta=SegmentErrors(
            counts.num_predicted,
            counts.false_positives,
            counts.false_negatives,
            counts.false_positives + counts.false_negatives,
        ),
        mean_adjusted_iou=float(hit.mean()) if len(hit) else None,
    )
