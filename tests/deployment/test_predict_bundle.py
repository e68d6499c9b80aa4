"""`segood predict` with a bundle, in a process that has no PyTorch: on images, and on a video of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import jsonschema
import numpy as np
import pytest

from segood.cli import main
from segood.data import read_image
from segood.data.synthetic import WorldPaths
from segood.deployment import Monitor, frame_schema
from segood.deployment.export import Exported
from segood.deployment.frame_record import labels_of
from segood.deployment.sinks import read_records
from segood.files import file_hash

WITHOUT = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {missing}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Refuse())
from segood.cli import main
sys.exit(main(sys.argv[1:]))
"""
PYTORCH = (
    "torch",
    "torchvision",
    "pandas",
    "scipy",
    "sklearn",
    "jaxtyping",
    "safetensors",
    "h5py",
    "pyarrow",
)


def run_without(missing: tuple[str, ...], *words: object) -> None:
    command = [sys.executable, "-c", WITHOUT.format(missing=missing), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1200, check=False)
    assert done.returncode == 0, done.stderr


def check_same(record: dict[str, Any], image: np.ndarray, monitor: Monitor) -> int:
    """Require what the monitor finds; return how many segments that are."""
    jsonschema.Draft202012Validator(frame_schema()).validate(record)
    found = monitor(image)
    assert [o["box"] for o in record["objects"]] == [list(o.box) for o in found.objects]
    assert [o["box"] for o in record["removed"]] == [list(o.box) for o in found.removed]
    np.testing.assert_array_equal(labels_of(record), found.labels)
    assert record["flagged_share"] == pytest.approx(found.flagged_share, abs=1e-6)
    for written, thing in zip(record["objects"], found.objects, strict=True):
        assert written["score"] == pytest.approx(thing.score, abs=1e-4)
        assert [r["words"] for r in written["reasons"]] == [r.words for r in thing.reasons]
    return len(found.objects) + len(found.removed)


def test_images_without_pytorch_and_opencv(exported: Exported, world: WorldPaths, tmp_path: Path) -> None:
    images, out = world.fishyscapes / "images", tmp_path / "found"
    digest = file_hash(exported.path)
    options = ("--monitor", exported.path, "--sha256", digest, "--coco", "true", "--out", out)
    run_without((*PYTORCH, "cv2"), "predict", images, *options)
    monitor = Monitor.load(exported.path)
    records = list(read_records(out / "frames.jsonl"))
    assert len(records) == len(list(images.iterdir())) == len(list((out / "overlays").iterdir()))
    count = sum(check_same(record, read_image(record["name"]), monitor) for record in records)
    assert count > 5
    objects = sum(len(record["objects"]) for record in records)
    assert len(json.loads((out / "coco_results.json").read_text())) == objects > 0
    summary = json.loads((out / "summary.json").read_text())
    assert summary["settings"]["monitor"]["bundle_sha256"] == digest
    assert summary["settings"]["monitor"]["threshold"] == monitor.threshold


def test_a_video_without_pytorch(exported: Exported, world: WorldPaths, tmp_path: Path) -> None:
    images = [read_image(path) for path in sorted((world.fishyscapes / "images").iterdir())]
    writer = cv2.VideoWriter(
        str(tmp_path / "in.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 2, images[0].shape[1::-1]
    )
    for image in images:
        writer.write(image[..., ::-1])
    writer.release()
    run_without(
        PYTORCH, "predict", tmp_path / "in.avi", "--monitor", exported.path, "--out", tmp_path / "found"
    )
    monitor, capture = Monitor.load(exported.path), cv2.VideoCapture(str(tmp_path / "in.avi"))
    records = list(read_records(tmp_path / "found" / "frames.jsonl"))
    assert len(records) == len(images)
    frames = [np.ascontiguousarray(capture.read()[1][..., ::-1]) for _ in images]
    assert sum(check_same(r, f, monitor) for r, f in zip(records, frames, strict=True)) > 5


def test_a_bundle_of_somebody_else_is_refused(
    exported: Exported, world: WorldPaths, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["predict", world.fishyscapes / "images", "--monitor", exported.path, "--sha256", "0" * 64]
    assert main([*map(str, words), "--out", str(tmp_path / "found")]) == 1
    assert "it is another file, or somebody changed it" in capsys.readouterr().err
    assert not (tmp_path / "found").exists()
