"""Small objects: what resolution, tiles and scales find of Lost & Found, and what they cost.

In: a network, ways to run it. Out: a row per way: pixel metrics at the labels' size, objects found, time.

Of an object at least half must be flagged where 5 % of the known pixels are; then it counts as found.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from tqdm import tqdm

from segood.data import open_dataset
from segood.evaluation import PixelMetrics
from segood.models import Inference
from segood.scores import Entropy, Score, SmoothedEntropy
from segood.types import OUT_OF_DISTRIBUTION
from studies.measure import frames_of, load_network
from studies.rows import add_row, is_there, read_rows

SET = "fishyscapes_lost_and_found"
AREAS = (0, 500, 2000)
"""Lower ends of the classes of objects by area, in pixels of a frame of 2048×1024; the median is 1,154."""
FALSE_ALARMS = 0.05
_EVERY = 53
"""Of the known pixels every so-many-th is looked at for the threshold: some ten thousand per frame."""


@dataclass(frozen=True)
class Way:
    """How a network sees a frame.

    Attributes:
        name: for people.
        working_sizes: (rows, columns) that the frame is brought to; of several, the largest score counts.
        inference: tiles and scales.
        score: the entropy, or a smoothed one, whose window is in pixels of the labels.
    """

    name: str
    working_sizes: tuple[tuple[int, int], ...]
    inference: Inference = field(default_factory=Inference)
    score: Score = field(default_factory=Entropy)


SMALL, MIDDLE, LARGE = (512, 1024), (768, 1536), (1024, 2048)
WAYS = (
    Way("1024×512, its size in training", (SMALL,)),
    Way("1536×768", (MIDDLE,)),
    Way("2048×1024", (LARGE,)),
    Way(
        "2048×1024 in tiles of 1024×512", (LARGE,), Inference(tile_size=SMALL, overlap=0.25, blend="gaussian")
    ),
    Way("1024×512 and mirrored, mean probabilities", (SMALL,), Inference(flip=True, average="probs")),
    Way("1024×512 and 2048×1024, mean logits", (LARGE,), Inference(scales=(0.5, 1.0))),
    Way(
        "1024×512 and 2048×1024, mean probabilities", (LARGE,), Inference(scales=(0.5, 1.0), average="probs")
    ),
    Way("1024×512 and 2048×1024, larger entropy", (SMALL, LARGE)),
    Way("1024×512, smoothed, σ 4", (SMALL,), score=SmoothedEntropy(sigma=4)),
    Way("1024×512, smoothed, σ 8", (SMALL,), score=SmoothedEntropy(sigma=8)),
)


def measure_ways(network: str, start: str, root: Path, half: str = "tuning") -> None:
    """Measure every way that has no row yet.

    Args:
        network: how the rows call it.
        start: see `studies.measure.load_network`.
        root: folder of the data sets.
        half: frames to look at, see `studies.measure`.
    """
    for way in WAYS:
        key = {"network": network, "way": way.name, "half": half}
        if not is_there(read_rows("small_objects"), **key):
            row = add_row("small_objects", key | measure_way(start, way, root, half))
            tqdm.write(f"{network}, {way.name}: AP {row['ap']:.3f}, FPR95 {row['fpr95']:.3f}, {row['ms']} ms")


@torch.inference_mode()
def measure_way(start: str, way: Way, root: Path, half: str, most: int | None = None) -> dict[str, Any]:
    """Return one row's numbers; of `most` frames where given."""
    dataset = open_dataset(SET, root / SET)
    chosen = [position for _, position in frames_of(dataset, [half])][:most]
    models = [
        load_network(start, preprocessing={"working_size": size}, inference=way.inference)
        for size in way.working_sizes
    ]
    score = way.score
    metrics = PixelMetrics(range=score.range, spacing=score.spacing)
    known, objects, seconds = [], [], []
    for index in tqdm(chosen, way.name, leave=False):
        image, target, _ = dataset[index]
        assert target is not None, "the set has labels"
        begin = time.perf_counter()
        maps = [score(logits=model.predict_logits(image)[None])[0] for model in models]
        entropy = torch.stack(maps).amax(0).numpy()
        seconds.append(time.perf_counter() - begin)
        metrics.update(entropy, target)
        known.append(entropy[target == 0][::_EVERY])
        objects += objects_of(entropy, target)
    report = metrics.compute()
    threshold = float(np.quantile(np.concatenate(known), 1 - FALSE_ALARMS))
    return {
        "frames": len(chosen),
        "auroc": report.auroc,
        "ap": report.average_precision,
        "fpr95": report.fpr95,
        "found": found_by_area(objects, threshold),
        "ms": round(1000 * statistics.median(seconds)),
    }


def objects_of(score: np.ndarray, target: np.ndarray) -> list[tuple[int, float]]:
    """Return (area, median score) of every connected object of a frame.

    Example:
        >>> target = np.array([[1, 1, 0], [0, 0, 0], [0, 1, 255]])
        >>> objects_of(np.array([[0.1, 0.3, 0.0], [0, 0, 0], [0, 0.9, 0]]), target)
        [(2, 0.2), (1, 0.9)]
    """
    unknown = (target == OUT_OF_DISTRIBUTION).astype(np.uint8)
    count, labels = cv2.connectedComponents(unknown, connectivity=8)
    parts = (score[labels == label] for label in range(1, count))
    return [(len(part), float(np.median(part))) for part in parts]


def found_by_area(objects: list[tuple[int, float]], threshold: float) -> list[list[int]]:
    """Return [found, all] for each class of `AREAS`.

    Example:
        >>> found_by_area([(10, 0.9), (20, 0.1), (3000, 0.5)], 0.5)
        [[1, 2], [0, 0], [1, 1]]
    """
    ends = [*AREAS[1:], float("inf")]
    classes = [[s for a, s in objects if low <= a < high] for low, high in zip(AREAS, ends, strict=True)]
    return [[sum(median >= threshold for median in medians), len(medians)] for medians in classes]
