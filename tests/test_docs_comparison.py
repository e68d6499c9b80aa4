"""docs/comparison.md is executed: its Python runs, its commands are commands, its tables are complete."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from pathlib import Path

import pytest
import torch

from segood.cli import main
from segood.data.synthetic import WorldPaths
from segood.evaluation.protocols import default_protocol
from segood.models import load_model, save_model
from segood.scores import get_score, list_scores

PAGE = Path(__file__).parent.parent / "docs" / "comparison.md"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.S | re.M)


def test_the_page_runs(world: WorldPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").symlink_to(world.cityscapes.parent)
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("before", "after")):
        torch.manual_seed(seed)
        save_model(load_model("unet", width=8), f"{name}.safetensors")
    blocks = FENCE.findall(PAGE.read_text(encoding="utf-8"))
    assert [kind for kind, _ in blocks] == ["", "python", ""]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(blocks[1][1], str(PAGE), "exec"), {})
    assert printed.getvalue().splitlines() == re.findall(r"print\(.*?\)  # (.*)", blocks[1][1])
    for line in blocks[2][1].splitlines():
        assert main(shlex.split(line)[1:]) == 0, line


def test_every_score_is_described() -> None:
    table = dict(re.findall(r"^\| `(\w+)` \| .*? \| (.*?) \|$", PAGE.read_text(encoding="utf-8"), re.M))
    assert list(table) == list_scores()
    words = {"fit": "statistics", "gradients": "gradients", "features": "features", "dropout": "dropout"}
    for name, needs in table.items():
        for need in get_score(name).needs & set(words):
            assert words[need] in needs, name


def test_the_sizes_are_those_of_the_protocols() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for title, name in (("RoadAnomaly21", "road_anomaly_21"), ("LostAndFound", "lost_and_found")):
        sizes = re.search(rf"^\| {title} \|.*\| (\d+), (\d+) \|$", page, re.M)
        protocol = default_protocol(name)
        assert sizes
        assert (int(sizes[1]), int(sizes[2])) == (protocol.min_segment_size, protocol.min_instance_size)
