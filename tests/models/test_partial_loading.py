"""Loading what fits, on request only; and the report about the rest."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch

from segood.errors import CheckpointError, UsageError
from segood.models import load_model, load_weights, save_model
from segood.models.config import ModelConfig
from segood.models.matching import group_keys


@pytest.fixture
def five(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    save_model(load_model("unet", num_classes=5, width=4), tmp_path / "five.safetensors")
    return tmp_path / "five.safetensors"


def test_a_new_head_on_old_features(five: Path, caplog: pytest.LogCaptureFixture) -> None:
    old = load_model(five)
    with pytest.raises(
        CheckpointError, match=r"has 5 output channels .* or load all but the head with allow_partial"
    ):
        load_model("unet", five, num_classes=3)
    with caplog.at_level(logging.WARNING, logger="segood.models"):
        new = load_model("unet", five, num_classes=3, allow_partial=True)
    assert new.num_classes == 3
    assert new.options == old.options  # the width came from the file
    total = len(old.network.state_dict())
    assert caplog.messages == [
        f"{five}, partly loaded into unet: {total - 2} of {total} tensors loaded; "
        "2 of another shape: head.weight 5×4×1×1 instead of 3×4×1×1, head.bias 5 instead of 3"
    ]
    assert new.random_weights == "head.weight, head.bias"
    for key, value in new.network.state_dict().items():
        if not key.startswith("head"):
            assert torch.equal(value, old.network.state_dict()[key])


def test_only_a_training_takes_a_random_head(five: Path) -> None:
    config = ModelConfig("unet", checkpoint=str(five), num_classes=3, allow_partial=True)
    assert config.load().num_classes == 3
    with pytest.raises(UsageError, match=r"has random weights \(head.weight, head.bias\).*train it first"):
        config.load_trained()


def test_what_fits_completely_is_not_random(five: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = ModelConfig("unet", checkpoint=str(five), allow_partial=True).load_trained()
    assert model.num_classes == 5
    assert caplog.messages == []


def test_the_report_is_returned(five: Path) -> None:
    model = load_model("unet", num_classes=3, width=4)
    report = load_weights(model, five, allow_partial=True)
    assert report.kept == ("head.weight", "head.bias")
    assert report.loaded == report.total - 2
    assert str(load_weights(load_model("unet", num_classes=5, width=4), five)).endswith("tensors loaded")


def test_another_network_is_refused_where_nothing_fits(five: Path) -> None:
    with pytest.raises(CheckpointError, match=r"nothing in .*five.safetensors fits the network espnetv2"):
        load_model("espnetv2", five, scale=0.5, allow_partial=True)
    with pytest.raises(UsageError, match="`allow_partial` is for loading a checkpoint; give `checkpoint`"):
        load_model("unet", allow_partial=True)


def test_nothing_changes_where_a_load_is_refused(five: Path) -> None:
    model = load_model("unet", num_classes=3, width=4)
    before = {key: value.clone() for key, value in model.network.state_dict().items()}
    with pytest.raises(CheckpointError, match="5 output channels"):
        load_weights(model, five)
    assert all(torch.equal(value, before[key]) for key, value in model.network.state_dict().items())


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ([], []),
        (["a.b", "c"], ["a.b", "c"]),
        ([f"net.a.{i}" for i in range(4)] + [f"net.b.{i}" for i in range(3)], ["net.a.* (4)", "net.b.* (3)"]),
        ([f"a.{i}.weight" for i in range(6)], [f"a.{i}.weight" for i in range(6)]),
        ([str(i) for i in range(7)], [str(i) for i in range(7)]),
    ],
)
def test_many_keys_are_grouped_by_part(keys: list[str], expected: list[str]) -> None:
    assert group_keys(keys) == expected
