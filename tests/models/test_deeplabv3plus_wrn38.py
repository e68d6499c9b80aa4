"""The paper's network against the reference keys and outputs, narrow ones for everything else.

A narrow network (`width=4`) has the same modules and keys as the published one.
"""

from __future__ import annotations

import copy
import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segood.errors import CheckpointError, UsageError
from segood.models import load_model, save_model
from segood.models.deeplabv3plus_wrn38 import DeepLabV3PlusWRN38
from segood.models.preprocessing import Preprocessing
from segood.models.wide_resnet38 import ResidualBlock, kept_buffers


def narrow(out_channels: int = 5, **options: bool) -> DeepLabV3PlusWRN38:
    torch.manual_seed(0)
    return DeepLabV3PlusWRN38(out_channels, width=4, **options)


def draw_reference_weights(key: str, shape: tuple[int, ...]) -> np.ndarray:
    """Draw the weights that the golden output was computed with."""
    r = np.random.RandomState(zlib.crc32(key.encode()))
    if key.endswith("num_batches_tracked"):
        return np.zeros(shape)
    if key.endswith("running_var"):
        return 0.5 + r.rand(*shape)
    if key.endswith("running_mean") or key.endswith("bias"):
        return 0.1 * r.randn(*shape)
    if len(shape) == 4:
        return r.randn(*shape) * np.sqrt(1 / np.prod(shape[1:]))
    return 1 + 0.1 * r.randn(*shape)


def train_once(network: nn.Module, images: Tensor, seed: int = 3) -> tuple[Tensor, dict[str, Tensor]]:
    """One forward and backward with dropout drawn from `seed`: logits, gradients by key."""
    target = torch.arange(images[:, 0].numel()).reshape(images[:, 0].shape) % 5
    torch.manual_seed(seed)
    logits = network(images)
    F.cross_entropy(logits, target).backward()
    return logits.detach(), {k: p.grad.clone() for k, p in network.named_parameters() if p.grad is not None}


def test_keys_and_shapes_are_those_of_the_published_weights(shared: Path) -> None:
    expected = json.loads((shared / "golden" / "deeplabv3plus_wrn38_state_dict.json").read_text())
    with torch.device("meta"):
        state = DeepLabV3PlusWRN38().state_dict()
    found = {key: list(value.shape) for key, value in state.items()}
    assert found == expected
    assert list(found) == list(expected)
    assert sum(value.numel() for value in state.values()) == 137_147_115
    assert list(narrow().state_dict()) == list(expected)


def test_logits_equal_the_reference(shared: Path) -> None:
    expected = np.load(shared / "golden" / "deeplabv3plus_wrn38_output.npz")["logits"]
    with torch.device("meta"):
        network = DeepLabV3PlusWRN38().eval()
    network = network.to_empty(device="cpu")
    for key, value in network.state_dict().items():
        value.copy_(torch.from_numpy(draw_reference_weights(key, tuple(value.shape))))
    image = np.random.RandomState(7).randn(1, 3, 97, 129).astype(np.float32)
    with torch.no_grad():
        found = network(torch.from_numpy(image)).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("size", [(64, 64), (65, 97), (33, 160), (128, 1), (3, 5), (1, 1)])
def test_any_input_size_works(size: tuple[int, int]) -> None:
    network = narrow().eval()
    with torch.no_grad():
        logits = network(torch.rand(2, 3, *size))
    assert logits.shape == (2, 5, *size)
    assert logits.is_contiguous()
    assert torch.isfinite(logits).all()


def test_images_of_a_batch_do_not_mix_in_evaluation() -> None:
    network = narrow().eval()
    images = torch.rand(3, 3, 40, 56)
    with torch.no_grad():
        alone = network(images[1:2])
        # Another size of batch may take another algorithm, and rounding grows over 38 layers.
        rounding = 1e-3 * float(alone.abs().max())
        torch.testing.assert_close(network(images)[1:2], alone, rtol=0, atol=rounding)


