"""Training through Lightning: it learns, it is reproducible, it resumes, it leaves a complete run."""

from __future__ import annotations

import dataclasses
import json
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from torch import nn

from segood import runs
from segood.data.config import DatasetConfig
from segood.data.synthetic import WorldPaths
from segood.errors import DataError, SegoodError, UsageError
from segood.evaluation.config import EvaluationConfig
from segood.models import SegmentationModel, load_model
from segood.models.config import ModelConfig
from segood.training import TrainConfig, train
from segood.training.config import AugmentationConfig, LossConfig, OptimizerConfig, ProxyConfig
from segood.training.mixture import TrainingMixture, split_proxies
from segood.training.module import build_optimizer
from segood.training.sampling import plan_epoch
from segood.types import IGNORE, OOD

CPU = {"accelerator": "cpu"}


def config(world: WorldPaths, **changes: object) -> TrainConfig:
    base = TrainConfig(
        street=DatasetConfig("cityscapes", str(world.cityscapes), "train"),
        validation=DatasetConfig("cityscapes", str(world.cityscapes), "val"),
        model=ModelConfig("espnetv2", num_classes=19, options={"scale": 0.5}),
        proxies=ProxyConfig(
            DatasetConfig("coco_proxies", str(world.coco), "train"), ratio=0.5, validation_share=0.4
        ),
        augmentation=AugmentationConfig(crop_size=(64, 96)),
        optimizer=OptimizerConfig(lr=1e-3),
        epochs=2,
        batch_size=3,
        num_workers=0,
        trainer=CPU,
    )
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]


def weights(model: nn.Module) -> dict[str, torch.Tensor]:
    return {k: v.clone() for k, v in model.state_dict().items()}


@pytest.mark.parametrize("mode", ["images", "paste"])
def test_a_run_is_complete_and_reproducible(world: WorldPaths, tmp_path: Path, mode: str) -> None:
    first = config(world)
    assert first.proxies is not None
    first = dataclasses.replace(first, proxies=dataclasses.replace(first.proxies, mode=mode))  # type: ignore[arg-type]
    model = train(first, tmp_path / "a", progress=False)
    again = train(dataclasses.replace(first, num_workers=1), tmp_path / "b", progress=False)
    for key, value in weights(model).items():
        assert torch.equal(value, weights(again)[key]), key
    run = tmp_path / "a"
    assert runs.read_config(run)["proxies"]["mode"] == mode
    assert json.loads((run / runs.ENVIRONMENT).read_text())["packages"]["lightning"]
    before, after = load_model(str(run / runs.START)), load_model(str(run / runs.FINAL))
    assert not torch.equal(before.network.state_dict()["base_net.level1.conv.weight"],
                           after.network.state_dict()["base_net.level1.conv.weight"])  # fmt: skip
    log = pd.read_csv(run / "logs" / "csv" / "metrics.csv")
    for column in ("loss", "loss_in", "miou", "entropy_in", "entropy_ood"):
        assert log[column].notna().any(), column
    assert log["miou"].notna().sum() == 2  # once per epoch
    assert list((run / "logs" / "tensorboard").glob("events*"))


def test_resumed_training_ends_like_an_uninterrupted_one(world: WorldPaths, tmp_path: Path) -> None:
    whole = train(config(world, epochs=2), tmp_path / "whole", progress=False)
    train(config(world, epochs=1), tmp_path / "parts", progress=False)
    resumed = train(config(world, epochs=2), tmp_path / "parts", resume=True, progress=False)
    for key, value in weights(whole).items():
        torch.testing.assert_close(weights(resumed)[key], value, rtol=0, atol=0, msg=key)


def test_entropy_maximisation_opens_a_gap_that_ordinary_training_does_not(
    world: WorldPaths, tmp_path: Path
) -> None:
    gaps = {}
    for ood_weight in (0.0, 0.9):
        torch.manual_seed(0)
        network = nn.Sequential(
            nn.Conv2d(3, 24, 5, stride=2, padding=2), nn.ReLU(), nn.Conv2d(24, 24, 5, padding=2), nn.ReLU(),
            nn.Conv2d(24, 19, 1),
        )  # fmt: skip
        run = tmp_path / str(ood_weight)
        train(
            config(
                world,
                loss=LossConfig(ood_weight, "distribution"),
                optimizer=OptimizerConfig(lr=5e-3),
                epochs=12,
            ),
            run,
            model=SegmentationModel(network, num_classes=19),
            progress=False,
        )
        log = pd.read_csv(run / "logs" / "csv" / "metrics.csv")
        gaps[ood_weight] = (log["entropy_ood"] - log["entropy_in"]).dropna().iloc[-1]
    assert gaps[0.9] > gaps[0.0] + 0.05, gaps


