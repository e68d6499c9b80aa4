"""docs/networks.md is executed: its files are written, its commands called, its Python run, in order."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import yaml
from tests.models.test_onnx_network import write

from segood.cli import main
from segood.cli.train import build_parser
from segood.data.synthetic import WorldPaths
from segood.models.config import ModelConfig

PAGE = Path(__file__).parent.parent / "docs" / "networks.md"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.S | re.M)


def test_the_page_on_networks_runs(
    world: WorldPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").symlink_to(world.cityscapes.parent)
    (tmp_path / "photos").symlink_to(world.fishyscapes / "images")
    write(tmp_path / "net.onnx", weight=np.random.default_rng(0).normal(size=(4, 3, 3, 3)))
    monkeypatch.chdir(tmp_path)
    blocks = FENCE.findall(PAGE.read_text(encoding="utf-8"))
    kinds = [kind for kind, _ in blocks]
    assert (kinds.count("python"), kinds.count("yaml"), kinds.count("")) == (7, 7, 2)
    for kind, code in blocks:
        first = code.splitlines()[0]
        if kind == "":
            for line in code.splitlines():
                assert line.startswith("segood ")
                assert main(shlex.split(line)[1:]) == 0, line
        elif re.fullmatch(r"# [\w/]+\.(py|yaml)", first):
            path = tmp_path / first[2:]
            path.parent.mkdir(exist_ok=True)
            path.write_text(code)
        elif kind == "python":
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(compile(code, str(PAGE), "exec"), {})
            promised = re.findall(r"print\(.*?\)  # (.*)", code)
            assert printed.getvalue().splitlines() == promised
        else:  # part of a configuration: every field exists and has its type
            (tmp_path / "part.yaml").write_text(code + "street: {name: cityscapes, root: x}\n")
            parser = build_parser()
            parsed = parser.instantiate(parser.parse_args(["--config", "part.yaml", "--out", "x"]))
            assert isinstance(parsed.model, ModelConfig)
            described = yaml.safe_load(code)["model"]
            assert all(getattr(parsed.model, key) == value for key, value in described.items())
            parsed.model.all_options()
