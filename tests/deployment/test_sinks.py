"""Files of answers: lines that survive interruptions, the schema, COCO results, videos."""

from __future__ import annotations

import json
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import jsonschema
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco
from pycocotools.coco import COCO
from tests.deployment.painted import RedMonitor, street

from segood.deployment.annotate import KEPT, REMOVED, annotate
from segood.deployment.frame_record import frame_record, frame_schema, labels_of, objects_of
from segood.deployment.rle import decode_mask
from segood.deployment.sinks import FrameLog, VideoSink, read_records, write_coco
from segood.deployment.streaming import FrameResult, stream
from segood.deployment.tracking import Tracker
from segood.errors import DataError, OutputError, UsageError
from segood.reporting import colors

A, B, C = (10, 10, 20, 20), (30, 30, 33, 40), (40, 0, 48, 6)


@lru_cache
def answers() -> tuple[FrameResult, ...]:
    """Return answers of all kinds, with times, tracks and removed segments."""
    frames: list[Any] = [
        (0.0, street(A, C, blue=[B])),
        (0.5, street(A)),
        (0.25, street(A, B)),
        (0.75, None),
        (1.0, np.zeros((48, 64, 3), np.uint8)),
        (1.5, street(A, B)),
        (float("nan"), street(C)),
    ]
    return tuple(stream(RedMonitor(), frames, tracker=Tracker(2, 3)))


def records() -> list[dict[str, Any]]:
    return [frame_record(result) for result in answers()]


def test_records_by_hand() -> None:
    first, second, late, *_ = records()
    assert (first["index"], first["name"], first["timestamp"]) == (0, "frame#0", 0.0)
    assert (first["height"], first["width"], first["no_verdict"]) == (48, 64, None)
    assert [t["box"] for t in first["pending"]] == [list(A), list(C)]
    assert [t["box"] for t in first["removed"]] == [list(B)]
    assert first["flagged_share"] == pytest.approx((100 + 48) / (48 * 64), abs=1e-6)
    (thing,) = second["objects"]
    assert (thing["area"], thing["center"], thing["track"]) == (100, [14.5, 14.5], 1)
    assert (thing["score"], thing["probability"]) == (0.75, 0.875)
    assert [(r["feature"], r["words"], r["weight"]) for r in thing["reasons"]] == [
        ("size", "number of pixels", 1.25),
        ("center_row", "height", -0.5),
    ]
    mask = decode_mask(thing["mask"])
    assert mask.shape == (48, 64)
    assert mask[10:20, 10:20].all()
    assert mask.sum() == 100
    assert late["no_verdict"]["reason"] == "stale"
    assert late["objects"] == late["pending"] == late["removed"] == []


def test_every_record_fits_the_schema() -> None:
    schema = frame_schema()
    checker = jsonschema.Draft202012Validator
    checker.check_schema(schema)
    found = [json.loads(json.dumps(record, allow_nan=False)) for record in records()]
    assert {r["no_verdict"]["reason"] for r in found if r["no_verdict"]} == {"stale", "unreadable", "black"}
    for record in found:
        checker(schema).validate(record)
    for change in (
        {"version": 2},
        {"extra": 1},
        {"no_verdict": {"reason": "tired", "message": "x"}},
        {"no_verdict": {"reason": "black", "message": "x"}},  # with an object
        {"flagged_share": 1.5},
    ):
        with pytest.raises(jsonschema.ValidationError, match=r"\S"):
            checker(schema).validate({**found[1], **change})


def test_what_a_later_run_needs_comes_back() -> None:
    for result, record in zip(answers(), records(), strict=True):
        record = json.loads(json.dumps(record))
        labels = labels_of(record)
        detection = result.detection
        if detection.no_verdict is None:
            np.testing.assert_array_equal(labels, detection.labels)
        shown = sorted(detection.objects + result.pending, key=lambda thing: thing.id)
        assert [o.box for o in objects_of(record)] == [o.box for o in shown]
        assert [o.area for o in objects_of(record)] == [o.area for o in shown]
    assert labels_of(records()[3]) is None


def test_lines_are_there_at_once(tmp_path: Path) -> None:
    path = tmp_path / "frames.jsonl"
    with FrameLog(path) as log:
        for count, record in enumerate(records(), start=1):
            log.write(record)
            assert log.count == count
            assert len(path.read_text().splitlines()) == count
    assert list(read_records(path)) == json.loads(json.dumps(records()))
    with FrameLog(path) as log:
        assert log.count == len(records())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.floats(0, 1))
def test_wherever_a_process_was_killed_whole_lines_stay(tmp_path: Path, share: float) -> None:
    lines = [json.dumps(record).encode() + b"\n" for record in records()]
    whole = b"".join(lines)
    path, cut = tmp_path / "frames.jsonl", round(share * len(whole))
    path.write_bytes(whole[:cut])
    kept = whole[:cut].count(b"\n")
    assert len(list(read_records(path))) == kept
    with FrameLog(path) as log:
        assert log.count == kept
        for record in records()[kept:]:
            log.write(record)
    assert [r["index"] for r in read_records(path)] == list(range(len(lines)))


