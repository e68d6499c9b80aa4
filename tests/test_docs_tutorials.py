"""The tutorials are executed, as far as a test can: files written, Python run, commands called or parsed."""

from __future__ import annotations

import json
import math
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from tests.pages import DOCS, blocks, run_commands, run_python, write_file

import segood
from segood.cli.frame import shipped_configs
from segood.data.synthetic import WorldPaths
from segood.training import plan_epoch

TEMPLATES = Path(segood.__file__).parent / "reporting" / "templates"


def parse_command(line: str) -> None:
    """Check that a command's verb, options and configuration exist, without running it."""
    program, verb, *arguments = shlex.split(line)
    assert program == "segood", line
    shipped = shipped_configs()
    words = [str(shipped.get(word, word)) for word in arguments]
    import_module(f"segood.cli.{verb}").build_parser().parse_args(words)


def run_blocks(page: str) -> None:
    """Execute a page whose files are written already; a service is not started, `curl` not called."""
    for kind, code in blocks(page):
        if kind == "" and "segood serve" in code:
            parse_command(code)
        elif kind == "":
            run_commands(code)
        elif kind == "bash" and "curl" not in code:
            subprocess.run(["bash", "-ec", code], check=True, capture_output=True)
        elif kind == "python" and not code.startswith("# "):
            run_python(code, page)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl to make keys with")
def test_your_network_and_its_deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files = [path for _, code in blocks("tutorials/your_network.md") if (path := write_file(code))]
    assert [str(path) for path in files] == ["practise.py", "networks/mine.py", "mine.yaml", "no_labels.yaml"]
    monkeypatch.syspath_prepend(str(tmp_path))
    runpy.run_path("practise.py")
    for name in [name for name in sys.modules if name.split(".")[0] == "networks"]:
        del sys.modules[name]
    run_blocks("tutorials/your_network.md")
    run_blocks("tutorials/deploy_a_monitor.md")
    assert Path("found.mp4").is_file()
    drawn = json.loads(Path("runs/mine/calibration.json").read_text())
    assert drawn["num_units"] == 20


def test_the_papers_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, world: WorldPaths) -> None:
    """What looks at data and prepares it is called; what needs the real weights is parsed."""
    data = tmp_path / "data"
    data.mkdir()
    for folder in (world.cityscapes, world.coco, world.lost_and_found):
        (data / folder.name).symlink_to(folder)
    (data / "fishyscapes_static").symlink_to(world.fishyscapes)
    monkeypatch.chdir(tmp_path)
    page = "tutorials/paper_table.md"
    written = [path for kind, code in blocks(page) if kind == "yaml" and (path := write_file(code))]
    assert [str(path) for path in written] == ["compare_paper.yaml"]
    lines = [line for kind, code in blocks(page) if kind == "" for line in code.splitlines()]
    assert len(lines) == 15
    for line in lines:
        if line.startswith("segood data "):
            run_commands(line)
        else:
            parse_command(line)


def test_the_numbers_of_the_papers_table() -> None:
    page = " ".join((DOCS / "tutorials" / "paper_table.md").read_text(encoding="utf-8").split())
    stored = yaml.safe_load(shipped_configs()["paper_cityscapes_coco"].read_text(encoding="utf-8"))
    images = len(plan_epoch(2975, 46751, ratio=stored["proxies"]["ratio"], mode="images", seed=0, epoch=0))
    steps = math.ceil(images / stored["batch_size"])
    assert f"{images:,} images; in batches of 8 that is {steps} steps an epoch" in page
    assert f"{steps * stored['epochs']:,} in {stored['epochs']} epochs" in page
    on_gpu = (DOCS / "benchmarks_gpu.md").read_text(encoding="utf-8")
    for precision, milliseconds, memory in (("float32", "177", "15.7"), ("bfloat16", "87", "9.7")):
        assert re.search(
            rf"deeplabv3plus_wrn38 \| {precision} \| {milliseconds} \| \S+ \| {memory} \|", on_gpu
        )
        assert f"{milliseconds} ms" in page
        assert f"{memory} GB" in page


def test_reading_a_report() -> None:
    page = (DOCS / "tutorials" / "read_a_report.md").read_text(encoding="utf-8")
    for _, line in blocks("tutorials/read_a_report.md"):
        parse_command(line)
    for picture in re.findall(r"!\[.+?\]\((.+?)\)", page):
        assert (DOCS / "tutorials" / picture).is_file()
    template = "".join(path.read_text(encoding="utf-8") for path in TEMPLATES.glob("report_*.html"))
    for title in re.findall(r"^## \d (.+)$", page, re.M):
        assert title in template or title == "Why this segment?", title
    assert round(151_872 / (151_872 + 1_452_615), 3) == 0.095
