"""Objects over frames: one is reported when it was seen in k of the last n frames.

In: per frame the objects found, or that there was no verdict. Out: those to report, with track numbers, and
those that wait. An object belongs to the track whose expected box it overlaps most, or else lies nearest to;
pairs are taken greedily, best first, so that the result depends on nothing but boxes, areas and order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from segood.checks import check_unit_interval
from segood.deployment.detection import UnknownObject
from segood.errors import UsageError

Box: TypeAlias = "tuple[int, int, int, int]"


@dataclass(frozen=True)
class Tracked:
    """What the tracker says about one frame.

    Attributes:
        reported: objects seen often enough, with track numbers, in the order given.
        pending: the others, in the order given; `track` is `None` for those beyond `max_tracks`.
    """

    reported: tuple[UnknownObject, ...]
    pending: tuple[UnknownObject, ...]


@dataclass
class _Track:
    number: int
    box: Box
    motion: tuple[float, float]  # of the centre, pixels per frame: rows, columns
    seen: int  # one bit per frame with a verdict, the last frame lowest
    frames_ago: int = 0
    was_reported: bool = False


class Tracker:
    """Follow objects over the frames of one stream and hold back what is not seen often enough.

    A track ends when it was not seen in `window` frames with a verdict. A frame without verdict confirms
    nothing and ends nothing; only the expected motion goes on. The state is at most `max_tracks` tracks of a
    few numbers each.

    Args:
        report_after: k: an object is reported in a frame if it is seen there and in at least k of the last n
            frames with a verdict, this one included; in 1..n.
        window: n, at most 64.
        min_iou: an object continues a track if the intersection over union of its box and the expected one is
            at least this, in [0, 1]; or
        max_shift: if its centre lies no farther from the expected one than this many diagonals of the larger
            box, per frame since the object was last seen (at most n), and neither box has more than
            `max_growth` times the area of the other; 0 leaves the overlap alone to decide.
        max_growth: see there, at least 1.
        max_tracks: most tracks at any time. Beyond it those not seen for longest end first, and of new ones
            the largest are followed; the others stay pending, without a number.

    Attributes:
        num_reported: tracks that were reported in some frame, so far.

    Raises:
        UsageError: a value breaks its rule.

    Example:
        >>> tracker = Tracker(report_after=2, window=3)
        >>> thing = UnknownObject(1, (10, 10, 20, 20), (14.5, 14.5), 100, 0.9, None)
        >>> [len(tracker.update([thing]).reported) for _ in range(3)]
        [0, 1, 1]
    """

    def __init__(
        self,
        report_after: int = 3,
        window: int = 5,
        *,
        min_iou: float = 0.1,
        max_shift: float = 0.5,
        max_growth: float = 4.0,
        max_tracks: int = 256,
    ) -> None:
        if not 1 <= report_after <= window <= 64:
            raise UsageError(
                "`report_after` of `window` frames must be 1 <= report_after <= window <= 64; "
                f"got {report_after} of {window}"
            )
        check_unit_interval("min_iou", min_iou)
        if not (max_shift >= 0 and max_growth >= 1):
            raise UsageError(
                f"`max_shift` must be at least 0 and `max_growth` at least 1; "
                f"got {max_shift} and {max_growth}"
            )
        if max_tracks < 1:
            raise UsageError(f"`max_tracks` must be at least 1; got {max_tracks}")
        self.report_after, self.window = report_after, window
        self.min_iou, self.max_shift, self.max_growth = min_iou, max_shift, max_growth
        self.max_tracks = max_tracks
        self._tracks: list[_Track] = []
        self._next = 1
        self.num_reported = 0

    def __len__(self) -> int:
        """Return how many tracks there are."""
        return len(self._tracks)

    def skip(self) -> None:
        """Take note of a frame without verdict."""
        for track in self._tracks:
            track.frames_ago += 1

    def update(self, objects: Sequence[UnknownObject]) -> Tracked:
        """Take the objects of a frame with a verdict.

        Args:
            objects: of this frame; their boxes are what counts.

        Returns:
            The same objects, each in one of two groups.
        """
        mask = (1 << self.window) - 1
        for track in self._tracks:
            track.seen = (track.seen << 1) & mask
            track.frames_ago += 1
        of_object: dict[int, _Track] = {}
        continued: set[int] = set()
        for which, index in self._pairs(objects):
            if which in continued or index in of_object:
                continue
            continued.add(which)
            of_object[index] = self._tracks[which]
            _move(self._tracks[which], objects[index].box)
        new = [index for index in range(len(objects)) if index not in of_object]
        new.sort(key=lambda index: (-objects[index].area, index))
        started = sorted(new[: self.max_tracks - len(of_object)])
        for index in started:
            of_object[index] = _Track(self._next, objects[index].box, (0.0, 0.0), 1)
            self._next += 1
        self._keep([*self._tracks, *(of_object[index] for index in started)])
        return self._sort(objects, of_object)

    def _pairs(self, objects: Sequence[UnknownObject]) -> list[tuple[int, int]]:
        """Return which track and object can belong together, best first; ties go to the older track."""
        if not self._tracks or not objects:
            return []
        last = np.array([track.box for track in self._tracks], float)[:, None]
        ago = np.minimum([track.frames_ago for track in self._tracks], self.window)[:, None]
        motion = np.array([track.motion for track in self._tracks])[:, None] * ago[..., None]
        expected = last + np.concatenate([motion, motion], axis=-1)
        boxes = np.array([thing.box for thing in objects], float)[None]
        overlap = _iou(expected, boxes)
        apart = np.linalg.norm(_centers(expected) - _centers(boxes), axis=-1)
        distance = apart / np.maximum(_diagonals(last), _diagonals(boxes))
        sizes = _areas(last), _areas(boxes)
        alike = np.maximum(*sizes) <= self.max_growth * np.minimum(*sizes)
        near = alike & (distance <= self.max_shift * ago) & (self.max_shift > 0)
        which, index = np.nonzero(((overlap > 0) & (overlap >= self.min_iou)) | near)
        order = np.lexsort((index, which, distance[which, index], -overlap[which, index]))
        return list(zip(which[order].tolist(), index[order].tolist(), strict=True))

    def _keep(self, tracks: list[_Track]) -> None:
        """Drop the tracks whose window holds no frame, and the least recent beyond the limit."""
        alive = [track for track in tracks if track.seen]
        if len(alive) > self.max_tracks:
            alive.sort(key=lambda track: (_last_seen(track.seen), -track.seen.bit_count(), track.number))
            alive = alive[: self.max_tracks]
            alive.sort(key=lambda track: track.number)
        self._tracks = alive

    def _sort(self, objects: Sequence[UnknownObject], of_object: dict[int, _Track]) -> Tracked:
        alive = {track.number for track in self._tracks}
        reported: list[UnknownObject] = []
        pending: list[UnknownObject] = []
        for index, thing in enumerate(objects):
            track = of_object.get(index)
            if track is None or track.number not in alive:
                pending.append(replace(thing, track=None))
                continue
            often = track.seen.bit_count() >= self.report_after
            if often and not track.was_reported:
                track.was_reported = True
                self.num_reported += 1
            (reported if often else pending).append(replace(thing, track=track.number))
        return Tracked(tuple(reported), tuple(pending))


def _move(track: _Track, box: Box) -> None:
    """Continue a track with the box of this frame."""
    centers = _centers(np.array([track.box, box], float))
    down, right = (centers[1] - centers[0]) / track.frames_ago
    track.motion = (float(down), float(right))
    track.box, track.frames_ago = box, 0
    track.seen |= 1


def _last_seen(seen: int) -> int:
    """Return how many frames ago the lowest bit is."""
    return (seen & -seen).bit_length() - 1


def _centers(boxes: np.ndarray) -> np.ndarray:
    centers: np.ndarray = (boxes[..., :2] + boxes[..., 2:]) / 2
    return centers


def _areas(boxes: np.ndarray) -> np.ndarray:
    areas: np.ndarray = np.prod(boxes[..., 2:] - boxes[..., :2], axis=-1)
    return areas


def _diagonals(boxes: np.ndarray) -> np.ndarray:
    diagonals: np.ndarray = np.linalg.norm(boxes[..., 2:] - boxes[..., :2], axis=-1)
    return diagonals


def _iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    inner = np.minimum(first[..., 2:], second[..., 2:]) - np.maximum(first[..., :2], second[..., :2])
    shared = np.prod(np.maximum(inner, 0), axis=-1)
    iou: np.ndarray = shared / (_areas(first) + _areas(second) - shared)
    return iou
