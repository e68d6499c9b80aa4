"""A network -> its numbers on both halves of the test sets, and on the original task.

In: a network, a data root. Out: AUROC, AP and FPR95 per score, data set and half, with their counts; CamVid's
mIoU.

Choices are made on the first half of each set's frames, numbered as the owner does, and told on the second:
neighbours in Lost & Found show the same street, so a half is a stretch, not every other frame.
"""

from __future__ import annotations

from collections.abc import Sequence, Sized
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from segood.data import open_dataset
from segood.evaluation import ClosedSetMetrics, PixelMetrics
from segood.models import SegmentationModel, load_model
from segood.scores import Score

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


def frames_of(dataset: Sized, halves: Sequence[str]) -> list[tuple[str, int]]:
    """Return (half, position) of the frames of some halves; data sets have them in natural order.

    Example:
        >>> frames_of("abcde", ["tuning"])
        [('tuning', 0), ('tuning', 1)]
    """
    frames = [(half_of(position, len(dataset)), position) for position in range(len(dataset))]
    return [(half, position) for half, position in frames if half in halves]


def load_network(start: str, **options: Any) -> SegmentationModel:
    """Load a network of `segood train`, or published weights of espnetv2 2.0, by file or name."""
    if start.endswith(".safetensors"):
        return load_model(start, **options)
    return load_model("espnetv2", checkpoint=start, scale=2.0, **options)


@torch.inference_mode()
def measure_scores(
    model: SegmentationModel,
    root: Path,
    scores: Sequence[Score],
    *,
    sets: Sequence[str] = SETS,
    halves: Sequence[str] = HALVES,
) -> dict[str, dict[str, dict[str, Any]]]:
    """Return numbers by score, data set and half; with both halves also of `all` frames.

    Args:
        model: in eval mode.
        root: folder with a folder per data set.
        scores: of logits alone; fitted where they have to be.
        sets: data sets to measure on.
        halves: frames of others are not looked at.
    """
    numbers: dict[str, dict[str, dict[str, Any]]] = {score.name: {} for score in scores}
    for name in sets:
        dataset = open_dataset(name, root / name, resize=SIZE)
        metrics = {(s.name, half): _metrics(s) for s in scores for half in halves}
        for half, position in tqdm(frames_of(dataset, halves), name, leave=False):
            image, target, _ = dataset[position]
            assert target is not None, "these sets have labels"
            logits = model.predict_logits(image)[None]
            for score in scores:
                metrics[score.name, half].update(score(logits=logits)[0].numpy(), target)
        for score in scores:
            found = {half: metrics[score.name, half] for half in halves}
            if len(halves) > 1:
                found["all"] = _metrics(score)
                for half in halves:
                    found["all"].merge(found[half])
            numbers[score.name][name] = {half: _numbers(counted) for half, counted in found.items()}
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
        metrics.update(model.predict_logits(image).argmax(0).numpy(), target)
    return {"miou": metrics.compute().miou, "frames": len(frames)}


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
