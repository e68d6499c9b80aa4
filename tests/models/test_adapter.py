"""The adapter over networks of every output kind, and what it says of outputs that are none."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segood.errors import UsageError
from segood.models import Preprocessing, SegmentationModel, load_model


class Head(nn.Module):
    """A 1×1 convolution at half the size whose output is dressed by `dress`."""

    def __init__(self, channels: int = 4, dress: Any = None) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, channels, 1, stride=2)
        self.dress = dress or (lambda logits: logits)

    def forward(self, x: Tensor) -> Any:
        return self.dress(self.conv(x))


@pytest.mark.parametrize(
    "dress",
    [
        lambda z: z,
        lambda z: {"out": z, "aux": z * 0},
        lambda z: {"loss": None, "logits": z},
        lambda z: SimpleNamespace(logits=z),
    ],
    ids=["tensor", "out", "logits in a mapping", "logits of an object"],
)
def test_every_kind_of_output_gives_the_same_logits(dress: Any) -> None:
    network = Head(4, dress)
    model = SegmentationModel(network, num_classes=4)
    images = torch.rand(2, 3, 65, 97)
    normalised = (images - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor(
        [0.229, 0.224, 0.225]
    ).view(3, 1, 1)
    expected = F.interpolate(network.conv(normalised), (65, 97), mode="bilinear", align_corners=False)
    torch.testing.assert_close(model(images), expected)


def test_images_stay_as_they_were() -> None:
    images = torch.rand(1, 3, 8, 8)
    before = images.clone()
    SegmentationModel(Head(), num_classes=4)(images)
    assert torch.equal(images, before)


def test_declared_channels_are_dropped_others_refused() -> None:
    network = Head(5)
    images = torch.rand(1, 3, 6, 6)
    all_five = SegmentationModel(network, num_classes=5)(images)
    first_four = SegmentationModel(network, num_classes=4, drop_channels=1)(images)
    torch.testing.assert_close(first_four, all_five[:, :4])
    with pytest.raises(UsageError, match="pass num_classes=5, or drop_channels=1 if the last ones are no"):
        SegmentationModel(network, num_classes=4)(images)


@pytest.mark.parametrize(
    ("dress", "message"),
    [
        (lambda z: z.permute(0, 2, 3, 1), "the classes are on the last axis"),
        (lambda z: z.argmax(1), r"got \(2, 3, 5\).*give logits, not predicted classes"),
        (lambda z: z[0], "the batch or class axis is missing"),
        (lambda z: z[:, :3], r"C=4 \(num_classes=4\); got \(2, 3, 3, 5\), torch.float32; pass num_classes=3"),
        (lambda z: z[:1], r"N=2, C=4 .*; got \(1, 4, 3, 5\)"),
        (lambda z: z.long(), "must give floating-point logits .* torch.int64"),
        (lambda z: (z, z), "a dict with `out` or an object with `logits`; got tuple"),
        (lambda z: {"semantic": z, "aux": z}, "got dict with semantic, aux"),
        (lambda z: None, "got NoneType"),
    ],
)
def test_wrong_outputs_are_named(dress: Any, message: str) -> None:
    model = SegmentationModel(Head(4, dress), num_classes=4)
    with pytest.raises(UsageError, match=message):
        model(torch.rand(2, 3, 6, 10))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.rand(3, 8, 8), r"`images` must have shape \(N,3,H,W\); got \(3, 8, 8\)"),
        (torch.rand(1, 1, 8, 8), r"got \(1, 1, 8, 8\)"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), "must be floating point in .* divide by 255"),
    ],
)
def test_wrong_images_are_named(images: Tensor, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        SegmentationModel(Head(), num_classes=4)(images)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_classes": 1}, "`num_classes` must be at least 2; got 1"),
        ({"drop_channels": -1}, "`drop_channels` must not be negative; got -1"),
        ({"class_names": ["road", "sky"]}, "must hold num_classes=4 names; got 2"),
        ({"network": "espnetv2"}, "must be a torch.nn.Module; got str"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    given = {"network": Head(), "num_classes": 4, **arguments}
    with pytest.raises(UsageError, match=message):
        SegmentationModel(given.pop("network"), **given)


def test_predict_logits_equals_forward_and_keeps_every_mode() -> None:
    model = SegmentationModel(nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.BatchNorm2d(4)), num_classes=4)
    model.train()
    model.network[1].eval()  # frozen batch-norm inside a network that trains
    image = np.random.default_rng(0).integers(0, 256, (33, 50, 3), dtype=np.uint8)
    found = model.predict_logits(image)
    assert model.training
    assert model.network[0].training
    assert not model.network[1].training
    assert not found.requires_grad
    tensor = torch.from_numpy(image.transpose(2, 0, 1).copy())[None] / 255
    torch.testing.assert_close(found, model.eval()(tensor)[0].detach())
    assert model.predict_logits(image, size=(10, 20)).shape == (4, 10, 20)


def test_working_size_is_where_the_network_looks() -> None:
    seen = []

    def look(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen.append(tuple(inputs[0].shape))

    network = Head()
    network.register_forward_pre_hook(look)
    model = SegmentationModel(network, num_classes=4, preprocessing=Preprocessing(working_size=(32, 64)))
    assert model.predict_logits(np.zeros((100, 150, 3), np.uint8)).shape == (4, 100, 150)
    assert seen == [(1, 3, 32, 64)]


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((4, 4), np.uint8), r"uint8 array of shape \(H,W,3\), RGB; got shape \(4, 4\), uint8"),
        (np.zeros((4, 4, 3), np.float32), r"got shape \(4, 4, 3\), float32"),
        (np.zeros((0, 4, 3), np.uint8), "at least one pixel"),
        ("frame.png", "got shape None, str"),
    ],
)
def test_wrong_image_arrays_are_named(image: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        SegmentationModel(Head(), num_classes=4).predict_logits(image)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mean": (0.5, 0.5)}, "`mean` must hold 3 finite numbers"),
        ({"std": (1.0, 0.0, 1.0)}, "`std` must be positive"),
        ({"working_size": (0, 5)}, r"`working_size` must be \(rows, columns\)"),
    ],
)
def test_wrong_preprocessing_is_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Preprocessing(**arguments)


def test_unknown_preprocessing_key_is_named() -> None:
    with pytest.raises(UsageError, match=r"knows mean, std, working_size, .*size_multiple; got colour"):
        Preprocessing.from_dict({"colour": "bgr"})


def test_copies_are_independent_and_equal() -> None:
    model = SegmentationModel(Head(), num_classes=4)
    twin = copy.deepcopy(model)
    images = torch.rand(1, 3, 6, 6)
    assert torch.equal(model(images), twin(images))
    with torch.no_grad():
        twin.network.conv.weight.zero_()
    assert not torch.equal(model(images), twin(images))


def test_state_dict_is_the_networks_alone() -> None:
    assert list(SegmentationModel(Head(), num_classes=4).state_dict()) == [
        "network.conv.weight",
        "network.conv.bias",
    ]


def test_half_precision_logits_leave_as_float32() -> None:
    model = SegmentationModel(Head(4, lambda z: z.bfloat16()), num_classes=4)
    assert model(torch.rand(1, 3, 6, 6)).dtype == torch.float32


def test_flipped_image_gives_flipped_logits() -> None:
    model = SegmentationModel(nn.Conv2d(3, 4, 1), num_classes=4)
    images = torch.rand(1, 3, 9, 12)
    torch.testing.assert_close(model(images.flip(3)), model(images).flip(3))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("espnetv2", {"scale": 0.5}),
        ("torchvision", {"arch": "lraspp_mobilenet_v3_large"}),
        ("torchvision", {"arch": "deeplabv3_resnet50"}),
    ],
)
def test_named_networks_train_and_predict(name: str, options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    model = load_model(name, num_classes=5, **options)
    assert not model.training
    image = np.random.default_rng(0).integers(0, 256, (65, 97, 3), dtype=np.uint8)
    first = model.predict_logits(image)
    assert first.shape == (5, 65, 97)
    assert torch.equal(first, model.predict_logits(image))  # evaluation is deterministic

    model.train()
    images, target = torch.rand(2, 3, 65, 97), torch.randint(0, 5, (2, 65, 97))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    loss = F.cross_entropy(model(images), target)
    loss.backward()
    without = [k for k, p in model.named_parameters() if p.grad is None and "eesp.module_act" not in k]
    assert without == []
    optimizer.step()
    assert not torch.equal(first, model.predict_logits(image))
