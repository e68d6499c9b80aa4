"""From a run to a bundle, and everything that has to stop it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from segood import Monitor, runs
from segood.cli import main
from segood.data.synthetic import WorldPaths
from segood.deployment.bundle import Bundle
from segood.deployment.export import Exported, ExportOptions, export_run
from segood.deployment.parity import compare_monitors
from segood.errors import CheckpointError, DataError, UsageError
from segood.evaluation.run import load_final
from segood.models import load_model, save_model


@pytest.fixture
def run(deployable_run: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    shutil.copytree(deployable_run, tmp_path / "run")
    return tmp_path / "run"


def test_the_bundle_says_what_pytorch_says(exported: Exported, deployable_run: Path, world: object) -> None:
    assert exported.parity.holds
    assert exported.parity.num_objects > 2
    root = Path(str(runs.read_config(deployable_run)["data_root"]))
    images = sorted((root / "fishyscapes" / "images").glob("*.png"))
    model, _ = load_final(deployable_run)
    reference = Monitor(model, threshold=0.8, meta=deployable_run / "meta.json", frame_size=(64, 128))
    parity = compare_monitors(reference, Monitor.load(exported.path), images)
    assert len(images) == 5
    assert parity.holds, parity.mismatches
    assert parity.num_matched + parity.num_borderline >= parity.num_objects > 5


def test_the_card_holds_what_the_run_measured(exported: Exported, deployable_run: Path) -> None:
    metrics = json.loads((deployable_run / runs.METRICS).read_text())
    told = exported.card["evaluation"]["ood"]["static"]
    measured = next(p for p in metrics["pixel"] if p["model"] == "after")
    assert told["average_precision"] == measured["average_precision"]
    assert told["intervals"] == measured["intervals"]
    assert set(told["intervals"]) == {"auroc", "average_precision", "fpr95"}
    assert exported.card["licences"]["data"] == "synthetic, Apache-2.0"
    assert exported.card["calibration"] is None
    text = Bundle.read(exported.path).parts["card.md"].decode()
    assert "Thresholds are not calibrated" in text
    assert "128×64" in text


def test_on_the_command_line(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "m.segood"
    assert main(["export", str(run), "--out", str(out), "--num_frames", "1", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert Monitor.load(out, sha256=told["sha256"]).label == "unet"
    assert told["card"]["parity"]["num_frames"] == 1
    assert main(["export", str(run), "--out", str(out), "--num_frames", "1"]) == 0
    assert "frames: brought to 128×64, " in capsys.readouterr().out


def test_a_network_of_another_kind_of_inference(run: Path, tmp_path: Path) -> None:
    model, _ = load_final(run)
    model.inference = model.inference.changed({"flip": True})
    save_model(model, run / runs.FINAL)
    with pytest.raises(UsageError, match="has tiles, scales or mirrored views"):
        export_run(run, tmp_path / "m.segood")


def test_nothing_is_written_where_the_graph_differs(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = load_model("unet", width=8)
    with torch.no_grad():
        other.network.head.weight.mul_(800)
    from segood.deployment import export

    graph = export.export_graph(other)
    monkeypatch.setattr(export, "export_graph", lambda *_: graph)
    with pytest.raises(CheckpointError, match="not written: the graph's entropy differs from PyTorch's by 0"):
        export_run(run, tmp_path / "m.segood", ExportOptions(num_frames=1))
    assert not (tmp_path / "m.segood").exists()


def test_eight_bits_say_how_much_they_cost(run: Path, tmp_path: Path) -> None:
    images = sorted(
        Path(str(runs.read_config(run)["data_root"])).rglob("cityscapes/leftImg8bit/train/*/*.png")
    )
    options = ExportOptions(num_frames=2, precision="int8", quantization_images=[*images, *images[:4]])
    done = export_run(run, tmp_path / "m.segood", options)
    monitor = Monitor.load(done.path)
    assert done.card["settings"]["precision"] == "int8"
    assert 1e-4 < done.card["parity"]["entropy_difference"] < 1
    assert monitor.label == "unet"
    with pytest.raises(UsageError, match="the run has no training set; give --quantization_images"):
        export_run(run, tmp_path / "n.segood", ExportOptions(precision="int8"))
    with pytest.raises(UsageError, match="at least 8 images to take ranges from; got 1"):
        export_run(
            run,
            tmp_path / "n.segood",
            ExportOptions(num_frames=1, precision="int8", quantization_images=images[:1]),
        )


def test_frames_of_one_size_only(run: Path, tmp_path: Path) -> None:
    done = export_run(run, tmp_path / "m.segood", ExportOptions(num_frames=2, fixed_size=True))
    monitor = Monitor.load(done.path)  # whose frames are brought to that size
    assert done.parity.holds
    assert monitor(_noise()).score.shape == (50, 70)


def _noise() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)


def test_a_calibrated_run_keeps_its_promise(run: Path, tmp_path: Path, world: WorldPaths) -> None:
    command = ["calibrate", run, "--dataset.name", "lost_and_found", "--dataset.root", world.lost_and_found]
    command += [
        "--dataset.split",
        "test",
        "--dataset.resize",
        "[64,128]",
        "--dataset.options.protocol",
        "smiyc",
    ]
    command += ["--target", "pixel_fpr", "--alpha", "0.5", "--unit", "frame"]
    assert main([str(part) for part in command]) == 0
    promised = json.loads((run / "calibration.json").read_text())
    done = export_run(run, tmp_path / "m.segood", ExportOptions(num_frames=1))
    monitor = Monitor.load(done.path)
    assert monitor.threshold == promised["threshold"]
    assert done.card["calibration"]["alpha"] == 0.5
    assert monitor.reference is not None
    assert "pixel_fpr at most 0.5 (crc)" in Bundle.read(done.path).parts["card.md"].decode()
    with pytest.raises(UsageError, match="other thresholds would not keep its promise"):
        export_run(run, tmp_path / "n.segood", ExportOptions(num_frames=1, threshold=0.5))
    with pytest.raises(
        UsageError, match=r"frames at 128x64 .* work at 64x32 .* with --dataset.resize '\[32,64\]', or give"
    ):
        export_run(run, tmp_path / "n.segood", ExportOptions(num_frames=1, frame_size=(32, 64)))
    promised["dataset"]["resolution"] = "label"
    (run / "calibration.json").write_text(json.dumps(promised))
    with pytest.raises(UsageError, match="frames at their own size, the monitor will work at 128x64"):
        export_run(run, tmp_path / "n.segood", ExportOptions(num_frames=1))
    # predict compares what it sees with the calibration set
    frames = sorted(Path(str(world.lost_and_found)).rglob("*_leftImg8bit.png"))
    dark = tmp_path / "dark"
    dark.mkdir()
    for index in range(32):
        with Image.open(frames[index % len(frames)]) as picture:
            picture.point(lambda v: v // 3).save(dark / f"{index:02d}.png")
    out = tmp_path / "found"
    arguments = [
        "predict",
        dark,
        "--monitor",
        done.path,
        "--out",
        out,
        "--checks",
        "false",
        "--overlays",
        "false",
    ]
    assert main([str(part) for part in arguments]) == 0
    drift = json.loads((out / "summary.json").read_text())["drift"]
    assert drift["num_frames"] == 32
    assert "brightness" in drift["warning"]
    # made for another network: refused
    other = load_model("unet", width=8)
    save_model(other, run / runs.FINAL)
    with pytest.raises(UsageError, match="was made for another checkpoint"):
        export_run(run, tmp_path / "n.segood", ExportOptions(num_frames=1))


SPOILT: dict[str, tuple[Callable[[Path], None], str]] = {
    "no meta": (lambda run: (run / runs.META).unlink(), "has no meta.json, so that every false alarm"),
    "damaged meta": (lambda run: (run / runs.META).write_text("{}"), "is not a meta classifier"),
    "no network": (lambda run: (run / runs.FINAL).unlink(), "training has not finished"),
    "no configuration": (lambda run: (run / runs.CONFIG).unlink(), "config.yaml"),
    "damaged calibration": (lambda run: (run / "calibration.json").write_text("{}"), "is no calibration"),
}


@pytest.mark.parametrize("name", list(SPOILT))
def test_spoilt_runs(name: str, run: Path, tmp_path: Path) -> None:
    spoil, message = SPOILT[name]
    spoil(run)
    with pytest.raises((DataError, CheckpointError), match=message):
        export_run(run, tmp_path / "m.segood")


def test_bad_options(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match=r"name ends in .segood; got 'm.zip'"):
        export_run(run, tmp_path / "m.zip")
    with pytest.raises(UsageError, match="`num_frames` must be at least 1; got 0"):
        export_run(run, tmp_path / "m.segood", ExportOptions(num_frames=0))
    with pytest.raises(DataError, match="does not exist"):
        export_run(run, tmp_path / "m.segood", ExportOptions(images=[tmp_path / "none"]))
    with pytest.raises(UsageError, match=r"`threshold` must lie in \[0, 1\]; got 7"):
        export_run(run, tmp_path / "m.segood", ExportOptions(threshold=7))
    assert main(["export", str(run), "--out", str(tmp_path / "m.segood"), "--frame_size", "[0,3]"]) == 2
    assert "`frame_size` must be [rows, columns]" in capsys.readouterr().err
    assert main(["export", str(tmp_path), "--out", str(tmp_path / "m.segood")]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_frames_of_the_users_own(run: Path, tmp_path: Path) -> None:
    Image.new("RGB", (90, 70), (10, 200, 30)).save(tmp_path / "own.png")
    done = export_run(
        run,
        tmp_path / "m.segood",
        ExportOptions(images=[tmp_path / "own.png"], threshold=0.6, probability_threshold=0.4),
    )
    monitor = Monitor.load(done.path)
    assert (monitor.threshold, monitor.probability_threshold) == (0.6, 0.4)
    assert [f.name for f in done.parity.frames] == ["own.png"]
