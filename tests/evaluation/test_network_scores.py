"""Scores that need more of a network than its logits, through the verbs: exported, evaluated, monitored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import segood
from segood.data import open_dataset
from segood.data.dataset import SegmentationDataset
from segood.data.synthetic import WorldPaths
from segood.errors import UsageError
from segood.evaluation.config import EvaluationConfig
from segood.evaluation.runner import measure_closed_set, measure_dataset
from segood.evaluation.score_maps import export_scores, read_score_map
from segood.models import SegmentationModel, load_model, observe
from segood.scores import get_score


@pytest.fixture(scope="module")
def drops() -> SegmentationModel:
    torch.manual_seed(0)
    return load_model("deeplabv3plus_wrn38", width=4)


@pytest.fixture
def static(world: WorldPaths) -> SegmentationDataset:
    return open_dataset("fishyscapes_static", world.fishyscapes, resize=(32, 64))


@pytest.mark.parametrize("name", ["odin", "mc_dropout"])
def test_exported_and_evaluated(
    name: str, drops: SegmentationModel, static: SegmentationDataset, tmp_path: Path
) -> None:
    folder = export_scores(drops, static, tmp_path, score=name)
    score = get_score(name)
    expected = score.of(observe(drops, static[0].image, scores=[score])).numpy()
    found = read_score_map(folder / f"{static.records[0].sample_id}.hdf5")
    np.testing.assert_array_equal(found, expected.astype(np.float16))
    threshold = float(np.quantile(expected, 0.9))
    config = EvaluationConfig({}, score=name, threshold=threshold, gallery_frames=0)
    measured = measure_dataset("static", static, {"net": drops}, config)
    assert measured.pixel[0].score == name
    assert 0 <= measured.pixel[0].auroc <= 1
    assert len(measured.segments) > 0


def test_flagged_on_the_original_task(drops: SegmentationModel, world: WorldPaths) -> None:
    city = open_dataset("cityscapes", world.cityscapes, split="val", resize=(32, 64))
    config = EvaluationConfig({}, score="mc_dropout", threshold=0.0)
    (result,) = measure_closed_set("city", city, {"net": drops}, config)
    assert result.flagged_share == 1.0


def test_unfitted_scores_say_what_to_do(
    drops: SegmentationModel, static: SegmentationDataset, world: WorldPaths, tmp_path: Path
) -> None:
    reason = "must be fitted before use; use `segood compare`, which fits it, or in Python"
    for name in ("mahalanobis", "standardized_max_logit"):
        with pytest.raises(UsageError, match=f"score '{name}' {reason}"):
            export_scores(drops, static, tmp_path, score=name)
        config = EvaluationConfig({}, score=name, threshold=1.0)
        with pytest.raises(UsageError, match=reason):
            measure_dataset("static", static, {"net": drops}, config)
        city = open_dataset("cityscapes", world.cityscapes, split="val", resize=(32, 64))
        with pytest.raises(UsageError, match=reason):
            measure_closed_set("city", city, {"net": drops}, config)
        with pytest.raises(UsageError, match=reason):
            segood.Monitor(drops, score=name)


def test_a_network_that_cannot(static: SegmentationDataset, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'mc_dropout' needs dropout, and network unet has no dropout"):
        export_scores(load_model("unet", width=8), static, tmp_path, score="mc_dropout")


def test_monitor_with_a_fitted_score(drops: SegmentationModel, static: SegmentationDataset) -> None:
    image = static[0].image
    score = get_score("mahalanobis")
    score.fit([(observe(drops, image, scores=[score]), np.arange(32 * 64).reshape(32, 64) % 19)])
    result = segood.Monitor(drops, score=score, threshold=1.0)(image)
    expected = score.of(observe(drops, image)).numpy()
    np.testing.assert_allclose(result.score, expected, rtol=1e-5)
    assert len(result.objects) >= 1
    with pytest.raises(UsageError, match=r"`threshold` must lie in \[0, 1\]"):
        segood.Monitor(drops, score=get_score("entropy"), threshold=1.5)
