"""Results that take the places of older ones: all of them, or none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from segood.errors import OutputError
from segood.evaluation.staging import recover, staged


def fill(folder: Path, content: str) -> None:
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    (folder / "pictures" / "0.txt").write_text(content)
    (folder / "table.txt").write_text(content)
    (folder / "metrics.txt").write_text(content)


def contents(run: Path) -> dict[str, str]:
    return {str(path.relative_to(run)): path.read_text() for path in run.rglob("*") if path.is_file()}


PARTS = ("pictures", "table.txt", "metrics.txt")


def test_all_parts_are_replaced(tmp_path: Path) -> None:
    run = tmp_path / "run"
    for content in ("older", "newer"):
        with staged(run, PARTS) as folder:
            fill(folder, content)
    assert contents(run) == {"pictures/0.txt": "newer", "table.txt": "newer", "metrics.txt": "newer"}


def test_where_a_part_cannot_be_replaced_the_older_results_stay_whole(tmp_path: Path) -> None:
    run = tmp_path / "run"
    fill(run, "older")
    (run / "table.txt").unlink()
    (run / "table.txt").mkdir()
    older = contents(run)
    with pytest.raises(OutputError, match=r"cannot replace .*table\.txt: Directory not empty"):  # noqa: SIM117
        with staged(run, PARTS) as folder:
            fill(folder, "newer")
            (folder / "old table.txt" / "in the way").mkdir(parents=True)
    assert contents(run) == older


CUT_OFF = """
import os, sys
from pathlib import Path
from segood.evaluation.staging import staged

run, parts, left = Path(sys.argv[1]), sys.argv[2].split(), int(sys.argv[3])

def count(event, arguments):
    global left
    if event == "os.rename" and watched:
        left -= 1
        if left < 0:
            os._exit(9)

watched = False
sys.addaudithook(count)
with staged(run, parts) as folder:
    (folder / "pictures").mkdir()
    for name in ("pictures/0.txt", "table.txt", "metrics.txt"):
        (folder / name).write_text("newer")
    watched = True
"""


def test_older_results_come_back_wherever_the_replacing_was_cut_off(tmp_path: Path) -> None:
    newer = {"pictures/0.txt": "newer", "table.txt": "newer", "metrics.txt": "newer"}
    seen = []
    for renames in range(10):
        run = tmp_path / str(renames)
        fill(run, "older")
        (run / "table.txt").unlink()  # there was no such part
        older = contents(run)
        command = [sys.executable, "-c", CUT_OFF, str(run), " ".join(PARTS), str(renames)]
        ended = subprocess.run(command, check=False).returncode
        recover(run)
        assert contents(run) == (newer if ended == 0 else older), renames
        assert ended in (0, 9)
        seen.append(ended)
        if ended == 0:
            break
    # the voucher goes, pictures go and come, the table comes, the voucher comes
    assert seen == [9] * 5 + [0]


def test_a_journal_from_anybody_moves_nothing_out_of_the_run(tmp_path: Path) -> None:
    run = tmp_path / "run"
    fill(run, "older")
    (tmp_path / "mine.txt").write_text("mine")
    for content in (
        '{"../mine.txt": false, "gone.txt": true}',
        '{"..": false, "gone.txt": true}',
        "[]",
        "{}",
        "not JSON",
        '{"a": {}}',
    ):
        left = run / ".evaluation.staged.x"
        left.mkdir()
        (left / "journal.json").write_text(content)
        recover(run)
        assert not left.exists()
        assert (tmp_path / "mine.txt").read_text() == "mine"
        assert contents(run) == {"pictures/0.txt": "older", "table.txt": "older", "metrics.txt": "older"}
