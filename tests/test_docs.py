"""docs/networks.md is executed: its files are written, its commands called, its Python run, in order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from tests.models.test_onnx_network import write
from tests.pages import blocks, run_commands, run_python, write_file

from segood.cli.train import build_parser
from segood.data.synthetic import WorldPaths
from segood.models.config import ModelConfig


def test_the_page_on_networks_runs(
    world: WorldPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").symlink_to(world.cityscapes.parent)
    (tmp_path / "photos").symlink_to(world.fishyscapes / "images")
    write(tmp_path / "net.onnx", weight=np.random.default_rng(0).normal(size=(4, 3, 3, 3)))
    monkeypatch.chdir(tmp_path)
    kinds = [kind for kind, _ in blocks("networks.md")]
    assert (kinds.count("python"), kinds.count("yaml"), kinds.count("")) == (7, 7, 2)
    for kind, code in blocks("networks.md"):
        if kind == "":
            run_commands(code)
        elif write_file(code) is not None:
            continue
        elif kind == "python":
            run_python(code, "networks.md")
        else:  # part of a configuration: every field exists and has its type
            (tmp_path / "part.yaml").write_text(code + "street: {name: cityscapes, root: x}\n")
            parser = build_parser()
            parsed = parser.instantiate(parser.parse_args(["--config", "part.yaml", "--out", "x"]))
            assert isinstance(parsed.model, ModelConfig)
            described = yaml.safe_load(code)["model"]
            assert all(getattr(parsed.model, key) == value for key, value in described.items())
            parsed.model.all_options()
