"""A training that was cut off in the middle of an epoch ends with the very weights of one that was not."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import nn

from segood import runs
from segood.data.config import DatasetConfig
from segood.data.synthetic import WorldPaths
from segood.errors import DataError, SegoodError
from segood.models import SegmentationModel, load_model
from segood.training import TrainConfig, train
from segood.training.config import AugmentationConfig, OptimizerConfig, ProxyConfig
from segood.training.trainer import LAST

CPU = {"accelerator": "cpu"}


def config(world: WorldPaths, **changes: object) -> TrainConfig:
    base = TrainConfig(
        street=DatasetConfig("cityscapes", str(world.cityscapes), "train"),
        validation=DatasetConfig("cityscapes", str(world.cityscapes), "val"),
        proxies=ProxyConfig(
            DatasetConfig("coco_proxies", str(world.coco), "train"), 0.5, "images", validation_share=0.4
        ),
        augmentation=AugmentationConfig(crop_size=(64, 96), scale_range=(0.8, 1.2), brightness=0.2),
        optimizer=OptimizerConfig("adamw", lr=1e-3, weight_decay=0.1, schedule="poly"),
        epochs=3,
        batch_size=3,  # three steps an epoch
        num_workers=0,
        checkpoint_steps=1,
        trainer=CPU,
    )
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]


class Fuse(nn.Module):
    """Blows after some batches of training."""

    def __init__(self, batches: float) -> None:
        super().__init__()
        self.left = batches

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.left -= self.training
        if self.left < 0:
            raise SegoodError("the fuse has blown")
        return images


def network(batches: float = float("inf")) -> SegmentationModel:
    """With all that has a state of its own: batch norm, and dropout."""
    torch.manual_seed(3)
    parts = (nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout2d(0.5))
    return SegmentationModel(nn.Sequential(Fuse(batches), *parts, nn.Conv2d(8, 19, 1)), num_classes=19)


@pytest.fixture(scope="module")
def whole(world: WorldPaths, tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    out = tmp_path_factory.mktemp("whole") / "run"
    return train(config(world), out, model=network(), progress=False).state_dict()


@pytest.mark.parametrize(
    ("batches", "num_workers", "pieces"),
    [(0, 0, 1), (1, 0, 1), (2, 0, 1), (3, 0, 1), (4, 1, 1), (7, 1, 1), (10, 0, 3)],
)
def test_cut_off_anywhere(
    world: WorldPaths,
    whole: dict[str, torch.Tensor],
    tmp_path: Path,
    batches: int,
    num_workers: int,
    pieces: int,
) -> None:
    more = {} if pieces == 1 else {"accumulate_grad_batches": pieces}
    same = config(world, trainer={**CPU, **more}, num_workers=num_workers)
    with pytest.raises(SegoodError, match="fuse"):
        train(same, tmp_path / "run", model=network(batches), progress=False)
    assert not (tmp_path / "run" / runs.FINAL).exists()
    resumed = train(same, tmp_path / "run", model=network(), resume=True, progress=False).state_dict()
    expected = whole
    if pieces > 1:
        expected = train(same, tmp_path / "alone", model=network(), progress=False).state_dict()
    for key, value in expected.items():
        assert torch.equal(resumed[key], value), key


def test_a_run_that_has_ended_stays_as_it_is(
    world: WorldPaths, whole: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    train(config(world), tmp_path / "run", model=network(), progress=False)
    again = train(config(world), tmp_path / "run", model=network(), resume=True, progress=False).state_dict()
    assert all(torch.equal(again[key], value) for key, value in whole.items())


def test_a_damaged_checkpoint_is_one_line(world: WorldPaths, tmp_path: Path) -> None:
    train(config(world, epochs=1), tmp_path / "run", model=network(), progress=False)
    last = tmp_path / "run" / LAST
    last.write_bytes(last.read_bytes()[:2000])
    with pytest.raises(DataError, match=r"last\.ckpt.* cannot be read .*; remove it to start over"):
        train(config(world), tmp_path / "run", model=network(), resume=True, progress=False)
    assert load_model(network(), tmp_path / "run" / runs.START)
