"""What the service needs to be installed, and what it does without OpenCV."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import importlib.abc, sys

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name.partition(".")[0])

sys.meta_path.insert(0, Absent())
from tests.deployment.service.client import running
from tests.deployment.service.red_monitor import RedMonitor, encoded
import segood.cli.serve, segood.deployment.monitor, segood.deployment.service.server
from segood.deployment.service import create_app

with running(create_app(RedMonitor())) as client:
    for query in ("?masks=true", "?format=overlay", "?detail=page"):
        answer = client.detect(encoded(), query)
        print(answer.status, answer.headers["content-type"] if answer.status == 200 else answer.code)
"""
HEAVY = {
    "torch",
    "torchvision",
    "pandas",
    "sklearn",
    "jaxtyping",
    "lightning",
    "matplotlib",
    "plotly",
    "jinja2",
}


@pytest.mark.parametrize(
    ("absent", "expected"),
    [
        (HEAVY, ["200 application/json", "200 image/png", "200 application/json"]),
        (HEAVY | {"cv2"}, ["200 application/json", "501 overlay_unavailable", "501 overlay_unavailable"]),
    ],
    ids=["no_pytorch", "no_opencv"],
)
def test_what_is_not_installed(absent: set[str], expected: list[str]) -> None:
    script = SCRIPT.format(absent=sorted(absent))
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=600, check=False, cwd=root
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == expected
