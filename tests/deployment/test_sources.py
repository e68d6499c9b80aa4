"""Frames from images, videos, cameras and programs; what cannot be read stops no other."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from tests.deployment.painted import street

from segood.deployment.camera import Camera
from segood.deployment.sources import (
    Arrays,
    Frame,
    ImageFiles,
    Rest,
    Source,
    VideoFile,
    as_source,
    find_images,
    open_source,
)
from segood.errors import DataError, UsageError


def save_video(path: Path, count: int = 12, rate: float = 10.0) -> Path:
    """Write a video whose frame i has a red box that starts at column 3 i."""
    code = {".avi": "MJPG", ".mp4": "mp4v"}[path.suffix]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*code), rate, (64, 48))
    for index in range(count):
        writer.write(street((10, 3 * index, 30, 3 * index + 16))[..., ::-1])
    writer.release()
    return path


def save_images(folder: Path, *names: str) -> list[Path]:
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(street((5, number, 20, number + 10))).save(folder / name)
    return [folder / name for name in names]


def test_images_in_natural_order(tmp_path: Path) -> None:
    save_images(tmp_path, "b/10.png", "b/9.png", "a/x.jpg", "c.bmp", "b/2/1.webp")
    (tmp_path / "notes.txt").write_text("no image")
    found = [str(p.relative_to(tmp_path)) for p in find_images([tmp_path])]
    assert found == ["a/x.jpg", "b/2/1.webp", "b/9.png", "b/10.png", "c.bmp"]
    twice = [tmp_path / "c.bmp", tmp_path / "a"]
    assert [p.name for p in find_images(twice)] == ["c.bmp", "x.jpg"]


def test_a_damaged_image_is_a_problem_and_the_next_one_follows(tmp_path: Path) -> None:
    images = save_images(tmp_path, "a.png", "b.png", "c.png")
    images[1].write_bytes(images[1].read_bytes()[:60])
    source = ImageFiles(images)
    frames = list(source.frames())
    assert [f.image is None for f in frames] == [False, True, False]
    assert [f.name for f in frames] == [str(p) for p in images] == [source.name_of(i) for i in range(3)]
    assert "b.png: damaged or truncated image" in frames[1].problem
    assert [f.index for f in source.frames(1)] == [1, 2]
    assert frames[0].timestamp is None


@pytest.mark.parametrize("suffix", [".avi", ".mp4"])
def test_a_video(tmp_path: Path, suffix: str) -> None:
    source = VideoFile(save_video(tmp_path / f"drive{suffix}"))
    assert (source.length, source.rate, source.live) == (12, 10.0, False)
    frames = list(source.frames())
    assert [f.index for f in frames] == list(range(12))
    assert [f.timestamp for f in frames] == pytest.approx([i / 10 for i in range(12)])
    assert frames[3].name == f"{tmp_path / 'drive'}{suffix}#3"
    for index, frame in enumerate(frames):
        assert frame.image is not None
        red = (frame.image[..., 0] > 180) & (frame.image[..., 1] < 110)
        assert np.nonzero(red.any(axis=0))[0][0] == pytest.approx(3 * index, abs=2)
    late = list(source.frames(10))
    assert [(f.index, f.timestamp) for f in late] == [(f.index, f.timestamp) for f in frames[10:]]
    np.testing.assert_array_equal(late[0].image, frames[10].image)


def test_a_video_that_ends_early_says_so_at_its_end(tmp_path: Path) -> None:
    path = save_video(tmp_path / "drive.avi", count=20)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    frames = list(VideoFile(path).frames())
    good = [f for f in frames if f.image is not None]
    assert 5 < len(good) < 15
    assert frames[:-1] == good
    assert frames[-1].index == len(good)
    assert frames[-1].problem == (
        f"{path}: {20 - len(good)} of 20 frames cannot be decoded; the video is damaged or ends early"
    )
    assert list(VideoFile(path).frames(len(frames))) == []


def test_what_is_no_video(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"drive\.mp4 does not exist"):
        open_source([tmp_path / "drive.mp4"])
    (tmp_path / "drive.mp4").write_bytes(b"not a video")
    with pytest.raises(DataError, match=r"drive\.mp4: no video that can be read"):
        open_source([tmp_path / "drive.mp4"])


def test_arrays_with_and_without_times() -> None:
    wrong: list[Any] = [np.zeros((4, 4)), None, "picture", (1.0, None), ("soon", street())]
    frames = list(as_source([street(), (2.5, street()), *wrong]).frames())
    assert [f.image is not None for f in frames] == [True, True] + [False] * 5
    assert [f.timestamp for f in frames[:2]] == [None, 2.5]
    assert "got float64 (4, 4)" in frames[2].problem
    assert "got NoneType" in frames[3].problem
    assert frames[6].problem
    assert [f.name for f in frames[:2]] == ["frame#0", "frame#1"]


def test_sources_stay_as_they_are_and_generators_are_read_as_they_come() -> None:
    source = Arrays([], live=True, name="bus")
    assert as_source(source) is source
    assert isinstance(source, Source)

    def endless() -> Iterator[np.ndarray]:
        while True:
            yield street()

    generated = as_source(endless())
    assert generated.length is None
    frames = generated.frames()
    assert [next(frames).index for _ in range(3)] == [0, 1, 2]


def test_the_rest_of_a_source() -> None:
    rest = Rest(Arrays([street()] * 5), 3)
    assert rest.length == 2
    assert [(f.index, f.name) for f in rest.frames()] == [(3, "frame#3"), (4, "frame#4")]
    live = Rest(Arrays([street()] * 2, live=True, name="bus"), 7)
    assert [(f.index, f.name) for f in live.frames()] == [(7, "bus#7"), (8, "bus#8")]


def test_which_source_the_words_mean(tmp_path: Path) -> None:
    (image,) = save_images(tmp_path, "a.png")
    video = save_video(tmp_path / "drive.mp4")
    assert isinstance(open_source([image, tmp_path]), ImageFiles)
    assert isinstance(open_source([video]), VideoFile)
    with pytest.raises(UsageError, match=r"drive\.mp4 is a stream of its own; give it without the 1 others"):
        open_source([image, video])
    with pytest.raises(UsageError, match="camera:0 is a stream of its own"):
        open_source(["camera:0", "camera:1"])
    with pytest.raises(DataError, match="nowhere does not exist"):
        open_source([tmp_path / "nowhere"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no image"):
        open_source([tmp_path / "empty"])


def test_a_camera_gives_the_newest_frame_and_counts_what_it_passed_over(tmp_path: Path) -> None:
    # a file stands in for the camera: the driver delivers as fast as it is read, then nothing more
    video = save_video(tmp_path / "drive.avi", count=12)
    camera = Camera(video.as_uri(), silence=0.05, patience=2.0)
    assert camera.live
    video.unlink()
    seen: list[Frame] = []
    with pytest.raises(DataError, match="delivered no frame for"):
        for frame in camera.frames():
            seen.append(frame)
            if len(seen) > 400:
                break
    good = [f for f in seen if f.image is not None]
    assert good
    assert [f.index for f in seen] == list(range(len(seen)))
    stamps = [f.timestamp for f in seen if f.timestamp is not None]
    assert stamps == sorted(stamps)
    assert len(good) + sum(f.skipped for f in good) >= 12
    assert {f.reason for f in seen if f.image is None} <= {"stale"}


def test_a_camera_that_is_not_there() -> None:
    with pytest.raises(DataError, match="camera:99 cannot be opened; is it connected, and free"):
        open_source(["camera:99"])


def test_without_opencv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video, (image,) = save_video(tmp_path / "drive.mp4"), save_images(tmp_path, "a.png")
    original = builtins.__import__

    def no_opencv(name: str, *rest: Any, **more: Any) -> Any:
        if name == "cv2":
            raise ImportError("no cv2")
        return original(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", no_opencv)
    assert len(list(open_source([image]).frames())) == 1
    with pytest.raises(UsageError, match=r"video needs OpenCV; pip install 'segood\[monitor\]'"):
        open_source([video])