def test_every_parameter_gets_a_gradient() -> None:
    network = narrow().train()
    _, gradients = train_once(network, torch.randn(2, 3, 96, 96))
    assert gradients.keys() == dict(network.named_parameters()).keys()
    for key, gradient in gradients.items():
        assert torch.isfinite(gradient).all(), key
        assert gradient.abs().max() > 0, key


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("training", [True, False])
def test_activation_checkpointing_changes_nothing_but_memory(training: bool, batch: int) -> None:
    """Same logits, gradients (dropout included) and batch-norm statistics, counted once."""
    plain, frugal = narrow(), narrow(activation_checkpointing=True)
    images = torch.randn(batch, 3, 49, 65)
    runs = []
    for network in (plain, frugal):
        calls: list[nn.Module] = []
        for module in network.modules():
            if isinstance(module, ResidualBlock):
                module.register_forward_pre_hook(lambda m, _, calls=calls: calls.append(m))
        logits, gradients = train_once(network.train(training), images)
        runs.append((len(calls), logits, gradients, dict(network.named_buffers())))
    assert [calls for calls, *_ in runs] == [17, 34]  # the second forward of each block was made
    for expected, found in zip(runs[0][1:], runs[1][1:], strict=True):
        torch.testing.assert_close(found, expected)
    seen = {int(v) for k, v in frugal.named_buffers() if k.endswith("num_batches_tracked")}
    # a single image has no statistics of its image pool, whose counter stays
    assert seen == ({0} if not training else {1} if batch == 2 else {0, 1})


def test_without_gradient_nothing_is_repeated() -> None:
    network = narrow(activation_checkpointing=True).eval()
    with torch.no_grad():
        expected = narrow().eval()(torch.ones(1, 3, 33, 33))
        torch.testing.assert_close(network(torch.ones(1, 3, 33, 33)), expected)


def test_buffers_are_the_same_tensors_afterwards() -> None:
    """Optimisers, EMA and DDP hold on to the tensors, not only to their values."""
    norm = nn.BatchNorm2d(3).train()
    before = dict(norm.named_buffers())
    values = copy.deepcopy(norm.state_dict())
    with kept_buffers(norm):
        norm(torch.randn(2, 3, 4, 4) + 5)
        assert not torch.equal(norm.running_mean, values["running_mean"])
    assert all(buffer is before[name] for name, buffer in norm.named_buffers())
    assert all(torch.equal(value, values[key]) for key, value in norm.state_dict().items())


def test_one_image_trains() -> None:
    """The image pool of one image is one value per channel: it is normalised as in evaluation."""
    network = narrow().train()
    before = copy.deepcopy(network.aspp.img_conv.state_dict())
    logits, _ = train_once(network, torch.randn(1, 3, 40, 40))
    assert torch.isfinite(logits).all()
    assert all(torch.equal(before[k], v) for k, v in network.aspp.img_conv.state_dict().items())
    train_once(network, torch.randn(2, 3, 40, 40))
    assert not torch.equal(before["1.running_mean"], network.aspp.img_conv[1].running_mean)


def test_dropout_takes_whole_channels_before_the_last_convolution() -> None:
    network = narrow().train()
    rates = {name: m.p for name, m in network.named_modules() if isinstance(m, nn.Dropout2d)}
    assert rates == {"mod6.block1.convs.dropout": 0.3, "mod7.block1.convs.dropout": 0.5}
    block = ResidualBlock(8, (8, 512, 8), dropout=0.5).train()
    seen: list[Tensor] = []
    for inner in (block.convs.dropout, block.convs.conv3):
        inner.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    torch.manual_seed(0)
    block(torch.randn(1, 8, 6, 6))
    before, after = seen
    kept = (after != 0).flatten(2).any(dim=2)
    assert 0.4 < kept.float().mean() < 0.6
    torch.testing.assert_close(after, before * kept[:, :, None, None] / (1 - 0.5))
    block.eval()(torch.randn(1, 8, 6, 6))
    assert torch.equal(seen[2], seen[3])