@pytest.mark.parametrize("arch", ["lraspp_mobilenet_v3_large", "deeplabv3_resnet50"])
def test_torchvision_networks_train(world: WorldPaths, tmp_path: Path, arch: str) -> None:
    changed = config(
        world,
        model=ModelConfig("torchvision", num_classes=19, options={"arch": arch}),
        epochs=1,
        validation=None,
        trainer={**CPU, "limit_train_batches": 1, "limit_val_batches": 1},
    )
    model = train(changed, tmp_path / "run", progress=False)
    assert model.num_classes == 19
    assert load_model(str(tmp_path / "run" / runs.FINAL)).options["arch"] == arch


def test_a_users_module_trains(world: WorldPaths, tmp_path: Path) -> None:
    module = SegmentationModel(nn.Conv2d(3, 19, 3, stride=4, padding=1), num_classes=19)
    start = weights(module)
    train(config(world, epochs=1), tmp_path / "run", model=module, progress=False)
    assert not torch.equal(start["network.weight"], module.network.weight)


def test_ordinary_training_needs_no_proxies(world: WorldPaths, tmp_path: Path) -> None:
    ordinary = config(world, proxies=None, loss=LossConfig(ood_weight=0.0), epochs=1)
    train(ordinary, tmp_path / "run", progress=False)
    log = pd.read_csv(tmp_path / "run" / "logs" / "csv" / "metrics.csv")
    assert "loss_ood" not in log


def test_mixture_makes_the_same_sample_from_the_same_item(world: WorldPaths) -> None:
    from segood.data import TrainTransform, open_dataset

    street = open_dataset("cityscapes", world.cityscapes, "train")
    proxies = open_dataset("coco_proxies", world.coco, "train")
    transform = TrainTransform(crop_size=(96, 128))
    mixture = TrainingMixture(street, proxies, transform, transform)
    items = plan_epoch(len(street), len(proxies), ratio=1.0, mode="paste", seed=0, epoch=0)
    pasted = 0
    for item in items:
        image, target = mixture[item]
        again = mixture[item]
        assert torch.equal(image, again[0])
        assert torch.equal(target, again[1])
        assert image.dtype == torch.uint8
        assert set(target.unique().tolist()) <= {*range(19), OOD, IGNORE}
        pasted += int((target == OOD).sum())
    assert pasted > 0


def test_held_out_proxies_are_never_all() -> None:
    assert split_proxies(1, 0.9, seed=0) == ([0], [])
    train_part, held_out = split_proxies(77, 0.1, seed=0)
    assert (len(train_part), len(held_out)) == (69, 8)
    assert split_proxies(77, 0.1, seed=1)[1] != held_out


def test_frozen_batch_norm_keeps_its_statistics(world: WorldPaths, tmp_path: Path) -> None:
    frozen = config(world, optimizer=OptimizerConfig(lr=1e-3, freeze_batch_norm=True), epochs=1)
    model = train(frozen, tmp_path / "run", progress=False)
    start = load_model(str(tmp_path / "run" / runs.START))
    key = "base_net.level1.bn.running_mean"
    assert torch.equal(model.network.state_dict()[key], start.network.state_dict()[key])
    assert not torch.equal(
        model.network.state_dict()["base_net.level1.bn.weight"],
        start.network.state_dict()["base_net.level1.bn.weight"],
    )


