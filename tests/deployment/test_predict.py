"""A stream into a folder: what is written, whose the folder is, and going on after an interruption."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.deployment.painted import RedMonitor, street

from segood.deployment import FrameChecks, PredictOptions, open_source, predict_frames
from segood.deployment.predict import parse_track
from segood.deployment.sinks import read_records
from segood.deployment.sources import Arrays, Frame
from segood.errors import DataError, UsageError

ALL = PredictOptions(
    checks=FrameChecks(frozen_after=3), report_after=2, window=3, deadline=60.0, overlays=True, coco=True
)


def frame(number: int) -> np.ndarray:
    """Return a picture of a drive: a red thing moves, 5 is dark, 9 to 11 are the same."""
    if number == 5:
        return np.zeros((48, 64, 3), np.uint8)
    return street((10, max(number, 2) if not 9 <= number <= 11 else 9, 20, 40), blue=[(30, 30, 35, 36)])


def save_drive(folder: Path, count: int) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        Image.fromarray(frame(number)).save(folder / f"{number}.png")
    if count > 9:
        (folder / "8.png").write_bytes(b"no image")
    return [folder / f"{number}.png" for number in range(count)]


def without_times(out: Path) -> list[dict[str, Any]]:
    return [
        {k: v for k, v in record.items() if k not in ("latency", "seconds")}
        for record in read_records(out / "frames.jsonl")
    ]


def timeless(summary: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in summary.items() if k not in ("latency_ms", "this_call", "seconds", "video")}


def test_a_folder_of_images(tmp_path: Path) -> None:
    save_drive(tmp_path / "in", 16)
    out = tmp_path / "out"
    found = predict_frames(RedMonitor(), open_source([tmp_path / "in"]), out, ALL)
    assert sorted(p.name for p in out.iterdir()) == [
        "coco_results.json", "frames.jsonl", "overlays", "summary.json",
    ]  # fmt: skip
    assert found == json.loads((out / "summary.json").read_text())
    records = without_times(out)
    assert [r["name"] for r in records] == [str(tmp_path / "in" / f"{n}.png") for n in range(16)]
    reasons = {r["index"]: r["no_verdict"]["reason"] for r in records if r["no_verdict"]}
    assert reasons == {2: "frozen", 5: "black", 8: "unreadable", 11: "frozen"}
    assert found["no_verdicts"] == {"black": 1, "frozen": 2, "unreadable": 1}
    assert (found["frames"], found["verdicts"], found["complete"]) == (16, 12, True)
    assert found["objects"] == 11  # all but the first, which waits for its second frame
    assert found["tracks"] == 1
    assert found["first_unreadable"][0] == str(tmp_path / "in" / "8.png")
    assert found["this_call"]["frames"] == 16
    for record in records:
        assert (record["overlay"] is None) == (record["index"] == 8)
        if record["overlay"]:
            with Image.open(out / record["overlay"]) as picture:
                assert picture.size == (64, 48)
    assert len(json.loads((out / "coco_results.json").read_text())) == 11
    assert found["settings"]["tracking"] == "2/3"
    assert found["settings"]["monitor"]["threshold"] == 0.7


def test_images_of_the_same_name_have_pictures_of_their_own(tmp_path: Path) -> None:
    for name in ("a.png", "x/a.png", "x/a_2.png", "x/y/A.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(frame(1)).save(tmp_path / name)
    source = open_source([tmp_path / n for n in ("a.png", "x/a.png", "x/a_2.png", "x/y/A.png")])
    predict_frames(RedMonitor(), source, tmp_path / "out", PredictOptions(overlays=True))
    overlays = [r["overlay"] for r in read_records(tmp_path / "out" / "frames.jsonl")]
    assert overlays == [f"overlays/{name}.jpg" for name in ("a", "a_2", "a_2_2", "A_3")]


def test_a_video_in_and_out(tmp_path: Path) -> None:
    writer = cv2.VideoWriter(str(tmp_path / "in.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 12.5, (64, 48))
    for number in range(6):
        writer.write(street((10, 5 * number, 20, 5 * number + 20))[..., ::-1])
    writer.release()
    options = PredictOptions(report_after=2, window=2, video=tmp_path / "found.mp4")
    found = predict_frames(RedMonitor(), open_source([tmp_path / "in.avi"]), tmp_path / "out", options)
    records = without_times(tmp_path / "out")
    assert [r["timestamp"] for r in records] == pytest.approx([n / 12.5 for n in range(6)])
    assert {t["track"] for r in records for t in r["objects"]} == {1}
    assert (found["objects"], found["tracks"]) == (5, 1)
    assert not (tmp_path / "out" / "overlays").exists()
    capture = cv2.VideoCapture(str(tmp_path / "found.mp4"))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 6
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(12.5)


def test_pictures_of_a_program(tmp_path: Path) -> None:
    found = predict_frames(
        RedMonitor(), (frame(n) for n in range(4)), tmp_path, PredictOptions(overlays=True)
    )
    assert found["frames"] == 4
    assert sorted(p.name for p in (tmp_path / "overlays").iterdir())[0] == "frame_000000.jpg"


class Stops:
    """A user who presses Ctrl-C after some frames."""

    def __init__(self, after: int) -> None:
        self._left = after

    def __call__(self, what: str, total: int) -> Callable[[], None]:
        def tick() -> None:
            self._left -= 1
            if self._left == 0:
                raise KeyboardInterrupt

        return tick


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=12)
@given(stops=st.lists(st.integers(1, 6), max_size=4))
def test_interrupted_and_gone_on_with_is_as_in_one_go(
    tmp_path_factory: pytest.TempPathFactory, stops: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("drive")
    save_drive(folder / "in", 16)
    whole, parts = folder / "whole", folder / "parts"
    options = replace(ALL, overlays=False, video=folder / "whole.avi")
    expected = predict_frames(RedMonitor(), open_source([folder / "in"]), whole, options)
    options = replace(options, video=folder / "parts.avi")
    for after in stops:
        if parts.exists() and len(without_times(parts)) + after >= 16:
            break
        with pytest.raises(KeyboardInterrupt):
            predict_frames(
                RedMonitor(), open_source([folder / "in"]), parts, options, resume=True, progress=Stops(after)
            )
        assert not json.loads((parts / "summary.json").read_text())["complete"]
        assert not (folder / "parts.avi").exists()
    found = predict_frames(RedMonitor(), open_source([folder / "in"]), parts, options, resume=True)
    assert without_times(parts) == without_times(whole)
    assert timeless(found) == timeless(expected)
    assert (parts / "coco_results.json").read_bytes() == (whole / "coco_results.json").read_bytes()
    assert (folder / "parts.avi").read_bytes() == (folder / "whole.avi").read_bytes()


def test_frames_that_are_done_are_not_done_again(tmp_path: Path) -> None:
    save_drive(tmp_path / "in", 8)
    out, monitor = tmp_path / "out", RedMonitor()
    with pytest.raises(KeyboardInterrupt):
        predict_frames(monitor, open_source([tmp_path / "in"]), out, progress=Stops(3))
    found = predict_frames(monitor, open_source([tmp_path / "in"]), out, resume=True)
    assert monitor.asked == 7  # one of eight is dark
    assert found["this_call"]["frames"] == 5
    again = predict_frames(monitor, open_source([tmp_path / "in"]), out, resume=True)
    assert monitor.asked == 7
    assert timeless(again) == timeless(found)


KILLED = """
import sys, time
from tests.deployment.painted import RedMonitor
from segood.deployment import PredictOptions, open_source, predict_frames

