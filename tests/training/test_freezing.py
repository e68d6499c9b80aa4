"""Which weights and statistics stay."""

from __future__ import annotations

from collections import OrderedDict

import pytest
from torch import nn

from segood.errors import UsageError
from segood.training.config import OptimizerConfig
from segood.training.freezing import freeze_parts, frozen_parts, hold_frozen


@pytest.fixture
def network() -> nn.Sequential:
    def block() -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.Dropout())

    return nn.Sequential(OrderedDict(encoder=block(), decoder=block())).train()


def modes(part: nn.Module) -> list[bool]:
    return [layer.training for layer in part.children()]


def test_a_frozen_part_neither_learns_nor_drops_nor_counts(network: nn.Sequential) -> None:
    freeze_parts(network, ["encoder"])
    hold_frozen(network, OptimizerConfig(frozen=["encoder"]))
    assert {name.split(".")[0] for name, w in network.named_parameters() if w.requires_grad} == {"decoder"}
    assert modes(network.encoder) == [False, False, False]
    assert modes(network.decoder) == [True, True, True]


def test_frozen_batch_norm_is_only_batch_norm_and_still_learns(network: nn.Sequential) -> None:
    hold_frozen(network, OptimizerConfig(freeze_batch_norm=True))
    assert modes(network.encoder) == modes(network.decoder) == [True, False, True]
    assert all(weight.requires_grad for weight in network.parameters())


def test_a_part_within_a_part(network: nn.Sequential) -> None:
    freeze_parts(network, ["decoder.0"])
    assert [name for name, w in network.named_parameters() if not w.requires_grad] == [
        "decoder.0.weight",
        "decoder.0.bias",
    ]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["encodr"], "names 'encodr', which the network does not have; did you mean 'encoder'"),
        (["x"], "its parts: encoder, decoder"),
        ([""], "its parts: encoder, decoder"),
        (["encoder", "decoder"], "leaves no part of the network that learns"),
    ],
)
def test_names_that_do_not_fit(network: nn.Sequential, names: list[str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        freeze_parts(network, names)
    assert all(weight.requires_grad for weight in network.parameters())


def test_parts_are_free_again_afterwards_but_for_what_was_not_before(network: nn.Sequential) -> None:
    network.encoder[1].requires_grad_(False)
    with frozen_parts(network, ["encoder"]):
        assert not any(weight.requires_grad for weight in network.encoder.parameters())
    assert [w.requires_grad for w in network.encoder.parameters()] == [True, True, False, False]


def test_a_shared_part_has_all_of_its_names() -> None:
    layer = nn.Conv2d(1, 1, 1)
    network = nn.ModuleDict({"a": layer, "b": layer, "c": nn.Conv2d(1, 1, 1)})
    assert len(freeze_parts(network, ["b"])) == 2
