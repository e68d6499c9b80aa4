"""The second pass: what happens inside the bins, down to single scores, in bounded memory.

In: counts per bin of a first pass, the same frames once more. Out: the metrics of the pixels themselves.

Only bins that can move a metric are looked into: those with pixels of both kinds, and those with several
OoD pixels below an in-distribution one (average precision depends on which of them are tied). Where the
memory does not hold all their scores, the OoD scores are gathered in one pass and the others counted at
and between them in the next; where not even the OoD scores fit, from the highest down in several rounds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from segood.compiled import kernels_enabled
from segood.errors import UsageError
from segood.evaluation import curves
from segood.evaluation.counts import BinCounts
from segood.evaluation.curves import PixelNumbers
from segood.evaluation.distinct import DistinctScores, GapCounts
from segood.evaluation.inputs import blocks, checked_arrays
from segood.types import IGNORE, IN_DISTRIBUTION, OUT_OF_DISTRIBUTION

Frames = Iterable[tuple[Any, ...]] | Callable[[], Iterable[tuple[Any, ...]]]

_PIECE = 2**18


@dataclass(frozen=True)
class Resolved:
    """What the second pass found: the metrics, and the two operating points that people ask for.

    Attributes:
        numbers: the metrics; bounds cover rounding only.
        fpr95: threshold, true positives and false positives of FPR95.
        best_f1: likewise of the best F1.
        num_passes: how often the frames were read again.
    """

    numbers: PixelNumbers
    fpr95: tuple[float, int, int]
    best_f1: tuple[float, int, int]
    num_passes: int


def resolve(counts: BinCounts, frames: Frames, memory: int) -> Resolved:
    """Read the frames again until every bin that matters is resolved.

    Args:
        counts: of the first pass.
        frames: (score, target) or (score, target, name); see `PixelMetrics.refine`.
        memory: bytes for the scores that are gathered.

    Raises:
        UsageError: the frames are not those of the first pass, or end before all is resolved.
    """
    sums = _Sums(counts)
    reader = _Reader(counts, frames, sums.at_stake)
    ceiling = np.inf
    while ceiling > -np.inf:
        scores = DistinctScores(memory, ceiling)
        for known, unknown in reader.read(scores):
            scores.add(known, unknown)
        values, num_in, num_ood = scores.take()
        if scores.complete:
            sums.add(counts.layout.index(values), values, num_in, num_ood)
        else:
            gaps = GapCounts(counts.layout, values, num_ood)
            for known, _ in reader.read(scores):
                gaps.add(known)
            sums.add_orphans(gaps.orphans)
            sums.add(*gaps.portions())
        ceiling = scores.floor
    sums.check_complete()
    return sums.resolved(reader.passes)


@dataclass
class _Reader:
    """Reads the frames, makes sure that they are those of the first pass, and picks what is at stake."""

    counts: BinCounts
    frames: Frames
    at_stake: np.ndarray
    passes: int = 0

    def read(self, window: DistinctScores) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield in-distribution and OoD scores of bins at stake, from floor to ceiling of the window."""
        again = BinCounts(self.counts.layout)
        for score, target in _frames(self.frames, self.passes):
            if not again.add(score, target):
                raise UsageError(_changed("it breaks a rule that it kept in the first pass"))
            for some, kinds in blocks(score, target, _PIECE):
                yield _gather(self.counts, self.at_stake, window, some, kinds)
        if not again.equals(self.counts):
            raise UsageError(_changed(_difference(self.counts, again)))
        self.passes += 1


