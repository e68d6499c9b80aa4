"""YAML from anybody: tags that would build objects, aliases that grow, sections that are something else."""

from __future__ import annotations

import contextlib
import io
import random
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.hostile.fuzzing import FORMS, Attack, Case, survive
from tests.hostile.mutations import altered, damaged

from segood import runs
from segood.cli import main
from segood.cli.frame import shipped_configs
from segood.documents import read_yaml
from segood.errors import DataError, UsageError
from segood.evaluation.config import stored_evaluation

TAGS = (
    "!!python/object/apply:os.system ['touch {trace}']",
    "!!python/object/new:type ['a', !!python/tuple [], {{}}]",
    "!!python/name:os.system",
    "!!python/module:os",
    "!!binary //8=",
    "!!timestamp 2026-13-45",
    "!!set {{a, b}}",
    "!!omap [a: 1]",
    "!!int abc",
    "!!float 1e",
    "!!null x",
    "!local x",
    "&a [*a]",
    "*missing",
    "{{<<: [1, 2]}}",
    "{{<<: &m {{a: 1}}, <<: *m}}",
    "{{? [1, 2] : 3}}",
    "2026-99-99",
    "1:99:99",
    "0b2",
    "0x",
    "1_0.0_e",
)


def laughs(depth: int, width: int, merged: bool = False) -> str:
    """Return a few lines that stand for width^depth values."""
    lines = ["a0: &a0 {x: 1}" if merged else "a0: &a0 [1]"]
    for level in range(1, depth):
        inner = ", ".join([f"*a{level - 1}"] * width)
        lines.append(f"a{level}: &a{level} " + (f"{{<<: [{inner}]}}" if merged else f"[{inner}]"))
    return "\n".join(lines)


def hostile_yaml(draw: random.Random, good: dict[str, Any], trace: Path) -> bytes:
    act = draw.random()
    if act < 0.4:
        text = yaml.safe_dump(altered(draw, good), sort_keys=False, allow_unicode=draw.random() < 0.5)
        return text.encode("utf-8", "surrogatepass")
    text = yaml.safe_dump(good, sort_keys=False)
    if act < 0.6:
        return damaged(draw, text.encode())
    if act < 0.9:
        lines = text.splitlines()
        place = draw.randrange(len(lines))
        lines[place] = lines[place].split(":")[0] + ": " + draw.choice(TAGS).format(trace=trace)
        return "\n".join(lines).encode()
    if act < 0.91:  # few, since each takes a hundred times as long as the others
        return laughs(draw.randrange(2, 12), draw.randrange(2, 12), draw.random() < 0.5).encode()
    if act < 0.915:
        return draw.choice(
            (b"[" * 3000, b"a: " * 500, b"- " * 2000, b"{a: " * 400, b"x" * 2**19, b"? " * 500)
        )
    return text.encode(draw.choice(("utf-16", "utf-8-sig", "utf-32"))) + draw.choice(
        (b"", b"\0", b"---\na: 1", b"\xff")
    )


SMALL: tuple[dict[str, Any], ...] = (
    {"seed": 5, "evaluation": {"threshold": 0.7}},
    {"evaluation": {"meta": {"protocol": "group"}}, "data_root": "data"},
    {"evaluation": {"datasets": {"static": {"name": "fishyscapes_static", "root": "fs"}}}},
)


def documents(folder: Path) -> Case:
    """Attack what reads the configuration of a run."""
    trace = folder / "it_ran"
    path = folder / runs.CONFIG

    def case(draw: random.Random) -> None:
        path.write_bytes(hostile_yaml(draw, draw.choice(SMALL), trace))
        try:
            stored_evaluation(runs.read_config(folder))
        finally:
            assert not trace.exists()

    return case


def arguments(folder: Path) -> Case:
    """Attack `--config` up to where the verb starts."""
    verb = import_module("segood.cli.train")
    good = yaml.safe_load(shipped_configs()["espnetv2_camvid_coco"].read_text())
    path, trace = folder / "a.yaml", folder / "it_ran"
    verb.run = lambda given: None  # type: ignore[attr-defined]  # this process does nothing else

    def case(draw: random.Random) -> None:
        path.write_bytes(hostile_yaml(draw, good, trace))
        told = io.StringIO()
        try:
            with contextlib.redirect_stderr(told):
                code = main(["train", "--config", str(path)])
        finally:
            assert not trace.exists()
        line = told.getvalue()
        assert "this is a bug" not in line, line
        if code:
            raise UsageError(line.strip())

    return case


