"""Intervals of a run's numbers: coarse counts that hardly move them, and the run that carries them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from segood import runs
from segood.evaluation import RunResults
from segood.evaluation.bootstrap import Bootstrap
from segood.evaluation.config import MetaConfig
from segood.evaluation.image_counts import ImageCounts, errors_interval, miou_interval
from segood.evaluation.map_bootstrap import draw_numbers
from segood.evaluation.run import filter_run, read_segments


def frames(count: int, low: float, high: float) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(0)
    made = []
    for _ in range(count):
        target = (rng.random((40, 60)) < 0.1).astype(np.uint8)
        score = low + (high - low) * rng.beta(1 + target, 3 - target)
        target[0] = 255
        made.append((score.astype(np.float32), target))
    return made


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.0, 1e-3), (-20.0, -5.0)])
def test_coarse_counts_hardly_move_the_numbers(low: float, high: float) -> None:
    counts, made = ImageCounts(), frames(6, low, high)
    for score, target in made:
        counts.add(score, target)
    found = draw_numbers(_Once(6), counts.coarse())
    score, target = (np.concatenate([f[i].ravel() for f in made]) for i in (0, 1))
    score, target = score[target != 255], target[target != 255]
    assert found["auroc"][0] == pytest.approx(roc_auc_score(target, score), abs=2e-3)
    assert found["average_precision"][0] == pytest.approx(average_precision_score(target, score), abs=3e-3)


class _Once(Bootstrap):
    """One draw that holds every image once."""

    def __init__(self, num_images: int) -> None:
        super().__init__(num_images, num_draws=1)
        self.weights = np.ones((1, num_images))


def test_equal_frames_have_intervals_without_width() -> None:
    counts = ImageCounts()
    for _ in range(5):
        counts.add(np.array([[0.1, 0.4, 0.35, 0.8]]), np.array([[0, 0, 1, 1]], np.uint8))
    assert counts.intervals(Bootstrap(5, num_draws=100))["auroc"] == pytest.approx([0.75, 0.75])
    confusion = np.array([[6, 0], [2, 2]])
    assert miou_interval(np.stack([confusion] * 4)) == pytest.approx([(6 / 8 + 2 / 4) / 2] * 2)
    assert miou_interval(np.zeros((3, 2, 2))) is None


def test_frames_without_ood_have_none() -> None:
    counts = ImageCounts()
    counts.add(np.array([[0.1, 0.4]]), np.array([[0, 0]], np.uint8))
    assert counts.intervals(Bootstrap(1, num_draws=10)) == {}


def test_a_run_tells_its_intervals(run: Path, tmp_path: Path) -> None:
    results = RunResults.load(run / runs.METRICS)
    for pixel in results.pixel:
        # An untrained network's entropy hardly varies: an interval is there only if its levels see that.
        for name, (low, high) in pixel.intervals.items():
            assert low - 0.01 <= getattr(pixel, name) <= high + 0.01
            assert 0 <= low <= high <= 1
    for segment in results.segment:
        low, high = segment.intervals["errors"]
        assert low <= segment.before_meta.errors <= high
        assert sum(segment.ground_truth_per_image.values()) == segment.num_ground_truth
        assert ("errors_after" in segment.intervals) == (segment.meta.after is not None)
    for closed in results.closed_set:
        assert closed.miou_interval[0] <= closed.miou_interval[1]
    copy = Path(shutil.copytree(run, tmp_path / "copy"))
    filtered = filter_run(copy, MetaConfig(protocol="leave-one-out"))
    segments = read_segments(copy)
    for segment in filtered.segment:
        if segment.meta.after is None:
            continue
        rows = segments[(segments["model"] == segment.model) & (segments["dataset"] == segment.dataset)]
        kept = rows[~rows["removed"]]
        assert segment.intervals["errors_after"] == errors_interval(kept, segment.ground_truth_per_image)


def test_a_score_too_fine_for_the_levels_gets_no_interval() -> None:
    # all scores lie within 0.01 %: one level holds them, which says 0.5 of whatever
    draw = np.random.default_rng(0)
    counts = ImageCounts()
    for _ in range(4):
        target = (draw.random((40, 50)) < 0.1).astype(np.uint8)
        score = (0.9 + 1e-4 * target + 1e-5 * draw.random(target.shape)).astype(np.float32)
        counts.add(score, target)
    bootstrap = Bootstrap(4, num_draws=50)
    assert counts.intervals(bootstrap)["auroc"] == pytest.approx([0.5, 0.5])
    assert "auroc" not in counts.intervals(bootstrap, {"auroc": 1.0, "average_precision": 1.0, "fpr95": 0.0})
    assert "auroc" in counts.intervals(bootstrap, {"auroc": 0.5})
