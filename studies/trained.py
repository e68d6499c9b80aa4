"""A recipe -> a trained network -> a row. What is there is not made again; what was cut off goes on.

In: recipes, seeds, a data root. Out: rows of a study; networks under `runs/studies`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from segood.cli import main as segood
from segood.models import SegmentationModel
from segood.runs import CONFIG, FINAL
from segood.scores import get_score
from studies.measure import HALVES, load_network, measure_known, measure_scores
from studies.recipes import BASE, WEIGHTS, Recipe
from studies.rows import Row, add_row, is_there, read_rows

RUNS = Path("runs/studies")
SCORES = {"unknown": "entropy", "smoothed": "smoothed_entropy", "energy": "energy"}
"""What is measured on a trained network, by the names that rows have for it."""


def measure_recipes(
    study: str,
    recipes: Sequence[Recipe],
    seeds: Sequence[int],
    root: Path,
    *,
    epochs: int,
    weights: Path | None,
    told: bool = False,
) -> None:
    """Train and measure every recipe with every seed, where the study has no such row yet.

    Args:
        study: name of the rows' file.
        recipes: what to train.
        seeds: of the trainings.
        root: folder of the data sets.
        epochs: of every training.
        told: measure on the test halves, too, which nothing may be chosen by.
        weights: start weights; those that `segood models fetch` has brought where not given.
    """
    for seed in seeds:
        for recipe in recipes:
            key = {"factor": recipe.factor, "level": recipe.level, "seed": seed, "epochs": epochs}
            if is_there(read_rows(study), **key):
                continue
            start = time.perf_counter()
            out = RUNS / study / f"{recipe.name}-{epochs}-{seed}"
            given = ["--seed", str(seed), "--epochs", str(epochs), *recipe.arguments]
            _train(out, [*given, "--data_root", str(root)], weights)
            trained = time.perf_counter()
            row = key | {"arguments": given, **_measured(load_network(str(out / FINAL)), root, told=told)}
            measured = time.perf_counter()
            row["seconds"] = {"training": round(trained - start), "measuring": round(measured - trained)}
            add_row(study, row)
            tqdm.write(f"{recipe.name} seed {seed}: {_line(row)}")


def measure_start(study: str, root: Path, weights: Path | None) -> None:
    """Measure the network before any training."""
    key = {"factor": "start", "level": "before training", "seed": 0, "epochs": 0}
    if is_there(read_rows(study), **key):
        return
    model = load_network(str(weights or WEIGHTS))
    row = key | {"arguments": [], **_measured(model, root, told=True)}
    add_row(study, row)
    tqdm.write(f"before training: {_line(row)}")


def _measured(model: SegmentationModel, root: Path, *, told: bool) -> dict[str, Any]:
    halves, splits = (HALVES, ("val", "test")) if told else (HALVES[:1], ("val",))
    numbers = measure_scores(model, root, [get_score(score) for score in SCORES.values()], halves=halves)
    return {
        **{kind: numbers[score] for kind, score in SCORES.items()},
        "known": {split: measure_known(model, root, split) for split in splits},
    }


def _train(out: Path, arguments: Sequence[str], weights: Path | None) -> None:
    if (out / FINAL).exists():
        return
    command = ["train", "--config", str(BASE), "--out", str(out), *arguments]
    if weights:
        command += ["--model.checkpoint", str(weights)]
    if (out / CONFIG).exists():
        command.append("--resume")
    if code := segood(command):
        raise SystemExit(code)


def _line(row: Row) -> str:
    sets = [
        f"{name} " + "/".join(f"{numbers['tuning'][key]:.3f}" for key in ("auroc", "ap", "fpr95"))
        for name, numbers in row["unknown"].items()
    ]
    return ", ".join([*sets, f"mIoU {row['known']['val']['miou']:.3f}"])
