"""Scores from files outside of the package, and what can be wrong with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from segood.cli import main
from segood.data import open_dataset
from segood.data.synthetic import WorldPaths
from segood.errors import UsageError
from segood.evaluation.config import EvaluationConfig
from segood.evaluation.explore import begin
from segood.evaluation.runner import measure_dataset
from segood.models import load_model
from segood.scores import Score, get_score, score_class
from segood.scores.registry import score_identity

CODE = """
from segood.scores import Score

class Half(Score):
    name, title, reference, range = "half", "Half", "ours", (0.0, 1.0)

    def __init__(self, *, value=0.5):
        self.value = value

    def compute(self, logits):
        return logits[:, 0] * 0 + self.value

class Own(Half):
    name = "own"

class Flat(Own):
    def compute(self, logits):
        return logits.sum()

class Endless(Own):
    def compute(self, logits):
        return logits[:, 0] / 0

class Spread(Own):
    def finish(self, scores):
        return scores.amax((1, 2), keepdim=True)

class Failing(Own):
    def compute(self, logits):
        raise ValueError("no such class")

class Picky(Own):
    def __init__(self, value):
        raise ValueError(f"not {value}")

class Known(Half):
    name = "energy"

class Slash(Half):
    name = "a/b"

class Bare(Score):
    title, reference, range = "Bare", "ours", (0.0, 1.0)

class Boundless(Score):
    name, title, reference = "boundless", "Boundless", "ours"

    def compute(self, logits):
        return logits[:, 0]

def function():
    return Half()
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "mine.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_class_of_a_file_is_a_score() -> None:
    score = get_score("mine.py:Half", value=0.25)
    assert isinstance(score, Score)
    found = score(logits=np.zeros((1, 2, 1, 3), np.float32))
    assert found.tolist() == [[[0.25, 0.25, 0.25]]]
    assert score_class("mine.py:Half").title == "Half"


@pytest.mark.parametrize(
    ("name", "options", "match"),
    [
        ("other.py:Half", {}, "there is no file other.py"),
        ("mine.py:Hlaf", {}, "did you mean 'Half'"),
        ("mine.py:function", {}, "mine.py:function must be a class derived from segood.scores.Score"),
        ("mine.py:Bare", {}, "mine.py:Bare lacks name, compute"),
        ("mine.py:Boundless", {}, "mine.py:Boundless lacks `range`"),
        ("mine.py:Known", {}, "must have a `name` .* that is no score of segood's; got 'energy'"),
        ("mine.py:Slash", {}, "must have a `name` of letters, digits and underscores .* got 'a/b'"),
        ("mine.py:Half", {"valu": 1}, "option of mine.py:Half` must be one of value"),
        ("mine.py:Picky", {}, "needs `value`; give it in the score's `options`"),
        ("mine.py:Picky", {"value": 3}, r"mine.py:Picky failed .* not 3 \(mine.py, line"),
        ("no_such_module:Half", {}, "there is no module no_such_module for the score"),
    ],
)
def test_what_is_wrong_is_said(name: str, options: dict[str, object], match: str) -> None:
    with pytest.raises(UsageError, match=match):
        get_score(name, **options)


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("Flat", r"score own: compute must return \(N,H,W\)=\(1, 1, 3\); got Tensor"),
        ("Endless", "own.*finite"),
        ("Spread", r"score own: finish must return \(N,H,W\)=\(1, 1, 3\); got \(1, 1, 1\)"),
        ("Failing", r"score own failed when called with logits: ValueError: no such class \(mine.py, line"),
    ],
)
def test_what_it_computes_is_checked(name: str, match: str) -> None:
    with pytest.raises(UsageError, match=match):
        get_score(f"mine.py:{name}")(logits=np.zeros((1, 2, 1, 3), np.float32))


def test_its_identity_follows_its_file(folder: Path) -> None:
    before = score_identity("mine.py:Half")
    assert before == score_identity("mine.py:Half")
    (folder / "mine.py").write_text(CODE + "\n# changed\n")
    assert score_identity("mine.py:Half") != before


def test_its_maps_and_numbers_go_by_its_name(
    folder: Path, checkpoints: dict[str, Path], world: WorldPaths, capsys: pytest.CaptureFixture[str]
) -> None:
    """`segood score` keeps maps of the same code only."""
    command = ["score", "--model.name", str(checkpoints["before"]), "--out", "maps"]
    command += ["--score", "mine.py:Half", "--dataset.name", "fishyscapes_static"]
    command += ["--dataset.root", str(world.fishyscapes)]
    assert main(command) == 0
    assert len(list(Path("maps/anomaly_p/half/fishyscapes_static").glob("*.hdf5"))) == 5
    assert main(command) == 0
    (folder / "mine.py").write_text(CODE.replace("value=0.5", "value=0.6"))
    capsys.readouterr()
    assert main(command) == 2
    assert "was made with another score" in capsys.readouterr().err


def test_an_evaluation_calls_it_by_its_name(
    folder: Path, checkpoints: dict[str, Path], world: WorldPaths
) -> None:
    dataset = open_dataset("fishyscapes_static", world.fishyscapes)
    models = {"net": load_model(checkpoints["before"])}
    config = EvaluationConfig(score="mine.py:Half", threshold=0.4)
    config.check()
    measured = measure_dataset("static", dataset, models, config, exploration=folder / "tables")
    (pixel,), (segment,) = measured.pixel, measured.segment
    assert (pixel.score, segment.score) == ("half", "half")
    assert pixel.auroc == pytest.approx(0.5)  # it says the same everywhere
    begun = begin([measured.swept], config)
    assert begun is not None
    assert begun.score == "half"
