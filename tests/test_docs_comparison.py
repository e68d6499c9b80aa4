"""docs/comparison.md is executed: its Python runs, its commands are commands, its tables are complete."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from tests.pages import DOCS, blocks, run_commands, run_python

from segood.data.synthetic import WorldPaths
from segood.evaluation.protocols import default_protocol
from segood.models import load_model, save_model
from segood.scores import get_score, list_scores

PAGE = DOCS / "comparison.md"


def test_the_page_runs(world: WorldPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").symlink_to(world.cityscapes.parent)
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("before", "after")):
        torch.manual_seed(seed)
        save_model(load_model("unet", width=8), f"{name}.safetensors")
    (tree, _), (python, code), (_, commands) = blocks(PAGE.name)
    assert (tree, python) == ("", "python")
    run_python(code, PAGE.name)
    run_commands(commands)


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