def test_frozen_parts_are_what_they_were_and_the_rest_learns(world: WorldPaths, tmp_path: Path) -> None:
    frozen = config(world, optimizer=OptimizerConfig(lr=1e-3, frozen=["base_net"]), epochs=1)
    model = train(frozen, tmp_path / "run", progress=False)
    before = load_model(str(tmp_path / "run" / runs.START)).network.state_dict()
    moved = {key for key, value in model.network.state_dict().items() if not torch.equal(value, before[key])}
    assert moved  # weights, and statistics that run
    assert any(key.endswith("running_mean") for key in moved)
    assert not [key for key in moved if key.startswith("base_net")]


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_optimizers_and_schedule(name: str) -> None:
    layer = nn.Conv2d(1, 1, 1)
    built = build_optimizer(layer, OptimizerConfig(name=name, lr=0.1, schedule="poly"), total_steps=10)  # type: ignore[arg-type]
    optimizer, schedule = built["optimizer"], built["lr_scheduler"]["scheduler"]
    for _ in range(10):
        optimizer.step()
        schedule.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0, abs=1e-9)


def test_a_loss_that_is_not_finite_stops_with_the_batch(world: WorldPaths, tmp_path: Path) -> None:
    with pytest.raises(
        SegoodError,
        match=r"the loss became (nan|inf) in epoch 0, step \d+, images \w+/.*; .* lower optimizer.lr",
    ):
        train(
            config(world, optimizer=OptimizerConfig("sgd", lr=1e30), epochs=3),
            tmp_path / "run",
            progress=False,
        )


def test_bad_input_leaves_nothing_behind(world: WorldPaths, tmp_path: Path) -> None:
    out = tmp_path / "run"
    cases: list[tuple[type[SegoodError], str, dict[str, object]]] = [
        (UsageError, r"`loss.ood_weight` must lie in \[0, 1\]", {"loss": LossConfig(ood_weight=-0.1)}),
        (UsageError, "there are no `proxies`", {"proxies": None}),
        (UsageError, "`batch_size` must be at least 1", {"batch_size": 0}),
        (DataError, "does not exist", {"street": DatasetConfig("cityscapes", str(tmp_path / "none"))}),
        (UsageError, "must be a proxy set", {
            "proxies": ProxyConfig(DatasetConfig("cityscapes", str(world.cityscapes), "train"))
        }),
        (UsageError, r"labels of 19 classes .* has 5;", {
            "model": ModelConfig("torchvision", num_classes=5, options={"arch": "lraspp_mobilenet_v3_large"})
        }),
        (UsageError, "lightning.Trainer does not take", {"trainer": {"gpus_please": 3}}),
        (UsageError, "`batch_size` 3 .* too few for 1 with 4 accumulated batches", {
            "trainer": {**CPU, "accumulate_grad_batches": 4}
        }),
        (UsageError, "too few for 2 with 2 accumulated", {
            "trainer": {**CPU, "devices": 2, "accumulate_grad_batches": 2}
        }),
        (UsageError, "`trainer.sync_batchnorm` needs GPUs", {"trainer": {**CPU, "sync_batchnorm": True}}),
        (UsageError, "crop_size", {"augmentation": AugmentationConfig(crop_size=(0, 0))}),
        (DataError, "does not exist", {"validation": DatasetConfig("cityscapes", str(tmp_path / "none"))}),
        (UsageError, "or a folder with the options .*; fishyscapes_static is of the kind ood", {
            "validation": DatasetConfig("fishyscapes_static", str(world.fishyscapes))
        }),
        (UsageError, "did you mean 'protocol'", {
            "evaluation": EvaluationConfig(
                {"a": DatasetConfig("lost_and_found", "x", options={"protocl": "smiyc"})}
            )
        }),
    ]  # fmt: skip
    for error, text, changes in cases:
        with pytest.raises(error, match=text):
            train(config(world, **changes), out, progress=False)
        assert not out.exists(), text


def test_output_with_another_run_and_resume_of_nothing(world: WorldPaths, tmp_path: Path) -> None:
    runs.write_description(runs.claim_run(tmp_path / "run"), {})
    with pytest.raises(UsageError, match="already holds another run"):
        train(config(world), tmp_path / "run", progress=False)
    with pytest.raises(UsageError, match="nothing to resume"):
        train(config(world), tmp_path / "new", resume=True, progress=False)
    assert not (tmp_path / "new").exists()


