"""Networks and a run that several modules of tests evaluate."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from segood import runs
from segood.data.config import DatasetConfig
from segood.data.synthetic import WorldPaths
from segood.evaluation.config import EvaluationConfig
from segood.evaluation.run import evaluate_run
from segood.models import SegmentationModel, load_model, save_model


@pytest.fixture(scope="module")
def model() -> SegmentationModel:
    torch.manual_seed(0)
    return load_model("unet", width=8)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, world: WorldPaths, model: SegmentationModel) -> Path:
    """An evaluated run of two untrained networks."""
    run = tmp_path_factory.mktemp("runs") / "run"
    torch.manual_seed(1)
    evaluation = EvaluationConfig(
        datasets={
            "laf": DatasetConfig("lost_and_found", "lost_and_found", "test", options={"protocol": "smiyc"}),
            "static": DatasetConfig("fishyscapes_static", "fishyscapes"),
        },
        closed_set={"city": DatasetConfig("cityscapes", "cityscapes", "val")},
        threshold=0.9,
        gallery_frames=2,
    )
    runs.write_description(
        runs.claim_run(run),
        {"evaluation": dataclasses.asdict(evaluation), "data_root": str(world.cityscapes.parent), "seed": 5},
    )
    save_model(model, run / runs.START)
    save_model(load_model("unet", width=8), run / runs.FINAL)
    evaluate_run(run)
    return run
