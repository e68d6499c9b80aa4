"""Where frames come from: images, a video, a camera, or anything that yields arrays.

In: paths, `camera:0`, an address such as `rtsp://…`, an iterable. Out: a source, which yields a `Frame` after
the other. One that cannot be read is a `Frame` with its `problem`, and the next one follows.

Videos and cameras need OpenCV; images and iterables do not.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from segood.data.images import IMAGE_SUFFIXES, read_image
from segood.data.index import natural_key
from segood.deployment.frame_checks import check_frame
from segood.errors import DataError, UsageError, drive_is_gone, system_says

if TYPE_CHECKING:
    from segood.deployment.detection import NoVerdictReason

SUFFIXES = (*IMAGE_SUFFIXES, ".bmp")
"""Endings of files taken for images in folders, compared in lower case."""
VIDEO_SUFFIXES = (".mp4", ".avi", ".mkv", ".mov", ".webm", ".m4v", ".mpg", ".mpeg", ".ts", ".mjpeg", ".wmv")
"""Endings of files taken for videos, compared in lower case."""


@dataclass(frozen=True)
class Frame:
    """One frame of a source.

    Attributes:
        index: its place in the source, from 0 on, without gaps.
        name: path of the image; `PATH#index` of a video; `camera:0#index`.
        image: uint8 (H,W,3), RGB; `None` where there is a `problem`.
        timestamp: seconds: when a camera delivered it (of the source's clock), the time in a video, as given
            with an array; `None` for images.
        problem: why it cannot be read; "" if it can.
        reason: of a frame with a problem: `unreadable`, or `stale` where a camera is silent.
        skipped: frames that a camera delivered since the last one and that were passed over.
    """

    index: int
    name: str
    image: np.ndarray | None
    timestamp: float | None = None
    problem: str = ""
    reason: NoVerdictReason = "unreadable"
    skipped: int = 0


@runtime_checkable
class Source(Protocol):
    """What all sources have.

    Attributes:
        live: whether time goes on while a frame is worked on: late frames are worthless then.
        length: number of frames, where known beforehand.
    """

    live: bool
    length: int | None

    def frames(self, start: int = 0) -> Iterator[Frame]:
        """Yield the frames in order, from number `start` on. A live source has no earlier ones."""
        ...

    def name_of(self, index: int) -> str:
        """Return what a frame is called, without reading it."""
        ...


class ImageFiles:
    """Images in files.

    Args:
        paths: of the images, in order.
    """

    live = False

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = list(paths)
        self.length: int | None = len(self.paths)

    def frames(self, start: int = 0) -> Iterator[Frame]:
        """Yield the images in order, from number `start` on."""
        for index in range(start, len(self.paths)):
            path = self.paths[index]
            try:
                yield Frame(index, str(path), read_image(path))
            except DataError as error:
                if drive_is_gone(error.__cause__) or not _has_files(path.parent):
                    raise DataError(f"{error}; --resume goes on with this frame") from error
                yield Frame(index, str(path), None, problem=str(error))

    def name_of(self, index: int) -> str:
        """Return a path."""
        return str(self.paths[index])


class VideoFile:
    """The frames of a video file; the file is opened anew for each pass.

    A decoder passes over what it cannot read without a word. So frames that the file promises and that did
    not come are told by one last frame with a problem; a single one may be the container's rounding.

    Args:
        path: of the video.

    Raises:
        DataError: no video, or damaged from the start on.
        UsageError: OpenCV is not installed.
    """

    live = False

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise DataError(f"{self.path} does not exist")
        capture = self._open()
        count = int(capture.get(_cv2().CAP_PROP_FRAME_COUNT))
        rate = float(capture.get(_cv2().CAP_PROP_FPS))
        capture.release()
        self.length: int | None = count if count > 0 else None
        self.rate: float | None = rate if 0 < rate < 1000 else None

    def name_of(self, index: int) -> str:
        """Return the video's path and the number."""
        return f"{self.path}#{index}"

    def frames(self, start: int = 0) -> Iterator[Frame]:
        """Yield the frames in order; those before `start` are decoded, too."""
        cv2 = _cv2()
        capture = self._open()
        index, before = 0, -np.inf
        try:
            while True:
                if not capture.grab():
                    break
                seconds = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
                if not seconds > before:  # not every container tells the time
                    seconds = before + 1 / (self.rate or 25.0) if index else 0.0
                before = seconds
                if index >= start:
                    ok, bgr = capture.retrieve()
                    image = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB) if ok else None
                    problem = "" if ok else f"{self.path}: frame {index} cannot be decoded"
                    yield Frame(index, self.name_of(index), image, seconds, problem)
                index += 1
        finally:
            capture.release()
        if self.length is not None and start <= index < self.length - 1:
            self._check_drive()
            problem = (
                f"{self.path}: {self.length - index} of {self.length} frames cannot be decoded; "
                "the video is damaged or ends early"
            )
            yield Frame(index, self.name_of(index), None, problem=problem)

    def _check_drive(self) -> None:
        """Raise where the file cannot be read any more; OpenCV does not tell that from a damaged video."""
        try:
            with self.path.open("rb") as file:
                file.seek(-1, os.SEEK_END)
                file.read(1)
        except OSError as error:
            raise DataError(f"{self.path}: {system_says(error)}; --resume goes on with this frame") from error

    def _open(self) -> Any:
        capture = _cv2().VideoCapture(str(self.path))
        if not capture.isOpened():
            raise DataError(f"{self.path}: no video that can be read; the file is damaged or something else")
        return capture


