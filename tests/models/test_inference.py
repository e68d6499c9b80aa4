"""Tiles, views, precision and compiling: what they must leave as it is, and what they give by hand."""

from __future__ import annotations

import copy
import json
import os
import pickle
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from benchmarks.memory import Work, cost
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonargparse import ArgumentParser
from PIL import Image
from torch import Tensor, nn

from segood.errors import UsageError
from segood.models import Inference, Preprocessing, SegmentationModel, load_model, save_model
from segood.models.config import InferenceConfig, ModelConfig
from segood.models.tiling import Axis

BLENDS = st.sampled_from(["mean", "gaussian"])


def picture(*size: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def model_of(network: nn.Module, **options: Any) -> SegmentationModel:
    preprocessing = options.pop("preprocessing", None)
    return SegmentationModel(
        network, num_classes=4, preprocessing=preprocessing, inference=Inference(**options)
    ).eval()


def pointwise() -> nn.Module:
    torch.manual_seed(0)
    return nn.Conv2d(3, 4, 1)


def convolutions(stride: int = 1) -> nn.Module:
    """Two 3×3 convolutions: without stride, a pixel sees 2 pixels around it."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, stride=stride), nn.ReLU(), nn.Conv2d(8, 4, 3, padding=1)
    )


class Watched(nn.Module):
    """Note the inputs of a network."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.seen: list[Tensor] = []
        self.gave: list[Tensor] = []

    def forward(self, images: Tensor) -> Tensor:
        self.seen.append(images)
        self.gave.append(self.network(images))
        return self.gave[-1]


# ---- tiles -------------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    tile=st.tuples(st.integers(1, 50), st.integers(1, 50)),
    overlap=st.floats(0, 0.9),
    batch=st.integers(1, 5),
    blend=BLENDS,
    average=st.sampled_from(["logits", "probs"]),
    flip=st.booleans(),
)
def test_tiles_of_a_network_that_sees_one_pixel_equal_the_whole_image(
    size: tuple[int, int],
    tile: tuple[int, int],
    overlap: float,
    batch: int,
    blend: str,
    average: str,
    flip: bool,
) -> None:
    image, network = picture(*size), pointwise()
    whole = model_of(network).predict_logits(image)
    tiled = model_of(
        network, tile_size=tile, overlap=overlap, tile_batch=batch, blend=blend, average=average, flip=flip
    ).predict_logits(image)
    assert tiled.shape == (4, *size)
    torch.testing.assert_close(tiled.softmax(0), whole.softmax(0), rtol=0, atol=1e-5)
    if average == "logits":
        torch.testing.assert_close(tiled, whole, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("blend", ["mean", "gaussian"])
def test_tiles_equal_the_whole_image_where_no_tile_ends_nearby(blend: str) -> None:
    network, image, radius = convolutions(), picture(40, 61), 2
    options = {"tile_size": (16, 24), "overlap": 0.25, "blend": blend}
    whole, tiled = model_of(network).predict_logits(image), model_of(network, **options).predict_logits(image)
    near = np.zeros((40, 61), bool)
    for first, tile, length, lines in ((0, 16, 40, near), (0, 24, 61, near.T)):
        for start in Axis.of(length, length, tile, 0.25, False).starts:
            for border in {start, start + tile} - {first, length}:
                lines[max(border - radius, 0) : border + radius] = True
    assert 0.2 < near.mean() < 0.8
    torch.testing.assert_close(tiled[:, ~near], whole[:, ~near])
    assert not torch.allclose(tiled[:, near], whole[:, near])


def test_gaussian_weights_come_closer_to_the_whole_image_than_equal_ones() -> None:
    network, image = convolutions(), picture(40, 61)
    whole = model_of(network).predict_logits(image)
    worst = {
        blend: (model_of(network, tile_size=(16, 16), overlap=0.5, blend=blend).predict_logits(image) - whole)
        .abs()
        .max()
        for blend in ("mean", "gaussian")
    }
    # 2 pixels from its border a tile has exp(-(8·6/16)²/2) = 0.011 of the middle's weight, half of "mean"
    assert worst["gaussian"] < 0.1 * worst["mean"]


@pytest.mark.parametrize("stride", [1, 2])
def test_the_number_of_tiles_per_forward_changes_nothing(stride: int) -> None:
    network, image = convolutions(stride), picture(30, 45)
    found = [
        model_of(network, tile_size=(16, 16), overlap=0.3, tile_batch=batch, flip=True).predict_logits(image)
        for batch in (1, 2, 3, 100)
    ]
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], rtol=0, atol=1e-5)


