"""What the first call costs in a fresh process: with an empty cache of compiled kernels, with a filled one,
with none that could be written, and without kernels.

In the third case segood lies where nothing can be written, and neither can the home folder: files stand
where folders should be, which stops even the superuser.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import segood
from benchmarks.results import FirstCall

ENGINES = {
    "segments from logits": """
from segood.segments import extract_segments
logits = np.random.default_rng(0).normal(size=(19, 64, 128)).astype(np.float32) * 3
def call():
    extract_segments(logits=logits)
""",
    "pixel metrics": """
from segood.evaluation import PixelMetrics
score = np.random.default_rng(0).random(1000, dtype=np.float32)
def call():
    metrics = PixelMetrics()
    metrics.update(score, score > 0.9)
    metrics.compute()
""",
    "leave-one-out": """
from segood.meta import cross_validate
features = np.random.default_rng(0).normal(size=(100, 75))
def call():
    cross_validate(features, features[:, 0] > 0, protocol="leave-one-out")
""",
    "loss": """
import torch
from segood.training import EntropyMaximizationLoss
logits = torch.randn(1, 19, 32, 32, requires_grad=True)
target = torch.zeros(1, 32, 32, dtype=torch.long)
def call():
    EntropyMaximizationLoss()(logits, target).backward()
""",
}
PROGRAM = """
import time
import numpy as np
{setup}
for _ in range(2):
    start = time.perf_counter()
    call()
    print(time.perf_counter() - start)
"""


def measure(quick: bool = False) -> list[FirstCall]:
    """Time the first and the second call of every engine under every condition."""
    engines = dict(list(ENGINES.items())[:1]) if quick else ENGINES
    calls = []
    with tempfile.TemporaryDirectory() as folder:
        for kernels, environment in conditions(Path(folder)):
            if quick and environment.get("SEGOOD_KERNELS") != "0":
                continue
            for engine, setup in engines.items():
                calls.append(FirstCall(engine, kernels, *run(setup, environment)))
    return sorted(calls, key=lambda call: list(ENGINES).index(call.engine))


def conditions(folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield name and environment of each condition, in the order in which they must run."""
    cache = {"NUMBA_CACHE_DIR": str(folder / "cache")}
    yield "compiled, empty cache", cache
    yield "read from the cache", cache
    package = folder / "read_only" / "segood"
    shutil.copytree(Path(segood.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    for part in [package, *package.rglob("*/")]:
        if part.is_dir():
            (part / "__pycache__").write_text("")
    blocked = folder / "blocked"
    blocked.write_text("")
    nowhere = {name: str(blocked) for name in ("NUMBA_CACHE_DIR", "HOME", "XDG_CACHE_HOME")}
    yield "compiled, no cache possible", {"PYTHONPATH": str(package.parent), **nowhere}
    yield "without kernels (SEGOOD_KERNELS=0)", {"SEGOOD_KERNELS": "0"}


def run(setup: str, environment: dict[str, str]) -> tuple[float, float]:
    """Return the seconds of both calls in a fresh process."""
    program = PROGRAM.format(setup=setup)
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | environment,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    first, later = map(float, done.stdout.split())
    return first, later
