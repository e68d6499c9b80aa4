"""A fabricated run directory: small random scenes, two models, numbers computed from the drawn arrays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

from segood.evaluation.results import (
    ClosedSetResult,
    Curve,
    DatasetInfo,
    Distribution,
    MetaModelInfo,
    MetaResult,
    ModelInfo,
    PixelResult,
    RunResults,
    SegmentErrors,
    SegmentResult,
)
from segood.files import write_json, write_text
from segood.segments.names import feature_names

THRESHOLD = 0.7
CLASSES = ["road", "sidewalk", "building", "pole", "vegetation", "sky", "person", "car"]
FEATURES = feature_names(len(CLASSES))


def draw_scene(
    rng: np.random.Generator, size: tuple[int, int], num_objects: int
) -> tuple[np.ndarray, np.ndarray, list[tuple[int, int, int]]]:
    """Return an RGB street, its evaluation target and its objects as (row, col, radius)."""
    height, width = size
    rows = np.linspace(0, 1, height)[:, None, None]
    horizon = int(height * 0.42)
    image = (np.array([150, 185, 215]) * (1 - 0.3 * rows) + np.zeros((1, width, 1))).astype(np.float32)
    column = 0
    while column < width:
        step = int(rng.integers(width // 14, width // 6))
        top = int(horizon * rng.uniform(0.2, 0.8))
        image[top:horizon, column : column + step] = rng.uniform(70, 170) + rng.uniform(-15, 15, 3)
        column += step
    image[horizon:] = np.array([96, 104, 92])
    road = np.array(
        [[width * 0.44, horizon], [width * 0.56, horizon], [width * 1.05, height], [-width * 0.05, height]]
    )
    cv2.fillPoly(image, [road.astype(np.int32)], (104, 101, 106))
    cv2.line(image, (width // 2, horizon), (width // 2, height), (215, 212, 200), max(1, width // 200))
    target = np.zeros(size, np.uint8)
    target[int(height * 0.94) :] = 255
    objects = []
    for _ in range(num_objects):
        row = int(rng.integers(int(height * 0.55), int(height * 0.9)))
        col = int(rng.integers(int(width * 0.2), int(width * 0.8)))
        radius = max(3, int((row - horizon) * rng.uniform(0.12, 0.3)))
        color = tuple(float(v) for v in rng.uniform(30, 240, 3))
        cv2.ellipse(image, (col, row), (radius, int(radius * 0.7)), 0, 0, 360, color, -1)
        cv2.ellipse(target, (col, row), (radius, int(radius * 0.7)), 0, 0, 360, 1, -1)
        objects.append((row, col, radius))
    image += rng.normal(0, 5, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8), target, objects


def draw_score(
    rng: np.random.Generator,
    image: np.ndarray,
    objects: list[tuple[int, int, int]],
    *,
    strength: float,
    clutter: int,
) -> np.ndarray:
    """Return an entropy-like map: low noise, raised at edges, blobs on objects and on clutter."""
    height, width = image.shape[:2]
    noise = cv2.GaussianBlur(rng.normal(0, 1, (height, width)).astype(np.float32), (0, 0), width / 60)
    edges = cv2.GaussianBlur(np.abs(cv2.Laplacian(image.mean(2).astype(np.float32), cv2.CV_32F)), (0, 0), 1.5)
    score = 0.06 + 0.06 * np.abs(noise) / noise.std() + 0.25 * np.clip(edges / 40, 0, 1)
    grid_r, grid_c = np.mgrid[:height, :width]
    for row, col, radius in objects:
        blob = np.exp(-(((grid_r - row) / (0.8 * radius)) ** 2 + ((grid_c - col) / radius) ** 2) * 0.8)
        score += blob * np.clip(rng.normal(strength, 0.25), 0.15, 1.2)
    for _ in range(int(rng.poisson(clutter))):
        row, col = int(rng.integers(height // 4, height)), int(rng.integers(0, width))
        radius = float(rng.uniform(2, width / 60))
        blob = np.exp(-(((grid_r - row) / radius) ** 2 + ((grid_c - col) / radius) ** 2))
        score += blob * rng.uniform(0.5, 0.9)
    return np.clip(score, 0, 0.999).astype(np.float32)


def pixel_result(model: str, dataset: str, scores: np.ndarray, targets: np.ndarray) -> PixelResult:
    """Compute the pooled pixel numbers with scikit-learn, after rounding scores to 1/255."""
    valid = targets != 255
    score, ood = np.round(scores[valid] * 255) / 255, targets[valid] == 1
    fpr, tpr, roc_t = roc_curve(ood, score, drop_intermediate=False)
    precision, recall, pr_t = precision_recall_curve(ood, score)
    edges = np.linspace(0, 1, 101)
    return PixelResult(
        model=model,
        dataset=dataset,
        score="entropy",
        num_in=int((~ood).sum()),
        num_ood=int(ood.sum()),
        auroc=float(roc_auc_score(ood, score)),
        average_precision=float(average_precision_score(ood, score)),
        fpr95=float(fpr[tpr >= 0.95][0]),
        error_bound={"auroc": 1e-7, "average_precision": 2e-7, "fpr95": 1e-7},
        roc=Curve(fpr[1:].tolist(), tpr[1:].tolist(), roc_t[1:].tolist()),
        pr=Curve(recall[:-1][::-1].tolist(), precision[:-1][::-1].tolist(), pr_t[::-1].tolist()),
        distribution=Distribution(
            edges.tolist(),
            np.histogram(scores[valid][~ood], edges)[0].tolist(),
            np.histogram(scores[valid][ood], edges)[0].tolist(),
        ),
    )


def segment_rows(
    rng: np.random.Generator, model: str, dataset: str, sample_id: str, labels: np.ndarray, target: np.ndarray
) -> list[dict[str, Any]]:
    """Return plausible rows of `segments.parquet` for one frame."""
    rows = []
    for segment in range(1, int(labels.max()) + 1):
        mask = labels == segment
        hits = int((target[mask] == 1).sum())
        false_alarm = hits == 0
        features = {name: float(rng.normal(0.4 if false_alarm else 0.0)) for name in FEATURES}
        probability = float(1 / (1 + np.exp(-(2.2 if false_alarm else -2.2) - rng.normal(0, 1.6))))
        rows.append(
            {
                "model": model,
                "dataset": dataset,
                "sample_id": sample_id,
                "segment": segment,
                **features,
                "num_ood_pixels": hits,
                "iou": hits / mask.sum(),
                "adjusted_iou": hits / mask.sum(),
                "is_false_positive": false_alarm,
                "meta_probability": probability,
                "removed": probability >= 0.5,
            }
        )
    return rows


def count_errors(
    frames: list[dict[str, Any]], table: pd.DataFrame, model: str
) -> tuple[SegmentErrors, SegmentErrors]:
    """Return the segment errors before and after the removals marked in `table`."""
    results = []
    for use_removals in (False, True):
        missed = predicted = false_positives = 0
        for frame in frames:
            part = table[(table.model == model) & (table.sample_id == frame["sample_id"])]
            kept = part[~part.removed] if use_removals else part
            predicted += len(kept)
            false_positives += int(kept.is_false_positive.sum())
            _, objects = cv2.connectedComponents((frame["target"] == 1).astype(np.uint8), connectivity=8)
            shown = np.isin(frame[f"labels_{model}"], kept.segment.to_numpy())
            missed += sum(not shown[objects == k].any() for k in range(1, objects.max() + 1))
        results.append(SegmentErrors(predicted, false_positives, missed, false_positives + missed))
    return results[0], results[1]


def fabricate_run(
    folder: Path,
    *,
    size: tuple[int, int] = (96, 192),
    num_frames: int = 3,
    datasets: tuple[tuple[str, str], ...] = (
        ("lost_and_found", "LostAndFound (synthetic)"),
        ("fishyscapes_static", "Fishyscapes Static (synthetic)"),
    ),
    name: str = "demo",
    seed: int = 0,
) -> RunResults:
    """Write a whole run directory and return its results."""
    rng = np.random.default_rng(seed)
    models = ("before", "after")
    pixel, segment, meta_models, infos, rows = [], [], [], [], []
    for key, title in datasets:
        frames: list[dict[str, Any]] = []
        for index in range(num_frames):
            image, target, objects = draw_scene(rng, size, num_objects=int(rng.integers(1, 4)))
            frame: dict[str, Any] = {"image": image, "target": target, "sample_id": f"test/01/{index:06d}"}
            for model, strength, clutter in (("before", 0.55, 5), ("after", 0.95, 4)):
                score = draw_score(rng, image, objects, strength=strength, clutter=clutter)
                mask = ((score >= THRESHOLD) & (target != 255)).astype(np.uint8)
                frame[f"score_{model}"] = score
                frame[f"labels_{model}"] = cv2.connectedComponents(mask, connectivity=8)[1].astype(np.int32)
                rows += segment_rows(rng, model, key, frame["sample_id"], frame[f"labels_{model}"], target)
            frames.append(frame)
            path = folder / "gallery" / key / f"{index:04d}.npz"
            path.parent.mkdir(parents=True, exist_ok=True)
            arrays = {
                k: np.round(v * 255).astype(np.uint8) if k.startswith("score") else v
                for k, v in frame.items()
            }
            np.savez_compressed(path, height=size[0], width=size[1], **arrays)
        table = pd.DataFrame(rows)
        targets = np.stack([f["target"] for f in frames])
        infos.append(DatasetInfo(key, title, "paper", num_frames, num_frames, "label", "5f" * 32))
        for model in models:
            pixel.append(pixel_result(model, key, np.stack([f[f"score_{model}"] for f in frames]), targets))
            start, end = count_errors(frames, table[table.dataset == key], model)
            part = table[(table.dataset == key) & (table.model == model)]
            meta = MetaResult(
                "group", "default", 0.5, len(part), start.false_positives, 0.93, 0.95, 0.88, 0.61, end,
                int((part.removed & part.is_false_positive).sum()),
                int((part.removed & ~part.is_false_positive).sum()),
            )  # fmt: skip
            truth = sum(cv2.connectedComponents((f["target"] == 1).astype(np.uint8))[0] - 1 for f in frames)
            segment.append(SegmentResult(model, key, "entropy", THRESHOLD, truth, start, 0.52, meta))
        values = rng.normal(0, 1, len(FEATURES))
        order = np.argsort(-np.abs(values))
        coefficients = {FEATURES[i]: float(values[i]) for i in order}
        meta_models.append(MetaModelInfo("after", key, int((table.dataset == key).sum()), 0.31, coefficients))
    infos.append(DatasetInfo("cityscapes", "Cityscapes val (synthetic)", "val", 30, 0, "label", "c1" * 32))
    closed = [
        ClosedSetResult(
            m, "cityscapes", 30, 30 * 131072, miou,
            {c: float(np.clip(miou + d, 0, 1)) for c, d in zip(CLASSES, deltas, strict=True)},
            flagged, THRESHOLD,
        )
        for m, miou, flagged, deltas in (
            ("before", 0.714, 0.0061, rng.uniform(-0.3, 0.25, 8)),
            ("after", 0.702, 0.0083, rng.uniform(-0.3, 0.25, 8)),
        )
    ]  # fmt: skip
    network = "espnetv2 (scale 0.5)"
    results = RunResults(
        name=name,
        created="2025-01-31T12:30:00+00:00",
        command="segood demo --out runs/demo --seed 0",
        seed=seed,
        segood_version="0.1.0",
        models=[
            ModelInfo("before", "Baseline", network, CLASSES, "checkpoints/a.safetensors", "ab" * 32),
            ModelInfo("after", "Entropy training", network, CLASSES, "checkpoints/b.safetensors", "cd" * 32),
        ],
        datasets=infos,
        pixel=pixel,
        segment=segment,
        closed_set=closed,
        meta_models=meta_models,
    )  # fmt: skip
    results.save(folder / "metrics.json")
    pd.DataFrame(rows).to_parquet(folder / "segments.parquet")
    write_json(
        folder / "environment.json", {"python": "3.11.9", "packages": {"torch": "2.4.1", "numpy": "2.1.0"}}
    )
    write_text(folder / "config.yaml", "seed: 0\ntrain:\n  ood_weight: 0.9\n  normalization: pooled\n")
    return results


@pytest.fixture(scope="session")
def fabricate() -> Callable[..., RunResults]:
    """Return the function that writes a fabricated run directory."""
    return fabricate_run


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """A complete small run directory."""
    folder = tmp_path / "demo"
    fabricate_run(folder)
    return folder
