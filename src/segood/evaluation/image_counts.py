"""What each frame adds to a run's numbers, coarsely, so that they get intervals over images.

In: score maps and targets, frame by frame. Out: 95 % bootstrap intervals of AUROC, AP and FPR95. A frame is
kept as pixel counts in levels of the score (a float16 without its two last bits: steps of 0.2 to 0.4 % of the
score), those that occur only: about 40 KB for the entropy. The numbers themselves are not made of these. A
score that varies by less than a percent over all pixels, as of an untrained network, is too fine for such
levels: where they do not give the number itself, it gets no interval.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from segood.evaluation.bootstrap import QUANTILES, Bootstrap
from segood.evaluation.closed_set import mean_iou
from segood.evaluation.map_bootstrap import coarse_levels, draw_numbers
from segood.evaluation.meta_counts import errors_per_image
from segood.evaluation.score_codes import NUM_CODES, HalfCodes

LEVELS = 2**14
MOST_OFF = 0.01
"""How far the coarse levels may miss a number that they are to give an interval."""
Interval = list[float]


class ImageCounts:
    """Coarse pixel counts of the frames of one network on one data set.

    Example:
        >>> counts = ImageCounts()
        >>> for score, target in (([0.1, 0.9], [0, 1]), ([0.2, 0.8], [0, 1]), ([0.7, 0.3], [0, 1])):
        ...     counts.add(np.array([score]), np.array([target], np.uint8))
        >>> low, high = counts.intervals(Bootstrap(3, num_draws=500))["auroc"]
        >>> low < 0.5, high
        (True, 1.0)
    """

    def __init__(self) -> None:
        self._frames: list[tuple[np.ndarray, np.ndarray]] = []  # levels that occur, their counts
        self._codes = HalfCodes()

    def add(self, score: np.ndarray, target: np.ndarray) -> None:
        """Count a frame.

        Args:
            score: (H,W), finite at counted pixels; beyond float16 it counts as its end.
            target: (H,W) uint8, 0 in-distribution, 1 OoD, 255 ignore.
        """
        end = np.finfo(np.float16).max
        counted = self._codes.count(np.clip(score, -end, end).astype(np.float16), target)
        assert counted is not None, "pixel metrics have checked score and target"
        table = counted[1].reshape(LEVELS, NUM_CODES // LEVELS, 2).sum(axis=1)
        levels = np.flatnonzero(table.any(axis=1))
        self._frames.append((levels.astype(np.uint16), table[levels].astype(np.uint32)))

    def state(self) -> list[list[np.ndarray]]:
        """Return the frames as plain arrays."""
        return [list(frame) for frame in self._frames]

    def add_state(self, state: Sequence[Sequence[np.ndarray]]) -> None:
        """Add frames that `state` returned, behind those that are there."""
        self._frames += [(levels, counts) for levels, counts in state]

    def coarse(self) -> np.ndarray:
        """Return (N,L,2) in-distribution and OoD pixels of each frame, in at most about 2,000 levels."""
        pooled = np.zeros((LEVELS, 2), np.int64)
        for frame in self._frames:
            pooled += _dense(*frame)
        starts = coarse_levels(pooled)
        return np.stack([np.add.reduceat(_dense(*frame), starts, axis=0) for frame in self._frames])

    def intervals(
        self, bootstrap: Bootstrap, exact: Mapping[str, float | None] | None = None
    ) -> dict[str, Interval]:
        """Return per metric [low, high].

        Args:
            bootstrap: over the frames.
            exact: the numbers themselves, by metric; those that the coarse levels miss by more than 0.01 are
                left out, as are metrics that no draw defines.
        """
        table = self.coarse()
        draws = draw_numbers(bootstrap, table)
        found = {name: interval for name, values in draws.items() if (interval := interval_of(values))}
        if exact is None:
            return found
        whole = draw_numbers(Bootstrap(1, num_draws=1), table.sum(axis=0)[None])
        return {
            name: interval
            for name, interval in found.items()
            if (value := exact.get(name)) is not None and abs(float(whole[name][0]) - value) <= MOST_OFF
        }


def _dense(levels: np.ndarray, counts: np.ndarray) -> np.ndarray:
    table = np.zeros((LEVELS, 2), np.int64)
    table[levels] = counts
    return table


def interval_of(draws: np.ndarray) -> Interval | None:
    """Return the 2.5 % and 97.5 % quantiles of the draws that are defined, None where none is."""
    defined = draws[np.isfinite(draws)]
    return np.quantile(defined, QUANTILES).tolist() if len(defined) else None


def errors_interval(kept: pd.DataFrame, ground_truth_per_image: Mapping[str, int]) -> Interval:
    """Return the interval of false positives plus misses.

    Args:
        kept: segments of one network on one data set.
        ground_truth_per_image: OoD segments of every frame.
    """
    errors = errors_per_image(kept, ground_truth_per_image)
    draws = Bootstrap(len(errors)).sums(errors).sum(axis=1)
    return np.quantile(draws, QUANTILES).tolist()  # type: ignore[no-any-return]


def miou_interval(confusions: np.ndarray) -> Interval | None:
    """Return the interval of the mean IoU; None where no pixel is labelled.

    Args:
        confusions: (N,q,q) pixel counts of every frame, rows are the truth.
    """
    drawn = Bootstrap(len(confusions)).sums(confusions.reshape(len(confusions), -1))
    return interval_of(mean_iou(drawn.reshape(-1, *confusions.shape[1:])))