def test_tiles_are_shifted_inward_and_images_smaller_than_a_tile_are_one() -> None:
    network = Watched(pointwise())
    model_of(network, tile_size=(4, 8), tile_batch=2).predict_logits(picture(10, 15))
    assert [tuple(seen.shape) for seen in network.seen] == [(2, 3, 4, 8)] * 3
    network.seen.clear()
    model_of(network, tile_size=(64, 64)).predict_logits(picture(10, 15))
    assert [tuple(seen.shape) for seen in network.seen] == [(1, 3, 10, 15)]
    network.seen.clear()
    model_of(network, tile_size=(64, 8), overlap=0.5).predict_logits(picture(10, 15))
    assert [tuple(seen.shape) for seen in network.seen] == [(1, 3, 10, 8)] * 3  # columns 0, 4, 7


@settings(max_examples=60)
@given(
    length=st.integers(1, 60),
    wanted=st.integers(1, 90),
    tile=st.integers(1, 60),
    overlap=st.floats(0, 0.95),
    gaussian=st.booleans(),
)
def test_weights_sum_to_one_everywhere(
    length: int, wanted: int, tile: int, overlap: float, gaussian: bool
) -> None:
    axis = Axis.of(length, wanted, tile, overlap, gaussian)
    assert axis.starts[0] == 0
    assert axis.starts[-1] + axis.tile == length
    for these in (axis, axis.mirrored()):
        total = np.zeros(wanted)
        for span in these.spans():
            assert span.weight.min(initial=1) > 0
            total[span.start : span.stop] += span.weight
        np.testing.assert_allclose(total, 1, rtol=1e-5)


def test_tiles_of_coarse_logits_lie_where_they_belong() -> None:
    """Derived by hand: one row, two tiles of 4 pixels with 2 logits each, result twice as long."""
    logits = torch.tensor([0.0, 8.0])
    axis = Axis.of(8, 16, 4, 0.0, False)
    assert axis.starts == (0, 4)
    first, second = axis.spans()
    assert (first.start, first.stop, second.start, second.stop) == (0, 8, 8, 16)
    # result pixel o lies at (o + 0.5) / 2 of the view, so at (o + 0.5) / 4 - 0.5 of the tile's logits
    expected = [0, 0, 8 * 0.125, 8 * 0.375, 8 * 0.625, 8 * 0.875, 8, 8]
    for index, span in enumerate((first, second)):
        assert axis.sample(logits, index, span, -1).tolist() == expected


@settings(max_examples=30)
@given(cells=st.integers(1, 12), tile=st.integers(1, 20), wanted=st.integers(1, 40))
def test_sampling_one_tile_is_bilinear_interpolation(cells: int, tile: int, wanted: int) -> None:
    logits = torch.rand(3, cells, 5, generator=torch.Generator().manual_seed(cells))
    axis = Axis.of(tile, wanted, None, 0.0, False)
    expected = nn.functional.interpolate(logits[None], size=(wanted, 5), mode="bilinear")[0]
    found = axis.sample(logits, 0, axis.spans()[0], -2)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_result_size_and_working_size_hold_for_tiles() -> None:
    network = Watched(pointwise())
    model = model_of(network, preprocessing=Preprocessing(working_size=(20, 30)), tile_size=(8, 8))
    assert model.predict_logits(picture(50, 70)).shape == (4, 50, 70)
    assert len(network.seen) == 3 * 4
    assert model.predict_logits(picture(50, 70), size=(3, 2)).shape == (4, 3, 2)
    smooth = np.full((50, 70, 3), np.arange(70, dtype=np.uint8)[None, :, None] * 3)
    whole = model_of(pointwise(), preprocessing=model.preprocessing)
    middle = (slice(None), slice(None), slice(4, -4))
    torch.testing.assert_close(
        model.predict_logits(smooth)[middle], whole.predict_logits(smooth)[middle], rtol=0, atol=0.05
    )


def many_pixels(side: int) -> Work:
    """Predict an image of side² pixels with a network that holds 64 channels; in a fresh process."""
    torch.set_num_threads(1)
    network = nn.Sequential(nn.Conv2d(3, 64, 1), nn.ReLU(), nn.Conv2d(64, 4, 1))
    model = model_of(network, tile_size=(256, 256), overlap=0.25, tile_batch=2)
    image = np.zeros((side, side, 3), np.uint8)
    return Work(lambda: model.predict_logits(image), lambda: model.predict_logits(image[:300, :300]))


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the peak can be reset on Linux only")
def test_memory_is_that_of_the_result_whatever_the_network_holds() -> None:
    side = 1536
    result = 4 * 4 * side**2
    # activations before and after the ReLU, images, and logits by the fourfold, of two tiles
    network = 2 * 256**2 * 4 * (2 * 64 + 3 * 3 + 4 * 4)
    assert result < cost(many_pixels, side, runs=0).peak_bytes < result + network + 20e6
    assert result + network + 20e6 < 64 * 4 * side**2 / 3  # what one layer holds of the whole image


