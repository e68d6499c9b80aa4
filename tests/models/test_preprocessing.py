"""Channel order, value range, padding: the network sees what its authors fed it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from segood.errors import UsageError
from segood.models import Preprocessing, SegmentationModel, load_model, save_model
from segood.models.checkpoints import read_header
from segood.models.preprocessing import cut_padding, pad_to_multiple


class Echo(nn.Module):
    """Returns what it is fed."""

    def forward(self, x: Tensor) -> Tensor:
        return x


def fed(preprocessing: Preprocessing, images: Tensor) -> Tensor:
    return SegmentationModel(Echo(), num_classes=3, preprocessing=preprocessing)(images)


@pytest.mark.parametrize("order", ["rgb", "bgr"])
@pytest.mark.parametrize("value_range", [(0, 1), (0, 255), (-1, 1)])
def test_as_the_networks_authors_would_write_it(order: Any, value_range: tuple[float, float]) -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)
    low, high = value_range
    mean, std = (0.1, 0.2, 0.3), (1.0, 2.0, 3.0)
    pixels = image[..., ::-1] if order == "bgr" else image
    expected = (pixels / 255 * (high - low) + low - mean) / std
    chosen = Preprocessing(mean, std, channel_order=order, value_range=value_range)
    model = SegmentationModel(Echo(), num_classes=3, preprocessing=chosen)
    np.testing.assert_allclose(model.predict_logits(image).permute(1, 2, 0), expected, rtol=1e-5, atol=1e-4)


def test_mean_and_std_follow_range_and_order_where_not_given() -> None:
    assert Preprocessing(channel_order="bgr").mean == (0.406, 0.456, 0.485)
    assert Preprocessing(channel_order="bgr").std == (0.225, 0.224, 0.229)
    assert Preprocessing(value_range=(-1, 1)).mean == (0.0, 0.0, 0.0)
    assert Preprocessing(value_range=(0, 255)).std == (1.0, 1.0, 1.0)
    images = torch.rand(1, 3, 4, 5)
    # the order alone is a permutation of channels
    torch.testing.assert_close(
        fed(Preprocessing(channel_order="bgr"), images), fed(Preprocessing(), images).flip(1)
    )


def test_the_default_is_as_it_was() -> None:
    images = torch.rand(2, 3, 4, 5)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    assert torch.equal(fed(Preprocessing(), images), (images - mean) / std)


def test_headers_of_older_versions_load() -> None:
    old = {"mean": [0.1, 0.2, 0.3], "std": [1, 1, 1], "working_size": [64, 96]}
    assert Preprocessing.from_dict(old) == Preprocessing((0.1, 0.2, 0.3), (1, 1, 1), (64, 96))


@given(
    order=st.sampled_from(["rgb", "bgr"]),
    value_range=st.sampled_from([(0, 1), (0, 255), (-1, 1)]),
    size=st.sampled_from([None, (3, 5)]),
    multiple=st.integers(1, 64),
)
@settings(max_examples=20)
def test_to_dict_and_back(order: Any, value_range: Any, size: Any, multiple: int) -> None:
    chosen = Preprocessing(
        channel_order=order, value_range=value_range, working_size=size, size_multiple=multiple
    )
    assert Preprocessing.from_dict(chosen.to_dict()) == chosen


def test_changing_one_value_keeps_the_others() -> None:
    base = Preprocessing(mean=(0.5, 0.5, 0.5), working_size=(64, 96))
    assert base.changed({"working_size": None}) == Preprocessing(mean=(0.5, 0.5, 0.5))
    assert base.changed({"value_range": (0, 255)}).mean == (
        0.0,
        0.0,
        0.0,
    )  # of the old range it would be wrong
    with pytest.raises(UsageError, match=r"knows mean, .*; got colour"):
        base.changed({"colour": 1})


def test_stored_with_the_weights(tmp_path: Path) -> None:
    chosen = Preprocessing(channel_order="bgr", value_range=(0, 255), size_multiple=8)
    model = load_model("unet", num_classes=3, width=4, preprocessing=chosen)
    save_model(model, tmp_path / "model.safetensors")
    again = load_model(tmp_path / "model.safetensors")
    assert again.preprocessing == chosen
    image = np.random.default_rng(0).integers(0, 256, (33, 50, 3), dtype=np.uint8)
    assert torch.equal(again.predict_logits(image), model.predict_logits(image))
    other = load_model(tmp_path / "model.safetensors", preprocessing={"working_size": (16, 24)})
    assert (other.preprocessing.working_size, other.preprocessing.channel_order) == ((16, 24), "bgr")
    header = read_header(tmp_path / "model.safetensors")
    assert header is not None
    assert header["preprocessing"] == chosen.to_dict()


class Picky(nn.Module):
    """Only takes multiples of 32; its logits are as coarse as 1/32."""

    def __init__(self, stride: int = 32) -> None:
        super().__init__()
        self.stride = stride
        self.seen: list[tuple[int, int]] = []

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[2] % 32 or x.shape[3] % 32:
            raise RuntimeError("multiples of 32 only")
        self.seen.append((x.shape[2], x.shape[3]))
        return F.avg_pool2d(x, self.stride) if self.stride > 1 else x


@pytest.mark.parametrize("stride", [1, 4, 32])
@pytest.mark.parametrize("size", [(65, 97), (64, 96), (31, 1)])
def test_sizes_the_network_cannot_divide_are_padded_and_cut(stride: int, size: tuple[int, int]) -> None:
    network = Picky(stride)
    model = SegmentationModel(network, num_classes=3, preprocessing=Preprocessing(size_multiple=32))
    images = torch.rand(2, 3, *size)
    logits = model(images)
    assert logits.shape == (2, 3, *size)
    assert network.seen == [(-(-size[0] // 32) * 32, -(-size[1] // 32) * 32)]
    if stride == 1:  # the padding leaves no trace
        plain = SegmentationModel(Echo(), num_classes=3)
        assert torch.equal(logits, plain(images))


def test_cutting_coarse_logits_keeps_them_in_place() -> None:
    # logits that are the column coordinate of their cell's centre, on a grid of stride 32 over 96 columns
    centres = (torch.arange(3.0) * 32 + 16).expand(1, 1, 2, 3)
    found = cut_padding(centres, (64, 96), (40, 70))
    assert found.shape == (1, 1, 40, 70)
    # within the centres, interpolation of a linear map is exact: value = column + 0.5
    torch.testing.assert_close(found[0, 0, 10, 16:70], torch.arange(16.0, 70.0) + 0.5)


def test_the_last_row_and_column_are_repeated() -> None:
    images = torch.arange(6.0).reshape(1, 1, 2, 3)
    padded = pad_to_multiple(images, 4)
    assert padded[0, 0].tolist() == [[0, 1, 2, 2], [3, 4, 5, 5], [3, 4, 5, 5], [3, 4, 5, 5]]
    assert pad_to_multiple(images, 1) is images


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"channel_order": "gbr"}, "`channel_order` must be one of rgb, bgr; got 'gbr'"),
        ({"value_range": (1, 0)}, r"`value_range` must be \(low, high\), finite and rising"),
        ({"value_range": (0, float("inf"))}, "`value_range` must be"),
        ({"value_range": (0, 1, 2)}, "`value_range` must be"),
        ({"size_multiple": 0}, "`size_multiple` must be at least 1; got 0"),
    ],
)
def test_bad_values(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Preprocessing(**arguments)
