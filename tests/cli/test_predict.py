"""`segood predict` as its users type it: options, streams, interruptions, and what they get wrong."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from segood.cli import main
from segood.data.synthetic import WorldPaths

Fails = Callable[..., str]


def records(out: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (out / "frames.jsonl").read_text().splitlines()]


@pytest.fixture
def video(world: WorldPaths, tmp_path: Path) -> Path:
    """A short drive, made of one frame of the synthetic world that moves."""
    frame = np.asarray(Image.open(sorted((world.fishyscapes / "images").iterdir())[0]).convert("RGB"))
    path = tmp_path / "drive.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 5, frame.shape[1::-1])
    for shift in range(6):
        writer.write(np.roll(frame, shift, axis=1)[..., ::-1])
    writer.release()
    return path


def test_a_video_with_everything(
    checkpoints: dict[str, Path], video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "found"
    command = (
        *("predict", video, "--model.name", checkpoints["after"], "--out", out, "--track", "2/3"),
        *("--video", tmp_path / "found.mp4", "--coco", "true", "--deadline_ms", "60000"),
        *("--region", "{polygon: [[0.2, 0], [0.2, 1], [1, 1], [1, 0]]}", "--threshold", "0.5"),
        *("--min_area", "20"),
    )
    assert main([str(word) for word in command]) == 0
    said = capsys.readouterr().out
    assert "unknown objects in 6 frames; " in said
    assert "frames/s, p99 latency" in said
    assert sorted(p.name for p in out.iterdir()) == ["coco_results.json", "frames.jsonl", "summary.json"]
    summary = json.loads((out / "summary.json").read_text())
    assert summary["settings"]["tracking"] == "2/3"
    assert summary["settings"]["deadline_ms"] == 60000
    assert summary["settings"]["monitor"]["region"] == {"polygon": [[0.2, 0], [0.2, 1], [1, 1], [1, 0]]}
    assert summary["settings"]["monitor"]["min_area"] == 20
    assert cv2.VideoCapture(str(tmp_path / "found.mp4")).get(cv2.CAP_PROP_FRAME_COUNT) == 6
    assert [r["timestamp"] for r in records(out)] == pytest.approx([n / 5 for n in range(6)])


def test_frames_without_verdict_are_said_and_are_no_failure(
    checkpoints: dict[str, Path], world: WorldPaths, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = sorted((world.fishyscapes / "images").iterdir())[0]
    Image.new("RGB", (64, 48)).save(tmp_path / "dark.png")
    words = ("predict", tmp_path / "dark.png", image, "--model.name", checkpoints["after"], "--out")
    command = [str(word) for word in words]
    assert main([*command, str(tmp_path / "found")]) == 0
    assert "in 1 frames; no verdict on 1 black" in capsys.readouterr().out
    assert main([*command, str(tmp_path / "all"), "--checks", "false", "--overlays", "false"]) == 0
    assert "in 2 frames; " in capsys.readouterr().out
    limits = ("--checks.black_share", "1", "--checks.dark_share", "1", "--checks.min_contrast", "0")
    assert main([*command, str(tmp_path / "some"), *limits, "--checks.frozen_after", "null"]) == 0
    assert "no verdict on 1 black" in capsys.readouterr().out  # all of it is
    checks = json.loads((tmp_path / "some" / "summary.json").read_text())["settings"]["checks"]
    assert (checks["frozen_after"], checks["bright_level"]) == (None, 250)
    assert not (tmp_path / "all" / "overlays").exists()


COUNT = 120


def _hear_ctrl_c() -> None:
    """Undo what a shell does to processes it starts in the background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_ctrl_c_leaves_whole_lines_and_resume_goes_on(
    checkpoints: dict[str, Path],
    world: WorldPaths,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, out = tmp_path / "in", tmp_path / "found"
    folder.mkdir()
    with Image.open(sorted((world.fishyscapes / "images").iterdir())[0]) as picture:
        picture.resize((64, 32)).save(tmp_path / "small.png")
    for number in range(COUNT):
        (folder / f"{number}.png").symlink_to(tmp_path / "small.png")
    options = ("--model.name", checkpoints["after"], "--checks", "false", "--overlays", "false", "--out", out)
    command = [sys.executable, "-m", "segood.cli", "predict", str(folder), *map(str, options)]
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_hear_ctrl_c,
    )
    give_up = time.monotonic() + 600
    while not (out / "frames.jsonl").exists() or len(records(out)) < 2:
        assert process.poll() is None
        assert time.monotonic() < give_up
        time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 1
    assert stderr.strip().splitlines()[-1] == "segood: error: interrupted; finished work is kept"
    done = len(records(out))
    assert 2 <= done < COUNT
    assert not json.loads((out / "summary.json").read_text())["complete"]
    assert main([*command[3:], "--resume", "--json"]) == 0
    assert [r["index"] for r in records(out)] == list(range(COUNT))
    summary = json.loads(capsys.readouterr().out)
    assert summary["complete"]
    assert summary["this_call"]["frames"] == COUNT - done