# ---- views -------------------------------------------------------------------------------------------------


def test_mirrored_views_change_nothing_for_a_network_without_sides() -> None:
    network = convolutions()
    with torch.no_grad():
        for layer in (network[0], network[2]):
            layer.weight.copy_((layer.weight + layer.weight.flip(-1)) / 2)
    image = picture(20, 31)
    plain, flipped = model_of(network), model_of(network, flip=True)
    torch.testing.assert_close(flipped.predict_logits(image), plain.predict_logits(image))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"tile_size": (8, 12)},
        {"tile_size": (8, 12), "overlap": 0.4, "blend": "gaussian", "scales": (0.7, 1.0, 1.3)},
        {"tile_size": (7, 7), "scales": (0.5,), "average": "probs"},
    ],
)
@pytest.mark.parametrize("stride", [1, 2])
def test_with_flip_the_mirrored_image_gives_the_mirrored_result(options: dict[str, Any], stride: int) -> None:
    model = model_of(convolutions(stride), flip=True, **options)
    image = picture(20, 30)
    there, back = model.predict_logits(image), model.predict_logits(image[:, ::-1])
    torch.testing.assert_close(back, there.flip(2))


@pytest.mark.parametrize("average", ["logits", "probs"])
def test_views_are_averaged_as_said(average: str) -> None:
    network, image, scales = convolutions(stride=2), picture(24, 36), (0.5, 1.0, 1.25)
    model = model_of(network, scales=scales, flip=True, average=average)
    plain = model_of(network)
    views = []
    for scale in scales:
        size = (round(36 * scale), round(24 * scale))
        resized = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
        views.append(plain.predict_logits(resized, size=(24, 36)))
        views.append(plain.predict_logits(resized[:, ::-1], size=(24, 36)).flip(2))
    stacked = torch.stack(views)
    expected = stacked.mean(0) if average == "logits" else stacked.softmax(1).mean(0).log()
    torch.testing.assert_close(model.predict_logits(image), expected)


def test_mean_probabilities_are_never_surer_than_the_views() -> None:
    def entropy(logits: Tensor) -> Tensor:
        return torch.special.entr(logits.softmax(0)).sum(0)

    with torch.no_grad():
        network = convolutions()
        network[2].weight.mul_(20)
    image = picture(12, 18)
    left, right = model_of(network).predict_logits(image), None
    right = model_of(network).predict_logits(image[:, ::-1]).flip(2)
    views = (entropy(left) + entropy(right)) / 2
    probs = entropy(model_of(network, flip=True, average="probs").predict_logits(image))
    logits = entropy(model_of(network, flip=True).predict_logits(image))
    assert (probs >= views - 1e-5).all()
    assert (logits < views - 1e-2).any()  # what the documentation warns of


def test_probabilities_of_one_view_keep_the_softmax_and_stay_finite() -> None:
    network, image = convolutions(), picture(12, 18)
    with torch.no_grad():
        network[2].bias.copy_(torch.tensor([500.0, 0, 0, -500]))
    expected = model_of(network).predict_logits(image).softmax(0)
    for options in ({}, {"tile_size": (12, 18), "flip": True}, {"tile_size": (6, 6)}):
        found = model_of(network, average="probs", **options).predict_logits(image)
        assert found.isfinite().all()
        torch.testing.assert_close(found.softmax(0), expected)


# ---- how the network is called -----------------------------------------------------------------------------


def test_bfloat16_is_the_networks_own_and_logits_stay_float32() -> None:
    network, image = Watched(convolutions()), picture(20, 30)
    exact = model_of(network).predict_logits(image)
    rough = model_of(network, precision="bfloat16").predict_logits(image)
    assert [gave.dtype for gave in network.gave] == [torch.float32, torch.bfloat16]
    assert rough.dtype == torch.float32
    assert not torch.equal(rough, exact)
    torch.testing.assert_close(rough, exact, rtol=0, atol=0.05)
    assert all(p.dtype == torch.float32 for p in network.parameters())


