"""The numbers beside the sliders, looked up at a threshold and a meta probability, never between two of them.

In: `ModelSweep`s. Out: plain numbers by name, in the order of `NAMES`. The page's script does the same
(`numbersAt` in `explore_numbers.js`); this is what the page shows before anything is moved.
"""

from __future__ import annotations

from dataclasses import dataclass

from segood.evaluation.exploration import Exploration, ModelSweep
from segood.evaluation.results import DatasetInfo, ModelInfo, RunResults
from segood.reporting.blocks import dataset_info, model_info

PIXEL_NAMES = ("precision", "recall", "flagged_share", "tp", "fp")
SEGMENT_NAMES = ("false_positives", "false_negatives", "errors", "removed_rightly", "removed_wrongly")
NAMES = (*PIXEL_NAMES, *SEGMENT_NAMES)

Number = float | int | None


@dataclass(frozen=True)
class NumberRow:
    """Numbers of one network on one data set, by the names of `NAMES`; `undefined` says what is not."""

    model: ModelInfo
    num_ood: int
    num_in: int
    num_ground_truth: int
    values: dict[str, Number]
    undefined: str | None


def position(grid: list[float], value: float) -> int:
    """Return where on the grid a value lies; the nearest place, since floats pass through text.

    Example:
        >>> position([0.5, 0.7, 0.9], 0.7)
        1
    """
    return min(range(len(grid)), key=lambda index: abs(grid[index] - value))


def numbers_at(sweep: ModelSweep, threshold: int, probability: int) -> dict[str, Number]:
    """Look up what a network reaches at one place of both grids.

    Args:
        sweep: of one network on one data set.
        threshold: index into `Exploration.thresholds`.
        probability: index into `Exploration.probabilities`; without effect where meta classification is
            undefined at this threshold, and nothing is removed.

    Returns:
        Precision, recall and share of flagged pixels in [0, 1] (None where they divide by zero), flagged
        pixels with and without object, and the errors of what is kept.

    Example:
        >>> from segood.evaluation.exploration import PixelCounts, SegmentCounts
        >>> counts = [[SegmentCounts(2, 1, 0, 0)]]
        >>> sweep = ModelSweep("m", "d", 90, 10, 3, [4], [PixelCounts(8, 2)], counts, [None])
        >>> values = numbers_at(sweep, 0, 5)
        >>> values["precision"], values["recall"], values["flagged_share"], values["errors"]
        (0.8, 0.8, 0.1, 3)
    """
    pixels, entries = sweep.pixels[threshold], sweep.segments[threshold]
    segments = entries[min(probability, len(entries) - 1)]
    return {
        "precision": _share(pixels.tp, pixels.tp + pixels.fp),
        "recall": _share(pixels.tp, sweep.num_ood),
        "flagged_share": _share(pixels.tp + pixels.fp, sweep.num_ood + sweep.num_in),
        "tp": pixels.tp,
        "fp": pixels.fp,
        "false_positives": segments.false_positives,
        "false_negatives": segments.false_negatives,
        "errors": segments.false_positives + segments.false_negatives,
        "removed_rightly": segments.removed_rightly,
        "removed_wrongly": segments.removed_wrongly,
    }


def number_blocks(
    exploration: Exploration, results: RunResults
) -> list[tuple[DatasetInfo, tuple[NumberRow, ...]]]:
    """Return the numbers at the run's own values: per data set one row per network."""
    threshold = position(exploration.thresholds, exploration.threshold)
    probability = position(exploration.probabilities, exploration.probability_threshold)
    blocks: dict[str, list[NumberRow]] = {}
    for sweep in exploration.sweeps:
        row = NumberRow(
            model_info(results, sweep.model),
            sweep.num_ood,
            sweep.num_in,
            sweep.num_ground_truth,
            numbers_at(sweep, threshold, probability),
            sweep.undefined[threshold],
        )
        blocks.setdefault(sweep.dataset, []).append(row)
    return [(dataset_info(results, key), tuple(rows)) for key, rows in blocks.items()]


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
