"""An evaluation shared by processes, cut off, gone on with: the same numbers to the last bit."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from segood import runs
from segood.data.synthetic import WorldPaths
from segood.errors import DataError, SegoodError, UsageError
from segood.evaluation.config import stored_evaluation
from segood.evaluation.explore_frames import MOST_SEGMENTS, _Table
from segood.evaluation.measurement import Measurement
from segood.evaluation.plain_state import load_state, save_state
from segood.evaluation.processes import Team, check_processes, work_in_processes
from segood.evaluation.run import PIXELS_PER_IMAGE, evaluate_run

ONE_THREAD = {"OMP_NUM_THREADS": "1", "SEGOOD_NUM_THREADS": "1"}


def evaluated(run: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "segood.cli", "evaluate", str(run), "--per_image", "true", *options]
    return subprocess.run(
        command, env={**os.environ, **ONE_THREAD, **environment}, text=True, capture_output=True, timeout=1200
    )


def contents(run: Path) -> dict[str, Any]:
    """Return all that an evaluation writes; of the metrics without when and how they were made."""
    found: dict[str, Any] = {}
    for path in sorted(p for p in run.rglob("*") if p.is_file()):
        name = str(path.relative_to(run))
        if name == runs.METRICS:
            metrics = json.loads(path.read_text())
            found[name] = {k: v for k, v in metrics.items() if k not in ("created", "command", "name")}
        elif name == runs.META:
            meta = json.loads(path.read_text())
            meta["provenance"].pop("run", None)
            found[name] = meta
        elif path.suffix == ".npz":
            with np.load(path) as arrays:
                found[name] = {key: arrays[key].tolist() for key in arrays.files}
        elif name != runs.EVALUATION:
            found[name] = path.read_bytes()
    return found


@pytest.fixture(scope="module")
def alone(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run evaluated by one process."""
    copy = Path(shutil.copytree(run, tmp_path_factory.mktemp("alone") / "run"))
    done = evaluated(copy)
    assert done.returncode == 0, done.stderr
    return copy


@pytest.mark.parametrize("processes", [2, pytest.param(3, marks=pytest.mark.long)])
def test_any_number_of_processes_gives_the_same_bits(
    run: Path, alone: Path, tmp_path: Path, processes: int
) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    done = evaluated(copy, "--processes", str(processes))
    assert done.returncode == 0, done.stderr
    both = contents(copy), contents(alone)
    assert both[0].keys() == both[1].keys()
    for name, expected in both[1].items():
        assert both[0][name] == expected, name
    assert PIXELS_PER_IMAGE in both[0]
    assert not list(copy.glob(".*"))


