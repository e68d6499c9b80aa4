"""Evaluating many frames takes no more memory than evaluating some: in the quick form, of few small ones."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.flat_memory import growth, measure

from segood.data.synthetic import WorldPaths
from segood.models.config import ModelConfig


def test_growth_by_hand() -> None:
    steady = growth([500.0, 900.0, *[1000.0] * 18])
    assert (steady["early_mb"], steady["late_mb"], steady["mb_per_1000_frames"]) == (1000.0, 1000.0, 0.0)
    leaking = growth([1000.0 + 2 * frame for frame in range(100)])
    assert leaking["mb_per_1000_frames"] == pytest.approx(2000)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_stays(world: WorldPaths, checkpoints: dict[str, Path]) -> None:
    """A frame kept would be 2.5 MB of logits, 80 MB at the end."""
    result = measure(world.fishyscapes, ModelConfig(str(checkpoints["after"])), 40)
    assert len(result["megabytes"]) == 40
    assert result["late_mb"] - result["early_mb"] < 40


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_memory_stays_over_1203_large_frames(shared: Path) -> None:
    frames = shared / "data" / "fishyscapes_lost_and_found"
    weights = shared / "weights" / "espnetv2_s_0.5_city_1024x512.pth"
    command = [sys.executable, "-m", "benchmarks.flat_memory", frames, weights]

    done = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=Path(__file__).parent.parent
    )
    result = json.loads(done.stdout)
    assert result["count"] == 1203
    assert result["late_mb"] - result["early_mb"] < 150
