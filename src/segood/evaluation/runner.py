"""Networks on data sets -> pixel-level, segment-level and closed-set numbers, and the segment table.

In: networks by key, an `EvaluationConfig`. Out: `RunResults` (without meta classification, which
works on the segment table alone, see `evaluation/false_alarms.py`), the table, and gallery frames.
Resolution rule: logits are upsampled to the labels' size; labels are never resized here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from segood.data.dataset import SegmentationDataset
from segood.errors import DataError, UsageError
from segood.evaluation.bootstrap import Bootstrap
from segood.evaluation.closed_set import ClosedSetMetrics
from segood.evaluation.config import EvaluationConfig
from segood.evaluation.curves import METRICS
from segood.evaluation.describe import describe_dataset
from segood.evaluation.explore_frames import DatasetSweep, Swept
from segood.evaluation.fitting import check_labels_fit
from segood.evaluation.gallery import GalleryFrame, save_gallery_frame
from segood.evaluation.image_counts import ImageCounts, errors_interval, miou_interval
from segood.evaluation.pixel import PixelMetrics
from segood.evaluation.region import cut_to_region
from segood.evaluation.results import (
    ClosedSetResult,
    DatasetInfo,
    PixelResult,
    SegmentResult,
)
from segood.evaluation.segment import errors_of, match_segments
from segood.models.observation import observe
from segood.progress import Progress, no_progress
from segood.scores import get_score
from segood.segments import extract_segments
from segood.segments.region import Region, describe_region
from segood.types import IGNORE, OUT_OF_DISTRIBUTION

if TYPE_CHECKING:
    from segood.models import SegmentationModel

_IMAGE_NUMBERS = ("num_in", "num_ood", *METRICS, "undefined")


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
        images: one row per model and frame with its own exact pixel metrics: model, dataset, sample_id,
            num_in, num_ood, auroc, average_precision, fpr95, undefined (why the three have no value);
            None unless the configuration asks for it.
        swept: counts at other thresholds and outlines for the report; None unless asked for.
    """

    dataset: DatasetInfo
    pixel: list[PixelResult]
    segment: list[SegmentResult]
    segments: pd.DataFrame
    images: pd.DataFrame | None = None
    swept: Swept | None = None


