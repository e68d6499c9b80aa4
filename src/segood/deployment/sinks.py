"""Where answers go: a file of JSON lines that survives interruptions, a video, results in COCO's format.

In: records of frames, pictures. Out: files. Lines are appended one by one, all other files appear when they
are whole.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from segood.checks import check_choice
from segood.deployment.frame_record import VERSION, check_record
from segood.deployment.sources import import_opencv
from segood.errors import DataError, OutputError, system_says
from segood.files import atomic_path

CODECS = {".mp4": "mp4v", ".avi": "MJPG"}
"""Endings of video files and how they are encoded."""


class FrameLog:
    """One JSON object per line, one line per frame, each written at once; a context manager.

    Args:
        path: the file. A half-written last line, which only a killed process leaves, is cut off.

    Attributes:
        count: lines in the file.

    Raises:
        DataError: the file holds something else.
        OutputError: it cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with FrameLog(Path(folder) / "frames.jsonl") as log:
        ...         log.write({"version": 1, "index": 0})
        ...     (Path(folder) / "frames.jsonl").read_text()
        '{"version":1,"index":0}\\n'
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.count = 0
        self._file = -1

    def __enter__(self) -> FrameLog:
        with self._errors_named():
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            _cut_half_line(self._file)
        self.count = sum(1 for _ in read_records(self.path))
        return self

    def __exit__(self, *error: object) -> None:
        if self._file >= 0:
            with self._errors_named():
                _cut_half_line(self._file)
                os.fsync(self._file)
                os.close(self._file)
            self._file = -1

    def write(self, record: Mapping[str, Any]) -> None:
        """Append one record; NaN and infinity are refused."""
        line = json.dumps(record, separators=(",", ":"), ensure_ascii=False, allow_nan=False) + "\n"
        left = memoryview(line.encode())
        with self._errors_named():
            while left:
                left = left[os.write(self._file, left) :]
        self.count += 1

    @contextlib.contextmanager
    def _errors_named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OutputError(
                f"cannot write {self.path}: {system_says(error, 'free space or permission?')}"
            ) from error


