"""The scripts of examples/ run in order, in one folder, and leave and say what they promise."""

from __future__ import annotations

import ast
import re
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from segood.evaluation import RunResults

FOLDER = Path(__file__).parent.parent / "examples"
SCRIPTS = sorted(FOLDER.glob("0*.py"))
NEEDS = {3: [2], 4: [2], 5: [2], 6: [2, 3]}


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("examples")


@pytest.fixture
def run(
    out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[int], str]:
    """Run a script, after those that it builds on, unless it has run; return what it printed."""

    def run_script(number: int) -> str:
        printed = out / f"{number}.txt"
        if not printed.exists():
            for needed in NEEDS.get(number, []):
                run_script(needed)
            script = SCRIPTS[number - 1]
            monkeypatch.setattr(sys, "argv", [str(script), str(out)])
            capsys.readouterr()
            runpy.run_path(str(script), run_name="__main__")
            printed.write_text(capsys.readouterr().out, encoding="utf-8")
        return printed.read_text(encoding="utf-8")

    return run_script


def test_there_are_six_that_say_what_they_show_and_how_long_they_take() -> None:
    assert [path.name[:2] for path in SCRIPTS] == ["01", "02", "03", "04", "05", "06"]
    for path in SCRIPTS:
        source = path.read_text(encoding="utf-8")
        first = (ast.get_docstring(ast.parse(source)) or "").splitlines()[0]
        assert re.search(r"\. \d+ seconds?", first), path.name
        assert f"python examples/{path.name} runs/examples" in source
        assert len(source.splitlines()) <= 62, f"{path.name} is no short script any more"
        assert not re.search(r"^from segood\S* import .*\b_|\._\w", source, re.M), "public names only"


def test_01_a_monitor(run: Callable[[int], str], out: Path) -> None:
    assert "score map (128, 256)" in run(1)
    assert (out / "first_frame.png").is_file()


def test_02_training(run: Callable[[int], str], out: Path) -> None:
    for line in run(2).splitlines():
        assert Path(line.split(": ")[1].strip()).is_file()


def test_03_evaluation(run: Callable[[int], str], out: Path) -> None:
    assert "guessing has" in run(3)
    before, after = RunResults.load(out / "finetuned" / "metrics.json").pixel
    assert before.average_precision
    assert after.average_precision
    assert after.average_precision > before.average_precision + 0.02
    assert (out / "finetuned" / "report.html").is_file()


def test_04_meta_classification(run: Callable[[int], str], out: Path) -> None:
    assert len(re.findall(r"^  [+-]\d\.\d\d  \w+", run(4), re.M)) == 4
    assert (out / "meta_of_my_own.json").is_file()


def test_05_comparison(run: Callable[[int], str], out: Path) -> None:
    assert "Standardised max-logit, after fine-tuning" in run(5)
    assert {path.name for path in (out / "comparison").iterdir()} >= {"results.json", "report.html"}


def test_06_export(run: Callable[[int], str], out: Path) -> None:
    assert "torch was imported: False" in run(6)
    assert (out / "monitor.segood").is_file()
