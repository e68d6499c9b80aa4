"""One training on one, two and more processes, whoever starts them: the same steps, the same weights.

Batch norm keeps its statistics here: those of a batch depend on how it is shared, on any engine.
"""

from __future__ import annotations

import dataclasses
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from torch import nn

from segood import runs
from segood.data.config import DatasetConfig
from segood.data.synthetic import WorldPaths
from segood.errors import UsageError
from segood.models import load_model
from segood.models.config import ModelConfig
from segood.training import EpochSampler, TrainConfig, train
from segood.training.config import AugmentationConfig, LossConfig, OptimizerConfig, ProxyConfig
from segood.training.mixture import ValidationFrames
from segood.training.sampling import EvenBatches, ShareOfSteps
from segood.training.sharding import parts_of
from segood.types import IGNORE

FLOATING_POINT = 2e-5
"""Relative; sums over pixels in another order, seen through eight steps."""
SEGOOD = (sys.executable, "-m", "segood.cli")


def config(world: WorldPaths, **changes: object) -> TrainConfig:
    base = TrainConfig(
        street=DatasetConfig("cityscapes", str(world.cityscapes), "train"),
        validation=DatasetConfig("cityscapes", str(world.cityscapes), "val"),
        model=ModelConfig("unet", num_classes=19, options={"width": 8}),
        proxies=ProxyConfig(
            DatasetConfig("coco_proxies", str(world.coco), "train"), 0.5, "images", validation_share=0.4
        ),
        loss=LossConfig(0.5, "distribution"),  # two quotients, so two ways to divide too early
        augmentation=AugmentationConfig(crop_size=(64, 96)),
        optimizer=OptimizerConfig("adam", lr=1e-3, freeze_batch_norm=True),
        epochs=2,
        batch_size=5,
        num_workers=0,
        trainer={"accelerator": "cpu"},
    )
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def alone(world: WorldPaths, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of one process that all others have to equal."""
    out = tmp_path_factory.mktemp("alone") / "run"
    train(config(world), out, progress=False)
    return out


def check_same(run: Path, expected: Path) -> None:
    logs = [pd.read_csv(folder / "logs" / "csv" / "metrics.csv") for folder in (run, expected)]
    for column in ("loss", "loss_in", "loss_ood", "miou", "entropy_in", "entropy_ood"):
        values = [log[column].dropna().to_numpy() for log in logs]
        assert len(values[0]) > 1, column
        np.testing.assert_allclose(*values, rtol=FLOATING_POINT, err_msg=column)
    weights = [load_model(str(folder / runs.FINAL)).state_dict() for folder in (run, expected)]
    for key, value in weights[1].items():
        torch.testing.assert_close(weights[0][key], value, rtol=1e-4, atol=1e-6, msg=key)


def start(command: Sequence[object], **environment: str) -> subprocess.Popen[str]:
    alone = {key: value for key, value in os.environ.items() if not key.startswith(("SLURM", "MASTER"))}
    return subprocess.Popen(
        [str(part) for part in command],
        env={**alone, "OMP_NUM_THREADS": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(*processes: subprocess.Popen[str]) -> str:
    outputs = [process.communicate(timeout=1200)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), outputs
    return "\n".join(outputs)


def written(config: TrainConfig, path: Path) -> Path:
    path.write_text(yaml.safe_dump(runs.as_stored(dataclasses.asdict(config))))
    return path


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def test_every_sample_of_a_step_is_dealt_to_one_process() -> None:
    for count, batch_size, processes, pieces in ((23, 8, 3, 2), (16, 8, 4, 2), (7, 7, 2, 1), (40, 9, 1, 4)):
        steps = EvenBatches(EpochSampler(count, 50, ratio=0.3, mode="images", seed=1), batch_size)
        shares = [list(ShareOfSteps(steps, rank, processes, pieces)) for rank in range(processes)]
        assert {len(share) for share in shares} == {len(steps) * pieces}
        for number, step in enumerate(steps):
            window = slice(number * pieces, (number + 1) * pieces)
            dealt = [i for share in shares for piece in share[window] for i in piece if i.counts]
            assert sorted(dealt) == sorted(step)
            assert all(share[window] and all(share[window]) for share in shares)
        proxies = [{i.sample for b in s for i in b if i.counts and i.kind == "proxy"} for s in shares]
        assert len(set().union(*proxies)) == sum(map(len, proxies))


def test_a_share_goes_on_in_the_middle() -> None:
    steps = EvenBatches(EpochSampler(23, 0, ratio=0, mode="images", seed=1), 8)
    share = ShareOfSteps(steps, 1, 2, 2)
    whole = list(share)
    share.first = 3
    assert list(share) == whole[3:]
    with pytest.raises(UsageError, match=r"`batch_size` 8 .* too few for 3 with 3"):
        ShareOfSteps(steps, 0, 3, 3)


def test_validation_frames_that_fill_up_count_nowhere(world: WorldPaths) -> None:
    street = DatasetConfig("cityscapes", str(world.cityscapes), "train").open(".")
    shares = [ValidationFrames(street, rank, 4) for rank in range(4)]  # 6 frames
    assert [len(share) for share in shares] == [2, 2, 2, 2]
    labels = [[bool((share[i][1] != IGNORE).any()) for i in range(2)] for share in shares]
    assert labels == [[True, True], [True, True], [True, False], [True, False]]


@pytest.mark.parametrize("pieces", [2, 5, 6])
def test_accumulated_batches_make_the_same_steps(
    world: WorldPaths, alone: Path, tmp_path: Path, pieces: int
) -> None:
    in_pieces = {"accelerator": "cpu", "accumulate_grad_batches": pieces}
    out = tmp_path / "run"
    if pieces > 5:
        with pytest.raises(UsageError, match=r"`batch_size` 5 .* too few for 1 with 6"):
            train(config(world, trainer=in_pieces), out, progress=False)
        return
    train(config(world, trainer=in_pieces), out, progress=False)
    check_same(out, alone)


@pytest.mark.parametrize("processes", [2, *(pytest.param(n, marks=pytest.mark.long) for n in (3, 4))])
def test_the_engine_starts_processes(world: WorldPaths, alone: Path, tmp_path: Path, processes: int) -> None:
    out, described = tmp_path / "run", written(config(world), tmp_path / "c.yaml")
    options = ("--trainer", f"{{accelerator: cpu, devices: {processes}, strategy: ddp}}")
    said = finish(start([*SEGOOD, "train", "--config", described, *options, "--out", out]))
    assert said.count("next: segood evaluate") == 1
    check_same(out, alone)


def test_torchrun_starts_processes_that_share_the_weights(
    world: WorldPaths, alone: Path, tmp_path: Path
) -> None:
    """FSDP on two processes; then two more epochs, resumed on one: checkpoints are whole."""
    out = tmp_path / "run"
    described = written(
        config(world, trainer={"accelerator": "cpu", "devices": 2, "strategy": "fsdp"}), tmp_path / "c.yaml"
    )
    torchrun = (sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", 2)
    port = ("--master_port", free_port())
    finish(start([*torchrun, *port, "-m", "segood.cli", "train", "--config", described, "--out", out]))
    check_same(out, alone)
    further = train(config(world, epochs=3), out, resume=True, progress=False)
    assert not torch.equal(next(further.parameters()), next(load_model(str(alone / runs.FINAL)).parameters()))


def test_slurm_starts_processes(world: WorldPaths, alone: Path, tmp_path: Path) -> None:
    """What srun sets for two tasks of one node; each of them accumulates two batches."""
    out = tmp_path / "run"
    trainer = {"accelerator": "cpu", "devices": 2, "accumulate_grad_batches": 2}
    described = written(config(world, trainer=trainer), tmp_path / "c.yaml")
    tasks = [
        start(
            [*SEGOOD, "train", "--config", described, "--out", out],
            SLURM_JOB_ID="4242", SLURM_JOB_NAME="segood", SLURM_NTASKS="2", SLURM_NTASKS_PER_NODE="2",
            SLURM_NNODES="1", SLURM_NODEID="0", SLURM_PROCID=str(rank), SLURM_LOCALID=str(rank),
            SLURM_NODELIST="127.0.0.1", SLURM_STEP_ID="0", MASTER_PORT=port,
        )
        for port in (free_port(),) for rank in range(2)
    ]  # fmt: skip
    finish(*tasks)
    check_same(out, alone)


def test_parts_that_are_shared_cover_the_large_weights() -> None:
    network = nn.ModuleDict(
        {"a": nn.ModuleList([nn.Linear(64, 64), nn.Linear(2, 2)]), "b": nn.Linear(64, 64)}
    )
    assert parts_of(network, 1000) == [network["a"][0], network["b"]]  # type: ignore[index]
    assert parts_of(network, 10**6) == []