def read_records(path: str | Path) -> Iterator[dict[str, Any]]:
    """Yield the records of a file of frames, in order. An unfinished last line is passed over.

    Raises:
        DataError: a line is no record of this version, or one is missing; the file cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            for number, line in enumerate(file):
                if not line.endswith(b"\n"):
                    return
                yield _checked(line, number, path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error


def _checked(line: bytes, number: int, path: str | Path) -> dict[str, Any]:
    remedy = "remove it and all that follow, or choose another folder"
    try:
        record: dict[str, Any] = json.loads(line)
        fits = record["version"] == VERSION and record["index"] == number
    except (ValueError, KeyError, TypeError, RecursionError):
        fits = False
    if not fits:
        raise DataError(f"{path}: line {number + 1} is not the record of frame {number}; {remedy}")
    try:
        check_record(record)
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: line {number + 1} is damaged ({error}); {remedy}") from error
    return record


def _cut_half_line(file: int) -> None:
    """Remove what stands after the last line end."""
    size = os.fstat(file).st_size
    end, block = size, 1 << 16
    while end:
        start = max(0, end - block)
        found = os.pread(file, end - start, start).rfind(b"\n")
        if found >= 0:
            end = start + found + 1
            break
        end = start
    if end < size:
        os.ftruncate(file, end)


class VideoSink:
    """A video of pictures, all of the first one's size; a context manager.

    Written under a temporary name beside `path`, which it gets on leaving without error. Pictures of another
    size are fitted in with black borders.

    Args:
        path: .mp4 (MPEG-4) or .avi (Motion JPEG).
        rate: pictures per second.

    Raises:
        UsageError: another suffix; OpenCV is not installed.
        OutputError: it cannot be written.
    """

    def __init__(self, path: str | Path, rate: float = 10.0) -> None:
        self.path = Path(path)
        check_choice("video suffix", self.path.suffix.lower(), CODECS)
        self._rate = rate
        self._cv2 = import_opencv("video")
        self._size: tuple[int, int] | None = None  # width, height
        self._writer: Any = None
        self._temporary = self.path
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> VideoSink:
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        with self._stack:
            if self._writer is not None:
                self._writer.release()
            if error is not None:
                raise error
            if self._writer is not None:
                self._check_end()

    def write(self, picture: np.ndarray) -> None:
        """Append a picture, uint8 (H,W,3) RGB."""
        if self._writer is None:
            self._start(picture.shape[1] // 2 * 2 or 2, picture.shape[0] // 2 * 2 or 2)
        self._writer.write(self._cv2.cvtColor(self._fitted(picture), self._cv2.COLOR_RGB2BGR))

    def _check_end(self) -> None:
        """Look for the end, since OpenCV says nothing of a full disk and leaves out what follows."""
        whole = not _lacks_bytes(self._temporary)
        if whole:
            video = self._cv2.VideoCapture(str(self._temporary))
            whole = video.isOpened()  # an MP4 without end cannot be
            video.release()
        if not whole:
            raise OutputError(f"cannot write {self.path}: it ends early; free space or permission?")

    def _start(self, width: int, height: int) -> None:
        temporary = self._temporary = self._stack.enter_context(atomic_path(self.path))
        code = self._cv2.VideoWriter_fourcc(*CODECS[self.path.suffix.lower()])
        self._size = (width, height)
        temporary.touch()  # the system says why it cannot, OpenCV does not
        self._writer = self._cv2.VideoWriter(str(temporary), code, self._rate, self._size)
        if not self._writer.isOpened():
            raise OutputError(
                f"cannot write {self.path}: OpenCV has no encoder for {CODECS[self.path.suffix]}"
            )

    def _fitted(self, picture: np.ndarray) -> np.ndarray:
        assert self._size is not None
        width, height = self._size
        if picture.shape[:2] == (height, width):
            return picture
        scale = min(width / picture.shape[1], height / picture.shape[0])
        size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
        canvas = Image.new("RGB", (width, height))
        canvas.paste(Image.fromarray(picture).resize(size), ((width - size[0]) // 2, (height - size[1]) // 2))
        return np.asarray(canvas)


def _lacks_bytes(path: Path) -> bool:
    """Return whether an AVI is shorter than its parts say; each states its length."""
    end, length = 0, path.stat().st_size
    with path.open("rb") as file:
        while end < length:
            file.seek(end)
            kind, size = file.read(4), int.from_bytes(file.read(4), "little")
            if kind != b"RIFF":
                return end > 0
            end += 8 + size
    return end > length


def write_coco(records: str | Path, path: str | Path) -> int:
    """Write reported objects in COCO's results format.

    `image_id` is the frame's index, `category_id` 1 ("unknown"); `bbox` is x, y, width, height; `score` the
    probability of being real, or without meta classifier the mean score; `segmentation` uncompressed run
    lengths, which `pycocotools.mask.frPyObjects` reads.

    Args:
        records: `frames.jsonl`.
        path: file to write, atomically.

    Returns:
        Number of objects.
    """
    count = 0
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write("[")
        for record in read_records(records):
            for thing in record["objects"]:
                file.write("\n" if count == 0 else ",\n")
                json.dump(_coco_result(record["index"], thing), file, separators=(",", ":"))
                count += 1
        file.write("\n]\n")
    return count


def _coco_result(image_id: int, thing: Mapping[str, Any]) -> dict[str, Any]:
    row0, col0, row1, col1 = thing["box"]
    score = thing["score"] if thing["probability"] is None else thing["probability"]
    return {
        "image_id": image_id,
        "category_id": 1,
        "bbox": [col0, row0, col1 - col0, row1 - row0],
        "score": score,
        "segmentation": thing["mask"],
    }
