"""From a checkpoint to objects without PyTorch: the way an engineer takes, on real frames.

A bundle is exported; in an environment of its own, without PyTorch, `segood predict` runs it on the 30 frames
of Fishyscapes Static and on a video of CamVid frames; PyTorch on this side has to find the same objects.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from segood import Monitor, runs
from segood.cli import main
from segood.data.images import read_image, resize_image
from segood.deployment.export import Exported, ExportOptions, export_run
from segood.deployment.parity import TOLERANCE
from segood.evaluation.run import load_final

REPOSITORY = Path(__file__).parents[2]
FRAME = (512, 1024)
FORBIDDEN = ("torch", "pandas", "scipy", "sklearn", "jaxtyping", "torchvision")


@pytest.fixture(scope="session")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with segood, its base and the extra `monitor`; no PyTorch."""
    folder = tmp_path_factory.mktemp("bare") / "venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    source = folder.parent / "source"  # building leaves files beside the sources
    shutil.copytree(
        REPOSITORY / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
    )
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source / name)
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run(
        [*install, "-c", REPOSITORY / "constraints.txt", f"{source}[monitor]"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"no package index to install from: {done.stderr.strip().splitlines()[-1:]}")
    return python


@pytest.fixture(scope="session")
def published_run(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published espnetv2, evaluated on RoadAnomaly21: a run as `segood evaluate --models` makes it."""
    run = tmp_path_factory.mktemp("published") / "run"
    config = run.parent / "config.yaml"
    weights = shared / "weights" / "espnetv2_s_2.0_city_1024x512.pth"
    config.write_text(
        f"models: {{after: {{name: espnetv2, checkpoint: {weights}, options: {{scale: 2.0}}}}}}\n"
        f"data_root: {shared / 'data'}\n"
        "datasets: {anomaly: {name: road_anomaly_21, root: road_anomaly_21, resize: [512, 1024]}}\n"
        "threshold: 0.7\ngallery_frames: 0\nexplore: []\n"
    )
    assert main(["evaluate", str(run), "--config", str(config)]) == 0
    return run


def check_flow(run: Path, shared: Path, python: Path, folder: Path, *, every: int = 1) -> None:
    """Export, predict without PyTorch, and compare with PyTorch here; on every n-th frame."""
    exported = export_run(run, folder / "monitor.segood", ExportOptions(num_frames=2))
    assert exported.parity.holds
    static = sorted((shared / "data" / "fishyscapes_static" / "images").iterdir())
    assert len(static) == 30
    static = static[::every]
    street = sorted((shared / "data" / "camvid" / "test").iterdir())[: 40 // every]
    video, frames = write_video(street, folder)
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "SEGOOD_SHARED")}
    probe = f"import importlib.util as u; print([m for m in {FORBIDDEN!r} if u.find_spec(m)])"
    found = subprocess.run([python, "-c", probe], capture_output=True, text=True, check=True, env=environment)
    assert found.stdout.strip() == "[]"
    for name, given in (("static", static), ("video", [video])):
        options = ["--sha256", exported.sha256, "--out", folder / name, "--overlays", "false"]
        done = subprocess.run(
            [python, "-m", "segood.cli", "predict", *given, "--monitor", exported.path, *options],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
            cwd=folder,
        )
        assert done.returncode == 0, done.stderr
    reference = torch_monitor(run, exported)
    compared = compare_lines(folder / "static", [(p.name, read_image(p)) for p in static], reference)
    compared += compare_lines(folder / "video", [(None, frame) for frame in frames], reference)
    assert compared > 50 / every, "there have to be objects to compare"


def torch_monitor(run: Path, exported: Exported) -> Monitor:
    model, _ = load_final(run)
    settings = exported.card["settings"]
    return Monitor(
        model,
        threshold=settings["threshold"],
        probability_threshold=settings["probability_threshold"],
        meta=run / runs.META,
        frame_size=tuple(settings["frame_size"]),
    )


def write_video(paths: list[Path], folder: Path) -> tuple[Path, list[np.ndarray]]:
    """Write frames as a video without loss where the codec allows; return it and its decoded frames."""
    video = folder / "street.avi"
    images = [resize_image(read_image(path), FRAME) for path in paths]
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter_fourcc(*"MJPG"), 10, FRAME[::-1])
    for image in images:
        writer.write(image[:, :, ::-1])
    writer.release()
    capture, decoded = cv2.VideoCapture(str(video)), []
    while (frame := capture.read())[0]:
        decoded.append(np.ascontiguousarray(frame[1][:, :, ::-1]))
    assert len(decoded) == len(paths)
    return video, decoded


def compare_lines(out: Path, images: list[tuple[str | None, np.ndarray]], reference: Monitor) -> int:
    """Compare frames.jsonl with what PyTorch finds; return how many objects were compared.

    Objects are the same where their boxes are. One may be missing, or have another box, only where the
    reference's entropy lies at the threshold, or its probability at the other one.
    """
    lines = [json.loads(line) for line in (out / "frames.jsonl").read_text().splitlines()]
    assert len(lines) == len(images)
    by_name = {Path(line["name"]).name: line for line in lines}
    total = 0
    for index, (name, image) in enumerate(images):
        line = lines[index] if name is None else by_name[name]
        assert line["no_verdict"] is None, line["no_verdict"]
        seen = reference(image)
        ours = {tuple(o["box"]): o for o in line["objects"]}
        theirs = {o.box: o for o in seen.objects}
        total += len(theirs)
        for box in set(ours) ^ set(theirs):
            r0, c0, r1, c1 = box
            cut = np.abs(seen.score[max(r0 - 2, 0) : r1 + 2, max(c0 - 2, 0) : c1 + 2] - reference.threshold)
            known = theirs.get(box)
            at_limit = (
                known is not None
                and known.probability is not None
                and (abs(1 - known.probability - reference.probability_threshold) <= TOLERANCE)
            )
            assert cut.min() <= TOLERANCE or at_limit, (name or index, box)
        for box in set(ours) & set(theirs):
            assert ours[box]["area"] == pytest.approx(theirs[box].area, rel=0.02, abs=4)
            assert ours[box]["probability"] == pytest.approx(theirs[box].probability, abs=2e-3)
    return total


def test_from_a_checkpoint_to_objects_without_pytorch(
    published_run: Path, shared: Path, bare_python: Path, tmp_path: Path
) -> None:
    check_flow(published_run, shared, bare_python, tmp_path, every=10)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_the_flow_of_the_real_run(real_run: Path, shared: Path, bare_python: Path, tmp_path: Path) -> None:
    check_flow(real_run, shared, bare_python, tmp_path)
