"""docs/service.md says what the code does: codes, defaults, endpoints, metrics."""

from __future__ import annotations

import dataclasses
import re
import shutil
from pathlib import Path

import pytest
from tests.deployment.service.red_monitor import RedMonitor
from tests.pages import DOCS, blocks, run_python

from segood.cli.serve import build_parser
from segood.deployment.export import Exported
from segood.deployment.service.app import create_app
from segood.deployment.service.options import ServiceOptions
from segood.deployment.service.problems import PROBLEMS

PAGE = (DOCS / "service.md").read_text(encoding="utf-8")


def test_every_code_has_its_line() -> None:
    found = re.findall(r"^\| (\d{3}) \| `(\w+)` \|", PAGE, re.M)
    assert [(int(status), code) for status, code in found] == [
        (status, code) for code, (status, _) in PROBLEMS.items()
    ]


def test_every_limit_has_its_default() -> None:
    found = dict(re.findall(r"^\| `--(\w+)` \| (\S+) \|", PAGE, re.M))
    own = {f.name: f.default for f in dataclasses.fields(ServiceOptions) if f.name != "api_keys"}
    assert found == {name: str(value).lower() for name, value in own.items()}
    options = build_parser().parse_args(["x"])
    assert {name: getattr(options, name) for name in own} == own
    assert round(ServiceOptions().max_memory_bytes / 2**30, 1) == 1.8
    assert "1.8 GiB" in PAGE


@pytest.mark.parametrize("kind", ["paths", "metrics"])
def test_everything_is_there(kind: str) -> None:
    app = create_app(RedMonitor())
    if kind == "paths":
        names = {f"{m.upper()} {path}" for path, ways in app.openapi()["paths"].items() for m in ways}
        names |= {"GET /", "GET /openapi.json"}
        found = set(re.findall(r"^\| `((?:GET|POST) [^`]+)` \|", PAGE, re.M))
    else:
        exposed = app.state.service.metrics.exposition().decode()
        names = set(re.findall(r"^# TYPE (segood_\w+)(?<!_created) \w+$", exposed, re.M))
        found = set(re.findall(r"`(segood_\w+)(?:\{[\w,]+\})?`", PAGE))
    assert found == names


def test_the_python_runs(exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(exported.path, tmp_path / "monitor.segood")
    monkeypatch.chdir(tmp_path)
    (code,) = (code for kind, code in blocks("service.md") if kind == "python")
    run_python(code, "service.md")