def test_what_users_get_wrong(
    fails: Fails, checkpoints: dict[str, Path], world: WorldPaths, tmp_path: Path
) -> None:
    images, out = world.fishyscapes / "images", ("--out", tmp_path / "found")
    model = ("--model.name", checkpoints["after"])
    assert "`track` must be k/n with 1 <= k <= n <= 64, such as 3/5; got '5/3'" in fails(
        "predict", images, *model, *out, "--track", "5/3", code=2
    )
    for words, said in (
        (("--checks.frozen_after", "1"), "`frozen_after` must be at least 2 frames"),
        (("--checks.frozn_after", "9"), "did you mean 'frozen_after'?"),
        (("--checks.dark_share", "much"), "checks"),
        (("--checks.dark_share", "null"), "may be none"),
    ):
        assert said in fails("predict", images, *model, *out, *words, code=2)
    assert "`deadline` must be a time above 0 s" in fails(
        "predict", images, *model, *out, "--deadline_ms", "0", code=2
    )
    assert "--sha256 belong to a bundle; give --monitor FILE.segood" in fails(
        "predict", images, *model, *out, "--sha256", "ab", code=2
    )
    assert "--model, --threshold cannot be given with --monitor" in fails(
        "predict", images, *model, *out, "--monitor", "m.segood", "--threshold", "0.5", code=2
    )
    assert "m.segood" in fails("predict", images, *out, "--monitor", "m.segood", code=1)
    assert "`min_area` must be a number of pixels, at least 1; got 0" in fails(
        "predict", images, *model, *out, "--min_area", "0", code=2
    )
    assert "a region is" in fails("predict", images, *model, *out, "--region", "{circle: 3}", code=2)
    assert "nowhere does not exist" in fails("predict", tmp_path / "nowhere", *model, *out, code=1)
    assert "camera:99 cannot be opened" in fails("predict", "camera:99", *model, *out, code=1)
    assert "must be one of .mp4, .avi" in fails("predict", images, *model, *out, "--video", "a.gif", code=2)
    assert not (tmp_path / "found").exists()
    (tmp_path / "found").mkdir()
    (tmp_path / "found" / "mine.txt").touch()
    assert "is not empty (it holds mine.txt); choose another --out" in fails(
        "predict", images, *model, *out, code=2
    )


PYTORCH_FREE = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "pandas", "scipy", "sklearn", "jaxtyping", "cv2"):
            raise ImportError(f"{name} is not installed here")

sys.meta_path.insert(0, Refuse())
import segood.deployment as deployment
for name in deployment.__all__:
    if name not in ("Monitor",):
        getattr(deployment, name)
import segood.deployment.camera
from segood.cli import predict
predict.build_parser()
"""


def test_nothing_of_it_needs_pytorch_before_it_is_used() -> None:
    done = subprocess.run([sys.executable, "-c", PYTORCH_FREE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