def measure_dataset(
    key: str,
    dataset: SegmentationDataset,
    models: Mapping[str, SegmentationModel],
    config: EvaluationConfig,
    *,
    region: Region | None = None,
    gallery: Path | None = None,
    exploration: Path | None = None,
    progress: Progress = no_progress,
) -> Measured:
    """Run every network over every frame of one OoD test set, once.

    Args:
        key: the data set's key in all results.
        dataset: its targets hold 0 in-distribution, 1 OoD, 255 ignore.
        models: networks by key.
        config: score and threshold; of its region only what `region` says counts.
        region: pixels outside are ignored; one of predicted classes is another one for every network, and
            then nothing is explored, since networks share the objects that the report draws.
        gallery: folder for the frames that the report shows; none are kept without it.
        exploration: folder for the segment tables of the configuration's other thresholds; nothing is
            explored without it.
        progress: see `segood.progress.Progress`.

    Raises:
        UsageError: it is no OoD test set, or the score cannot be had of a network, or needs fitting.
        DataError: it has frames without labels.
    """
    check_test_set(dataset)
    score = get_score(config.score)
    score.check_fitted()
    metrics = {
        m: PixelMetrics(range=score.range, spacing=score.spacing, per_image=config.per_image) for m in models
    }
    counts = {m: ImageCounts() for m in models}
    truth: dict[str, dict[str, int]] = {m: {} for m in models}
    tables: dict[str, list[pd.DataFrame]] = {m: [] for m in models}
    shown = set(
        np.linspace(0, len(dataset) - 1, min(config.gallery_frames, len(dataset))).round().astype(int)
    )
    per_network = region is not None and region.needs_classes
    thresholds = config.explored(score.range) if exploration is not None and not per_network else []
    sweep = DatasetSweep(key, list(models), thresholds, config.threshold) if thresholds else None
    num_with_ood = 0
    tick = progress(dataset.title, len(dataset))
    for index in range(len(dataset)):
        sample = dataset[index]
        assert sample.target is not None, "checked above"
        common = sample.target if per_network else cut_to_region(sample.target, region, None)
        sample = sample._replace(target=common)
        with_ood = False
        picture = GalleryFrame.start(sample) if gallery is not None and index in shown else None
        score_maps: dict[str, np.ndarray] = {}
        labels: dict[str, np.ndarray] = {}
        for model_key, model in models.items():
            seen = observe(model, sample.image, common.shape, scores=[score])
            target = common
            if per_network:
                target = cut_to_region(common, region, seen.logits().argmax(0).cpu().numpy())
            # Extracting segments computes the entropy anyway, in the same pass.
            other = None if score.name == "entropy" else score.of(seen)
            found = extract_segments(
                logits=seen.logits(), score_map=other, threshold=config.threshold, ignore=target == IGNORE
            )
            score_map = found.score_map
            match = match_segments(found.labels, target)
            metrics[model_key].update(score_map, target, name=sample.sample_id)
            counts[model_key].add(score_map, target)
            tables[model_key].append(_segment_rows(model_key, key, sample.sample_id, found.features, match))
            if sweep is not None:
                sweep.add(model_key, sample.sample_id, seen.logits(), found, target, picture)
            truth[model_key][sample.sample_id] = len(match.ground_truth)
            with_ood = with_ood or bool((target == OUT_OF_DISTRIBUTION).any())
            if picture is not None:
                score_maps[model_key], labels[model_key] = score_map, found.labels
        num_with_ood += with_ood
        if gallery is not None and picture is not None:
            frame = picture.with_models(score_maps, labels, score.range)
            save_gallery_frame(gallery / key / f"{index:04d}.npz", frame)
        tick()
    rows = {m: pd.concat(frames, ignore_index=True) for m, frames in tables.items()}
    described = describe_dataset(key, dataset, num_with_ood)
    if region is not None:
        protocol = f"{described.protocol}; region: {describe_region(region)}, ignored outside"
        described = dataclasses.replace(described, protocol=protocol)
    return Measured(
        described,
        [
            _with_intervals(
                metric.to_result(model=m, dataset=key, score=config.score), counts[m], len(dataset)
            )
            for m, metric in metrics.items()
        ],
        [_segment_result(m, key, config, table, truth[m]) for m, table in rows.items()],
        pd.concat(rows.values(), ignore_index=True),
        _image_rows(key, metrics) if config.per_image else None,
        sweep.finish(exploration) if sweep is not None and exploration is not None else None,
    )


def measure_closed_set(
    key: str,
    dataset: SegmentationDataset,
    models: Mapping[str, SegmentationModel],
    config: EvaluationConfig,
    *,
    progress: Progress = no_progress,
) -> list[ClosedSetResult]:
    """Return mIoU on the original task and the share of its pixels flagged OoD, per network.

    Raises:
        UsageError: the data set has no train ids, or they do not fit a network's outputs.
        DataError: a frame has no label.
    """
    check_closed_set(dataset, list(models.values()))
    score = get_score(config.score)
    score.check_fitted()
    metrics = {k: ClosedSetMetrics(m.num_classes, m.class_names) for k, m in models.items()}
    confusions: dict[str, list[np.ndarray]] = {k: [] for k in models}
    tick = progress(dataset.title, len(dataset))
    for index in range(len(dataset)):
        image, target, name = dataset[index]
        assert target is not None, "checked above"
        for model_key, model in models.items():
            seen = observe(model, image, target.shape, scores=[score])
            flagged = score.of(seen).cpu().numpy() >= config.threshold
            classes = seen.logits().argmax(0).cpu().numpy()
            before = metrics[model_key].confusion
            metrics[model_key].update(classes, target, flagged=flagged, name=name)
            confusions[model_key].append(metrics[model_key].confusion - before)
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
                flagged_share=report.flagged_share,
                threshold=config.threshold,
                miou_interval=miou_interval(np.stack(confusions[model_key])),
            )
        )
    return results