def test_resume_needs_the_same_configuration_and_starts_over_without_checkpoint(
    world: WorldPaths, tmp_path: Path
) -> None:
    whole = train(config(world, epochs=1), tmp_path / "whole", progress=False)
    (tmp_path / "whole" / runs.CHECKPOINTS / "last.ckpt").unlink()  # as if killed in the first epoch
    (tmp_path / "whole" / runs.FINAL).unlink()
    slower = config(world, epochs=1, optimizer=OptimizerConfig(lr=1e-4))
    with pytest.raises(UsageError, match="was started with another `optimizer`"):
        train(slower, tmp_path / "whole", resume=True, progress=False)
    again = train(config(world, epochs=1), tmp_path / "whole", resume=True, progress=False)
    for key, value in weights(whole).items():
        assert torch.equal(weights(again)[key], value), key


def test_full_disk_leaves_no_half_run(world: WorldPaths, tmp_path: Path) -> None:
    from segood.errors import OutputError

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for limit, left in (
        (20_000, False),
        (900_000, True),
    ):  # start weights fit, checkpoint does not
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            with pytest.raises(OutputError, match=r"File too large"):
                train(config(world), tmp_path / "run", progress=False)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert (tmp_path / "run").exists() == left
    run = tmp_path / "run"
    assert load_model(str(run / runs.START))
    assert not (run / runs.FINAL).exists()
    assert not list(run.rglob("*.part*"))


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_damaged_image_is_one_line_whoever_loads_it(
    world: WorldPaths, tmp_path: Path, num_workers: int
) -> None:
    root = tmp_path / "city"
    shutil.copytree(world.cityscapes, root)
    image = sorted((root / "leftImg8bit" / "train").rglob("*.png"))[0]
    image.write_bytes(image.read_bytes()[:900])
    damaged = config(world, street=DatasetConfig("cityscapes", str(root), "train"), num_workers=num_workers)
    with pytest.raises(DataError) as caught:
        train(damaged, tmp_path / "run", progress=False)
    assert "\n" not in str(caught.value)
    assert image.name in str(caught.value)


def test_interruption_is_told_and_resumable(world: WorldPaths, tmp_path: Path) -> None:
    """Ctrl-C and termination end with exit code 1 and a line; `--resume` then finishes the run."""
    settings = dataclasses.asdict(config(world, epochs=400))
    (tmp_path / "long.yaml").write_text(yaml.safe_dump(runs.as_stored(settings)))
    for number, (which, words) in enumerate(((signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated"))):
        out = tmp_path / str(number)
        command = [
            sys.executable,
            "-m",
            "segood.cli",
            "train",
            "--config",
            tmp_path / "long.yaml",
            "--out",
            out,
        ]
        process = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            # a runner in the background ignores Ctrl-C, and its children would inherit that
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        deadline = time.monotonic() + 120
        while not (out / runs.CHECKPOINTS / "last.ckpt").exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(which)
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 1, errors
        assert words in errors.strip().splitlines()[-1]
        assert not (out / runs.FINAL).exists()
    resumed = dataclasses.replace(config(world, epochs=1))
    train(resumed, tmp_path / "0", resume=True, progress=False)
    assert (tmp_path / "0" / runs.FINAL).exists()


def test_no_tiny_batch_is_left(world: WorldPaths) -> None:
    from segood.training.sampling import EpochSampler, EvenBatches

    for count, size in ((11, 5), (12, 5), (3, 8), (16, 8), (17, 8)):
        batches = list(EvenBatches(EpochSampler(count, 0, ratio=0, mode="images", seed=0), size))
        sizes = [len(batch) for batch in batches]
        assert sum(sizes) == count
        assert max(sizes) <= size
        assert max(sizes) - min(sizes) <= 1
        assert len({item.sample for batch in batches for item in batch}) == count


def test_validation_without_streets_has_no_miou(world: WorldPaths, tmp_path: Path) -> None:
    proxies = ProxyConfig(
        DatasetConfig("coco_proxies", str(world.coco), "train", options={"background": "class0"}),
        ratio=0.5,
        validation_share=0.4,
    )
    train(config(world, validation=None, proxies=proxies, epochs=1), tmp_path / "run", progress=False)
    log = pd.read_csv(tmp_path / "run" / "logs" / "csv" / "metrics.csv")
    assert "entropy_ood" in log
    assert "miou" not in log
    assert "entropy_in" not in log
