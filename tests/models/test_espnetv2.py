"""ESPNetv2 against the published weights and the reference outputs, and on sizes of every kind."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from segood.errors import UsageError
from segood.models import ESPNetv2, load_model
from segood.models.espnetv2_blocks import branch_dilations, convolve_and_normalise
from segood.models.espnetv2_decoder import scaled_size


@pytest.fixture(scope="module")
def published(shared: Path) -> ESPNetv2:
    path = shared / "weights" / "espnetv2_s_2.0_city_1024x512.pth"
    network = ESPNetv2(out_channels=20, scale=2.0).eval()
    network.load_state_dict(torch.load(path, weights_only=True, map_location="cpu"))
    return network


def test_keys_and_shapes_are_those_of_the_published_weights(shared: Path) -> None:
    expected = json.loads((shared / "golden" / "espnetv2_s_2.0_state_dict.json").read_text())
    found = {key: list(value.shape) for key, value in ESPNetv2(20, 2.0).state_dict().items()}
    assert found == expected
    assert list(found) == list(expected)


def test_logits_equal_the_reference_on_noise(shared: Path, published: ESPNetv2) -> None:
    expected = np.load(shared / "golden" / "espnetv2_s_2.0_output.npz")["logits"]
    image = np.random.RandomState(7).randn(1, 3, 128, 256).astype(np.float32)
    with torch.no_grad():
        found = published(torch.from_numpy(image)).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3)


def test_predicted_logits_equal_the_reference_on_a_frame(shared: Path) -> None:
    """The whole way: file, resizing by the model's working size, normalisation, dropped channel."""
    expected = np.load(shared / "golden" / "espnetv2_s_2.0_frame.npz")["logits_every_8th_pixel"]
    image = np.asarray(Image.open(shared / "data" / "fishyscapes_static" / "images" / "0.jpg").convert("RGB"))
    weights = shared / "weights" / "espnetv2_s_2.0_city_1024x512.pth"
    model = load_model("espnetv2", weights)
    resized = np.asarray(Image.fromarray(image).resize((1024, 512), Image.Resampling.BILINEAR))
    found = model.predict_logits(resized).numpy()
    assert found.shape == (19, 512, 1024)
    np.testing.assert_allclose(found[:, ::8, ::8], expected[:19], rtol=0, atol=1e-3)


def test_the_narrow_published_weights_load_strictly(shared: Path) -> None:
    weights = shared / "weights" / "espnetv2_s_0.5_city_1024x512.pth"
    model = load_model("espnetv2", weights)  # the scale is read off the weights
    assert model.options == {"scale": 0.5}
    assert model.class_names[0] == "road"
    assert model(torch.zeros(1, 3, 65, 97)).shape == (1, 19, 65, 97)


@pytest.mark.parametrize("size", [(16, 16), (65, 97), (33, 160), (128, 1), (3, 5), (100, 150)])
def test_any_input_size_works(size: tuple[int, int]) -> None:
    network = ESPNetv2(5, 0.5).eval()
    with torch.no_grad():
        logits = network(torch.rand(2, 3, *size))
    assert logits.shape == (2, 5, *size)
    assert logits.is_contiguous()
    assert torch.isfinite(logits).all()


def test_folding_batch_norm_changes_nothing() -> None:
    """With fixed statistics, the folded convolution equals the two layers, gradients included."""
    generator = torch.Generator().manual_seed(0)
    conv = nn.Conv2d(8, 12, 3, padding=2, dilation=2, stride=2, groups=4, bias=False).double()
    bn = nn.BatchNorm2d(12).double()
    for values in (bn.weight, bn.bias, bn.running_mean, bn.running_var):
        values.data = torch.rand(values.shape, generator=generator, dtype=torch.float64) + 0.5
    bn.eval()
    x = torch.randn(2, 8, 9, 11, generator=generator, dtype=torch.float64)
    results = []
    for apply in (lambda: convolve_and_normalise(conv, bn, x), lambda: bn(conv(x))):
        conv.zero_grad()
        bn.zero_grad()
        y = apply()
        y.square().sum().backward()
        results.append((y.detach(), conv.weight.grad.clone(), bn.weight.grad.clone(), bn.bias.grad.clone()))
    for folded, plain in zip(*results, strict=True):
        torch.testing.assert_close(folded, plain)


def test_batch_norm_learns_statistics_only_while_training() -> None:
    network = ESPNetv2(4, 0.5)
    norm = network.base_net.level1.bn
    before = copy.deepcopy(norm.state_dict())
    network.eval()(torch.rand(2, 3, 32, 32))
    assert all(torch.equal(before[k], v) for k, v in norm.state_dict().items())
    network.train()(torch.rand(2, 3, 32, 32))
    assert not torch.equal(before["running_mean"], norm.running_mean)


def test_training_from_scratch_learns_a_colour_rule() -> None:
    """Brighter than grey in the red channel is class 1: a few steps have to find that."""
    torch.manual_seed(0)
    network = ESPNetv2(2, 0.5).train()
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    generator = torch.Generator().manual_seed(1)
    losses = []
    for _ in range(35):
        target = torch.rand(4, 1, 3, 4, generator=generator).gt(0.5).float()
        target = nn.functional.interpolate(target, scale_factor=16)
        noise = torch.randn(4, 3, 48, 64, generator=generator) * 0.1
        loss = nn.functional.cross_entropy(network(noise + 2 * target - 1), target[:, 0].long())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] < 2.5  # a sane start, near log 2
    assert np.mean(losses[-5:]) < 0.55 * losses[0]
    # the last PReLU of strided units is in the published weights, but unused
    idle = [k for k, p in network.named_parameters() if p.grad is None]
    assert idle == [f"base_net.level{i}_0.eesp.module_act.weight" for i in (2, 3, 4)]


def test_dilations_and_pooled_sizes_by_hand() -> None:
    assert branch_dilations(13) == [1, 2, 3, 4]  # 3, 5, 7, 9
    assert branch_dilations(9) == [1, 2, 3, 4]
    assert branch_dilations(7) == [1, 1, 2, 3]  # 9 falls back to 3
    assert [scaled_size(32, s) for s in (2.0, 1.5, 1.0, 0.5, 0.1)] == [64, 48, 32, 16, 5]
    assert scaled_size(61, 0.1) == 7


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scale": 1.0}, r"`scale` of espnetv2 must be one of 0\.5, 2\.0; got 1\.0"),
        ({"out_channels": 1}, "`out_channels` of espnetv2 must be at least 2; got 1"),
    ],
)
def test_bad_arguments(arguments: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ESPNetv2(**arguments)
