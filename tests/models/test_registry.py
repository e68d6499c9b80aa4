"""Models from names, modules and files: what is filled in, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import segood.models
from segood.errors import CheckpointError, UsageError
from segood.models import Preprocessing, SegmentationModel, list_models, load_model, save_model


def test_known_names() -> None:
    assert list_models() == ("espnetv2", "deeplabv3plus_wrn38", "torchvision", "smp", "transformers", "unet")
    assert "load_model" in dir(segood.models)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        segood.models.nothing  # noqa: B018


def test_named_network_has_cityscapes_classes_by_default() -> None:
    model = load_model("espnetv2", scale=0.5)
    assert (model.num_classes, model.drop_channels, model.name) == (19, 1, "espnetv2")
    assert model.class_names[13] == "car"
    assert model.options == {"scale": 0.5}
    assert not model.training


def test_class_names_alone_give_their_number() -> None:
    model = load_model("torchvision", class_names=["a", "b", "c"])
    assert model.num_classes == 3
    assert model(torch.rand(1, 3, 64, 64)).shape == (1, 3, 64, 64)


def test_module_of_the_user_is_wrapped_and_its_classes_counted() -> None:
    module = nn.Conv2d(3, 6, 1)
    model = load_model(module)
    assert model.network is module
    assert model.num_classes == 6
    assert model.name is None
    assert load_model(module, drop_channels=2).num_classes == 4
    assert load_model(model) is model


def test_module_that_refuses_the_probe_is_explained() -> None:
    class OnlyMultiplesOf32(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if x.shape[2] % 32:
                raise RuntimeError("height must be a multiple of 32")
            return x.repeat(1, 2, 1, 1)

    with pytest.raises(UsageError, match=r"failed on a probing image.*multiple of 32; pass num_classes"):
        load_model(OnlyMultiplesOf32())
    assert (
        load_model(OnlyMultiplesOf32(), preprocessing=Preprocessing(working_size=(64, 64))).num_classes == 6
    )


def test_module_without_logits_map_is_explained() -> None:
    pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 5))
    with pytest.raises(UsageError, match=r"Sequential must give logits of shape \(N,C,h,w\).*got \(1, 5\)"):
        load_model(pooled)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        (
            "espnet",
            {},
            "`model` must be one of espnetv2, .*; got 'espnet' .did you mean 'espnetv2'",
        ),
        (
            "espnetv2",
            {"scal": 2.0},
            "`option of espnetv2` must be one of scale; got 'scal' .did you mean 'scale'",
        ),
        ("espnetv2", {"scale": 3.0}, "`scale` of espnetv2 must be one of"),
        ("espnetv2", {"num_classes": 1}, "`num_classes` must be at least 2"),
        ("espnetv2", {"num_classes": 3, "class_names": ["a"]}, "must hold num_classes=3 names; got 1"),
        ("espnetv2", {"drop_channels": 1}, "`drop_channels` is for networks of your own"),
        ("espnetv2", {"scale": 0.5, "device": "abacus"}, "`device` abacus cannot be used here"),
        ("torchvision", {"arch": "deeplabv3_resnet5"}, "did you mean 'deeplabv3_resnet50'"),
        (nn.Conv2d(3, 4, 1), {"scale": 0.5}, "Conv2d takes no options, they are for names; got scale"),
        (SegmentationModel(nn.Conv2d(3, 4, 1), num_classes=4), {"num_classes": 3}, "the model has 4 classes"),
        (
            SegmentationModel(nn.Conv2d(3, 4, 1), num_classes=4),
            {"class_names": "abcd"},
            "has its own class_names",
        ),
    ],
)
def test_bad_arguments(name: str | nn.Module, arguments: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_model(name, **arguments)


@pytest.mark.parametrize(
    ("name", "options"),
    [("espnetv2", {"scale": 0.5}), ("torchvision", {"arch": "lraspp_mobilenet_v3_large"})],
)
@pytest.mark.parametrize("num_classes", [3, 19])
def test_saved_and_loaded_model_is_the_same(
    tmp_path: Path, name: str, options: dict, num_classes: int
) -> None:
    torch.manual_seed(0)
    working_size = Preprocessing(mean=(0.1, 0.2, 0.3), working_size=(64, 96))
    model = load_model(name, num_classes=num_classes, preprocessing=working_size, **options)
    path = tmp_path / "model.safetensors"
    save_model(model, path, metadata={"metrics": {"miou": 0.5}, "root": tmp_path})
    images = torch.rand(1, 3, 65, 97)
    for again in (load_model(path), load_model(str(path)), load_model(name, checkpoint=path)):
        assert torch.equal(again(images), model(images))
        for attribute in ("name", "options", "num_classes", "class_names", "preprocessing", "drop_channels"):
            assert getattr(again, attribute) == getattr(model, attribute)
    assert [p.name for p in tmp_path.iterdir()] == ["model.safetensors"]


def test_module_of_the_user_comes_back_through_the_module(tmp_path: Path) -> None:
    model = load_model(
        nn.Conv2d(3, 4, 1), class_names=["a", "b", "c", "d"], preprocessing=Preprocessing((0, 0, 0))
    )
    path = tmp_path / "own.safetensors"
    save_model(model, path)
    again = load_model(nn.Conv2d(3, 4, 1), checkpoint=path)
    images = torch.rand(1, 3, 5, 7)
    assert torch.equal(again(images), model(images))
    assert again.class_names == ("a", "b", "c", "d")
    assert again.preprocessing == model.preprocessing
    with pytest.raises(
        CheckpointError, match=r"module of your own \(torch.nn.modules.conv.Conv2d\).*build it"
    ):
        load_model(path)


def test_saving_fails_cleanly(tmp_path: Path) -> None:
    model = load_model(nn.Conv2d(3, 4, 1))
    with pytest.raises(UsageError, match=r"must end in \.safetensors"):
        save_model(model, tmp_path / "model.pth")
    with pytest.raises(UsageError, match="`metadata` must hold JSON values only"):
        save_model(model, tmp_path / "model.safetensors", metadata={"miou": float("nan")})
    with pytest.raises(UsageError, match="Tensor is no JSON value"):
        save_model(model, tmp_path / "model.safetensors", metadata={"miou": torch.zeros(1)})
    assert list(tmp_path.iterdir()) == []
