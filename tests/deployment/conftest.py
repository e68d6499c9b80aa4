"""A run and its bundle that several modules of tests deploy."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from segood import runs
from segood.data.config import DatasetConfig
from segood.data.synthetic import WorldPaths
from segood.deployment.export import Exported, ExportOptions, export_run
from segood.evaluation.config import EvaluationConfig, MetaConfig
from segood.evaluation.run import evaluate_run
from segood.models import load_model, save_model


@pytest.fixture(scope="session")
def deployable_run(tmp_path_factory: pytest.TempPathFactory, world: WorldPaths) -> Path:
    """An evaluated run of a small untrained network, at half the size of its frames."""
    run = tmp_path_factory.mktemp("deployable") / "run"
    torch.manual_seed(1)
    evaluation = EvaluationConfig(
        datasets={"static": DatasetConfig("fishyscapes_static", "fishyscapes", resize=(64, 128))},
        threshold=0.8,
        meta=MetaConfig(probability_threshold=0.99),  # removes some segments, not nearly all
        gallery_frames=1,
        explore=[],
    )
    runs.write_description(
        runs.claim_run(run),
        {"evaluation": dataclasses.asdict(evaluation), "data_root": str(world.cityscapes.parent), "seed": 5},
    )
    model = load_model("unet", width=8)
    with torch.no_grad():  # surer than random weights are, so that there are many segments
        model.network.head.weight.mul_(800)
    save_model(model, run / runs.START)
    save_model(model, run / runs.FINAL)
    evaluate_run(run)
    return run


@pytest.fixture(scope="session")
def exported(deployable_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The run as a bundle."""
    out = tmp_path_factory.mktemp("bundle") / "monitor.segood"
    return export_run(deployable_run, out, ExportOptions(num_frames=3, data_licence="synthetic, Apache-2.0"))
