"""Do two monitors say the same? The rule by which a bundle may stand for the network it was made from.

In: what both say about the same images. Out: `Parity`: the largest difference in entropy, and whether the
objects match one to one. Pixels may be flagged by one monitor only where their entropy lies within 1e-4 of
the threshold, a segment may be removed by one only where its probability lies that close to the other
threshold; what differs for no other reason is counted as borderline, and everything else is a mismatch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from segood.deployment.detection import Detection
from segood.errors import UsageError

if TYPE_CHECKING:
    from segood.deployment.monitor import Monitor

TOLERANCE = 1e-4


@dataclass(frozen=True)
class FrameParity:
    """How two monitors compare on one image.

    Attributes:
        name: of the image.
        entropy_difference: the largest.
        num_objects: reported by the reference.
        num_matched: of these, found by the other as the same object.
        num_borderline: objects of either that the other lacks, or cuts otherwise, for a reason that the
            tolerance covers.
        mismatches: what differs beyond that, in words; at most ten.
        probability_difference: the largest among matched objects; None without a meta classifier.
    """

    name: str
    entropy_difference: float
    num_objects: int
    num_matched: int
    num_borderline: int
    mismatches: tuple[str, ...]
    probability_difference: float | None


@dataclass(frozen=True)
class Parity:
    """How two monitors compare on several images; sums and largest values of `FrameParity`."""

    frames: tuple[FrameParity, ...]
    tolerance: float = TOLERANCE

    @property
    def entropy_difference(self) -> float:
        """The largest difference in entropy."""
        return max((f.entropy_difference for f in self.frames), default=0.0)

    @property
    def num_objects(self) -> int:
        """Objects that the reference reports."""
        return sum(f.num_objects for f in self.frames)

    @property
    def num_matched(self) -> int:
        """Of these, found by the other."""
        return sum(f.num_matched for f in self.frames)

    @property
    def num_borderline(self) -> int:
        """Differences that the tolerance covers."""
        return sum(f.num_borderline for f in self.frames)

    @property
    def mismatches(self) -> list[str]:
        """What differs, by image."""
        return [f"{f.name}: {text}" for f in self.frames for text in f.mismatches]

    @property
    def holds(self) -> bool:
        """Whether one monitor may stand for the other."""
        return self.entropy_difference <= self.tolerance and not self.mismatches

    def to_dict(self) -> dict[str, object]:
        """Return the numbers as plain data."""
        probabilities = [
            f.probability_difference for f in self.frames if f.probability_difference is not None
        ]
        return {
            "num_frames": len(self.frames),
            "entropy_difference": self.entropy_difference,
            "probability_difference": max(probabilities) if probabilities else None,
            "num_objects": self.num_objects,
            "num_matched": self.num_matched,
            "num_borderline": self.num_borderline,
            "mismatches": self.mismatches,
            "tolerance": self.tolerance,
        }


def compare_monitors(
    reference: Monitor,
    other: Monitor,
    images: Sequence[Path],
    *,
    tick: Callable[[], None] = lambda: None,
    seen: Callable[[Detection], None] = lambda _: None,
) -> Parity:
    """Ask both about images.

    Args:
        reference: the one that is right by definition.
        other: the one to be checked; with the same thresholds and region.
        images: files.
        tick: called after each.
        seen: gets what the other says of each.

    Raises:
        UsageError: the monitors have different thresholds.
    """
    if (reference.threshold, reference.probability_threshold) != (
        other.threshold,
        other.probability_threshold,
    ):
        raise UsageError("two monitors can be compared at the same thresholds only")
    frames = []
    for path in images:
        expected, found = reference(path), other(path)
        frames.append(
            compare(expected, found, reference.threshold, reference.probability_threshold, path.name)
        )
        seen(found)
        tick()
    return Parity(tuple(frames))


def compare(
    expected: Detection, found: Detection, threshold: float, probability_threshold: float, name: str = ""
) -> FrameParity:
    """Compare what two monitors say about one image.

    Args:
        expected: by the reference.
        found: by the other, of the same size.
        threshold: of the entropy.
        probability_threshold: of the false-positive probability.
        name: of the image.
    """
    if expected.score.shape != found.score.shape:
        raise UsageError(f"both must have the same size; got {expected.score.shape} and {found.score.shape}")
    if (expected.no_verdict is None) != (found.no_verdict is None):
        return FrameParity(name, float("inf"), 0, 0, 0, ("only one of both gives a verdict",), None)
    if expected.no_verdict is not None:
        return FrameParity(name, 0.0, 0, 0, 0, (), None)
    difference = float(np.abs(expected.score - found.score).max())
    near = np.abs(expected.score - np.float32(threshold)) <= TOLERANCE
    apart = (expected.labels > 0) != (found.labels > 0)
    mismatches = []
    wrong = int(np.count_nonzero(apart & ~near))
    if wrong:
        mismatches.append(f"{wrong} pixels are flagged by one only, away from the threshold")
    pairs = _pairs(expected.labels, found.labels)
    ours, theirs = _of_id(expected), _of_id(found)
    matched = borderline = 0
    probability_differences = []
    for mine, others in _groups(pairs, [*ours], [*theirs]):
        if len(mine) == len(others) == 1:
            (kept, probability), (also_kept, other_probability) = ours[mine[0]], theirs[others[0]]
            if probability is not None and other_probability is not None:
                probability_differences.append(abs(probability - other_probability))
            if kept == also_kept:
                matched += kept
                continue
            distance = abs(1 - (probability or 0.0) - probability_threshold)
            if probability is not None and distance <= TOLERANCE:
                borderline += 1
                continue
            mismatches.append(f"segment {mine[0]} is reported by one only, with probability {probability}")
            continue
        # Cut otherwise: allowed if the pixels that make the difference lie at the threshold.
        involved = np.isin(expected.labels, mine) | np.isin(found.labels, others)
        if not (apart & involved & ~near).any() and (apart & involved).any():
            borderline += 1
        else:
            mismatches.append(f"segments {mine} of one are segments {others} of the other")
    return FrameParity(
        name,
        difference,
        sum(kept for kept, _ in ours.values()),
        matched,
        borderline,
        tuple(mismatches[:10]),
        max(probability_differences, default=0.0) if any(p is not None for _, p in ours.values()) else None,
    )


def _of_id(found: Detection) -> dict[int, tuple[bool, float | None]]:
    """Return per segment whether it is reported, and its probability."""
    kept = {o.id: (True, o.probability) for o in found.objects}
    return kept | {o.id: (False, o.probability) for o in found.removed}


def _pairs(first: np.ndarray, second: np.ndarray) -> set[tuple[int, int]]:
    """Return which segments of both share a pixel."""
    both = np.flatnonzero((first > 0) & (second > 0))
    codes = np.unique(first.ravel()[both].astype(np.int64) << 32 | second.ravel()[both])
    return {(int(code >> 32), int(code & 0xFFFFFFFF)) for code in codes}


def _groups(
    pairs: Iterable[tuple[int, int]], first: Sequence[int], second: Sequence[int]
) -> list[tuple[list[int], list[int]]]:
    """Return the connected groups of segments that share pixels; those that share none stand alone."""
    parent = {("a", i): ("a", i) for i in first} | {("b", i): ("b", i) for i in second}

    def root(node: tuple[str, int]) -> tuple[str, int]:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for a, b in pairs:
        parent[root(("a", a))] = root(("b", b))
    groups: dict[tuple[str, int], tuple[list[int], list[int]]] = {}
    for node in parent:
        group = groups.setdefault(root(node), ([], []))
        group[0 if node[0] == "a" else 1].append(node[1])
    return list(groups.values())