def test_channels_last_reaches_the_network_and_changes_rounding_only() -> None:
    network, image = Watched(convolutions()), picture(20, 30)
    plain = model_of(network).predict_logits(image)
    assert network.seen[-1].is_contiguous()
    model = model_of(network, channels_last=True, tile_size=(16, 16), tile_batch=2, overlap=0.5)
    tiled = model_of(copy.deepcopy(network), tile_size=(16, 16), overlap=0.5).predict_logits(image)
    found = model.predict_logits(image)
    assert network.seen[-1].is_contiguous(memory_format=torch.channels_last)
    assert network.network[2].weight.is_contiguous(memory_format=torch.channels_last)
    assert found.is_contiguous()
    torch.testing.assert_close(found, tiled)
    assert plain.shape == found.shape


@pytest.mark.skipif(not shutil.which("g++") and not shutil.which("clang++"), reason="no C++ compiler")
@pytest.mark.filterwarnings("ignore")  # of PyTorch's, about itself
def test_compiled_networks_give_the_same_for_every_size_and_stay_uncompiled_for_training() -> None:
    network = convolutions(stride=2)
    model = model_of(network, compile=True)
    keys, plain = list(model.state_dict()), model_of(copy.deepcopy(network))
    for size in ((20, 30), (33, 21), (20, 30)):
        image = picture(*size)
        torch.testing.assert_close(model.predict_logits(image), plain.predict_logits(image))
    assert list(model.state_dict()) == keys
    assert model.network is network
    twin = copy.deepcopy(model)
    with torch.no_grad():
        twin.network[2].weight.zero_()
    assert not torch.equal(twin.predict_logits(image), model.predict_logits(image))
    assert pickle.loads(pickle.dumps(model)).inference.compile
    with torch.no_grad():
        network[2].weight.zero_()  # as an optimiser would, in place
    torch.testing.assert_close(
        model.predict_logits(image), network[2].bias.detach()[:, None, None].expand(4, 20, 30)
    )


WITHOUT_COMPILER = """
import numpy as np, segood, torch
model = segood.load_model(torch.nn.Conv2d(3, 4, 3), inference=segood.models.Inference(compile=True))
try:
    model.predict_logits(np.zeros((8, 8, 3), np.uint8))
except segood.errors.UsageError as error:
    print(error)
"""