class Arrays:
    """Frames of a program: anything that yields arrays, or pairs of a time and an array.

    Args:
        frames: iterable of uint8 (H,W,3) RGB arrays, or of (seconds, array). What is neither becomes a frame
            with a problem.
        live: whether the times are those of a running clock, the one that `stream` is given.
        name: what frames are called before their number.
    """

    def __init__(self, frames: Iterable[Any], *, live: bool = False, name: str = "frame") -> None:
        self.given, self.live, self.name = frames, live, name
        self.length = len(frames) if isinstance(frames, Sequence) else None

    def name_of(self, index: int) -> str:
        """Return the stream's name and the number."""
        return f"{self.name}#{index}"

    def frames(self, start: int = 0) -> Iterator[Frame]:
        """Yield the frames in order; those before `start` are drawn and dropped."""
        for index, given in enumerate(self.given):
            if index < start:
                continue
            timestamp, image = given if isinstance(given, tuple) and len(given) == 2 else (None, given)
            name = self.name_of(index)
            try:
                check_frame(image)
                timestamp = None if timestamp is None else float(timestamp)
            except (UsageError, TypeError, ValueError) as error:
                yield Frame(index, name, None, problem=str(error))
            else:
                yield Frame(index, name, image, timestamp)


def open_source(inputs: Sequence[str | Path], *, clock: Callable[[], float] = time.monotonic) -> Source:
    """Return the source that a user names.

    Args:
        inputs: images and folders of images, any number; or one video file; or one camera: `camera:0`, or an
            address with `://` that OpenCV opens.
        clock: what tells the time of a camera's frames.

    Raises:
        DataError: something does not exist or cannot be opened, or there is no image at all.
        UsageError: a video or camera beside something else; OpenCV is needed and not installed.
    """
    alone = [str(word) for word in inputs if _is_camera(str(word)) or _is_video(Path(word))]
    if alone and len(inputs) > 1:
        raise UsageError(f"{alone[0]} is a stream of its own; give it without the {len(inputs) - 1} others")
    if alone and _is_camera(alone[0]):
        from segood.deployment.camera import Camera

        return Camera(alone[0], clock=clock)
    return VideoFile(alone[0]) if alone else ImageFiles(find_images(inputs))


def as_source(frames: Source | Iterable[Any]) -> Source:
    """Return a source as it is, and wrap any other iterable in `Arrays`."""
    return frames if isinstance(frames, Source) else Arrays(frames)


class Rest:
    """A source without its first frames, which are done; of a live one, all that comes from now on.

    Args:
        source: to go on with.
        done: number of frames.
    """

    def __init__(self, source: Source, done: int) -> None:
        self.source, self.done, self.live = source, done, source.live
        self.length = None if source.length is None else max(source.length - done, 0)

    def name_of(self, index: int) -> str:
        """Return what a frame is called; numbers are those of the whole stream."""
        return self.source.name_of(index)

    def frames(self, start: int = 0) -> Iterator[Frame]:
        """Yield what is left, numbered as in the whole stream."""
        if not self.live:
            yield from self.source.frames(self.done + start)
            return
        for frame in self.source.frames(start):
            index = frame.index + self.done
            yield replace(frame, index=index, name=self.source.name_of(index))


def find_images(paths: Sequence[str | Path]) -> list[Path]:
    """Return the image files among `paths`; folders are searched recursively, in natural order (2 before 10).

    Raises:
        DataError: a path does not exist, or there is no image at all.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            files = [p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file()]
            found += sorted(files, key=lambda p: [natural_key(part) for part in p.parts])
        elif path.is_file():
            found.append(path)
        else:
            raise DataError(f"{path} does not exist")
    if not found:
        raise DataError(f"no image ({', '.join(SUFFIXES)}) under {', '.join(map(str, paths))}")
    return found


def _has_files(folder: Path) -> bool:
    """Return whether a folder is there and holds something; where a drive was, there may be nothing."""
    try:
        return any(folder.iterdir())
    except OSError:
        return False


def _is_camera(word: str) -> bool:
    return re.fullmatch(r"camera:\d+|[a-zA-Z][\w+.-]*://.+", word) is not None


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES


def _cv2() -> Any:
    return import_opencv("video")


def import_opencv(what: str) -> Any:
    """Return OpenCV's module.

    Args:
        what: needs it, for the message.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import cv2
    except ImportError as error:
        raise UsageError(f"{what} needs OpenCV; pip install 'segood[monitor]'") from error
    return cv2
