"""From what is stored of a method on a data set to its row of the table.

In: score maps and segments of all frames, targets. Out: `Row`, with the draws of its numbers for comparing
pairs, and the segments for transfers, the sweep and the feature ranking.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from segood.errors import SegoodError
from segood.evaluation.bootstrap import Bootstrap
from segood.evaluation.comparison.config import ComparisonConfig
from segood.evaluation.comparison.methods import NO_THRESHOLD
from segood.evaluation.comparison.results import Row, SweepPoint
from segood.evaluation.comparison.scoring import Job
from segood.evaluation.comparison.sources import Frames
from segood.evaluation.map_numbers import MapFrame, measure_maps
from segood.evaluation.meta_counts import errors_per_image, with_intervals
from segood.evaluation.meta_numbers import MetaOutcome, meta_numbers
from segood.evaluation.protocols import SegmentProtocol


@dataclass
class Measured:
    """A row, and what stands behind it.

    Attributes:
        row: the numbers.
        draws: per metric its bootstrap draws, on the images of the data set in order.
        segments: at the method's threshold; no rows where it has none.
        ground_truth: OoD segments per frame, in order.
    """

    row: Row
    draws: dict[str, np.ndarray] = field(default_factory=dict)
    segments: pd.DataFrame = field(default_factory=pd.DataFrame)
    ground_truth: dict[str, int] = field(default_factory=dict)


def measure_row(job: Job, frames: Frames, protocol: SegmentProtocol, config: ComparisonConfig) -> Measured:
    """Measure one method on one data set; what the user can cause becomes the row's reason.

    Args:
        job: whose files are complete, unless it carries a reason.
        frames: the data set.
        protocol: sizes and threshold of SegmentMeIfYouCan's metrics.
        config: of the comparison.
    """
    method = job.method
    empty = Row(method.info.key, frames.key, undefined=method.info.undefined or job.undefined)
    if empty.undefined is not None:
        return Measured(empty)

    is_own = config.datasets[frames.key].smiyc_threshold == "method" and method.threshold is not None
    if is_own:
        protocol = dataclasses.replace(protocol, threshold=_next_below(float(method.threshold or 0.0)))

    def maps() -> Iterator[MapFrame]:
        for position, sample_id in enumerate(frames.sample_ids):
            yield MapFrame(job.store.score(sample_id), frames.target(position), sample_id)

    try:
        found = measure_maps(maps, protocol, bootstrap_draws=config.num_draws, seed=config.seed)
    except SegoodError as error:
        return Measured(dataclasses.replace(empty, undefined=str(error)))
    row = Row(
        method=method.info.key,
        dataset=frames.key,
        undefined=found.undefined,
        num_in=found.num_in,
        num_ood=found.num_ood,
        auroc=found.auroc,
        average_precision=found.average_precision,
        fpr95=found.fpr95,
        error_bound=found.error_bound,
        siou=found.siou,
        ppv=found.ppv,
        f1_mean=found.f1_mean,
        smiyc_threshold=found.smiyc_threshold,
        smiyc_threshold_source=method.threshold_source if is_own else found.smiyc_threshold_source,
        threshold=method.threshold,
        threshold_source=method.threshold_source,
        roc=found.roc,
        pr=found.pr,
        distribution=found.distribution,
        notes=found.notes,
        images=found.images,
    )
    return _with_segments(Measured(row, dict(found.draws)), job, frames, config)


def _next_below(threshold: float) -> float:
    """Return the largest float16 below a threshold: score > it says of stored scores what score ≥ t says."""
    nearest = np.float16(threshold)
    return float(nearest if float(nearest) < threshold else np.nextafter(nearest, np.float16(-np.inf)))


def _with_segments(measured: Measured, job: Job, frames: Frames, config: ComparisonConfig) -> Measured:
    stored = [job.store.frame_segments(s) for s in frames.sample_ids]
    truth = {s: part.num_ground_truth for s, part in zip(frames.sample_ids, stored, strict=True)}
    milliseconds = float(np.median([part.milliseconds for part in stored]))
    row = dataclasses.replace(measured.row, milliseconds=milliseconds, num_ground_truth=sum(truth.values()))
    threshold = job.method.threshold
    if threshold is None:
        row = dataclasses.replace(row, segments_undefined=NO_THRESHOLD)
        return dataclasses.replace(measured, row=row, ground_truth=truth)
    rows = pd.concat([part.table for part in stored], ignore_index=True)
    rows = rows[rows["threshold"] == threshold].drop(columns="threshold").reset_index(drop=True)
    bootstrap = Bootstrap(len(frames), num_draws=config.num_draws, seed=config.seed)
    before = errors_per_image(rows, truth)
    counts = with_intervals(before, bootstrap)._asdict()
    meta = _meta(rows, truth, config, bootstrap)
    measured.draws["errors_before"] = bootstrap.sums(before).sum(axis=1)
    if meta.errors_per_image is not None:
        measured.draws["errors_after"] = bootstrap.sums(meta.errors_per_image).sum(axis=1)
    images = [
        dataclasses.replace(image, false_positives=int(fp), false_negatives=int(fn))
        for image, (fp, fn) in zip(row.images, before, strict=True)
    ]
    row = dataclasses.replace(row, **counts, num_predicted=len(rows), meta=meta.numbers, images=images)
    return Measured(row, measured.draws, rows, truth)


def _meta(
    rows: pd.DataFrame, truth: dict[str, int], config: ComparisonConfig, bootstrap: Bootstrap | None
) -> MetaOutcome:
    return meta_numbers(
        rows,
        ground_truth_per_image=truth,
        protocol=config.meta.protocol,
        preset=config.meta.preset,
        classifier=config.meta.classifier,
        probability_threshold=config.meta.probability_threshold,
        bootstrap=bootstrap,
    )


def measure_sweep(job: Job, frames: Frames, config: ComparisonConfig) -> list[SweepPoint]:
    """Return the errors at every threshold of the sweep, before and after meta classification."""
    stored = [job.store.frame_segments(s) for s in frames.sample_ids]
    truth = {s: part.num_ground_truth for s, part in zip(frames.sample_ids, stored, strict=True)}
    rows = pd.concat([part.table for part in stored], ignore_index=True)
    points = []
    for threshold in sorted(job.thresholds):
        part = rows[rows["threshold"] == threshold].drop(columns="threshold").reset_index(drop=True)
        before = errors_per_image(part, truth).sum(axis=0)
        after = _meta(part, truth, config, None).errors_per_image
        points.append(
            SweepPoint(
                job.method.info.key, frames.key, threshold, int(before.sum()), int(before[0]), int(before[1]),
                None if after is None else int(after.sum()),
            )
        )  # fmt: skip
    return points
