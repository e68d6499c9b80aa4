"""The verbs that are killed: what is typed, how one goes on, and which of their files are finished work.

In: a small synthetic world. Out: a `Verb` each.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import yaml

from segood.data.synthetic import WorldPaths, write_world
from segood.models import load_model, save_model

OUT = "out"
"""The folder that a verb writes to, in the folder of a trial."""
WHOLE = "whole"
"""The folder of the uninterrupted run."""


@dataclass(frozen=True)
class Verb:
    """One verb.

    Attributes:
        name: of the verb.
        command: the arguments, by the folder of the trial.
        kept: patterns of files that are finished work once they are there: they stay the very same files.
        lines: a file whose finished lines stay.
        last: pattern of what comes last, in the folder of the trial.
        resumes: whether the folder of a trial holds what has to be gone on with by `--resume`.
        logs: a folder for which every process has files of its own.
        template: a folder, under that of all trials, whose copy a trial begins with.
    """

    name: str
    command: Callable[[Path], list[object]]
    kept: tuple[str, ...]
    last: str
    lines: str | None = None
    resumes: Callable[[Path], bool] = lambda trial: False
    logs: str | None = None
    template: str | None = None

    def argv(self, trial: Path) -> list[object]:
        """Return what is typed to begin, or to go on."""
        return [*self.command(trial), *(["--resume"] if self.resumes(trial) else [])]

    def finished(self, trial: Path) -> dict[str, tuple[int, int, int]]:
        """Return the files of finished work: name -> inode, time of change in ns, size."""
        found = {}
        for pattern in self.kept:
            for path in trial.glob(pattern):
                if not path.name.startswith("."):
                    stat = path.stat()
                    found[str(path.relative_to(trial))] = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        return found


def small_world(folder: Path) -> WorldPaths:
    """Write a world of a few frames."""
    return write_world(
        folder, seed=1, size=(128, 256), num_train=4, num_val=2, num_proxies=4, num_lost_and_found=3,
        num_fishyscapes=4,
    )  # fmt: skip


def make_verbs(folder: Path) -> dict[str, Verb]:
    """Write a world, networks and configurations into `folder`, and return the verbs on them."""
    world = small_world(folder / "world")
    networks = {}
    for seed, key in enumerate(("before", "after")):
        torch.manual_seed(seed)
        model = load_model("unet", width=4)
        with torch.no_grad():  # surer than random weights are, so that scores spread
            model.network.head.weight.mul_(1000)
        networks[key] = folder / f"{key}.safetensors"
        save_model(model, networks[key])

    def configured(name: str, config: dict[str, object]) -> Path:
        (folder / name).write_text(yaml.safe_dump(json.loads(json.dumps(config, default=str))))
        return folder / name

    street = {"name": "cityscapes", "root": world.cityscapes}
    proxies = {"name": "coco_proxies", "root": world.coco, "split": "train"}
    static = {"name": "fishyscapes_static", "root": world.fishyscapes}
    lost = {"name": "lost_and_found", "root": world.lost_and_found, "split": "test"}
    models = {key: {"name": path} for key, path in networks.items()}
    train = configured(
        "train.yaml",
        {
            "street": {**street, "split": "train"},
            "validation": {**street, "split": "val"},
            "proxies": {"dataset": proxies, "ratio": 0.5, "validation_share": 0.4},
            "model": {"name": "unet", "options": {"width": 4}},
            "augmentation": {"crop_size": [64, 96], "scale_range": [0.8, 1.2], "brightness": 0.2},
            "optimizer": {"name": "adamw", "lr": 1e-3, "weight_decay": 0.1, "schedule": "poly"},
            "epochs": 3, "batch_size": 2, "num_workers": 0, "checkpoint_steps": 1, "example_frames": 1,
            "trainer": {"accelerator": "cpu"},
        },
    )  # fmt: skip
    evaluate = configured(
        "evaluate.yaml",
        {
            "models": models,
            "datasets": {"static": static, "laf": {**lost, "options": {"protocol": "smiyc"}}},
            "closed_set": {"city": {**street, "split": "val"}}, "threshold": 0.7, "gallery_frames": 1,
            "per_image": True, "explore": [0.3],
        },
    )  # fmt: skip
    compared: dict[str, object] = {
        "models": models, "baseline": "before",
        "scores": {"entropy": {"threshold": 0.7}, "standardized_max_logit": {"threshold": 1.0}},
        "datasets": {"static": {**static, "num_frames": 2}},
        "fitting": {**street, "split": "train", "num_frames": 2},
        "closed_set": {"city": {**street, "split": "val"}}, "gallery_frames": 1, "num_draws": 20,
    }  # fmt: skip
    compare = configured("compare.yaml", compared)
    scores = {"entropy": {"threshold": 0.6}, "standardized_max_logit": {"threshold": 1.0}}
    fitting = {**street, "split": "train", "num_frames": 3}
    compare_other = configured("compare_other.yaml", {**compared, "scores": scores, "fitting": fitting})
    images, after = world.fishyscapes / "images", networks["after"]
    dataset = ("--dataset.name", "fishyscapes_static", "--dataset.root", world.fishyscapes)
    verbs = (
        Verb(
            "train",
            lambda trial: ["train", "--config", train, "--out", trial / OUT],
            (f"{OUT}/checkpoints/start.safetensors",),
            f"{OUT}/checkpoints/model.safetensors",
            resumes=lambda trial: (trial / OUT / "config.yaml").exists(),
            logs=f"{OUT}/logs",
        ),
        Verb(
            "score",
            lambda trial: ["score", "--model.name", after, *dataset, "--out", trial / OUT],
            (f"{OUT}/anomaly_p/**/*.hdf5",),
            f"{OUT}/anomaly_p/entropy/fishyscapes_static/0003.hdf5",
        ),
        Verb(
            "evaluate",
            lambda trial: ["evaluate", trial / OUT, "--config", evaluate],
            (f"{OUT}/.evaluation.pieces.*/*/*/??????-??????.npz",),  # not pictures of unfinished ones
            f"{OUT}/metrics.json",
        ),
        Verb(
            "compare",
            lambda trial: ["compare", "--config", compare, "--out", trial / OUT],
            tuple(f"{OUT}/{part}" for part in (
                "anomaly_p/**/*.hdf5", "segments/**/*.parquet", "methods/*", "closed_set/**/*.npz",
            )),
            f"{OUT}/report.html",
        ),
        Verb(
            "evaluate_again",
            lambda trial: ["evaluate", trial / OUT, "--config", evaluate, "--threshold", 0.8],
            (),
            f"{OUT}/metrics.json",
            template=f"evaluate/{WHOLE}",
        ),
        Verb(
            "compare_again",
            lambda trial: ["compare", "--config", compare_other, "--out", trial / OUT],
            (),
            f"{OUT}/report.html",
            template=f"compare/{WHOLE}",
        ),
        Verb(
            "predict",
            lambda trial: ["predict", images, "--model.name", after, "--threshold", 0.7, "--track", "2/3",
                           "--coco", "true", "--video", trial / "found.mp4", "--out", trial / OUT],
            (),
            "found.mp4",
            lines=f"{OUT}/frames.jsonl",
            resumes=lambda trial: (trial / OUT).exists(),
        ),
        Verb(
            "prepare",
            lambda trial: ["data", "prepare", "coco", world.coco, "--cache", trial / OUT, "--min_side", 32],
            (f"{OUT}/*_masks_*/*.png",),
            f"{OUT}/*/index.json",
        ),
        Verb(
            "cityscapes",
            lambda trial: ["data", "prepare", "cityscapes", trial / OUT],
            (f"{OUT}/gtFine/*/*/*_labelTrainIds.png",),
            "nothing is last",
            template="template",
        ),
    )  # fmt: skip
    shutil.copytree(world.cityscapes, folder / "template" / OUT)
    for path in (folder / "template").rglob("*_labelTrainIds.png"):
        path.unlink()
    return {verb.name: verb for verb in verbs}