def config(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


ONCE_FAILED: dict[str, tuple[str | bytes, str]] = {
    # ValueError and RecursionError
    "month 13": ("a: 2026-13-45", "is not YAML: month must be in 1..12"),
    "deep": ("[" * 3000, "is not YAML: maximum recursion depth"),
    "UTF-16": ("a: 1".encode("utf-16"), "is not YAML: 'utf-8' codec"),
    # ten lines that stand for more values than memory holds, which the parser would write out
    "laughs": (laughs(10, 10), "with its aliases it holds more than 100000 values"),
    "merged laughs": (laughs(10, 10, True), "with its aliases it holds more than 100000 values"),
    "itself": ("a: &a [*a]", "a value contains itself"),
    "large": (b"x" * 2**19, "is larger than 256 KiB"),
    "tag": ("!!python/object/apply:os.system ['true']", "is not YAML: could not determine a constructor"),
}


@pytest.mark.parametrize("name", list(ONCE_FAILED))
def test_cases_that_once_failed(name: str, tmp_path: Path) -> None:
    text, message = ONCE_FAILED[name]
    path = config(tmp_path / runs.CONFIG, text)
    with pytest.raises(DataError, match=rf"config\.yaml .*{message}"):
        read_yaml(path)
    with pytest.raises(DataError, match=rf"is no run directory: .*config\.yaml .*{message}"):
        runs.read_config(tmp_path)


STORED_ONCE_FAILED = ("[1]", "{datasets: [1]}", "{datasets: {a: 1}}", "{meta: x}", "text", "{1: 2}")


@pytest.mark.parametrize("text", STORED_ONCE_FAILED)
def test_stored_evaluations_that_once_failed(text: str, tmp_path: Path) -> None:
    """They ended in an AttributeError, a ValueError or a TypeError."""
    config(tmp_path / runs.CONFIG, f"evaluation: {text}")
    with pytest.raises(DataError, match=r"config\.yaml is damaged or of another version"):
        stored_evaluation(runs.read_config(tmp_path))


@pytest.mark.parametrize("name", ["loss", "street", "optimizer", "augmentation", "model"])
def test_a_section_of_nothing(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The parser took it, and failed when it made the section of it."""
    path = config(tmp_path / "a.yaml", f"{name}: null")
    assert main(["train", "--config", str(path), "--dry_run"]) == 2
    assert f"a.yaml: `{name}` must be a mapping of its parts; got None" in capsys.readouterr().err


IMPORTS = (
    "street: {class_path: CODE}",
    "street: {class_path: CODE, init_args: {a: 1}}",
    "model: {name: unet, options: {x: {class_path: CODE}}}",
    "class_path: CODE",
    "loss: CODE",
    "proxies: {dataset: CODE}",
    "evaluation: {datasets: {a: {class_path: CODE}}}",
    "evaluation: {datasets: {a: CODE}}",
)


@pytest.mark.parametrize("text", IMPORTS)
def test_a_configuration_imports_nothing(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The parser imported what a file named, and said afterwards that it is of the wrong class."""
    trace = tmp_path / "it_ran"
    (tmp_path / "hostile_code.py").write_text(f"open({str(trace)!r}, 'w').close()\nclass Evil: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    path = config(tmp_path / "a.yaml", text.replace("CODE", "hostile_code.Evil"))
    assert main(["train", "--config", str(path), "--dry_run"]) == 2
    line = capsys.readouterr().err
    assert "a.yaml: `" in line
    assert not trace.exists()


ATTACKS: dict[str, Attack] = {"configurations": documents, "--config (slow)": arguments}


@pytest.mark.parametrize("cases", FORMS)
def test_whatever_a_configuration_holds(cases: int, tmp_path: Path) -> None:
    survive("test_configurations", cases, tmp_path, slower=20 if cases < 1000 else 50)
