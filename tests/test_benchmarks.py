"""The benchmarks run at tiny sizes, and tables and page say what was measured; no time is held here."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from benchmarks import page, picture
from benchmarks.inputs import logits_with_segments
from benchmarks.measure import Comparison, as_bytes, as_time, compare
from benchmarks.memory import Work, cost, floor_seconds, read_bandwidth
from benchmarks.results import (
    DeploymentRun,
    FirstCall,
    ForwardSetting,
    Point,
    Requirement,
    Section,
    ThreadUse,
    keep,
    kept,
)

from segood.segments import extract_segments

ROOT = Path(__file__).parents[1]
FAST = Requirement("a frame", "1 ms", "NumPy: 2 ms", 0.5, 1.0, "×", aim=0.75, spread=(0.4, 0.6), note="x")
SLOW = Requirement("pixels", "1 s", "scikit-learn: 100 s", 100, 200, "× faster", at_least=True)
SECTIONS = {
    "segments": Section("segments", (FAST, SLOW), 1.5),
    "growth": Section(
        "growth",
        tuple(
            Point(curve, size, f"{size} of {curve}", size * 1e-3, 10**6 * size, size * 1e-4, "1 MB")
            for curve in page.CURVES
            for size in (1, 10)
        ),
        2.0,
    ),
    "first_call": Section("first_call", (FirstCall("loss", "compiled", 2.0, 0.001),), 3.0),
    "forward": Section(
        "forward",
        (
            ForwardSetting("net, 8×4", "bfloat16", 0.5, 0.25, (0.2, 0.3), 0.01, 0.0002),
            ForwardSetting("net, 8×4", "compiled", note="no compiler"),
        ),
        5.0,
    ),
    "deployment": Section(
        "deployment", (DeploymentRun("streets (3)", "int8", 0.25, 2_000_000, 0.9, 0.125, None),), 6.0
    ),
    "threads": Section("threads", (ThreadUse("set_num_threads(1)", 20.0, 3, 0),), 4.0),
}


def test_a_ratio_is_that_of_the_medians_and_its_spread_that_of_the_rounds() -> None:
    times = Comparison(ours=(1.0, 2.0, 9.0), peer=(4.0, 4.0, 8.0))
    assert times.ratio == 2 / 4
    # The rounds' ratios are 1/4, 1/2, 9/8; halfway to the outer ones from the median: 3/8 and 13/16.
    assert times.spread == (0.375, 0.8125)
    assert times.with_peer_times(10).ratio == 2 / 40
    once = Comparison(ours=(1.0, 2.0, 3.0), peer=(10.0,))
    assert once.spread == pytest.approx((0.15, 0.25))


def test_calls_take_turns_after_warming_up() -> None:
    calls: list[str] = []
    times = compare(lambda: calls.append("ours"), lambda: calls.append("peer"), rounds=2)
    assert calls == ["ours", "peer"] * 3
    assert (len(times.ours), len(times.peer)) == (2, 2)
    calls.clear()
    compare(lambda: calls.append("ours"), lambda: calls.append("peer"), rounds=2, peer_runs=1)
    assert calls == ["ours", "ours", "peer", "ours"]


def allocate(megabytes: int) -> Work:
    """Fill memory that is freed again before the call returns."""
    return Work(lambda: float(np.ones(megabytes * 125_000).sum()), lambda: None)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the peak can be reset on Linux only")
def test_the_peak_of_a_call_is_found_though_nothing_of_it_remains() -> None:
    small, large = (cost(allocate, megabytes, runs=1, reuse=True) for megabytes in (8, 200))
    assert 199e6 < large.peak_bytes < 210e6
    assert small.peak_bytes < 20e6
    assert large.seconds > 0


def test_the_floor_is_bytes_over_bandwidth() -> None:
    assert floor_seconds(3 * read_bandwidth()) == pytest.approx(3)


def test_limits_in_both_directions() -> None:
    assert FAST.met
    assert FAST.used == 0.5
    assert not SLOW.met
    assert SLOW.used == 2.0
    assert dataclasses.replace(SLOW, measured=200.0).met


def test_frames_have_the_number_of_segments_they_were_made_of() -> None:
    for count in (1, 7, 60):
        logits = logits_with_segments(96, 160, count)
        assert len(extract_segments(logits=logits)) == count
    with pytest.raises(ValueError, match="5000 segments of 1x1 pixels do not fit into 64x64"):
        logits_with_segments(64, 64, 5000)


def test_units() -> None:
    assert [as_time(s) for s in (5.2e-4, 0.0412, 0.3, 2.5, 61.0, 740.0)] == [
        "0.52 ms", "41.2 ms", "300 ms", "2.5 s", "61 s", "12.3 min"
    ]  # fmt: skip
    assert [as_bytes(b) for b in (159_400_000, 1_230_000)] == ["159 MB", "1.2 MB"]
    assert [page.number(n) for n in (0.75, 234.5, 1.2e-9, 0)] == ["0.75", "234", "1.2e-09", "0"]


def test_sections_are_kept(tmp_path: Path) -> None:
    for section in SECTIONS.values():
        keep(section, tmp_path)
    assert kept([*SECTIONS, "never_measured"], tmp_path) == SECTIONS


def test_the_page_and_its_picture(tmp_path: Path) -> None:
    text = page.render(SECTIONS, "images/benchmarks.svg")
    assert "| a frame | 1 ms | NumPy: 2 ms | 0.5× (0.4–0.6) | ≤ 1×, aim 0.75 | yes | x |" in text
    assert "| pixels | 1 s | scikit-learn: 100 s | 100× faster | ≥ 200× faster | **no** |  |" in text
    assert "1 of 2 met" in text
    for title in page.CURVES.values():
        assert f"### {title}\n" in text
    assert "| loss | compiled | 2 s | 1 ms |" in text
    assert "| set_num_threads(1) | 20 | 3 | 0 |" in text
    assert "| net, 8×4 | bfloat16 | 500 ms | 0.25 (0.2–0.3) | 0.01 (0.0002) |  |" in text
    assert "| net, 8×4 | compiled | – | – | – | no compiler |" in text
    assert "| streets (3) | int8 | 250 ms | 2.0 MB | 0.900 | 0.125 | – |" in text
    assert "Nothing has been measured on a GPU yet." in text
    assert not any(line.endswith(" ") for line in text.splitlines())
    picture.draw(SECTIONS, tmp_path / "a.svg")
    assert "</svg>" in (tmp_path / "a.svg").read_text()


@pytest.mark.long  # half a minute for what every `make bench` shows
def test_the_whole_program_at_tiny_sizes(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "--quick", "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for said in ("NumPy entropy", "scikit-learn", "cross_entropy", "forward of espnetv2", "segood --help",
                 "waiting for data", "megapixels", "SEGOOD_KERNELS=0", "set_num_threads(2)",
                 "bfloat16, channels last", "ONNX Runtime, int8"):  # fmt: skip
        assert said in done.stdout, said
    written = (tmp_path / "benchmarks.md").read_text()
    assert all(f"### {title}" in written for title in page.CURVES.values())
    assert (tmp_path / "images" / "benchmarks.svg").stat().st_size > 10_000
