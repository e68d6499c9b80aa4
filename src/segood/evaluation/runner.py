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
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from segood.data.dataset import SegmentationDataset
from segood.errors import DataError, UsageError
from segood.evaluation.bootstrap import Bootstrap
from segood.evaluation.closed_set import ClosedSetMetrics
from segood.evaluation.config import EvaluationConfig
from segood.evaluation.curves import METRICS
from segood.evaluation.describe import describe_dataset
from segood.evaluation.explore_frames import Swept
from segood.evaluation.fitting import check_labels_fit
from segood.evaluation.frame_parts import ClosedSetPart, DatasetPart, segment_rows
from segood.evaluation.image_counts import ImageCounts, errors_interval, miou_interval
from segood.evaluation.pixel import PixelMetrics
from segood.evaluation.results import (
    ClosedSetResult,
    DatasetInfo,
    PixelResult,
    SegmentResult,
)
from segood.evaluation.segment import errors_of, match_segments
from segood.progress import Progress, no_progress
from segood.segments import extract_segments
from segood.segments.region import Region, describe_region

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
    part = DatasetPart(key, list(models), config, region, explores=exploration is not None)
    tick = progress(dataset.title, len(dataset))
    part.measure(dataset, range(len(dataset)), models, gallery, tick)
    return summed_up(part, dataset, exploration)


def summed_up(part: DatasetPart, dataset: SegmentationDataset, exploration: Path | None = None) -> Measured:
    """Return the results of all frames of a data set; see `measure_dataset`."""
    key, config = part.key, part.config
    rows = {m: pd.concat(frames, ignore_index=True) for m, frames in part.tables.items()}
    described = describe_dataset(key, dataset, part.num_with_ood)
    if part.region is not None:
        protocol = f"{described.protocol}; region: {describe_region(part.region)}, ignored outside"
        described = dataclasses.replace(described, protocol=protocol)
    return Measured(
        described,
        [
            _with_intervals(
                metric.to_result(model=m, dataset=key, score=part.score.name), part.counts[m], len(dataset)
            )
            for m, metric in part.metrics.items()
        ],
        [_segment_result(m, part, table) for m, table in rows.items()],
        pd.concat(rows.values(), ignore_index=True),
        _image_rows(key, part.metrics) if config.per_image else None,
        part.sweep.finish(exploration) if part.sweep is not None and exploration is not None else None,
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
    part = ClosedSetPart(key, list(models), config)
    part.measure(dataset, range(len(dataset)), models, progress(dataset.title, len(dataset)))
    return closed_results(part, dataset, models)


def closed_results(
    part: ClosedSetPart, dataset: SegmentationDataset, models: Mapping[str, SegmentationModel]
) -> list[ClosedSetResult]:
    """Return the results of all frames of a data set, per network."""
    results = []
    for model_key, model in models.items():
        confusions = np.stack(part.confusions[model_key])
        metric = ClosedSetMetrics(model.num_classes, model.class_names)
        metric.add_confusion(confusions.sum(axis=0), len(confusions))
        report = metric.compute()
        flagged, asked = part.flagged[model_key].tolist()
        results.append(
            ClosedSetResult(
                model=model_key,
                dataset=part.key,
                num_images=len(dataset),
                num_pixels=report.num_pixels,
                miou=report.miou,
                iou=dict(report.iou),
                flagged_share=flagged / asked if asked else None,
                threshold=part.config.threshold,
                miou_interval=miou_interval(confusions),
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
            "the original task (`closed_set`) needs a data set with train ids, such as cityscapes, or a "
            "folder with the options `role: closed_set` and `label_space`"
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
        tables.append(segment_rows(key, "", "", found.features, match))
    return pd.concat(tables, ignore_index=True)


def _image_rows(dataset: str, metrics: Mapping[str, PixelMetrics]) -> pd.DataFrame:
    rows = [
        {"model": model, "dataset": dataset, "sample_id": image.name, **dataclasses.asdict(image)}
        for model, metric in metrics.items()
        for image in metric.compute().per_image or ()
    ]
    table = pd.DataFrame(rows, columns=["model", "dataset", "sample_id", *_IMAGE_NUMBERS])
    return table.astype(dict.fromkeys(METRICS, float))  # also where all are undefined


def _with_intervals(result: PixelResult, counts: ImageCounts, num_images: int) -> PixelResult:
    exact = {name: getattr(result, name) for name in METRICS}
    return dataclasses.replace(result, intervals=counts.intervals(Bootstrap(num_images), exact))


def _segment_result(model: str, part: DatasetPart, rows: pd.DataFrame) -> SegmentResult:
    truth = part.truth[model]
    return SegmentResult(
        model=model,
        dataset=part.key,
        score=part.score.name,
        threshold=part.config.threshold,
        num_ground_truth=sum(truth.values()),
        before_meta=errors_of(rows, sum(truth.values())),
        mean_adjusted_iou=float(rows["adjusted_iou"].mean()) if len(rows) else None,
        ground_truth_per_image=truth,
        intervals={"errors": errors_interval(rows, truth)},
    )
