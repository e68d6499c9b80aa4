"""The demo, shrunk: every stage on the real loaders, resumable, ending in a page."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from segood import runs
from segood.demo import run_demo
from segood.deployment.export import ExportOptions, export_run
from segood.errors import UsageError
from segood.evaluation import RunResults
from segood.meta import MetaClassifier
from segood.models import load_model
from segood.segments import feature_names


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo") / "demo"
    run_demo(out, seed=3, scale=0.03)
    return out


def test_everything_is_there(demo: Path) -> None:
    finetuned = demo / "finetuned"
    for name in (
        runs.CONFIG,
        runs.ENVIRONMENT,
        runs.METRICS,
        runs.SEGMENTS,
        runs.START,
        runs.FINAL,
        "report.html",
    ):
        assert (finetuned / name).exists(), name
    titles = {d.title for d in RunResults.load(finetuned / runs.METRICS).datasets}
    assert titles == {"Synthetic obstacles", "Synthetic overlays", "Synthetic streets"}
    assert (demo / "report.html").read_bytes() == (finetuned / "report.html").read_bytes()


def test_a_finished_demo_is_not_trained_again(demo: Path) -> None:
    checkpoint = demo / "finetuned" / runs.FINAL
    stamp = checkpoint.stat().st_mtime_ns
    said: list[str] = []
    done = run_demo(demo, seed=3, scale=0.03, say=said.append)
    assert len(said) == 4
    assert checkpoint.stat().st_mtime_ns == stamp
    assert [m.key for m in done.results.models] == ["before", "after"]


def test_an_interrupted_demo_goes_on(demo: Path) -> None:
    expected = load_model(demo / "finetuned" / runs.FINAL).state_dict()
    (demo / "finetuned" / runs.FINAL).unlink()  # killed after the last epoch, before the end
    shutil.rmtree(demo / "baseline" / runs.CHECKPOINTS)  # killed before the first checkpoint
    (demo / "report.html").unlink()
    done = run_demo(demo, seed=3, scale=0.03)
    assert done.report.exists()
    resumed = load_model(demo / "finetuned" / runs.FINAL).state_dict()
    assert all(torch.equal(resumed[key], value) for key, value in expected.items())


def test_a_demo_of_another_seed_is_refused(demo: Path) -> None:
    with pytest.raises(UsageError, match="world"):
        run_demo(demo, seed=4, scale=0.03)


def test_the_readme_runs(demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = Path(__file__).parent.parent / "README.md"
    blocks = re.findall(r"```python\n(.*?)```", readme.read_text(encoding="utf-8"), re.S)
    assert len(blocks) == 3
    names = feature_names(19)
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(8, len(names))), columns=names)
    # a network this little trained may have no segment to learn from
    MetaClassifier().fit(table, [True, False] * 4).save(demo / "finetuned" / runs.META)
    export_run(demo / "finetuned", tmp_path / "monitor.segood", ExportOptions(num_frames=1))
    monkeypatch.chdir(tmp_path)
    for block in blocks:
        exec(compile(block.replace("runs/demo", str(demo)), str(readme), "exec"), {})
