"""mIoU of the original task, with its interval over images; interrupted, it goes on where it stopped.

In: a network, frames with train ids. Out: `ClosedSetRow`, and one confusion matrix per frame on disk.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from segood.evaluation.bootstrap import Bootstrap
from segood.evaluation.closed_set import ClosedSetMetrics, mean_iou
from segood.evaluation.comparison.results import ClosedSetRow
from segood.evaluation.comparison.sources import Frames
from segood.files import atomic_path
from segood.progress import Progress

if TYPE_CHECKING:
    from segood.models import SegmentationModel

_EVERY = 25  # frames between two writes


def measure_original_task(
    network: str,
    model: SegmentationModel,
    frames: Frames,
    path: Path,
    made_by: Mapping[str, Any],
    bootstrap: Bootstrap,
    progress: Progress,
) -> ClosedSetRow:
    """Measure the mIoU of a network.

    Args:
        network: its key.
        model: the network.
        frames: checked to have its classes.
        path: file that keeps the confusion matrices.
        made_by: what identifies the network; matrices of another one are not reused.
        bootstrap: over the frames.
        progress: see `segood.progress.Progress`.
    """
    maker = json.dumps({**made_by, "frames": frames.content_hash()}, sort_keys=True)
    kept = _load(path, maker)
    tick = progress(f"{network}: original task on {frames.dataset.title}", len(frames))
    for position in range(len(frames)):
        if position >= len(kept):
            kept.append(_confusion(model, frames, position))
            if len(kept) % _EVERY == 0 or position + 1 == len(frames):
                _save(path, maker, kept)
        tick()
    matrices = np.stack(kept)
    metrics = ClosedSetMetrics(model.num_classes, model.class_names)
    metrics.add_confusion(matrices.sum(axis=0), len(frames))
    report = metrics.compute()
    drawn = bootstrap.sums(matrices.reshape(len(frames), -1)).reshape(-1, *matrices.shape[1:])
    return ClosedSetRow(
        network,
        frames.key,
        len(frames),
        report.num_pixels,
        bootstrap.number(report.miou, mean_iou(drawn)),
        report.iou,
    )


def _confusion(model: SegmentationModel, frames: Frames, position: int) -> np.ndarray:
    sample = frames[position]
    target = sample.target
    assert target is not None, "checked when opened"
    observation = frames.observe(model, sample.image, target.shape)
    metrics = ClosedSetMetrics(model.num_classes, model.class_names)
    metrics.update(observation.logits().argmax(0).cpu().numpy(), target, name=sample.sample_id)
    return metrics.confusion


def _load(path: Path, maker: str) -> list[np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as stored:
            return list(stored["confusion"]) if str(stored["made_by"]) == maker else []
    except (OSError, ValueError, KeyError, EOFError):
        return []


def _save(path: Path, maker: str, kept: list[np.ndarray]) -> None:
    with atomic_path(path) as temporary:
        np.savez_compressed(
            temporary, allow_pickle=False, made_by=np.asarray(maker), confusion=np.stack(kept)
        )
