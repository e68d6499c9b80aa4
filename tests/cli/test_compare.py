"""`segood compare` as a user runs it: from a YAML file, read again, verified; and what users get wrong."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from segood.data.synthetic import WorldPaths

Segood = Callable[..., subprocess.CompletedProcess[str]]
Fails = Callable[..., str]

CONFIG = """
models:
  before: {{name: {folder}/before.safetensors}}
  after: {{name: {folder}/after.safetensors}}
baseline: before
scores:
  entropy: {{threshold: 0.5}}
  msp: {{threshold: 0.5}}
  mc_dropout: {{}}
datasets:
  laf:
    {{name: lost_and_found, root: lost_and_found, split: test, options: {{protocol: smiyc}}, num_frames: 2}}
  static: {{name: fishyscapes_static, root: fishyscapes, num_frames: 3}}
sweep: [0.3]
gallery_frames: 1
num_draws: 50
data_root: {root}
"""


@pytest.fixture(scope="module")
def config(world: WorldPaths, checkpoints: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("compare") / "compare.yaml"
    path.write_text(CONFIG.format(folder=checkpoints["before"].parent, root=world.cityscapes.parent))
    return path


@pytest.fixture(scope="module")
def out(segood: Segood, config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "comparison"
    done = segood("compare", "--config", config, "--out", out)
    assert done.returncode == 0, done.stderr
    assert "Softmax entropy" in done.stdout
    assert "unet has no dropout module" in done.stdout.replace("\n", " ")
    return out


def test_everything_is_there(out: Path) -> None:
    table = pd.read_csv(out / "table.csv")
    assert {"after/entropy", "before/msp"} <= set(table["method"])
    assert "AUROC" in (out / "table.md").read_text()
    assert "\\toprule" in (out / "table.tex").read_text()
    for name in ("roc_laf", "pr_static", "violins_laf", "forest_static", "errors_laf"):
        for suffix in ("svg", "pdf", "png", "csv"):
            assert (out / "figures" / f"{name}.{suffix}").stat().st_size > 100
    assert json.loads((out / "results.json").read_text())["baseline"] == "before"


def test_again_as_json(segood: Segood, config: Path, out: Path) -> None:
    before = json.loads((out / "results.json").read_text())
    done = segood("compare", "--config", config, "--out", out, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"] == before["rows"]


def test_results_are_verified(segood: Segood, out: Path, tmp_path: Path) -> None:
    done = segood("compare", "--verify", out / "results.json", "--verify_frames", 1)
    assert done.returncode == 0, done.stderr
    assert "FAIL" not in done.stdout
    assert done.stdout.count(", frame ") == 2 * 2 * 2  # networks, scores, test sets


def test_the_maps_can_be_evaluated_as_anybodys(segood: Segood, world: WorldPaths, out: Path) -> None:
    done = segood(
        *("evaluate", "--scores", out / "anomaly_p", "--dataset.name", "fishyscapes_static"),
        *("--dataset.root", world.fishyscapes, "--json"),
    )
    assert done.returncode == 0, done.stderr  # two of five frames have no map: named, nothing measured
    rows = json.loads(done.stdout)["rows"]
    assert {row["method"].split("/")[-1] for row in rows} == {
        f"{network}__{score}" for network in ("before", "after") for score in ("entropy", "msp")
    }
    assert all("no score map for 2 of 5 frames" in row["undefined"] for row in rows)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--baseline", "befor"), "did you mean 'before'"),
        (("--scores.entropy.name", "entrop"), "did you mean 'entropy'"),
        (("--num_draws", "0"), "`num_draws` must be at least 1"),
        (("--datasets.laf.min_segment", "3"), "unknown key"),
    ],
)
def test_mistakes_are_named(
    fails: Fails, config: Path, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    assert words in fails("compare", "--config", config, "--out", tmp_path / "x", *arguments, code=2)
    assert not (tmp_path / "x").exists()


def test_an_output_folder_is_needed(fails: Fails, config: Path) -> None:
    assert "`--out` is missing" in fails("compare", "--config", config, code=2)


def test_results_that_are_not_there(fails: Fails, tmp_path: Path) -> None:
    assert "run `segood compare` first" in fails("compare", "--verify", tmp_path / "results.json", code=1)
