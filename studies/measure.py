"""A network -> its numbers on both halves of the test sets, and on the original task.

In: a network, a data root. Out: per data set and half AUROC, AP and FPR95 with their counts, and CamVid's
    mIoU.

Choices are made on the first half of each set's frames, numbered as the owner does, and told on the second:
neighbours in Lost & Found show the same street, so a half is a stretch, not every other frame.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from segood.data import open_dataset
from segood.data.dataset import SegmentationDataset
from segood.evaluation import ClosedSetMetrics, PixelMetrics
from segood.models import SegmentationModel
from segood.scores import Score, get_score

SIZE = (512, 1024)
"""Rows and columns that frames and labels are brought to: what the network was trained at."""
SETS = ("road_anomaly_21", "fishyscapes_static", "fishyscapes_lost_and_found")
HALVES = ("tuning", "test")


def half_of(position: int, frames: int) -> str:
    """Return the half that a frame belongs to.

    Example:
        >>> [half_of(position, 5) for position in range(5)]
        ['tuning', 'tuning', 'test', 'test', 'test']
    """
    return HALVES[position >= frames // 2]


def in_order(sample_ids: Sequence[str]) -> list[int]:
    """Return positions of frames as their numbers count, 2 before 10.

    Example:
        >>> in_order(["0", "10", "2"])
        [0, 2, 1]
    """
    keys = [[int(p) if p.isdigit() else p for p in re.split(r"(\d+)", name)] for name in sample_ids]
    return sorted(range(len(keys)), key=lambda i: [(isinstance(p, str), p) for p in keys[i]])


@torch.inference_mode()
def measure_unknown(
    model: SegmentationModel,
    root: Path,
    *,
    score: Score | None = None,
    sets: Sequence[str] = SETS,
    halves: Sequence[str] = HALVES,
) -> dict[str, dict[str, Any]]:
    """Return numbers by data set and half; with both halves also of `all` frames.

    Args:
        model: in eval mode.
        root: folder with a folder per data set.
        score: entropy where not given.
        sets: data sets to measure on.
        halves: frames of others are not looked at.
    """
    score = score or get_score("entropy")
    numbers: dict[str, dict[str, Any]] = {}
    for name in sets:
        dataset = open_dataset(name, root / name, resize=SIZE)
        metrics = {half: _metrics(score) for half in halves}
        for half, image, target in _frames(name, dataset, halves):
            metrics[half].update(score(logits=model(_batch(image)))[0].numpy(), target)
        if len(halves) > 1:
            metrics["all"] = _metrics(score)
            for half in halves:
                metrics["all"].merge(metrics[half])
        numbers[name] = {half: _numbers(found) for half, found in metrics.items()}
    return numbers


@torch.inference_mode()
def measure_known(
    model: SegmentationModel, root: Path, split: str, *, most: int | None = None
) -> dict[str, Any]:
    """Return mIoU on CamVid, or its first frames, at their own size, mapped to Cityscapes' classes."""
    dataset = open_dataset("camvid", root / "camvid", split, labels="cityscapes")
    metrics = ClosedSetMetrics(model.num_classes, model.class_names)
    frames = range(len(dataset))[:most]
    for index in tqdm(frames, f"camvid {split}", leave=False):
        image, target, _ = dataset[index]
        assert target is not None
        metrics.update(model(_batch(image)).argmax(1)[0].numpy(), target)
    return {"miou": metrics.compute().miou, "frames": len(frames)}


def _frames(
    name: str, dataset: SegmentationDataset, halves: Sequence[str]
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    order = in_order([record.sample_id for record in dataset.records])
    of = {index: half_of(position, len(order)) for position, index in enumerate(order)}
    for index in tqdm([index for index in order if of[index] in halves], name, leave=False):
        image, target, _ = dataset[index]
        assert target is not None, "these sets have labels"
        yield of[index], image, target


def _batch(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255


def _metrics(score: Score) -> PixelMetrics:
    return PixelMetrics(range=score.range, spacing=score.spacing)


def _numbers(metrics: PixelMetrics) -> dict[str, Any]:
    report = metrics.compute()
    return {
        "auroc": _rounded(report.auroc),
        "ap": _rounded(report.average_precision),
        "fpr95": _rounded(report.fpr95),
        "unknown_pixels": report.num_ood,
        "known_pixels": report.num_in,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 5)
