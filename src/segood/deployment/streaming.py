"""The monitor on a stream of frames: an answer for each, with its time; numbers over all of them.

In: a monitor and frames. Out: per frame a `FrameResult`; `StreamSummary` adds them up in bounded memory.
Every frame has an answer: objects, or why there is no verdict. Nothing that one frame does stops the stream.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from segood.deployment.detection import Detection, NoVerdict, UnknownObject
from segood.deployment.frame_checks import FrameChecks, StreamGuard, picture_digest
from segood.deployment.latency import LatencyHistogram
from segood.deployment.sources import Frame, Source, as_source
from segood.errors import DataError, UsageError

if TYPE_CHECKING:
    from segood.deployment.tracking import Tracker


class Detector(Protocol):
    """What `stream` needs of a monitor; `segood.Monitor` is one."""

    def __call__(self, image: np.ndarray) -> Detection:
        """Return what is unknown in a uint8 (H,W,3) RGB image."""
        ...


@dataclass(frozen=True)
class FrameResult:
    """The answer to one frame.

    Attributes:
        index: place in the stream, from 0 on, without gaps.
        name: of the frame, see `segood.deployment.sources.Frame`.
        timestamp: of the frame, seconds; `None` where it has none.
        detection: what the monitor says; with a tracker its `objects` are those reported. Without verdict it
            holds none, and `no_verdict` says why.
        pending: objects that were not yet seen often enough to be reported.
        digest: tells the picture from others, 16 hexadecimal digits; `None` where there is none.
        latency: seconds from the frame's arrival (live: from when it was taken) to this answer.
        skipped: frames that a camera passed over before this one.
    """

    index: int
    name: str
    timestamp: float | None
    detection: Detection
    pending: tuple[UnknownObject, ...] = ()
    digest: str | None = None
    latency: float = 0.0
    skipped: int = 0


def stream(
    monitor: Detector,
    frames: Source | Iterable[Any],
    *,
    checks: FrameChecks | StreamGuard | None = FrameChecks(),  # noqa: B008 - frozen
    tracker: Tracker | None = None,
    deadline: float | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[FrameResult]:
    """Run a monitor over frames, one answer per frame, in order.

    Args:
        monitor: network, threshold, meta classifier.
        frames: a source (see `segood.deployment.sources`), or any iterable of uint8 (H,W,3) RGB arrays or of
            (seconds, array); what is neither is answered with `unreadable`.
        checks: what a frame has to be (see `FrameChecks`); a guard that has seen earlier frames; `None` asks
            the network whatever comes.
        tracker: reports objects after k of n frames; it keeps its state afterwards.
        deadline: seconds that an answer may take, from the frame's arrival (live: from when it was taken).
            One that comes later is replaced by `deadline`: its objects are withheld, since they are no longer
            where they were. It stops no computation.
        clock: seconds that rise; for a live source the clock of its timestamps.

    Yields:
        One `FrameResult` per frame.

    Raises:
        UsageError: the deadline is no time above 0.
        DataError: the source ends with an error, such as a camera that delivers no more.

    Example:
        >>> from segood.deployment.detection import Detection
        >>> def blind(image):
        ...     return Detection.without_verdict(image, "not_finite", "no network here")
        >>> black = np.zeros((4, 4, 3), np.uint8)
        >>> [result.detection.no_verdict.reason for result in stream(blind, [black, None])]
        ['black', 'unreadable']
    """
    check_deadline(deadline)
    guard = StreamGuard(checks) if isinstance(checks, FrameChecks) else checks
    return _answers(monitor, as_source(frames), guard, tracker, deadline, clock)


def check_deadline(deadline: float | None) -> None:
    """Raise `UsageError` unless a deadline is a time above 0, or none."""
    if deadline is not None and not deadline > 0:
        raise UsageError(f"`deadline` must be a time above 0 s, or none; got {deadline}")


def _answers(
    monitor: Detector,
    source: Source,
    guard: StreamGuard | None,
    tracker: Tracker | None,
    deadline: float | None,
    clock: Callable[[], float],
) -> Iterator[FrameResult]:
    for frame in source.frames():
        arrived = clock()
        start = frame.timestamp if source.live and frame.timestamp is not None else arrived
        digest = None if frame.image is None else picture_digest(frame.image)
        detection = _answer(monitor, frame, digest, guard, arrived - start if source.live else None)
        latency = max(clock() - start, 0.0)
        if deadline is not None and latency > deadline and detection.no_verdict is None:
            detection = _withheld(detection, latency, deadline)
        pending: tuple[UnknownObject, ...] = ()
        if tracker is not None and detection.no_verdict is not None:
            tracker.skip()
        elif tracker is not None:
            tracked = tracker.update(detection.objects)
            detection, pending = replace(detection, objects=tracked.reported), tracked.pending
        yield FrameResult(
            frame.index, frame.name, frame.timestamp, detection, pending, digest, latency, frame.skipped
        )


def _answer(
    monitor: Detector, frame: Frame, digest: str | None, guard: StreamGuard | None, age: float | None
) -> Detection:
    """Return what there is to say about a frame, late or not."""
    late = None if guard is None else guard.check_time(frame.timestamp, age)
    if frame.image is None or digest is None:
        if guard is not None:
            guard.saw(None)
        return Detection.without_verdict(np.zeros((0, 0, 3), np.uint8), frame.reason, frame.problem)
    bad = None if guard is None else guard.check_picture(frame.image, digest)
    refused = late or bad
    if refused is not None:
        return Detection.without_verdict(frame.image, refused.reason, refused.message)
    try:
        return monitor(frame.image)
    except DataError as error:
        return Detection.without_verdict(frame.image, "unreadable", str(error))


def _withheld(detection: Detection, latency: float, deadline: float) -> Detection:
    message = f"the answer took {latency * 1000:.0f} ms; {deadline * 1000:.0f} ms are allowed"
    return replace(detection, objects=(), removed=(), no_verdict=NoVerdict("deadline", message))


class StreamSummary:
    """What to say about a whole stream; its memory does not grow with the stream.

    Example:
        >>> summary = StreamSummary()
        >>> summary.add_record({"no_verdict": {"reason": "black"}, "latency": 0.1, "objects": []})
        >>> summary.to_dict()["no_verdicts"]
        {'black': 1}
    """

    def __init__(self) -> None:
        self.frames = 0
        self.objects = 0
        self.frames_with_objects = 0
        self.removed = 0
        self.skipped = 0
        self.no_verdicts: Counter[str] = Counter()
        self.latency = LatencyHistogram()
        self.first_unreadable: tuple[str, str] | None = None
        self.stages: Counter[str] = Counter()

    def add(self, result: FrameResult) -> None:
        """Count one frame."""
        detection, verdict = result.detection, result.detection.no_verdict
        self._count(
            result.name,
            None if verdict is None else (verdict.reason, verdict.message),
            len(detection.objects),
            len(detection.removed),
            result.latency,
            result.skipped,
            detection.seconds,
        )

    def add_record(self, record: Mapping[str, Any]) -> None:
        """Count one frame that was written before: a line of `frames.jsonl`."""
        no_verdict = record.get("no_verdict")
        self._count(
            record.get("name", ""),
            (no_verdict["reason"], no_verdict.get("message", "")) if no_verdict else None,
            len(record.get("objects", ())),
            len(record.get("removed", ())),
            record["latency"],
            record.get("skipped", 0),
            record.get("seconds", {}),
        )

    def _count(
        self,
        name: str,
        no_verdict: tuple[str, str] | None,
        objects: int,
        removed: int,
        latency: float,
        skipped: int,
        seconds: Mapping[str, float],
    ) -> None:
        self.frames += 1
        self.skipped += skipped
        self.latency.add(latency)
        for stage, spent in seconds.items():
            self.stages[stage] += spent  # type: ignore[assignment]  # Counter adds floats as well
        if no_verdict is not None:
            self.no_verdicts[no_verdict[0]] += 1
            if no_verdict[0] == "unreadable" and self.first_unreadable is None:
                self.first_unreadable = (name, no_verdict[1])
            return
        self.objects += objects
        self.frames_with_objects += objects > 0
        self.removed += removed

    @property
    def verdicts(self) -> int:
        """Frames with a verdict."""
        return self.frames - self.no_verdicts.total()

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; docs/monitor.md says what each means."""
        return {
            "frames": self.frames,
            "verdicts": self.verdicts,
            "no_verdicts": dict(sorted(self.no_verdicts.items())),
            "deadline_misses": self.no_verdicts["deadline"],
            "skipped": self.skipped,
            "objects": self.objects,
            "frames_with_objects": self.frames_with_objects,
            "removed": self.removed,
            "first_unreadable": list(self.first_unreadable) if self.first_unreadable else None,
            "latency_ms": self.latency.to_dict(),
            "seconds": {stage: round(spent, 3) for stage, spent in sorted(self.stages.items())},
        }
