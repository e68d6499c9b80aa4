"""Drift watch: the index by hand, the same stays quiet, what moves is named, state is bounded."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from tests.pages import blocks, run_python

from segood.deployment.drift import (
    FEWEST_FRAMES,
    DriftReport,
    DriftWatch,
    EntropyReference,
    brightness_of,
    fine_histogram,
    make_reference,
    population_stability_index,
    sampled,
)
from segood.errors import DataError, UsageError


def frames(count: int, rng: np.random.Generator, shift: float = 0.0) -> list[tuple[np.ndarray, float, float]]:
    """Entropies that crowd near 0 and differ from frame to frame, their flagged share, brightness."""
    found = []
    for _ in range(count):
        entropy = rng.beta(0.4 + 0.1 * rng.random() + shift, 4, 4000).astype(np.float32)
        found.append((entropy, float((entropy >= 0.7).mean()), float(rng.normal(0.5, 0.05))))
    return found


@pytest.fixture(scope="module")
def reference() -> EntropyReference:
    seen = frames(200, np.random.default_rng(0))
    counts = np.stack([fine_histogram(entropy) for entropy, _, _ in seen])
    return make_reference(
        counts, np.array([f for _, f, _ in seen]), np.array([b for *_, b in seen]), 0.7, counts
    )


def watched(reference: EntropyReference, seen: list[tuple[np.ndarray, float, float]]) -> DriftReport:
    watch = DriftWatch(reference)
    for frame in seen:
        watch.update(*frame)
    return watch.report()


def test_the_index_by_hand() -> None:
    assert population_stability_index([0.2, 0.8], [0.2, 0.8]) == 0
    wanted = 0.3 * np.log(0.5 / 0.2) + -0.3 * np.log(0.5 / 0.8)
    assert population_stability_index([0.2, 0.8], [0.5, 0.5]) == pytest.approx(wanted)
    assert population_stability_index([1.0, 0.0], [0.5, 0.5]) < 10  # an empty bin, and still finite


def test_bins_of_the_reference_hold_equal_shares(reference: EntropyReference) -> None:
    assert len(reference.entropy.shares) == 20
    assert np.allclose(reference.entropy.shares, 0.05, atol=0.01)
    assert reference.in_distribution == pytest.approx(reference.entropy.shares)
    assert reference.flagged.shares == pytest.approx([0.25] * 4, abs=0.05)
    assert reference.brightness.mean == pytest.approx(0.5, abs=0.02)
    assert reference.entropy.mean == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize("count", [FEWEST_FRAMES, 100, 400])
def test_the_same_distribution_stays_quiet(reference: EntropyReference, count: int) -> None:
    for seed in range(1, 11):
        report = watched(reference, frames(count, np.random.default_rng(seed)))
        assert report.warning is None
        assert report.entropy_psi is not None
        assert report.entropy_psi < 0.02


def test_what_moved_is_named(reference: EntropyReference) -> None:
    seen = frames(200, np.random.default_rng(5))
    higher = watched(reference, frames(200, np.random.default_rng(5), shift=0.6)).warning
    assert higher is not None
    assert higher.startswith("the last 200 frames differ from the 200 of the calibration: entropy (PSI ")
    assert "brightness" not in higher
    darker = watched(reference, [(e, f, b - 0.2) for e, f, b in seen])
    assert darker.warning is not None
    assert "brightness (PSI" in darker.warning
    assert "large" in darker.warning
    assert "entropy" not in darker.warning.split("; ")[0]
    assert darker.brightness == pytest.approx(0.3, abs=0.02)
    more = watched(reference, [(e, f + 0.02, b) for e, f, b in seen])
    assert more.warning is not None
    assert "flagged share (PSI" in more.warning
    assert "entropy" not in more.warning.split("; ")[0]


def test_few_frames_give_numbers_and_no_warning(reference: EntropyReference) -> None:
    assert watched(reference, []) == DriftReport(0)
    few = watched(reference, frames(FEWEST_FRAMES - 1, np.random.default_rng(2), shift=2.0))
    assert few.entropy_psi is not None
    assert few.entropy_psi > 1
    assert few.warning is None


def test_the_window_forgets(reference: EntropyReference) -> None:
    watch = DriftWatch(reference, window=50)
    for frame in frames(50, np.random.default_rng(3), shift=2.0):
        watch.update(*frame)
    assert watch.report().warning is not None
    for frame in frames(50, np.random.default_rng(4)):
        watch.update(*frame)
    assert watch.report().num_frames == 50
    assert watch.report().warning is None
    watch.update(np.zeros((0,), np.float32), 0.0, 0.5)  # an empty region says nothing
    assert watch.report().num_frames == 50
    with pytest.raises(UsageError, match="`window` must be at least 30 frames; got 5"):
        DriftWatch(reference, window=5)


def test_a_calibration_set_without_any_flagged_pixel() -> None:
    counts = np.stack([fine_histogram(np.full(10, 0.1, np.float32))] * 100)
    known = make_reference(counts, np.zeros(100), np.full(100, 0.5), 0.7)
    quiet = watched(known, [(np.full(10, 0.1, np.float32), 0.0, 0.5)] * 50)
    assert quiet.warning is None
    assert quiet.flagged_psi == pytest.approx(0, abs=0.05)
    half = [(np.full(10, 0.1, np.float32), 0.01 * (i % 2), 0.5) for i in range(50)]
    assert "flagged share" in str(watched(known, half).warning)
    with pytest.raises(UsageError, match="needs frames, each with pixels inside the region"):
        make_reference(np.zeros((1, counts.shape[1])), np.zeros(1), np.zeros(1), 0.7)


def test_large_frames_are_sampled_evenly() -> None:
    ramp = np.broadcast_to(np.linspace(0, 1, 2048, dtype=np.float32), (1024, 2048))
    part = sampled(ramp)
    assert len(part) <= 2**16
    assert part.mean() == pytest.approx(0.5, abs=0.005)
    assert len(np.unique(part)) > 1000  # not always the same columns
    assert sampled(np.arange(10)).tolist() == list(range(10))
    assert brightness_of(np.full((1500, 1500, 3), 255, np.uint8)) == 1.0


def test_a_reference_survives_json_and_damage_is_named(reference: EntropyReference) -> None:
    raw: dict[str, Any] = json.loads(json.dumps(reference.to_dict()))
    assert EntropyReference.from_dict(raw) == reference
    for change, message in (
        ({"entropy": {**raw["entropy"], "shares": [0.5] * 20}}, "`entropy` holds no distribution"),
        ({"flagged": {**raw["flagged"], "edges": [0.5, 0.4, 0.3]}}, "`flagged` holds no distribution"),
        ({"brightness": {**raw["brightness"], "mean": float("nan")}}, "`brightness` `mean` must be a number"),
        ({"num_frames": 0}, "no frames or no threshold"),
        ({"extra": 1}, r"no drift reference \(.*extra"),
        ({"entropy": None}, "no drift reference|no distribution"),
    ):
        with pytest.raises(DataError, match=message):
            EntropyReference.from_dict({**raw, **change})


def test_no_heavy_import() -> None:
    code = (
        "import sys, segood.deployment.drift, segood.deployment.calibration.results as r; "
        "print([m for m in ('torch', 'pandas', 'scipy', 'cv2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_pages_example() -> None:
    (code,) = (code for kind, code in blocks("calibration.md") if kind == "python")
    run_python(code, "calibration.md")