def check_test_set(dataset: SegmentationDataset) -> None:
    """Raise unless a data set tells OoD pixels, in every frame."""
    if dataset.role != "ood":
        raise UsageError(
            f"{dataset.title} is a {dataset.role} data set; "
            "an OoD evaluation (`datasets`) needs one whose labels tell OoD pixels"
        )
    _require_labels(dataset, "export score maps for them with `segood score`")


def check_closed_set(dataset: SegmentationDataset, models: Sequence[SegmentationModel]) -> None:
    """Raise unless a data set gives train ids for every frame, of the classes of all networks."""
    if dataset.role != "closed_set":
        raise UsageError(
            f"{dataset.title} is of the kind {dataset.role}; "
            "the original task (`closed_set`) needs a data set with train ids, such as cityscapes"
        )
    _require_labels(dataset, "the original task needs labels for all")
    for model in models:
        check_labels_fit(dataset, model)


def _require_labels(dataset: SegmentationDataset, remedy: str) -> None:
    missing = [r.sample_id for r in dataset.records if r.label is None]
    if missing:
        raise DataError(
            f"{dataset.title}: {len(missing)} frames have no public label, first {missing[0]}; {remedy}"
        )


def empty_segments(models: Mapping[str, SegmentationModel]) -> pd.DataFrame:
    """Return the segment table of an evaluation without OoD test set: all its columns, no row."""
    tables = []
    for key, model in models.items():
        sure = np.zeros((model.num_classes, 1, 1), np.float32)
        sure[0] = 100.0  # no entropy, so no segment
        found = extract_segments(logits=sure, threshold=1.0)
        match = match_segments(found.labels, np.zeros((1, 1), np.uint8))
        tables.append(_segment_rows(key, "", "", found.features, match))
    return pd.concat(tables, ignore_index=True)


def _image_rows(dataset: str, metrics: Mapping[str, PixelMetrics]) -> pd.DataFrame:
    rows = [
        {"model": model, "dataset": dataset, "sample_id": image.name, **dataclasses.asdict(image)}
        for model, metric in metrics.items()
        for image in metric.compute().per_image or ()
    ]
    table = pd.DataFrame(rows, columns=["model", "dataset", "sample_id", *_IMAGE_NUMBERS])
    return table.astype(dict.fromkeys(METRICS, float))  # also where all are undefined


def _segment_rows(
    model: str, dataset: str, sample_id: str, features: pd.DataFrame, match: Any
) -> pd.DataFrame:
    rows = pd.concat([features, match.segments], axis=1)
    rows["ground_truth"] = match.touched
    rows.insert(0, "segment", rows.index.to_numpy())
    for position, (name, value) in enumerate(
        (("model", model), ("dataset", dataset), ("sample_id", sample_id))
    ):
        rows.insert(position, name, value)
    return rows


def _with_intervals(result: PixelResult, counts: ImageCounts, num_images: int) -> PixelResult:
    exact = {name: getattr(result, name) for name in METRICS}
    return dataclasses.replace(result, intervals=counts.intervals(Bootstrap(num_images), exact))


def _segment_result(
    model: str, dataset: str, config: EvaluationConfig, rows: pd.DataFrame, truth: dict[str, int]
) -> SegmentResult:
    return SegmentResult(
        model=model,
        dataset=dataset,
        score=config.score,
        threshold=config.threshold,
        num_ground_truth=sum(truth.values()),
        before_meta=errors_of(rows, sum(truth.values())),
        mean_adjusted_iou=float(rows["adjusted_iou"].mean()) if len(rows) else None,
        ground_truth_per_image=truth,
        intervals={"errors": errors_interval(rows, truth)},
    )
