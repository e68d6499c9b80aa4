"""Run directories are claimed once and describe themselves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from segood import runs
from segood.errors import DataError, UsageError


def test_claim_and_describe(tmp_path: Path) -> None:
    run = runs.claim_run(tmp_path / "new" / "run")
    runs.write_description(run, {"seed": 3})
    assert runs.read_config(run) == {"seed": 3}
    environment = json.loads((run / runs.ENVIRONMENT).read_text())
    assert environment["packages"]["segood"]
    assert set(environment) == {"created", "command", "python", "platform", "processor", "packages"}


def test_another_run_is_not_overwritten(tmp_path: Path) -> None:
    runs.write_description(runs.claim_run(tmp_path / "run"), {})
    with pytest.raises(UsageError, match="already holds another run; choose another --out"):
        runs.claim_run(tmp_path / "run")
    assert runs.claim_run(tmp_path / "run", resume=True) == tmp_path / "run"


def test_foreign_folder_and_file(tmp_path: Path) -> None:
    (tmp_path / "photo.png").touch()
    with pytest.raises(UsageError, match=r"is not empty \(it holds photo.png\)"):
        runs.claim_run(tmp_path)
    with pytest.raises(UsageError, match="is a file"):
        runs.claim_run(tmp_path / "photo.png")


def test_no_run_directory(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is no run directory"):
        runs.read_config(tmp_path)
    (tmp_path / runs.CONFIG).write_text("a: [")
    with pytest.raises(DataError, match="is not YAML"):
        runs.read_config(tmp_path)


def test_what_a_killed_process_leaves_is_no_run(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "below").mkdir(parents=True)
    names = (
        ".config.0123abcd.part.yaml",
        "below/.0007.0123abcd.part.hdf5",
        ".mine.part.json",
        "below/a.part",
    )
    for name in names:
        (run / name).touch()
    with pytest.raises(UsageError, match=r"it holds \.mine\.part\.json"):
        runs.claim_run(run)
    with runs.locked(run):
        left = {str(p.relative_to(run)) for p in run.rglob("*")}
    assert left == {".lock", "below", ".mine.part.json", "below/a.part"}
    (run / ".mine.part.json").rename(run / ".mine.0123abcd.part.json")
    (run / "below" / "a.part").unlink()
    (run / "below").rmdir()
    assert runs.claim_run(run) == run


def test_a_folder_that_was_locked_for_nothing_is_gone(tmp_path: Path) -> None:
    with runs.locked(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b" / runs.LOCK).exists()
    assert not list(tmp_path.iterdir())
