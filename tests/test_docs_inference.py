"""docs/inference.md is executed: its Python runs, its configuration is one, its limits hold."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image
from tests.pages import DOCS, blocks, run_python

from segood.models import Inference
from segood.models.config import InferenceConfig

PAGE = DOCS / "inference.md"


def test_the_page_has_these_blocks() -> None:
    assert [kind for kind, _ in blocks(PAGE.name)] == ["python", "yaml", "python"]


def test_the_first_lines_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    run_python(blocks(PAGE.name)[0][1], PAGE.name, names)
    assert tuple(names["logits"].shape) == (19, 360, 500)


def test_the_configuration_is_one() -> None:
    given = yaml.safe_load(blocks(PAGE.name)[1][1])["model"]["inference"]
    assert Inference.from_dict(InferenceConfig(**given).changes()).num_views == 6


def test_every_option_is_described() -> None:
    table = re.findall(r"^\| `(\w+)` \| (.*?) \|", PAGE.read_text(encoding="utf-8"), re.M)
    default = {**Inference().to_dict(), "tile_size": "whole image"}
    assert {name: yaml.safe_load(value.strip("`")) for name, value in table} == default


def test_the_measurement_runs(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = "espnetv2_s_2.0_city_1024x512.pth"
    (tmp_path / weights).symlink_to(shared / "weights" / weights)
    for folder in ("images", "labels_masks"):
        there = tmp_path / "data" / "road_anomaly_21" / folder
        there.mkdir(parents=True)
        frame = Image.open(shared / "data" / "road_anomaly_21" / folder / "0.png")
        frame.resize((320, 180), Image.Resampling.NEAREST).save(there / "0.png")  # small, to be quick
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    run_python(blocks(PAGE.name)[2][1], PAGE.name, names)
    found = {name: result.auroc for name, result in names["results"].items()}
    assert len(found) == 7
    assert abs(found["bfloat16"] - found["whole"]) < 0.05
