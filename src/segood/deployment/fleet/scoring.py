"""One partition: its images -> its records.

In: a monitor, names and sources. Out: a record per frame, in order, and how long it took. A frame that cannot
be read, or that the monitor fails on, is a record with the reason.
"""

from __future__ import annotations

import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from segood.data.images import read_image
from segood.deployment.fleet.listing import Listed
from segood.deployment.fleet.records import part_record
from segood.deployment.fleet.urls import fetch, is_url
from segood.deployment.sources import Frame
from segood.deployment.streaming import StreamSummary, stream
from segood.errors import DataError, SegoodError

if TYPE_CHECKING:
    from segood.deployment.detection import Detection
    from segood.deployment.frame_checks import FrameChecks
    from segood.deployment.streaming import Detector

AHEAD = 4
"""So many files of URLs are fetched while the monitor is busy; they wait as bytes, not decoded."""


@dataclass(frozen=True)
class Scored:
    """A partition's records, and the seconds spent in each stage."""

    records: list[dict[str, Any]]
    seconds: dict[str, float]


def score_frames(
    monitor: Detector,
    frames: Sequence[Listed],
    *,
    start: int = 0,
    checks: FrameChecks | None = None,
    note: Callable[[int], object] = lambda index: None,
) -> Scored:
    """Score images, each by itself.

    Args:
        monitor: network, threshold, meta classifier.
        frames: names and sources.
        start: index of the first one.
        checks: what an image has to be; `None` asks the network whatever comes.
        note: told the index of each frame before it is read.
    """
    source = _Images(frames, start, note)
    records, summary, begin = [], StreamSummary(), time.perf_counter()
    for result, frame in zip(stream(_never_failing(monitor), source, checks=checks), frames, strict=True):
        summary.add(result)
        records.append(part_record(result, frame.source))
    stages = {key: value for key, value in summary.stages.items() if key != "total"}
    seconds = {**stages, "read": source.seconds, "all": time.perf_counter() - begin}
    return Scored(records, {key: round(value, 4) for key, value in seconds.items()})


class _Images:
    """A source of images at paths and URLs; the time that the monitor waits for them is in `seconds`."""

    live = False

    def __init__(self, frames: Sequence[Listed], start: int, note: Callable[[int], object]) -> None:
        self._frames, self._start, self._note = frames, start, note
        self.length: int | None = len(frames)
        self.seconds = 0.0

    def name_of(self, index: int) -> str:
        """Return what the list calls it."""
        return self._frames[index - self._start].name

    def frames(self, start: int = 0) -> Iterator[Frame]:
        """Yield the images in order, numbered over all partitions."""
        with tempfile.TemporaryDirectory(prefix="segood") as folder, ThreadPoolExecutor(AHEAD) as pool:
            waiting: deque[Future[bytes] | None] = deque()
            for place in range(start, len(self._frames)):
                index = self._start + place
                self._note(index)
                begin = time.perf_counter()
                while len(waiting) < AHEAD and place + len(waiting) < len(self._frames):
                    source = self._frames[place + len(waiting)].source
                    waiting.append(pool.submit(fetch, source) if is_url(source) else None)
                frame = self._read(index, waiting.popleft(), Path(folder) / "image")
                self.seconds += time.perf_counter() - begin
                yield frame

    def _read(self, index: int, fetched: Future[bytes] | None, scratch: Path) -> Frame:
        name, source = self._frames[index - self._start]
        path = Path(source) if fetched is None else scratch
        try:
            if fetched is not None:
                scratch.write_bytes(fetched.result())
            return Frame(index, name, read_image(path))
        except (DataError, OSError, MemoryError) as error:
            problem = str(error) or type(error).__name__
            return Frame(index, name, None, problem=problem.replace(str(path), name))


def _never_failing(monitor: Detector) -> Detector:
    """Return a monitor whose failure on an image is told as that of the image."""

    def look(image: np.ndarray) -> Detection:
        try:
            return monitor(image)
        except (SegoodError, MemoryError) as error:
            raise DataError(str(error) or "there is not enough memory for this image") from error

    return look
