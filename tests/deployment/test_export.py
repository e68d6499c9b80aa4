"""From a run to a bundle, and everything that has to stop it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from segood import Monitor, runs
from segood.cli import main
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
    images = sorted((deployable_run.parents[1]).rglob("fishyscapes/images/*.png")) or sorted(
        Path(str(runs.read_config(deployable_run)["data_root"])).rglob("fishyscapes/images/*.png")
    )
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
    monkeypatch.setattr(export, "export_graph", lambda model: graph)
    with pytest.raises(CheckpointError, match="not written: the graph's entropy differs from PyTorch's by 0"):
        export_run(run, tmp_path / "m.segood", ExportOptions(num_frames=1))
    assert not (tmp_path / "m.segood").exists()


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