def _frames(frames: Frames, passes: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    given = frames() if callable(frames) else frames
    if passes and isinstance(frames, Iterator):
        raise UsageError(
            "`frames` can be read only once, and `memory` is too small for that; "
            "give a list, a function that returns the frames anew, or more memory"
        )
    for frame in given:
        if not isinstance(frame, (tuple, list)) or len(frame) not in (2, 3):
            raise UsageError("`frames` must yield (score, target) or (score, target, name)")
        where = f"frame {frame[2]}: " if len(frame) == 3 and frame[2] else ""
        yield checked_arrays(frame[0], frame[1], where)


def _gather(
    counts: BinCounts, at_stake: np.ndarray, window: DistinctScores, score: np.ndarray, target: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    floor, ceiling = window.floor, window.ceiling
    if kernels_enabled():
        from segood.evaluation import pixel_kernels as kernels

        known, unknown = np.empty(len(score)), np.empty(len(score))
        found = kernels.gather(
            score, target, *counts.kernel_layout(), at_stake, floor, ceiling, known, unknown
        )
        return known[: found[0]], unknown[: found[1]]
    inside = (score >= floor) & (score < ceiling) & (target != IGNORE)
    score, target = score[inside].astype(np.float64), target[inside]
    wanted = at_stake[counts.layout.index(score)]
    return score[wanted & (target == IN_DISTRIBUTION)], score[wanted & (target == OUT_OF_DISTRIBUTION)]


class _Sums:
    """The metrics as sums over operating points that come in any number of portions, falling."""

    def __init__(self, counts: BinCounts) -> None:
        num_in, num_ood = counts.totals()
        self.layout = counts.layout
        self.num_in, self.num_ood = int(num_in.sum()), int(num_ood.sum())
        # Pixels in higher bins.
        self.fp0, self.tp0 = (np.cumsum(c[::-1])[::-1] - c for c in (num_in, num_ood))
        self.at_stake = (num_ood > 0) & (num_in > 0) | (num_ood > 1) & (self.fp0 > 0)
        self.needed = curves.needed_at_95(self.num_ood)
        self.won = self.ap = 0.0
        self.fpr95 = self.best = (0.0, 0, 0)
        self.best_f1 = -1.0
        self.partial = (-1, 0, 0)  # a bin whose higher part is done: its pixels so far
        self.left = [int(c[self.at_stake].sum()) for c in (num_in, num_ood)]
        whole = np.flatnonzero(~self.at_stake & ((num_in > 0) | (num_ood > 0)))[::-1]
        i, o = num_in[whole], num_ood[whole]
        self._add(whole, self.layout.lower_edges, i, o, self.tp0[whole] + o, self.fp0[whole] + i)

    def add_orphans(self, num_in: int) -> None:
        """Add in-distribution pixels of the bin whose higher part is done; no OoD pixel follows in it."""
        if num_in and self.partial[0] >= 0:
            place = np.array([self.partial[0]])
            self.add(place, self.layout.lower_edges(place), np.array([num_in]), np.array([0]))

    def add(self, places: np.ndarray, values: np.ndarray, num_in: np.ndarray, num_ood: np.ndarray) -> None:
        """Add scores of bins at stake, falling, and how many pixels have each."""
        if not len(values):
            return
        self.left[0] -= int(num_in.sum())
        self.left[1] -= int(num_ood.sum())
        starts = np.flatnonzero(np.diff(places, prepend=-1))
        lengths = np.diff(starts, append=len(values))
        done = []
        for counts, part in ((num_in, self.partial[1]), (num_ood, self.partial[2])):
            before = np.cumsum(counts) - counts
            base = before[starts]
            base[0] -= part if places[0] == self.partial[0] else 0
            done.append(before - np.repeat(base, lengths) + counts)
        self.partial = (int(places[-1]), int(done[0][-1]), int(done[1][-1]))
        tp, fp = self.tp0[places] + done[1], self.fp0[places] + done[0]
        self._add(values, np.asarray, num_in, num_ood, tp, fp)

    def _add(self, thresholds: np.ndarray, to_score: Any, i: Any, o: Any, tp: Any, fp: Any) -> None:
        if not len(thresholds):
            return
        self.won += float(np.sum(i * (tp - 0.5 * o)))
        self.ap += float(np.sum(o * (tp / (tp + fp))))
        crossing = np.flatnonzero((tp - o < self.needed) & (self.needed <= tp))
        for at in crossing:
            self.fpr95 = (float(to_score(thresholds[at : at + 1])[0]), int(tp[at]), int(fp[at]))
        f1 = 2 * tp / (tp + fp + self.num_ood)
        top = int(np.argmax(f1))
        candidate = (float(to_score(thresholds[top : top + 1])[0]), int(tp[top]), int(fp[top]))
        if f1[top] > self.best_f1 or (f1[top] == self.best_f1 and candidate[0] > self.best[0]):
            self.best_f1, self.best = float(f1[top]), candidate

    def check_complete(self) -> None:
        """Raise unless every pixel of the bins at stake has come once."""
        if any(self.left):
            raise UsageError(_changed("their scores differ from one pass to the next"))

    def resolved(self, passes: int) -> Resolved:
        """Return what all portions together gave."""
        if not self.num_in or not self.num_ood:
            return Resolved(PixelNumbers(self.num_in, self.num_ood), self.fpr95, self.best, passes)
        numbers = PixelNumbers(
            self.num_in,
            self.num_ood,
            auroc=self.won / (float(self.num_in) * self.num_ood),
            average_precision=self.ap / self.num_ood,
            fpr95=self.fpr95[2] / self.num_in,
            error_bound=dict.fromkeys(curves.METRICS, curves.ROUNDING),
        )
        return Resolved(numbers, self.fpr95, self.best, passes)


def _changed(how: str) -> str:
    return f"`frames` must be those that were counted, unchanged and each once; {how}"


def _difference(first: BinCounts, second: BinCounts) -> str:
    seen = [tuple(int(kind.sum()) for kind in counts.totals()) for counts in (first, second)]
    if seen[0] != seen[1]:
        return (
            f"counted were {seen[0][0]} in-distribution and {seen[0][1]} OoD pixels; "
            f"the frames hold {seen[1][0]} and {seen[1][1]}"
        )
    return "as many pixels, but other scores"
