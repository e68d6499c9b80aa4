"""One small job per verb: where its input comes from, how it is called, what it leaves.

In: a folder for the input and one for the output, which may lie on other drives. Out: `Job`s, and the facts
of an undisturbed run of each.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.faults.injected import facts, succeed

CONFIG = """
street: {name: cityscapes, root: cityscapes, split: train}
validation: {name: cityscapes, root: cityscapes, split: val}
model: {name: unet, options: {width: 8}}
proxies:
  dataset: {name: coco_proxies, root: coco, split: train}
  ratio: 0.5
  mode: images
augmentation: {crop_size: [64, 96]}
optimizer: {lr: 0.01}
epochs: 2
batch_size: 3
num_workers: 0
checkpoint_steps: 1
example_frames: 1
trainer: {accelerator: cpu}
evaluation:
  threshold: 0.9
  gallery_frames: 1
  explore: []
  datasets:
    static: {name: fishyscapes_static, root: fishyscapes}
  closed_set:
    city: {name: cityscapes, root: cityscapes, split: val}
"""
COMPARE = """
models:
  after: {name: RUN/checkpoints/model.safetensors}
baseline: after
scores:
  entropy: {threshold: 0.9}
datasets:
  static: {name: fishyscapes_static, root: fishyscapes, num_frames: 2}
gallery_frames: 1
num_draws: 20
"""
WORLD = {
    "size": (128, 128),
    "num_train": 6, "num_val": 1, "num_proxies": 6, "num_lost_and_found": 1, "num_fishyscapes": 3,
}  # fmt: skip


@dataclass(frozen=True)
class Job:
    """A verb on the small world.

    Attributes:
        name: of the job.
        argv: arguments for folders of input and output.
        again: what is added to the same command after a fault.
        before: what lies in the output folder first: a name in the input folder, and the name there.
    """

    name: str
    argv: Callable[[Path, Path], tuple[object, ...]]
    again: tuple[str, ...] = ()
    before: tuple[tuple[str, str], ...] = ()

    def prepare(self, data: Path, out: Path) -> None:
        """Put into the output folder what the verb works on."""
        for source, name in self.before:
            shutil.copytree(data / source, out / name)

    def again_if_begun(self, out: Path) -> tuple[str, ...]:
        """Return what has to be added to the same command after a fault."""
        begun = {"train": out / "run/config.yaml", "predict": out / "found/summary.json"}.get(self.name)
        return self.again if begun is not None and begun.exists() else ()


def _model(data: Path) -> tuple[object, ...]:
    return ("--model.name", data / "trained/checkpoints/model.safetensors")


def _static(data: Path) -> tuple[object, ...]:
    return ("--dataset.name", "fishyscapes_static", "--dataset.root", data / "fishyscapes")


_JOBS = (
    Job(
        "train",
        lambda data, out: (
            *("train", "--config", data / "train.yaml"),
            *("--data_root", data, "--out", out / "run"),
        ),
        again=("--resume",),
    ),
    Job(
        "evaluate",
        lambda data, out: ("evaluate", out / "run", "--data_root", data),
        before=(("trained", "run"),),
    ),
    Job("meta", lambda data, out: ("meta", out / "run"), before=(("evaluated", "run"),)),
    Job(
        "calibrate",
        lambda data, out: (
            *("calibrate", out / "run", *_static(data)),
            *("--target", "pixel_fpr", "--alpha", "0.4"),
        ),
        before=(("evaluated", "run"),),
    ),
    Job("report", lambda data, out: ("report", out / "run"), before=(("evaluated", "run"),)),
    Job("figures", lambda data, out: ("report", out / "run", "--figures"), before=(("evaluated", "run"),)),
    Job("score", lambda data, out: ("score", *_model(data), *_static(data), "--out", out / "scores")),
    Job(
        "compare",
        lambda data, out: (
            *("compare", "--config", data / "compare.yaml"),
            *("--data_root", data, "--out", out / "compared"),
        ),
    ),
    Job(
        "predict",
        lambda data, out: (
            *("predict", data / "fishyscapes/images", *_model(data), "--threshold", "0.9"),
            *("--out", out / "found", "--video", out / "found.avi", "--coco", "true"),
        ),
        again=("--resume",),
    ),
    Job(
        "export",
        lambda data, out: (
            *("export", data / "evaluated", "--out", out / "monitor.segood"),
            *("--images", data / "fishyscapes/images", "--num_frames", "1", "--allow_unfiltered", "true"),
        ),
    ),
    Job(
        "cityscapes",
        lambda data, out: ("data", "prepare", "cityscapes", out / "city"),
        before=(("bare", "city"),),
    ),
    Job(
        "coco",
        lambda data, out: (
            *("data", "prepare", "coco", data / "coco"),
            *("--cache", out / "masks", "--min_side", "100"),
        ),
    ),
)
JOBS = {job.name: job for job in _JOBS}


def build_input(folder: Path) -> None:
    """Draw the small world, train and evaluate once."""
    from segood.data.synthetic import write_world

    world = write_world(folder, seed=1, **WORLD)  # type: ignore[arg-type]
    (folder / "train.yaml").write_text(CONFIG)
    shutil.copytree(world.cityscapes, folder / "bare")
    for path in (folder / "bare").rglob("*_labelTrainIds.png"):
        path.unlink()
    succeed("train", "--config", folder / "train.yaml", "--data_root", folder, "--out", folder / "trained")
    shutil.copytree(folder / "trained", folder / "evaluated")
    succeed("evaluate", folder / "evaluated")
    (folder / "compare.yaml").write_text(COMPARE.replace("RUN", str(folder / "trained")))


def copy_input(source: Path, folder: Path) -> None:
    """Copy the input to another drive."""
    shutil.copytree(source, folder)
    (folder / "compare.yaml").write_text(COMPARE.replace("RUN", str(folder / "trained")))


def undisturbed(job: Job, data: Path, out: Path) -> dict[str, str]:
    """Return what a job leaves when nothing goes wrong."""
    job.prepare(data, out)
    succeed(*job.argv(data, out))
    return facts(out)