@pytest.mark.long
def test_torchrun_shares_the_frames(run: Path, alone: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--standalone"]
    done = subprocess.run(
        [*torchrun, "-m", "segood.cli", "evaluate", str(copy), "--per_image", "true"],
        env={**os.environ, **ONE_THREAD},
        text=True,
        capture_output=True,
        timeout=1200,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("next: segood report") == 1
    for name, expected in contents(alone).items():
        assert contents(copy)[name] == expected, name


def test_pieces_that_are_there_are_not_measured_again(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    config = stored_evaluation(runs.read_config(copy))
    seen: list[str] = []

    def stopping(what: str, total: int) -> Callable[[], None]:
        def tick() -> None:
            seen.append(what)
            if len(seen) == 8:
                raise KeyboardInterrupt

        return tick

    with pytest.raises(KeyboardInterrupt):
        evaluate_run(copy, config, progress=stopping)
    measured: list[str] = []
    original = Measurement._part

    def counted(self: Measurement, piece: Any) -> Any:
        part = original(self, piece)
        measure = part.measure

        def noted(*arguments: Any) -> None:
            measured.append(piece.key)
            measure(*arguments)

        monkeypatch.setattr(part, "measure", noted)
        return part

    monkeypatch.setattr(Measurement, "_part", counted)
    evaluate_run(copy, config)
    # of 5 + 5 + 2 frames, one in a piece, 7 were finished
    assert len(measured) == 5
    assert not list(copy.glob(".*"))


def _fail(error: type[Exception], rank: int, processes: int, tick: Callable[[str], None]) -> None:
    tick("a")
    if rank == 1:
        raise error("rank one has a problem")


def _die(rank: int, processes: int, tick: Callable[[str], None]) -> None:
    if rank == 1:
        os.kill(os.getpid(), 9)
    tick("a")


def test_what_goes_wrong_in_a_process_is_told_here() -> None:
    ticks = {"a": lambda: None}
    with pytest.raises(DataError, match="rank one has a problem"):
        work_in_processes(partial(_fail, DataError), 2, ticks)
    with pytest.raises(SegoodError, match=r"process 2 of 2 was killed by SIGKILL.*finished is kept"):
        work_in_processes(_die, 2, ticks)


def test_the_place_in_a_team(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS"):
        monkeypatch.delenv(name, raising=False)
    assert Team.of_environment() == Team(0, 1)
    monkeypatch.setenv("SLURM_PROCID", "3")
    assert Team.of_environment() == Team(0, 1)  # a batch script, nothing of srun's
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "4")
    assert Team.of_environment() == Team(3, 4)
    monkeypatch.setenv("RANK", "4")
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(UsageError, match="RANK and WORLD_SIZE must be numbers"):
        Team.of_environment()
    with pytest.raises(UsageError, match=r"`processes` must lie in \[1, 1024\]; got 0"):
        check_processes(0)


def test_a_state_comes_back_as_it_was(tmp_path: Path) -> None:
    table = pd.DataFrame({"a": [0.1, 1 / 3], "b": [True, False], "c": ["x", "y"]})
    state = {"n": 3, "list": [1.5, None, "t"], "array": np.arange(4, dtype=np.uint16), "table": table}
    save_state(tmp_path / "s.npz", state)
    loaded = load_state(tmp_path / "s.npz")
    assert {k: loaded[k] for k in ("n", "list")} == {"n": 3, "list": [1.5, None, "t"]}
    assert loaded["array"].dtype == np.uint16
    pd.testing.assert_frame_equal(loaded["table"], table)
    (tmp_path / "s.npz").write_bytes((tmp_path / "s.npz").read_bytes()[:-30])
    with pytest.raises(DataError, match="not an intermediate result"):
        load_state(tmp_path / "s.npz")


def test_segments_beyond_the_limit_keep_no_features_however_they_are_put_together() -> None:
    half = MOST_SEGMENTS // 2 + 1
    features = pd.DataFrame({"f": np.ones(half, np.float32)}, index=pd.RangeIndex(1, half + 1))
    whole, first, second = _Table(), _Table(), _Table()
    for table in (whole, first):
        table.add("a", features, [[]] * half)
    for table in (whole, second):
        table.add("b", features, [[1]] * half)
    assert len(first.features) == 1
    first.add_state(second.state())
    assert first.features == whole.features == []
    assert first.sample_ids == whole.sample_ids
    assert first.touched == whole.touched


@pytest.mark.parametrize("launcher", [pytest.param("own", marks=pytest.mark.long), "torchrun"])
def test_score_maps_of_two_processes_are_the_same_files(
    checkpoints: dict[str, Path], world: WorldPaths, tmp_path: Path, launcher: str
) -> None:
    def scored(out: Path, *start: str, processes: int = 1) -> dict[str, bytes]:
        options = ("--model.name", checkpoints["after"], "--dataset.name", "fishyscapes_static")
        more = ("--dataset.root", world.fishyscapes, "--out", out, "--processes", processes)
        command = [sys.executable, *start, "-m", "segood.cli", "score", *map(str, (*options, *more))]
        done = subprocess.run(
            command, env={**os.environ, **ONE_THREAD}, text=True, capture_output=True, timeout=1200
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("score maps:") == 1
        return {path.name: path.read_bytes() for path in out.rglob("*") if path.is_file()}

    torchrun = ("-m", "torch.distributed.run", "--nproc_per_node", "2", "--standalone")
    shared = scored(tmp_path / "b", processes=2) if launcher == "own" else scored(tmp_path / "b", *torchrun)
    assert len(shared) == 5
    assert shared == scored(tmp_path / "a")
