"""The claims of the README, at full length: `make test-long`."""

from __future__ import annotations

from pathlib import Path

import pytest

from segood.demo import DemoResult
from segood.evaluation import PixelResult, RunResults

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]


def pixel(results: RunResults, model: str, dataset: str) -> PixelResult:
    return next(p for p in results.pixel if (p.model, p.dataset) == (model, dataset))


def test_the_demo_shows_what_it_promises(full_demo: DemoResult) -> None:
    results = full_demo.results
    for dataset in ("lost_and_found", "fishyscapes_static"):
        before, after = (pixel(results, model, dataset) for model in ("before", "after"))
        assert after.auroc > before.auroc  # type: ignore[operator]
        assert after.average_precision > before.average_precision  # type: ignore[operator]
        assert after.fpr95 < before.fpr95  # type: ignore[operator]
    for segment in results.segment:
        assert segment.meta is not None
        assert segment.meta.after is not None
        assert segment.meta.after.errors < segment.before_meta.errors


def test_the_real_run_raises_average_precision(real_run: Path) -> None:
    results = RunResults.load(real_run / "metrics.json")
    before, after = (pixel(results, model, "road_anomaly_21") for model in ("before", "after"))
    assert before.average_precision == pytest.approx(0.268, abs=5e-4)  # measured independently
    assert before.auroc == pytest.approx(0.734, abs=5e-4)
    assert before.fpr95 == pytest.approx(0.629, abs=5e-4)
    assert after.average_precision > before.average_precision + 0.10  # type: ignore[operator]