class Slow(RedMonitor):
    def __call__(self, image):
        time.sleep(0.02)
        return super().__call__(image)

options = PredictOptions(report_after=2, window=3)
predict_frames(Slow(), open_source([sys.argv[1]]), sys.argv[2], options, resume=True)
"""


def test_killed_and_gone_on_with_is_as_in_one_go(tmp_path: Path) -> None:
    save_drive(tmp_path / "in", 60)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    options = PredictOptions(report_after=2, window=3)
    expected = predict_frames(RedMonitor(), open_source([tmp_path / "in"]), whole, options)
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(tmp_path / "in"), str(parts)]
    lines = parts / "frames.jsonl"
    for seen in (5, 20):
        process = subprocess.Popen(command, cwd=Path(__file__).parents[2])
        try:
            give_up = time.monotonic() + 60
            while not lines.exists() or lines.read_bytes().count(b"\n") < seen:
                assert process.poll() is None
                assert time.monotonic() < give_up
                time.sleep(0.005)
        finally:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        assert not json.loads((parts / "summary.json").read_text())["complete"]
    with lines.open("ab") as file:
        file.write(b'{"version":1,"index":')  # what a kill in the middle of a write leaves
    assert 20 <= lines.read_bytes().count(b"\n") < 60
    found = predict_frames(RedMonitor(), open_source([tmp_path / "in"]), parts, options, resume=True)
    assert without_times(parts) == without_times(whole)
    assert timeless(found) == timeless(expected)


def test_leftovers_of_a_killed_process_go(tmp_path: Path) -> None:
    save_drive(tmp_path / "in", 3)
    out, options = tmp_path / "out", PredictOptions(overlays=True)
    predict_frames(RedMonitor(), open_source([tmp_path / "in"]), out, options)
    for name in (".summary.12345678.part.json", "overlays/.1.12345678.part.jpg"):
        (out / name).write_text("half")
    predict_frames(RedMonitor(), open_source([tmp_path / "in"]), out, options, resume=True)
    assert list(out.rglob(".*")) == []


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    for name, text in (
        ("notes.txt", "mine"),
        ("summary.json", "[]"),
        ("summary.json", '{"format": "other"}'),
    ):
        out = tmp_path / str(len(list(tmp_path.iterdir())))
        out.mkdir()
        (out / name).write_text(text)
        for resume in (False, True):
            with pytest.raises(UsageError, match=f"is not empty .it holds {name}.; choose another --out"):
                predict_frames(RedMonitor(), [frame(0)], out, resume=resume)
        assert (out / name).read_text() == text
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is a file; the output must be a folder"):
        predict_frames(RedMonitor(), [frame(0)], tmp_path / "file")


def test_an_earlier_prediction_is_neither_overwritten_nor_mixed(tmp_path: Path) -> None:
    images, out = save_drive(tmp_path / "in", 4), tmp_path / "out"
    predict_frames(RedMonitor(), open_source(images), out)
    before = (out / "summary.json").read_bytes(), (out / "frames.jsonl").read_bytes()
    with pytest.raises(UsageError, match="holds a finished prediction; choose another --out, remove it, or"):
        predict_frames(RedMonitor(), open_source(images), out)
    with pytest.raises(UsageError, match="was made with another tracking; give the same again"):
        predict_frames(RedMonitor(), open_source(images), out, PredictOptions(report_after=1), resume=True)
    other = RedMonitor()
    other.threshold = 0.8  # type: ignore[misc]
    with pytest.raises(UsageError, match="was made with another monitor; give the same again"):
        predict_frames(other, open_source(images), out, resume=True)
    with pytest.raises(UsageError, match="was made with another monitor"):
        predict_frames(RedMonitor(), open_source(images), out, resume=True, about={"bundle_sha256": "ab"})
    with pytest.raises(UsageError, match=r"frame 1 is .*1\.png, now it is .*2\.png; give the same frames"):
        predict_frames(RedMonitor(), open_source([images[0], *images[2:], images[1]]), out, resume=True)
    with pytest.raises(UsageError, match="holds 4 frames, but only 2 are given"):
        predict_frames(RedMonitor(), open_source(images[:2]), out, resume=True)
    assert before == ((out / "summary.json").read_bytes(), (out / "frames.jsonl").read_bytes())
    with pytest.raises(KeyboardInterrupt):
        predict_frames(RedMonitor(), open_source(images), tmp_path / "half", progress=Stops(1))
    with pytest.raises(UsageError, match="holds an unfinished prediction"):
        predict_frames(RedMonitor(), open_source(images), tmp_path / "half")


class Bus:
    """A live source of numbered pictures, which ends by Ctrl-C or by a fault."""

    live, length = True, None

    def __init__(self, count: int, end: BaseException) -> None:
        self._count, self._end = count, end

    def name_of(self, index: int) -> str:
        return f"bus#{index}"

    def frames(self, start: int = 0) -> Iterator[Frame]:
        for index in range(self._count):
            yield Frame(index, self.name_of(index), frame(index), time.monotonic())
        raise self._end


def test_a_camera_ends_by_ctrl_c_and_goes_on_later(tmp_path: Path) -> None:
    options = PredictOptions(report_after=2, window=3, video=tmp_path / "found.avi")
    found = predict_frames(RedMonitor(), Bus(3, KeyboardInterrupt()), tmp_path / "out", options)
    assert found["complete"]
    assert (tmp_path / "found.avi").exists()
    with pytest.raises(UsageError, match=r"found\.avi exists already; choose another name"):
        predict_frames(RedMonitor(), Bus(2, KeyboardInterrupt()), tmp_path / "out", options, resume=True)
    options = replace(options, video=tmp_path / "more.avi")
    found = predict_frames(RedMonitor(), Bus(2, KeyboardInterrupt()), tmp_path / "out", options, resume=True)
    assert cv2.VideoCapture(str(tmp_path / "more.avi")).get(cv2.CAP_PROP_FRAME_COUNT) == 2
    assert found["frames"] == 5
    records = without_times(tmp_path / "out")
    assert [r["name"] for r in records] == [f"bus#{n}" for n in range(5)]
    assert [len(r["objects"]) for r in records] == [0, 1, 1, 0, 1]  # tracks do not last over the break


def test_a_camera_that_breaks_down_keeps_what_was_seen(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no more"):
        predict_frames(RedMonitor(), Bus(3, DataError("no more")), tmp_path / "out")
    assert len(without_times(tmp_path / "out")) == 3
    assert not json.loads((tmp_path / "out" / "summary.json").read_text())["complete"]


def test_a_video_that_exists_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine.mp4").write_text("mine")
    options = PredictOptions(video=tmp_path / "mine.mp4")
    for resume in (False, True):
        with pytest.raises(UsageError, match=r"mine\.mp4 exists already; choose another name, or remove it"):
            predict_frames(RedMonitor(), [frame(0)], tmp_path / "out", options, resume=resume)
    assert not (tmp_path / "out").exists()
    options = replace(options, video=tmp_path / "found.mp4")
    for resume in (False, True):  # its own may be drawn again
        predict_frames(RedMonitor(), [frame(0)], tmp_path / "out", options, resume=resume)


def test_bad_options(tmp_path: Path) -> None:
    for text in ("3", "0/5", "6/5", "a/b", "1/65"):
        with pytest.raises(UsageError, match="`track` must be k/n with 1 <= k <= n <= 64"):
            parse_track(text)
    with pytest.raises(UsageError, match="`deadline` must be a time above 0 s"):
        predict_frames(RedMonitor(), [frame(0)], tmp_path / "a", PredictOptions(deadline=-1.0))
    with pytest.raises(UsageError, match="`video suffix` must be one of"):
        predict_frames(RedMonitor(), [frame(0)], tmp_path / "b", PredictOptions(video=tmp_path / "x.gif"))
    with pytest.raises(UsageError, match="`rate` must be a number of frames per second"):
        PredictOptions(rate=0.0)
    with pytest.raises(UsageError, match="1 <= report_after <= window <= 64; got 4 of 3"):
        PredictOptions(report_after=4, window=3)
    assert not list(tmp_path.iterdir())


def test_memory_does_not_grow_with_the_stream(tmp_path: Path) -> None:
    import tracemalloc

    def drive(count: int) -> Iterator[np.ndarray]:
        for number in range(count):
            yield frame(number % 40)

    peaks = []
    for count in (20, 200):
        tracemalloc.start()
        options = PredictOptions(report_after=2, window=3)
        predict_frames(RedMonitor(), Arrays(drive(count)), tmp_path / str(count), options)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 50_000