def test_a_damaged_or_foreign_file_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "frames.jsonl"
    good = [json.dumps(record) for record in records()[:3]]
    for number, lines in (
        (2, [good[0], "{"]),
        (2, [good[0], good[2]]),
        (1, ["[]"]),
        (1, ['{"version": 99}']),
    ):
        path.write_text("\n".join(lines) + "\n")
        with pytest.raises(DataError, match=f"line {number} is not the record of frame {number - 1}"):
            FrameLog(path).__enter__()


def test_a_full_disk_is_one_line_and_leaves_whole_lines() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    log = FrameLog("/dev/full")
    log._file = os.open("/dev/full", os.O_WRONLY)
    try:
        with pytest.raises(OutputError, match="cannot write /dev/full: No space left on device"):
            log.write({"index": 0})
    finally:
        os.close(log._file)


def test_coco_results_are_what_pycocotools_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with FrameLog(tmp_path / "frames.jsonl") as log:
        for record in records():
            log.write(record)
    assert write_coco(tmp_path / "frames.jsonl", tmp_path / "coco.json") == 2
    first, second = json.loads((tmp_path / "coco.json").read_text())
    assert (first["image_id"], first["category_id"], first["bbox"], first["score"]) == (
        1, 1, [10, 10, 10, 10], 0.875,
    )  # fmt: skip
    assert second["image_id"] == 5
    truth = {
        "info": {},
        "images": [{"id": index, "height": 48, "width": 64} for index in range(7)],
        "categories": [{"id": 1, "name": "unknown"}],
        "annotations": [],
    }
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    results = COCO(str(tmp_path / "truth.json")).loadRes(str(tmp_path / "coco.json"))
    capsys.readouterr()
    (annotation,) = results.loadAnns(results.getAnnIds(imgIds=[1]))
    expected = np.zeros((48, 64), np.uint8, order="F")
    expected[10:20, 10:20] = 1
    assert results.annToRLE(annotation) == coco.encode(expected)


def test_no_object_is_an_empty_list(tmp_path: Path) -> None:
    (tmp_path / "frames.jsonl").write_text("")
    assert write_coco(tmp_path / "frames.jsonl", tmp_path / "coco.json") == 0
    assert json.loads((tmp_path / "coco.json").read_text()) == []


@pytest.mark.parametrize("name", ["found.mp4", "found.avi"])
def test_a_video_appears_when_it_is_whole(tmp_path: Path, name: str) -> None:
    sizes = [(47, 65), (48, 64), (20, 100)]
    with VideoSink(tmp_path / name, rate=5) as video:
        for height, width in sizes:
            video.write(np.full((height, width, 3), 200, np.uint8))
            assert not (tmp_path / name).exists()
    capture = cv2.VideoCapture(str(tmp_path / name))
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(5)
    frames = [capture.read()[1] for _ in sizes]
    assert not capture.read()[0]
    assert {frame.shape for frame in frames} == {(46, 64, 3)}
    assert frames[2][23].mean() > 150 > 50 > frames[2][2].mean()  # fitted in, black above
    assert sorted(p.name for p in tmp_path.iterdir()) == [name]


def test_a_video_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError, match="stop"), VideoSink(tmp_path / "found.mp4") as video:
        video.write(np.zeros((48, 64, 3), np.uint8))
        raise ZeroDivisionError("stop")
    assert list(tmp_path.iterdir()) == []
    with VideoSink(tmp_path / "empty.mp4"):
        pass
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UsageError, match=r"`video suffix` must be one of \.mp4, \.avi; got '\.gif'"):
        VideoSink(tmp_path / "found.gif")
    with pytest.raises(OutputError, match="cannot write"), VideoSink("/proc/found.mp4") as video:
        video.write(np.zeros((48, 64, 3), np.uint8))


def test_pictures_by_hand() -> None:
    # rows 10-19, cols 10-19 reported: a line of one pixel, inside two fifths of the colour;
    # rows 30-32, cols 30-39 removed: a line, inside stripes
    record = frame_record(next(stream(RedMonitor(), [street(A, blue=[B])])))
    grey = np.full((48, 64, 3), 100, np.uint8)
    seen = annotate(grey, {**record, "objects": [{**record["objects"][0], "box": [47, 0, 48, 6]}]})
    assert tuple(seen[10, 10]) == tuple(seen[19, 15]) == KEPT
    assert seen[12, 12].tolist() == [(300 + 2 * c) // 5 for c in KEPT]
    assert tuple(seen[30, 33]) == tuple(seen[31, 39]) == REMOVED
    assert [tuple(seen[31, col]) == REMOVED for col in range(31, 39)] == [
        (31 + col) % 4 < 4 / 3 for col in range(31, 39)
    ]
    assert seen[12, 30].tolist() == [100, 100, 100]
    assert (KEPT, REMOVED) == (colors.KEPT, colors.REMOVED)


def test_pictures_show_objects_and_missing_verdicts() -> None:
    results = answers()
    seen = annotate(results[1].detection.image, frame_record(results[1]))
    assert seen.shape == (48, 64, 3)
    assert (seen != results[1].detection.image).any()
    black = annotate(results[4].detection.image, frame_record(results[4]))
    assert black[..., 0].max() > 100  # a red sign
    nothing = annotate(None, frame_record(results[3]))
    assert nothing.shape == (360, 640, 3)
    assert nothing[..., 0].max() > 100
    np.testing.assert_array_equal(results[1].detection.image, street(A))
