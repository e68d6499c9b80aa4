"""`segood predict --engine ray` as its users type it, up to where a cluster would start."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from segood.cli import main
from segood.deployment.export import Exported


def fails(capsys: pytest.CaptureFixture[str], *words: object, code: int) -> str:
    capsys.readouterr()
    status = main(["predict", *map(str, words)])
    captured = capsys.readouterr()
    assert (status, captured.out) == (code, "")
    (line,) = captured.err.strip().splitlines()
    return line


def test_what_users_get_wrong(
    exported: Exported, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "found"
    ray = (photos, "--engine", "ray", "--out", out)
    bundle = ("--monitor", exported.path)
    for words, said in (
        ((*ray,), "--engine ray needs a bundle, --monitor FILE.segood; `segood export` makes one"),
        (
            (*ray, *bundle, "--track", "3/5"),
            "--track cannot be given with --engine ray, which scores each image",
        ),
        ((*ray, *bundle, "--video", "a.mp4"), "--video cannot be given with --engine ray"),
        (
            (*ray, *bundle, "--min_area", "9"),
            "--min_area cannot be given with --engine ray; select by `area`",
        ),
        ((*ray, *bundle, "--deadline_ms", "9"), "--deadline_ms cannot be given with --engine ray"),
        ((*ray, *bundle, "--overlays", "true"), "alone: it draws no pictures"),
        ((*ray, *bundle, "--coco", "true"), "--coco cannot be given"),
        (
            (*ray, *bundle, "--threshold", "0.5"),
            "--threshold cannot be given with --engine ray; its bundle has",
        ),
        ((*ray, *bundle, "--checks.frozen_after", "9"), "--checks.frozen_after is for streams"),
        ((*ray, *bundle, "--format", "csv"), "`format` must be one of parquet, jsonl; got 'csv'"),
        ((*ray, *bundle, "--workers", "0"), "`workers` must be a whole number in 1..100000; got 0"),
        ((*ray, *bundle, "--partition_size", "0"), "`partition_size` must be a whole number in 1.."),
        (
            (photos, *bundle, "--engine", "rays", "--out", out),
            "`engine` must be one of local, ray; got 'rays'",
        ),
        (
            (photos, *bundle, "--out", out, "--workers", "2", "--format", "jsonl"),
            "--workers, --format belong to",
        ),
        ((*ray[:-1], "s3://bucket/out", *bundle), "must be a folder, one that all workers see"),
        ((*ray, *bundle, "--address", "127.0.0.1:9"), "no Ray cluster at 127.0.0.1:9 ("),
    ):
        assert said in fails(capsys, *words, code=2), words
    assert "nowhere does not exist" in fails(capsys, "nowhere", *ray[1:], *bundle, code=1)
    assert "m.segood: cannot be read" in fails(capsys, *ray, "--monitor", "m.segood", code=1)
    assert "somebody changed it" in fails(capsys, *ray, *bundle, "--sha256", "0" * 64, code=1)
    assert list(tmp_path.iterdir()) in ([], [out])
    (out / "mine.txt").parent.mkdir(exist_ok=True)
    (out / "mine.txt").touch()
    assert "is not empty (it holds " in fails(capsys, *ray, *bundle, code=2)


WITHOUT = """
import sys
sys.modules["ray"] = None
from segood.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_without_ray_all_else_goes_on(exported: Exported, photos: Path, tmp_path: Path) -> None:
    def run(*words: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", WITHOUT, "predict", *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)

    image, bundle = photos / "day0" / "0.png", ("--monitor", exported.path)
    done = run(image, *bundle, "--out", tmp_path / "a", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["frames"] == 1
    done = run(image, *bundle, "--out", tmp_path / "b", "--engine", "ray")
    assert done.returncode == 2
    said = "--engine ray needs ray, which is not installed; pip install 'segood[ray]'"
    assert done.stderr.strip() == f"segood: error: {said}"