def test_the_shortcut_is_the_raw_input_or_the_projected_activation() -> None:
    """With the last convolution at zero, a unit is its shortcut."""
    x = torch.randn(2, 4, 5, 7)
    same = ResidualBlock(4, (6, 4)).eval()
    same.convs.conv2.weight.data.zero_()
    assert torch.equal(same(x), x)
    halving = ResidualBlock(4, (6, 8), stride=2).eval()
    halving.convs.conv2.weight.data.zero_()
    weight = halving.proj_conv.weight
    expected = torch.einsum("oi,nihw->nohw", weight[:, :, 0, 0], F.relu(x / (1 + 1e-5) ** 0.5))[
        :, :, ::2, ::2
    ]
    torch.testing.assert_close(halving(x), expected)


def test_training_from_scratch_learns_a_colour_rule() -> None:
    """Brighter than grey is class 1: a few steps have to find that, from a sane start."""
    torch.manual_seed(0)
    network = DeepLabV3PlusWRN38(2, width=4, activation_checkpointing=True).train()
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    generator = torch.Generator().manual_seed(1)
    losses = []
    for _ in range(20):
        target = torch.rand(4, 1, 3, 4, generator=generator).gt(0.5).float()
        target = F.interpolate(target, scale_factor=16)
        noise = torch.randn(4, 3, 48, 64, generator=generator) * 0.1
        loss = F.cross_entropy(network(noise + 2 * target - 1), target[:, 0].long())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] < 2  # near log 2
    assert np.mean(losses[-5:]) < 0.4 * losses[0]


def test_half_precision_trains_with_and_without_checkpointing() -> None:
    images = torch.randn(2, 3, 48, 48)
    found = []
    for network in (narrow(), narrow(activation_checkpointing=True)):
        with torch.autocast("cpu", torch.bfloat16):
            found.append(train_once(network.train(), images))
    torch.testing.assert_close(found[0], found[1], rtol=0.02, atol=0.02)


def test_the_published_form_loads_strictly(tmp_path: Path) -> None:
    """`state_dict` with `module.` keys, the optimiser and a NumPy metric beside it; width is inferred."""
    weights = narrow(out_channels=7).state_dict()
    content = {
        "state_dict": {f"module.{key}": value for key, value in weights.items()},
        "optimizer": {"state": {}, "param_groups": [{"lr": 1e-3, "params": [0, 1]}]},
        "epoch": 174,
        "mean_iu": np.float64(0.81),
        "command": "--arch network.deepv3.DeepWV3Plus",
    }
    path = tmp_path / "best.pth"
    torch.save(content, path, _use_new_zipfile_serialization=False)
    model = load_model("deeplabv3plus_wrn38", path)
    assert (model.num_classes, model.drop_channels, model.options["width"]) == (7, 0, 4)
    assert model.preprocessing == Preprocessing()
    assert all(torch.equal(value, weights[key]) for key, value in model.network.state_dict().items())
    with pytest.raises(CheckpointError, match=r"has 7 output channels \(classes\), .*wrn38 has 19"):
        load_model("deeplabv3plus_wrn38", path, num_classes=19)
    del content["state_dict"]["module.bot_fine.weight"]
    torch.save(content, path)
    with pytest.raises(CheckpointError, match=r"1 missing: bot_fine\.weight"):
        load_model("deeplabv3plus_wrn38", path)


def test_saved_and_loaded_model_is_the_same(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = load_model("deeplabv3plus_wrn38", width=4, activation_checkpointing=True)
    assert model.class_names[10] == "sky"
    save_model(model, tmp_path / "model.safetensors")
    again = load_model(tmp_path / "model.safetensors")
    assert again.options == model.options == {"width": 4, "activation_checkpointing": True}
    images = torch.rand(1, 3, 65, 97)
    assert torch.equal(again(images), model(images))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"width": 2}, "`width` of deeplabv3plus_wrn38 must be at least 4; got 2"),
        ({"out_channels": 1}, "`out_channels` of deeplabv3plus_wrn38 must be at least 2; got 1"),
    ],
)
def test_bad_arguments(arguments: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        DeepLabV3PlusWRN38(**arguments)
