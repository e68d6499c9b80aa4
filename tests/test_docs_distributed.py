"""docs/distributed.md, the README's five lines and the job script name options that exist."""

from __future__ import annotations

import importlib
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
PAGES = ("docs/distributed.md", "README.md", "examples/train_slurm.sh")


def commands(page: str) -> list[list[str]]:
    """Return the words behind `segood` of every such command that names processes, devices or an engine."""
    text = (
        (ROOT / page)
        .read_text(encoding="utf-8")
        .replace("\\\n", "")
        .replace("${SLURM_JOB_NUM_NODES:-2}", "2")
    )
    found = re.findall(r"(?:segood|segood\.cli) ((?:train|evaluate|score|predict) [^\n`]*)", text)
    words = [
        shlex.split(line.replace('"${resume[@]}"', "").replace("…", "").split(" #")[0]) for line in found
    ]
    return [w for w in words if {"--trainer", "--processes", "--engine"} & set(w)]


@pytest.mark.parametrize("page", PAGES)
def test_commands_parse(page: str) -> None:
    found = commands(page)
    assert found, page
    for verb, *options in found:
        if "--trainer" in options:
            trainer = yaml.safe_load(options[options.index("--trainer") + 1])
            assert trainer["strategy"] in ("ddp", "fsdp")
        if "--out" not in options and verb != "evaluate":
            options += ["--out", "x"]  # the README's lines are short
        if verb == "train":  # its configuration is not here, and the README leaves files out
            without = dict(zip(options[::2], options[1::2], strict=True)) | {"--config": ""}
            given = {"--street.name": "camvid", "--street.root": "x"} | without
            given.pop("--config")
            options = [word for pair in given.items() for word in pair]
        importlib.import_module(f"segood.cli.{verb}").build_parser().parse_args(options)


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_the_job_script_is_a_script() -> None:
    subprocess.run(["bash", "-n", ROOT / "examples" / "train_slurm.sh"], check=True)
