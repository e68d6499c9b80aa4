"""How far it goes: the best recipe against every score of the network before training.

In: a data root, a finished `segood compare`. Out: rows of `far` (pixel level, also on the halves that nothing
was chosen by), of `errors` (objects, after meta classification) and of `sweep` (the same over the threshold).
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from segood.data import open_dataset
from segood.evaluation.comparison.results import ComparisonResults
from segood.models import SegmentationModel
from segood.scores import StandardizedMaxLogit, get_score
from studies.measure import SIZE, load_network, measure_scores
from studies.recipes import BEST, BEST_EPOCHS, WEIGHTS
from studies.rows import RESULTS, add_row, is_there, read_rows
from studies.trained import SCORES, measure_recipes

BASELINES = ("entropy", "msp", "max_logit", "energy", "standardized_max_logit")
"""All published scores that need no more than logits."""
SMOOTHED = "smoothed_entropy"
BASELINE = "before training"


def measure_far(root: Path, weights: Path | None, seeds: Sequence[int]) -> None:
    """Measure the baselines, then train and measure the best recipe; what is there is not measured again."""
    key = {"factor": BASELINE, "seed": 0, "epochs": 0}
    missing = [name for name in (*BASELINES, SMOOTHED) if not is_there(read_rows("far"), **key, level=name)]
    if missing:
        model = load_network(str(weights or WEIGHTS))
        scores = [get_score(name) for name in missing]
        for score in scores:
            if isinstance(score, StandardizedMaxLogit):
                fit_on_training_frames(score, model, root)
        for name, numbers in measure_scores(model, root, scores).items():
            add_row("far", key | {"level": name, "unknown": numbers})
    measure_recipes("far", [BEST], seeds, root, epochs=BEST_EPOCHS, weights=weights, told=True)


@torch.inference_mode()
def fit_on_training_frames(
    score: StandardizedMaxLogit, model: SegmentationModel, root: Path, *, every: int = 6
) -> None:
    """Learn the statistics from every so-many-th training frame; 62 frames where not told otherwise."""
    dataset = open_dataset("camvid", root / "camvid", "train", labels="cityscapes", resize=SIZE)
    for index in tqdm(range(0, len(dataset), every), "statistics", leave=False):
        image, target, _ = dataset[index]
        assert target is not None, "the set has labels"
        score.update_arrays(logits=model.predict_logits(image)[None], target=target[None])


def add_errors(results: ComparisonResults, folder: Path = RESULTS) -> None:
    """Add what a comparison found at segment level: a row per data set with a baseline and score of ours.

    Args:
        results: of `segood compare`, with networks `before` and `after`.
        folder: of the rows.
    """
    titles = {method.key: method.title for method in results.methods}
    ours = [m for m in results.methods if m.network == "after" and m.score in SCORES.values()]
    for dataset, method in itertools.product(results.datasets, ours):
        name, best = dataset.info.key, dataset.best_baseline
        key = {"created": results.created, "dataset": name, "score": method.score}
        if best is None or is_there(read_rows("errors", folder), **key):
            continue
        row = results.row(method.key, name)
        meta = row.meta and row.meta.errors
        add_row("errors", {"comparison": results.name} | key | {
            "objects": row.num_ground_truth,
            "baseline": titles[best],
            "baseline_errors": results.row(best, name).errors.value,
            "errors": row.errors.value,
            "errors_meta": meta and dataclasses.asdict(meta),
            "reduction_meta": row.reduction_meta,
        }, folder)  # fmt: skip


def add_sweep(results: ComparisonResults, folder: Path = RESULTS) -> None:
    """Add a comparison's errors over the threshold: a row per network and data set, of its main score.

    The share of known pixels that a threshold flags is read between two points of the ROC curve.

    Args:
        results: of `segood compare`, whose configuration has a `sweep`.
        folder: of the rows.
    """
    for dataset, method in itertools.product(results.datasets, results.methods):
        points = [p for p in results.sweep if (p.method, p.dataset) == (method.key, dataset.info.key)]
        key = {"created": results.created, "dataset": dataset.info.key, "network": method.network}
        if not points or is_there(read_rows("sweep", folder), **key):
            continue
        found = results.row(method.key, dataset.info.key)
        assert found.roc is not None, "the set has pixels of both kinds"
        falling = np.array(found.roc.thresholds)
        flagged = np.interp([p.threshold for p in points], falling[::-1], found.roc.x[::-1])
        add_row("sweep", key | {
            "score": method.score,
            "objects": found.num_ground_truth,
            "points": [
                {
                    "threshold": p.threshold,
                    "known_flagged": round(float(share), 5),
                    "false_positives": p.false_positives,
                    "false_negatives": p.false_negatives,
                    "errors_meta": p.errors_meta,
                }
                for p, share in zip(points, flagged, strict=True)
            ],
        }, folder)  # fmt: skip
