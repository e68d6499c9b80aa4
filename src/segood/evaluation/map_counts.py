"""Score maps and labels of a whole data set -> counts, in one or two reads and bounded memory.

In: frames. Out: `CountedMaps`: counts pooled and per frame, and each frame's codes once more, from memory
where they fit, otherwise by reading again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Int64, UInt16

from segood.errors import UsageError
from segood.evaluation.curves import PixelNumbers
from segood.evaluation.map_checks import checked_frame, raise_for_frame
from segood.evaluation.report import exact_numbers
from segood.evaluation.score_codes import NUM_CODES, HalfCodes, ScoreCodes, as_half
from segood.evaluation.score_counts import ScoreCounts
from segood.evaluation.score_levels import LevelLearner
from segood.types import OUT_OF_DISTRIBUTION


class MapFrame(NamedTuple):
    """A score map and its labels.

    Attributes:
        score: (H,W) floating point, higher = more OoD; ignored pixels may hold anything.
        target: (H,W) uint8, 0 in-distribution, 1 OoD, 255 ignore.
        sample_id: of the frame, unique.
    """

    score: np.ndarray
    target: np.ndarray
    sample_id: str


Frames = Iterable[MapFrame] | Callable[[], Iterable[MapFrame]]
"""Something that can be iterated again and again, or a function that returns an iterable."""


@dataclass(frozen=True)
class CountedFrame:
    """What one frame adds: `distinct` scores at its counted pixels (levels, where counts are not exact)."""

    sample_id: str
    numbers: PixelNumbers
    distinct: int


@dataclass(frozen=True)
class _Kept:
    codes: UInt16[np.ndarray, "h w"]
    ood: np.ndarray  # packed bits
    dtype: np.dtype

    @property
    def nbytes(self) -> int:
        return self.codes.nbytes + self.ood.nbytes


@dataclass
class CountedMaps:
    """All counted pixels of a data set.

    Attributes:
        codes: what the codes mean.
        table: (65536, 2) int64, in-distribution and OoD pixels per code.
        images: per frame, in the order of reading.
        dtype: the widest type of the maps.
    """

    codes: ScoreCodes
    table: Int64[np.ndarray, "k 2"] = field(default_factory=lambda: np.zeros((NUM_CODES, 2), np.int64))
    images: list[CountedFrame] = field(default_factory=list)
    dtype: np.dtype = field(default_factory=lambda: np.dtype(np.float16))
    _kept: list[_Kept] | None = field(default_factory=list)
    _frames: Frames = ()

    def counts(self) -> ScoreCounts:
        """Return the counts pooled over all frames."""
        return ScoreCounts.of_table(self.table, self.codes, self.dtype)

    def again(self) -> Iterator[tuple[UInt16[np.ndarray, "h w"], Bool[np.ndarray, "h w"], np.dtype]]:
        """Yield codes, OoD mask and the type of the scores of each frame, in order.

        Raises:
            UsageError: the frames had to be read again and were others.
        """
        if self._kept is not None:
            for kept in self._kept:
                bits = np.unpackbits(kept.ood, count=kept.codes.size)
                yield kept.codes, bits.view(np.bool_).reshape(kept.codes.shape), kept.dtype
            return
        seen = 0
        for frame in _iterate(self._frames):
            score, target = checked_frame(*frame)
            codes, table = _count(self.codes, score, target, frame.sample_id)
            before = self.images[seen] if seen < len(self.images) else None
            totals = tuple(table.sum(axis=0).tolist())
            if (
                before is None
                or before.sample_id != frame.sample_id
                or totals != (before.numbers.num_in, before.numbers.num_ood)
            ):
                raise UsageError(
                    f"frame {frame.sample_id} was not there, or another one, when the maps were first read; "
                    "`frames` must yield the same frames each time"
                )
            yield codes, target == OUT_OF_DISTRIBUTION, score.dtype
            seen += 1
        if seen < len(self.images):
            raise UsageError(
                f"`frames` yielded {len(self.images)} frames, then {seen}; give a list, or a function that "
                "returns a new iterator, not an iterator"
            )


def count_maps(frames: Frames, *, threshold: float | None = None, memory: int = 2**29) -> CountedMaps:
    """Count the pixels of all frames.

    Args:
        frames: read once where float16 holds all scores, otherwise twice; see `MapFrame`.
        threshold: one that scores will be compared with.
        memory: bytes for codes kept, so that `CountedMaps.again` needs no reading; 2.1 per pixel.

    Raises:
        UsageError: no frames, sizes that differ, values that break their rule.
    """
    counted = _count_all(frames, HalfCodes(), memory)
    if counted is None:
        learner = LevelLearner()
        for frame in _iterate(frames):
            learner.update(*checked_frame(*frame))
        counted = _count_all(frames, learner.codes(threshold), memory)
    if counted is None or not counted.images:
        raise UsageError("`frames` is empty, or an iterator that was used up; give a list or a function")
    return counted


def _count_all(frames: Frames, codes: ScoreCodes, memory: int) -> CountedMaps | None:
    """Count with given codes; None where float16 is too small for them."""
    counted = CountedMaps(codes, _frames=frames)
    used = 0
    for frame in _iterate(frames):
        score, target = checked_frame(*frame)
        if isinstance(codes, HalfCodes) and as_half(score) is None:
            return None
        numbered, table = _count(codes, score, target, frame.sample_id)
        counted.table += table
        counts = ScoreCounts.of_table(table, codes)
        numbers = counts.numbers() if codes.exact else exact_numbers(score, target)
        counted.images.append(CountedFrame(frame.sample_id, numbers, len(counts.scores)))
        counted.dtype = np.result_type(counted.dtype, score.dtype)
        if counted._kept is not None:
            kept = _Kept(numbered, np.packbits(target == OUT_OF_DISTRIBUTION), score.dtype)
            used += kept.nbytes
            counted._kept.append(kept)
            if used > memory:
                counted._kept = None
    return counted


def _count(codes: ScoreCodes, score: np.ndarray, target: np.ndarray, name: str) -> tuple[Any, Any]:
    given: np.ndarray | None = score
    if isinstance(codes, HalfCodes):
        given = as_half(score)
    counted = None if given is None else codes.count(given, target)
    if counted is None:
        raise_for_frame(score, target, name)
        raise UsageError(f"frame {name}: the score map changed between two reads")
    return counted


def _iterate(frames: Frames) -> Iterator[MapFrame]:
    for frame in frames() if callable(frames) else frames:
        yield MapFrame(*frame)
