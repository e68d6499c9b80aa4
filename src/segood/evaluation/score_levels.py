"""Levels for scores that float16 cannot hold: learned from a first look at all maps, in bounded memory.

In: score maps and targets. Out: `LevelCodes` of at most 65,535 levels. Where the scores have no more distinct
values than that, each is a level, and numbers stay exact. Otherwise the cuts are quantiles of both kinds of
pixel, half of the cuts each, with levels of their own for scores that many pixels share; how far such levels
can move a number is bounded by `level_bounds`.

Quantiles come from a sample: pixels whose place in the frame has a low hash. The bar falls as pixels
add up, and does not depend on the order of frames.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool

from segood.evaluation import curves
from segood.evaluation.curves import OperatingPoints
from segood.evaluation.level_codes import LevelCodes
from segood.evaluation.score_codes import NUM_CODES
from segood.types import IGNORE, IN_DISTRIBUTION, OUT_OF_DISTRIBUTION

MAX_LEVELS = NUM_CODES - 1  # code 0 is that of ignored pixels
_NUM_QUANTILES = MAX_LEVELS // 2 - 50
_SAMPLE = 2**21  # pixels of each kind: 16 MB of float64 scores, 8 MB of hashes
_CHUNK = 2**18
_GOLDEN = np.uint32(2654435769)  # 2^32 / golden ratio: its multiples spread evenly


class LevelLearner:
    """Look at all frames, then `codes`.

    Example:
        >>> learner = LevelLearner()
        >>> learner.update(np.array([[0.1, 0.3, 0.1, 7.0]]), np.array([[0, 1, 0, 255]], np.uint8))
        >>> learner.codes().cuts, learner.codes().exact
        (array([0.1, 0.3]), True)
    """

    def __init__(self) -> None:
        self._distinct: np.ndarray | None = np.empty(0, np.float16)
        self._samples = [_Sample(), _Sample()]
        self._lowest = np.inf
        self._types: set[np.dtype] = set()

    def update(self, score: np.ndarray, target: np.ndarray) -> None:
        """Look at one frame; counted scores that are not finite are left to the counting to refuse.

        Args:
            score, target: (H,W) floating point, and 0, 1, 255.
        """
        self._types.add(score.dtype.newbyteorder("="))
        counted = score[(target != IGNORE) & np.isfinite(score)]
        self._lowest = min(self._lowest, float(counted.min(initial=np.inf)))
        for start in range(0, len(counted), _CHUNK):
            if self._distinct is None:
                break
            # 0.0 + x makes 0.0 of -0.0.
            self._distinct = np.union1d(self._distinct, np.unique(counted[start : start + _CHUNK] + 0))
            if len(self._distinct) > MAX_LEVELS:
                self._distinct = None
        hashes = (np.arange(score.size, dtype=np.uint32) * _GOLDEN).reshape(score.shape)
        for kind, sample in zip((IN_DISTRIBUTION, OUT_OF_DISTRIBUTION), self._samples, strict=True):
            chosen = (target == kind) & (hashes < sample.bar) & np.isfinite(score)
            sample.add(score[chosen], hashes[chosen])

    def codes(self, threshold: float | None = None) -> LevelCodes:
        """Return the levels.

        Args:
            threshold: one that scores will be compared with, so that a cut lies there.
        """
        kind = np.result_type(*(self._types or {np.dtype(np.float32)}))
        if self._distinct is not None:
            return LevelCodes(self._distinct.astype(kind), exact=True)
        cuts = [np.array([self._lowest], kind)]
        for sample in self._samples:
            cuts.extend(part.astype(kind) for part in sample.cuts())
        if threshold is not None:
            for own in self._types:  # each score is compared in its own precision
                with np.errstate(over="ignore"):
                    cuts.append(np.nextafter(kind.type(own.type(threshold)), kind.type(np.inf))[None])
        return LevelCodes(_finite(np.unique(np.concatenate(cuts)), self._lowest), exact=False)


def level_bounds(points: OperatingPoints, single: Bool[np.ndarray, " p"]) -> dict[str, float]:
    """Return by how much each metric of the pixels can differ from that of the levels.

    As `curves.error_bounds`, where the derivation stands, but levels of a single score are ties
    indeed and move nothing.

    Args:
        points: one per level, by falling score, with both kinds of pixel.
        single: which levels hold one score only.

    Example:
        >>> points = OperatingPoints.from_counts(np.array([0.0, 1.0]), np.array([2, 1]), np.array([1, 1]))
        >>> bounds = level_bounds(points, np.array([True, False]))
        >>> round(bounds["auroc"], 6), round(bounds["fpr95"], 6)  # the lower level's 2 of 6 pairs, and 2 of 3
        (0.166667, 0.666667)
    """
    tp, fp = points.tp.astype(np.float64), points.fp.astype(np.float64)
    o, i = np.diff(tp, prepend=0), np.diff(fp, prepend=0)
    tp0, fp0, loose = tp - o, fp - i, ~single
    tied = o * tp / (tp + fp)
    highest = np.divide(o * tp, tp + fp0, out=np.zeros_like(o), where=o > 0)
    lowest = np.where(o == 1, tied, o - fp * np.log1p(o / (tp0 + fp + 0.5)))
    at = int(np.searchsorted(points.tp, curves.needed_at_95(points.num_ood)))
    bounds = {
        "auroc": 0.5 * np.sum((i * o)[loose]) / (float(points.num_in) * points.num_ood),
        "average_precision": max(np.sum((highest - tied)[loose]), np.sum((tied - lowest)[loose]))
        / points.num_ood,
        "fpr95": i[at] * loose[at] / points.num_in,
    }
    return {name: float(bound) + curves.ROUNDING for name, bound in bounds.items()}


class _Sample:
    """Scores of one kind of pixel, each with its hash; those at or above the bar are left out."""

    def __init__(self) -> None:
        self.bar = np.uint64(2**32)
        self.scores, self.hashes = np.empty(0, np.float16), np.empty(0, np.uint32)

    def add(self, scores: np.ndarray, hashes: np.ndarray) -> None:
        self.scores = np.concatenate([self.scores, scores])
        self.hashes = np.concatenate([self.hashes, hashes])
        while len(self.scores) > _SAMPLE:
            self.bar //= np.uint64(2)
            kept = self.hashes < self.bar
            self.scores, self.hashes = self.scores[kept], self.hashes[kept]

    def cuts(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the quantiles, and the scores just above those that several quantiles share."""
        if not len(self.scores):
            return self.scores, self.scores
        places = np.linspace(0, len(self.scores) - 1, _NUM_QUANTILES).astype(np.int64)
        quantiles, counts = np.unique(np.sort(self.scores)[places], return_counts=True)
        shared = quantiles[counts > 1]
        return quantiles, np.nextafter(shared, np.inf, dtype=shared.dtype)


def _finite(cuts: np.ndarray, lowest: float) -> np.ndarray:
    return cuts[np.isfinite(cuts) & (cuts >= lowest)]
