"""A small comparison on the synthetic world that several modules of tests look at."""

from __future__ import annotations

from pathlib import Path

import pytest

from segood.data.synthetic import WorldPaths
from segood.evaluation.comparison.config import (
    ComparisonConfig,
    FrameSource,
    ScoreConfig,
    TestSet,
    ValidationConfig,
)
from segood.evaluation.comparison.run import compare
from segood.models.config import ModelConfig


@pytest.fixture(scope="session")
def config(world: WorldPaths, checkpoints: dict[str, Path]) -> ComparisonConfig:
    """Two networks, seven scores (one impossible), two test sets."""
    return ComparisonConfig(
        models={key: ModelConfig(str(path)) for key, path in checkpoints.items()},
        scores={
            "entropy": ScoreConfig(),
            "msp": ScoreConfig(threshold=0.5),
            "energy": ScoreConfig(),
            "odin": ScoreConfig(options={"temperature": 10.0}),
            "sml": ScoreConfig("standardized_max_logit", title="SML"),
            "mahalanobis": ScoreConfig(),
            "mc_dropout": ScoreConfig(),
        },
        datasets={
            "laf": TestSet(
                "lost_and_found", str(world.lost_and_found), "test", options={"protocol": "smiyc"}
            ),
            "static": TestSet("fishyscapes_static", str(world.fishyscapes), working_size=(64, 128)),
        },
        baseline="before",
        fitting=FrameSource("cityscapes", str(world.cityscapes), "train", num_frames=3),
        validation=ValidationConfig(
            street=FrameSource("cityscapes", str(world.cityscapes), "val"),
            proxies=FrameSource("coco_proxies", str(world.coco), "train", num_frames=2),
            num_thresholds=9,
        ),
        closed_set={"city": FrameSource("cityscapes", str(world.cityscapes), "val")},
        sweep=[0.3, 0.6],
        gallery_frames=1,
        num_draws=100,
    )


@pytest.fixture(scope="session")
def out(config: ComparisonConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished comparison; tests copy it before they change anything."""
    folder = tmp_path_factory.mktemp("comparison") / "out"
    compare(config, folder)
    return folder
