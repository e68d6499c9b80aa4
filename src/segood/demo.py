"""The whole job on a synthetic world, in minutes.

In: an output folder and a seed. Out: `world/` (data sets in their real layouts), `baseline/` (an
ordinary network), `finetuned/` (the run: entropy maximisation, evaluation before and after, meta
classifier) and `report.html`. Interrupted, it goes on where it stopped.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from segood import runs
from segood.data.config import DatasetConfig
from segood.data.synthetic import WorldPaths, write_world
from segood.evaluation.config import EvaluationConfig
from segood.evaluation.results import RunResults
from segood.evaluation.run import evaluate_run
from segood.models.config import ModelConfig
from segood.progress import Progress, no_progress
from segood.reporting import build_report
from segood.training import TrainConfig, train
from segood.training.config import (
    AugmentationConfig,
    LossConfig,
    OptimizerConfig,
    ProxyConfig,
)

SIZE = (256, 512)


class DemoResult(NamedTuple):
    """What the demo leaves: all numbers, the run they belong to, the page."""

    results: RunResults
    run: Path
    report: Path


def run_demo(
    out: str | Path,
    *,
    seed: int = 0,
    scale: float = 1.0,
    say: Callable[[str], None] = lambda text: None,
    progress: Progress = no_progress,
    training_progress: bool = False,
) -> DemoResult:
    """Generate a world, train a baseline, fine-tune it, evaluate both, write the report.

    Args:
        out: folder for everything; one that holds an unfinished demo of the same seed is continued.
        seed: of the world and both trainings.
        scale: size of the world and length of the trainings, relative to the usual demo; for tests.
        say: is told what happens next.
        progress: shows the evaluation's progress.
        training_progress: show the trainings' progress bars.

    Raises:
        UsageError: `out` holds something else, or a demo of another seed.
    """
    out = Path(out)
    say("1/4  drawing a synthetic world in the layouts of Cityscapes, COCO, LostAndFound and Fishyscapes")
    world = write_world(
        out / "world",
        progress=progress,
        seed=seed,
        size=SIZE,
        num_train=_scaled(240, scale),
        num_val=_scaled(20, scale),
        num_proxies=_scaled(100, scale),
        num_lost_and_found=_scaled(40, scale),
        num_fishyscapes=_scaled(40, scale),
    )
    say("2/4  training a small ordinary network: it will be sure of everything it sees")
    baseline = _train(baseline_config(world, seed, scale), out / "baseline", training_progress)
    say("3/4  fine-tuning it with entropy maximisation on proxy objects")
    run = out / "finetuned"
    _train(finetuning_config(world, baseline, seed, scale), run, training_progress)
    say("4/4  evaluating both on unseen kinds of objects, filtering false alarms")
    results = evaluate_run(run, progress=progress)
    report = Path(shutil.copyfile(build_report(run), out / "report.html"))
    return DemoResult(results, run, report)


def baseline_config(world: WorldPaths, seed: int, scale: float = 1.0) -> TrainConfig:
    """Return the ordinary training (λ = 0, no proxies) of a small network from random weights."""
    return TrainConfig(
        street=_street(world, "train"),
        validation=_street(world, "val"),
        model=ModelConfig("unet", num_classes=19),
        loss=LossConfig(ood_weight=0.0),
        augmentation=AugmentationConfig(crop_size=(192, 384), scale_range=(0.75, 1.5)),
        optimizer=OptimizerConfig("adam", lr=3e-3, schedule="poly"),
        epochs=_scaled(14, scale),
        batch_size=8,
        num_workers=1,
        seed=seed,
    )


def finetuning_config(world: WorldPaths, baseline: Path, seed: int, scale: float = 1.0) -> TrainConfig:
    """Return the entropy-maximisation training that starts from the baseline."""
    return TrainConfig(
        street=_street(world, "train"),
        validation=_street(world, "val"),
        model=ModelConfig(str(baseline)),
        proxies=ProxyConfig(DatasetConfig("coco_proxies", str(world.coco), "train"), ratio=1.0, mode="paste"),
        loss=LossConfig(ood_weight=0.9, normalization="pooled"),
        augmentation=AugmentationConfig(crop_size=(192, 384), scale_range=(0.75, 1.5)),
        optimizer=OptimizerConfig("adam", lr=1e-3, schedule="poly"),
        evaluation=evaluation_config(world),
        epochs=_scaled(5, scale),
        batch_size=8,
        num_workers=1,
        seed=seed,
    )


def evaluation_config(world: WorldPaths) -> EvaluationConfig:
    """Return the test sets of the world: obstacles on the road (in LostAndFound's layout), objects laid
    over the scene (in Fishyscapes'); their titles say that they are drawn."""
    return EvaluationConfig(
        datasets={
            "lost_and_found": DatasetConfig(
                "lost_and_found",
                str(world.lost_and_found),
                "test",
                options={"protocol": "smiyc"},
                title="Synthetic obstacles",
            ),
            "fishyscapes_static": DatasetConfig(
                "fishyscapes_static", str(world.fishyscapes), title="Synthetic overlays"
            ),
        },
        closed_set={"cityscapes": _street(world, "val")},
    )


def _street(world: WorldPaths, split: str) -> DatasetConfig:
    return DatasetConfig("cityscapes", str(world.cityscapes), split, title="Synthetic streets")


def _scaled(count: int, scale: float) -> int:
    return max(round(count * scale), 1)


def _train(config: TrainConfig, run: Path, progress: bool) -> Path:
    """Train into `run` unless that is done; return the final checkpoint."""
    final = run / runs.FINAL
    if not final.exists():
        train(config, run, resume=(run / runs.CONFIG).exists(), progress=progress)
    return final
