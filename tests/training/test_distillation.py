"""Distillation of the original network: by hand, against PyTorch, and through a training without labels."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from segood import runs
from segood.data.config import DatasetConfig
from segood.data.synthetic import WorldPaths
from segood.errors import DataError, UsageError
from segood.models import load_model
from segood.models.config import ModelConfig
from segood.training import EntropyMaximizationLoss, TrainConfig, loss_terms, train
from segood.training.config import AugmentationConfig, LossConfig, OptimizerConfig, ProxyConfig
from segood.training.distillation import DivergenceSum
from segood.training.plan import plan_training
from segood.types import IGNORE, OOD, UNLABELED


def test_by_hand() -> None:
    # two classes, four pixels: known, class 0   without label   OoD          ignored
    #     network:               3/4, 1/4        1/2, 1/2        9/10, 1/10   1/10, 9/10
    #     original network:      1/2, 1/2        1/4, 3/4        1/2, 1/2     1/2, 1/2
    probs = torch.tensor([[0.75, 0.5, 0.9, 0.1], [0.25, 0.5, 0.1, 0.9]])
    original = torch.tensor([[0.5, 0.25, 0.5, 0.5], [0.5, 0.75, 0.5, 0.5]])
    logits, teacher = probs.log().view(1, 2, 1, 4), original.log().view(1, 2, 1, 4)
    target = torch.tensor([[[0, UNLABELED, OOD, IGNORE]]])
    divergence = 0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25)
    divergence += 0.25 * math.log(0.25 / 0.5) + 0.75 * math.log(0.75 / 0.5)
    known, unknown = -math.log(0.75), -0.5 * (math.log(0.9) + math.log(0.1))
    terms = loss_terms(logits, target, teacher)
    assert (terms.in_count, terms.ood_count, terms.distilled_count) == (1, 1, 2)
    assert terms.distilled_mean.item() == pytest.approx(divergence / 2, rel=1e-6)
    loss = EntropyMaximizationLoss(0.9, "distribution", distillation=0.25)
    expected = 0.1 * (0.75 * known + 0.25 * divergence / 2) + 0.9 * unknown
    assert loss(logits, target, teacher).item() == pytest.approx(expected, rel=1e-6)
    loss = EntropyMaximizationLoss(0.9, "pooled", distillation=0.25)  # three pixels have a loss
    expected = (0.1 * (0.75 * known + 0.25 * divergence) + 0.9 * unknown) / 3
    assert loss(logits, target, teacher).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("size", [(2, 19, 256, 300), (3, 5, 1, 7), (0, 4, 3, 3)])
def test_sum_and_gradient_are_those_of_pytorch(size: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = (3 * torch.randn(size, generator=generator)).requires_grad_()
    teacher = 3 * torch.randn(size, generator=generator)
    counted = torch.rand((size[0], *size[2:]), generator=generator) < 0.6
    divergence = F.kl_div(logits.log_softmax(1), teacher.log_softmax(1), log_target=True, reduction="none")
    expected = divergence.sum(1)[counted].sum()
    (gradient,) = torch.autograd.grad(2 * expected, logits)
    ours = DivergenceSum.apply(logits, teacher, counted)
    torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(torch.autograd.grad(2 * ours, logits)[0], gradient, rtol=1e-4, atol=1e-6)


def test_an_unchanged_network_has_no_divergence_and_no_gradient() -> None:
    logits = torch.tensor([[[[80.0, -3.0]], [[0.0, 1.0]], [[-90.0, 0.0]]]], requires_grad=True)
    terms = loss_terms(logits, torch.tensor([[[0, UNLABELED]]]), logits.detach().clone())
    assert terms.distilled_sum.item() == 0
    assert not torch.autograd.grad(terms.distilled_sum, logits)[0].any()


def test_bad_input() -> None:
    logits, target = torch.zeros(1, 3, 2, 2), torch.zeros(1, 2, 2, dtype=torch.long)
    with pytest.raises(UsageError, match="`distillation` must lie in"):
        EntropyMaximizationLoss(distillation=1.5)
    with pytest.raises(UsageError, match="`teacher_logits` of the original network are needed"):
        EntropyMaximizationLoss(distillation=0.5)(logits, target)
    with pytest.raises(UsageError, match=r"shape of `logits`, \(1, 3, 2, 2\); got \(1, 4, 2, 2\)"):
        loss_terms(logits, target, torch.zeros(1, 4, 2, 2))
    with pytest.raises(UsageError, match="got -1"):  # without an original network nothing learns from it
        loss_terms(logits, target + UNLABELED)


@pytest.fixture
def unlabeled_streets(tmp_path: Path) -> Path:
    """A folder of images and nothing else."""
    (tmp_path / "streets" / "images").mkdir(parents=True)
    for seed in range(3):
        pixels = np.random.default_rng(seed).integers(0, 255, (128, 256, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "streets" / "images" / f"{seed}.png")
    return tmp_path / "streets"


@pytest.fixture
def config(world: WorldPaths) -> TrainConfig:
    return TrainConfig(
        street=DatasetConfig("cityscapes", str(world.cityscapes), "train"),
        model=ModelConfig("unet", num_classes=19, options={"width": 8}),
        proxies=ProxyConfig(
            DatasetConfig("coco_proxies", str(world.coco), "train"), ratio=1.0, mode="paste",
            validation_share=0.4,
        ),
        loss=LossConfig(0.3, "distribution", distillation=1.0),
        augmentation=AugmentationConfig(crop_size=(64, 96)),
        optimizer=OptimizerConfig("adam", lr=3e-3, freeze_batch_norm=True),
        epochs=2,
        batch_size=3,
        num_workers=0,
        trainer={"accelerator": "cpu"},
    )  # fmt: skip


def without_labels(folder: Path) -> DatasetConfig:
    options = {"role": "closed_set", "label_space": "cityscapes", "allow_unlabeled": True}
    return DatasetConfig("folder", str(folder), options=options)


def test_streets_need_no_labels(config: TrainConfig, unlabeled_streets: Path, tmp_path: Path) -> None:
    config.street = without_labels(unlabeled_streets)
    model = train(config, tmp_path / "run", progress=False)
    log = pd.read_csv(tmp_path / "run" / "logs" / "csv" / "metrics.csv")
    assert (log["loss_distilled"].dropna() >= 0).all()
    assert log["loss_distilled"].dropna().iloc[0] == pytest.approx(0, abs=1e-6)  # nothing has changed yet
    assert log["loss_distilled"].dropna().iloc[-1] > 0
    state = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    assert set(state) == {f"model.{key}" for key in model.state_dict()}  # the teacher is no part of it
    config.loss = LossConfig(0.3, distillation=0.9)
    with pytest.raises(DataError, match="3 frames have no label"):
        train(config, tmp_path / "other", progress=False)


def test_further_images_join_without_their_labels(
    config: TrainConfig, unlabeled_streets: Path, tmp_path: Path
) -> None:
    config.unlabeled = without_labels(unlabeled_streets)
    config.epochs = 1
    plan = plan_training(config)
    assert (plan.street_images, plan.unlabeled_images, plan.steps) == (6, 3, 3)
    assert "6 street images + 3 without labels" in plan.to_text()
    lean = dataclasses.replace(config, unlabeled=None, loss=LossConfig(0.3, "distribution"))
    other = plan_training(lean).memory
    assert plan.memory
    assert other
    assert plan.memory.parameters == 2 * other.parameters  # the original network is there, too
    train(config, tmp_path / "run", progress=False)
    log = pd.read_csv(tmp_path / "run" / "logs" / "csv" / "metrics.csv")
    assert len(log["loss"].dropna()) == 3
    with pytest.raises(UsageError, match="`unlabeled` images are for distillation"):
        dataclasses.replace(config, loss=LossConfig(0.3)).check()


def test_nothing_moves_where_nothing_is_unknown(config: TrainConfig, tmp_path: Path) -> None:
    config.proxies, config.loss = None, LossConfig(0.0, distillation=1.0)
    after = train(config, tmp_path / "run", progress=False)
    for key, value in load_model(str(tmp_path / "run" / runs.START)).state_dict().items():
        assert torch.equal(after.state_dict()[key], value), key


def test_it_goes_on_where_it_was_cut_off(config: TrainConfig, tmp_path: Path) -> None:
    whole = train(config, tmp_path / "whole", progress=False)
    train(dataclasses.replace(config, epochs=1), tmp_path / "parts", progress=False)
    resumed = train(config, tmp_path / "parts", resume=True, progress=False)
    for key, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[key], value), key


def test_options_of_pasting_come_from_the_configuration(config: TrainConfig) -> None:
    assert config.proxies
    for paste, message in (
        ({"colour": 1}, "colour"),
        ({"feather": -1}, "`feather` at least 0"),
        ({"feather": "soft"}, "must be numbers"),
        ({"max_objects": 0}, "`max_objects` must be at least 1"),
    ):
        proxies = dataclasses.replace(config.proxies, paste=paste)
        with pytest.raises(UsageError, match=message):
            dataclasses.replace(config, proxies=proxies).check()
    dataclasses.replace(
        config, proxies=dataclasses.replace(config.proxies, paste={"height_range": [0.1, 0.2]})
    ).check()