def test_compiling_that_is_impossible_is_one_clear_error(tmp_path: Path) -> None:
    nowhere = {"CXX": str(tmp_path / "no_compiler"), "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_COMPILER],
        env={**os.environ, **nowhere},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    assert line.startswith(
        "`compile` is impossible for network Conv2d here: InvalidCxxCompiler: No working C++"
    )
    assert line.endswith("use compile=False")


class Faulty(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        raise ValueError("a fault of the network's own")


@pytest.mark.filterwarnings("ignore")  # of PyTorch's, about itself
def test_faults_of_the_network_are_not_blamed_on_compiling() -> None:
    with pytest.raises(ValueError, match="a fault of the network's own"):
        model_of(Faulty(), compile=True).predict_logits(picture(8, 8))


@pytest.mark.parametrize(
    ("name", "options"),
    [("espnetv2", {"scale": 0.5}), ("unet", {"width": 4}), ("torchvision", {"arch": "deeplabv3_resnet50"})],
)
def test_every_option_at_once_works_for_named_networks(name: str, options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    model = load_model(name, num_classes=5, **options)
    plain = model.predict_logits(picture(65, 97))
    model.inference = Inference(
        tile_size=(48, 64),
        overlap=0.25,
        tile_batch=3,
        blend="gaussian",
        scales=(0.75, 1.0),
        flip=True,
        average="probs",
        precision="bfloat16",
        channels_last=True,
    )
    found = model.predict_logits(picture(65, 97))
    assert (found.shape, found.dtype) == (plain.shape, torch.float32)
    assert found.isfinite().all()
    assert not model.training
    model.train()
    images = torch.rand(2, 3, 48, 64)
    model(images).sum().backward()  # the options are for predictions only
    assert model(images).dtype == torch.float32


# ---- the options themselves --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tile_size": (0, 5)}, r"`tile_size` must be \(rows, columns\), at least 1 each; got \(0, 5\)"),
        ({"tile_size": (5,)}, r"`tile_size` must be \(rows, columns\)"),
        ({"tile_size": (5.5, 5)}, r"`tile_size` must be \(rows, columns\)"),
        ({"tile_size": 512}, "`tile_size` must be a list of numbers; got 512"),
        ({"overlap": 1.0}, r"`overlap` must lie in \[0, 1\); got 1.0"),
        ({"overlap": float("nan")}, r"`overlap` must lie in \[0, 1\); got nan"),
        ({"overlap": "half"}, r"`overlap` must lie in \[0, 1\); got half"),
        ({"tile_batch": 0}, "`tile_batch` must be a whole number, at least 1; got 0"),
        ({"tile_batch": True}, "`tile_batch` must be a whole number"),
        ({"scales": ()}, "`scales` must hold positive finite numbers, at least one"),
        ({"scales": (1.0, -0.5)}, "`scales` must hold positive finite numbers"),
        ({"scales": (float("inf"),)}, "`scales` must hold positive finite numbers"),
        ({"blend": "gauss"}, "`blend` must be one of mean, gaussian; got 'gauss'"),
        ({"average": "votes"}, "`average` must be one of logits, probs"),
        ({"precision": "float16"}, "`precision` must be one of float32, bfloat16"),
        ({"flip": 1}, "`flip` must be true or false; got 1"),
        ({"compile": "yes"}, "`compile` must be true or false; got 'yes'"),
    ],
)
def test_wrong_options_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Inference(**arguments)


def test_unknown_options_are_named() -> None:
    with pytest.raises(UsageError, match=r"`inference` knows tile_size, .*; got tiles"):
        Inference.from_dict({"tiles": 3})


FULL = Inference(
    tile_size=(512, 768), overlap=0.25, tile_batch=2, blend="gaussian", scales=(0.5, 1.0), flip=True,
    average="probs", precision="bfloat16", channels_last=True, compile=True,
)  # fmt: skip


@pytest.mark.parametrize("options", [Inference(), FULL])
def test_options_survive_json(options: Inference) -> None:
    assert Inference.from_dict(json.loads(json.dumps(options.to_dict()))) == options


def test_a_model_in_a_configuration_takes_the_options(tmp_path: Path) -> None:
    parser = ArgumentParser()
    parser.add_argument("--model", type=ModelConfig, default=ModelConfig())
    parser.add_argument("--config", action="config")
    file = tmp_path / "config.yaml"
    file.write_text(json.dumps({"model": {"name": "unet", "inference": FULL.to_dict()}}))
    parsed = parser.parse_args(
        ["--config", str(file), "--model.options.width=4", "--model.inference.flip=false"]
    )
    config = parser.instantiate(parsed).model
    assert config.load().inference == FULL.changed({"flip": False})
    stored = yaml.safe_load(parser.dump(parsed))["model"]
    assert ModelConfig(**stored).load().inference == config.load().inference
    assert ModelConfig(name="unet", options={"width": 4}).load().inference == Inference()


def test_the_command_line_changes_what_is_stored_and_names_wrong_values(tmp_path: Path) -> None:
    model = load_model("unet", num_classes=4, width=4, inference=Inference(tile_size=(32, 48), flip=True))
    save_model(model, tmp_path / "a.safetensors")
    parser = ArgumentParser()
    parser.add_argument("--model", type=ModelConfig, default=ModelConfig())
    path = f"--model.name={tmp_path / 'a.safetensors'}"
    config = parser.instantiate(parser.parse_args([path, "--model.inference.scales=[1, 0.5]"])).model
    assert config.load().inference == Inference(tile_size=(32, 48), flip=True, scales=(1.0, 0.5))
    config = parser.instantiate(parser.parse_args([path, "--model.inference.overlap=1.5"])).model
    with pytest.raises(UsageError, match=r"`overlap` must lie in \[0, 1\); got 1.5"):
        config.load()


def test_configuration_and_options_have_the_same_fields() -> None:
    assert [f.name for f in fields(InferenceConfig)] == [f.name for f in fields(Inference)]


def test_options_are_stored_with_the_weights(tmp_path: Path) -> None:
    options = Inference(tile_size=(32, 48), flip=True)
    model = load_model("unet", num_classes=4, width=4, inference=options)
    assert model.inference == options
    save_model(model, tmp_path / "a.safetensors")
    assert load_model(tmp_path / "a.safetensors").inference == options
    assert load_model(tmp_path / "a.safetensors", inference=Inference()).inference == Inference()
    network = load_model("unet", num_classes=4, width=4).network
    assert load_model(network, tmp_path / "a.safetensors").inference == options
    assert load_model(network, inference={"overlap": 0.5}).inference == Inference(overlap=0.5)
    wrapped = load_model(model, inference=Inference(flip=True))
    assert wrapped is model
    assert model.inference == Inference(flip=True)
