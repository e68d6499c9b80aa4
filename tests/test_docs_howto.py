"""docs/howto/*.md are executed from top to bottom; each is short."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from tests.pages import DOCS, blocks, run_page, run_python

from segood.data.config import DatasetConfig
from segood.evaluation.comparison.config import ComparisonConfig, ScoreConfig, TestSet
from segood.models import load_model, save_model
from segood.models.config import ModelConfig
from segood.scores import get_score

HOWTOS = sorted(path.relative_to(DOCS).as_posix() for path in (DOCS / "howto").glob("*.md"))


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with what the pages take as given: a network, two sets of photographs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    torch.manual_seed(0)
    save_model(load_model("unet", width=4), "before.safetensors")
    rng = np.random.default_rng(0)
    for folder in ("photos/images", "photos/labels_masks", "mine/images", "mine/labels_masks", "crates"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("a", "b"):
        image = Image.fromarray(rng.integers(0, 256, (64, 128, 3), np.uint8))
        label = np.zeros((64, 128), np.uint8)
        label[20:40, 30:60] = 1
        for root, values in (("photos", {0: 0, 1: 1}), ("mine", {0: 7, 1: 9})):
            image.save(f"{root}/images/{name}.png")
            shown = np.vectorize(values.get)(label).astype(np.uint8)
            Image.fromarray(shown).save(f"{root}/labels_masks/{name}.png")
        image.save(f"crates/{name}.png")
        Path(f"crates/{name}.txt").write_text("20 30 40 60\n")
    return tmp_path


@pytest.mark.parametrize("page", HOWTOS)
def test_the_page_runs(page: str, workplace: Path) -> None:
    run_page(page)
    for kind, code in blocks(page):
        if kind == "yaml":
            check_configuration(yaml.safe_load(code))


def check_configuration(described: dict[str, Any]) -> None:
    for key, fields in described.get("scores", {}).items():
        sets = {"set": TestSet("road_anomaly_21", "x")}
        ComparisonConfig({"net": ModelConfig()}, {key: ScoreConfig(**fields)}, sets).check()
        assert get_score(fields.get("name", key)).name == key
    for fields in described.get("datasets", {}).values():
        dataset = DatasetConfig(**fields).open()
        assert set(np.unique(dataset[0].target)) == {0, 1}


@pytest.mark.parametrize("page", HOWTOS)
def test_it_takes_below_30_lines(page: str) -> None:
    lines = [line for kind, code in blocks(page) if kind == "python" for line in code.splitlines()]
    assert len([line for line in lines if line.strip()]) < 30


def test_the_first_minute_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for kind, code in blocks("index.md"):
        if kind == "python":
            run_python(code, "index.md")
