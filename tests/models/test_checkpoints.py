"""Checkpoint files of every kind: the good ones load, the others end in one line that helps."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from segood.errors import CheckpointError, UsageError
from segood.models import load_model, load_state_dict_file, save_model


class RunsCode:
    """Creates a file when it is unpickled, as a malicious checkpoint would do worse."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.trace),)


def network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 6, 3, bias=False), nn.BatchNorm2d(6), nn.Conv2d(6, 4, 1))


@pytest.fixture
def weights() -> dict[str, Tensor]:
    torch.manual_seed(1)
    return network().state_dict()


def prefixed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + key: value for key, value in tensors.items()}


@pytest.mark.parametrize(
    "dress",
    [
        lambda w: w,
        lambda w: {"state_dict": w, "epoch": 3},
        lambda w: {"model": w, "optimizer": {"state": {0: {"step": torch.zeros(1)}}}},
        lambda w: prefixed("module.", w),
        lambda w: {"state_dict": prefixed("module.", w), "mean_iu": 0.5},
        lambda w: {"state_dict": prefixed("network.", w), "pytorch-lightning_version": "2.4.0"},
        lambda w: {"state_dict": {**prefixed("model.network.", w), "loss.weight": torch.zeros(3)}},
        lambda w: prefixed("_orig_mod.", w),
        lambda w: {k: v for k, v in w.items() if "num_batches" not in k},
    ],
)
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_usual_wrappings_load(tmp_path: Path, weights: dict[str, Tensor], dress: Any, zipped: bool) -> None:
    path = tmp_path / "weights.pth"
    torch.save(dress(weights), path, _use_new_zipfile_serialization=zipped)
    model = load_model(network(), checkpoint=path, num_classes=4)
    for key, value in model.network.state_dict().items():
        assert torch.equal(value, weights[key]) or "num_batches" in key


@pytest.mark.parametrize("numpy_1", [False, True], ids=["numpy2", "numpy1"])
@pytest.mark.parametrize("number", [np.float64(0.81), np.float32(0.5), np.int64(3), np.bool_(True)])
def test_numpy_numbers_beside_the_weights_are_left_out(
    tmp_path: Path, weights: dict[str, Tensor], number: np.generic, numpy_1: bool
) -> None:
    """The form of the paper's checkpoint: training extras around the weights, the metric a NumPy number."""
    path = tmp_path / "best_cityscapes_checkpoint.pth"
    extras = {
        "optimizer": {"state": {}, "param_groups": [{"lr": 1e-3, "params": [0]}]},
        "epoch": 174,
        "mean_iu": number,
        "command": "--arch network.deepv3.DeepWV3Plus --lr 0.001",
    }
    torch.save(
        {"state_dict": prefixed("module.", weights), **extras}, path, _use_new_zipfile_serialization=False
    )
    if numpy_1:  # which had another name for the same module
        content = path.read_bytes().replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
        assert b"numpy.core.multiarray\nscalar" in content
        path.write_bytes(content)
    model = load_model(network(), checkpoint=path, num_classes=4)
    assert all(torch.equal(value, weights[key]) for key, value in model.network.state_dict().items())
    assert not any(
        "numpy" in str(safe) for safe in torch.serialization.get_safe_globals()
    )  # only while reading


@pytest.mark.parametrize(
    "value",
    [np.zeros(3), np.random.RandomState(0), np.add],
    ids=["array", "generator", "function"],
)
def test_other_numpy_objects_are_refused(tmp_path: Path, value: Any) -> None:
    path = tmp_path / "bad.pth"
    torch.save({"state_dict": {"a": torch.zeros(1)}, "extra": value}, path)
    with pytest.raises(CheckpointError, match=r"bad\.pth is refused: reading it would run code"):
        load_state_dict_file(path)


def test_foreign_safetensors_load(tmp_path: Path, weights: dict[str, Tensor]) -> None:
    path = tmp_path / "weights.safetensors"
    safetensors.torch.save_file(weights, path)
    assert load_state_dict_file(path).keys() == weights.keys()
    load_model(network(), checkpoint=path)
    with pytest.raises(CheckpointError, match=r"no segood header.*give the network"):
        load_model(path)


def test_auxiliary_head_in_torchvision_weights_is_left_out(tmp_path: Path) -> None:
    tensors = load_model("torchvision", arch="lraspp_mobilenet_v3_large", num_classes=3).network.state_dict()
    path = tmp_path / "weights.pth"
    torch.save({**tensors, "aux_classifier.0.weight": torch.zeros(1)}, path)
    model = load_model("torchvision", checkpoint=path)
    assert model.num_classes == 3  # read off the head


@pytest.mark.parametrize("form", ["zip", "legacy", "pickle", "module"])
def test_code_in_a_checkpoint_is_refused_and_not_run(tmp_path: Path, form: str) -> None:
    trace, path = tmp_path / "it_ran", tmp_path / "bad.pth"
    content = {"weight": torch.zeros(2), "extra": RunsCode(trace)}
    if form == "pickle":
        path.write_bytes(pickle.dumps(content))
    elif form == "module":
        torch.save(network(), path)
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(CheckpointError, match=r"bad\.pth .*would run code.*ask") as caught:
        load_state_dict_file(path)
    assert "\n" not in str(caught.value)
    assert "weights_only" not in str(caught.value)  # no advice to switch the guard off
    if form in ("zip", "legacy"):
        assert "mkdir" in str(caught.value)
    assert not trace.exists()


@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
def test_truncated_files_are_named(
    tmp_path: Path, weights: dict[str, Tensor], form: str, share: float
) -> None:
    path = tmp_path / ("cut.safetensors" if form == "safetensors" else "cut.pth")
    if form == "safetensors":
        safetensors.torch.save_file(weights, path)
    else:
        torch.save(weights, path, _use_new_zipfile_serialization=form == "zip")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(CheckpointError, match=r"cut\.\w+ (is|cannot).*again") as caught:
        load_state_dict_file(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.pth", b"", "a.pth is empty; fetch it again"),
        (
            "a.pth",
            b"\n<!DOCTYPE html><html></html>",
            "is an HTML page, not a checkpoint; download the file behind",
        ),
        ("a.safetensors", b"<html>" + b"x" * 99, "is an HTML page"),
        ("a.pth", b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer"),
        ("a.pth", b"just some text, long enough to be read", "no PyTorch checkpoint"),
        ("a.safetensors", b"just some text, long enough to be read", "is no complete safetensors file"),
    ],
)
def test_files_that_are_no_checkpoints(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        load_state_dict_file(tmp_path / name)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"gone\.pth does not exist; check the path"):
        load_model("espnetv2", checkpoint=tmp_path / "gone.pth")
    with pytest.raises(CheckpointError, match=r"gone\.safetensors does not exist"):
        load_model(str(tmp_path / "gone.safetensors"))
    with pytest.raises(CheckpointError, match=r"cannot read .*Is a directory"):
        load_state_dict_file(tmp_path)


def test_file_without_tensors(tmp_path: Path) -> None:
    torch.save({"epoch": 3, "best": 0.5}, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match="holds no state dict of tensors; it holds epoch, best"):
        load_state_dict_file(tmp_path / "a.pth")
    torch.save(torch.zeros(3), tmp_path / "b.pth")
    with pytest.raises(CheckpointError, match="it holds Tensor"):
        load_state_dict_file(tmp_path / "b.pth")


def test_missing_unexpected_and_reshaped_keys_are_counted(tmp_path: Path, weights: dict[str, Tensor]) -> None:
    broken = dict(weights)
    del broken["1.bias"]
    broken["2.extra"] = torch.zeros(2)
    broken["0.weight"] = torch.zeros(6, 3, 5, 5)
    torch.save(broken, tmp_path / "a.pth")
    message = (
        r"a\.pth does not fit the network Sequential \(8 tensors\): 1 missing: 1\.bias; "
        r"1 unexpected: 2\.extra; 1 of another shape: 0\.weight 6×3×5×5 instead of 6×3×3×3; check"
    )
    own = network()
    before = {k: v.clone() for k, v in own.state_dict().items()}
    with pytest.raises(CheckpointError, match=message):
        load_model(own, checkpoint=tmp_path / "a.pth")
    assert all(torch.equal(before[k], v) for k, v in own.state_dict().items())  # nothing half-loaded


def test_long_lists_are_shortened(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1)}, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=r"\d+ missing: .*, … \(\d+ more\); 1 unexpected: a;") as caught:
        load_model("espnetv2", checkpoint=tmp_path / "a.pth", scale=0.5)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("name", ["espnetv2", "torchvision"])
def test_other_number_of_classes_has_its_own_message(tmp_path: Path, name: str) -> None:
    save_model(load_model(name, num_classes=7), tmp_path / "seven.safetensors")
    tensors = load_state_dict_file(tmp_path / "seven.safetensors")
    torch.save(tensors, tmp_path / "seven.pth")
    for file in ("seven.safetensors", "seven.pth"):
        assert load_model(name, checkpoint=tmp_path / file).num_classes == 7
        with pytest.raises(
            CheckpointError, match=r"seven.* has 7 output channels \(classes\), the network .* has 11"
        ):
            load_model(name, checkpoint=tmp_path / file, num_classes=11)
    with pytest.raises(CheckpointError, match=r"has 7 output channels .* has 9"):
        load_model(tmp_path / "seven.safetensors", num_classes=9)


def test_header_decides_and_contradictions_are_named(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_model(load_model("espnetv2", scale=0.5), path)
    with pytest.raises(CheckpointError, match="holds weights of espnetv2, not of torchvision"):
        load_model("torchvision", checkpoint=path)
    with pytest.raises(UsageError, match="takes no options"):
        load_model(path, scale=0.5)
    with pytest.raises(UsageError, match="give one file"):
        load_model(path, checkpoint=path)
    with pytest.raises(CheckpointError, match="does not fit the network espnetv2"):
        load_model("espnetv2", checkpoint=path, scale=2.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 99}, "header format 99; this version reads up to 1, upgrade"),
        ({"name": "fastnet"}, "is for the network 'fastnet', which this version does not know"),
        ({"options": None, "num_classes": None}, "has a damaged segood header"),
        ("no json", "is no complete safetensors file"),
    ],
)
def test_strange_headers_are_named(tmp_path: Path, change: Any, message: str) -> None:
    path = tmp_path / "model.safetensors"
    header = {"format": 1, "name": "espnetv2", "options": {}, "num_classes": 19}
    if isinstance(change, dict):
        header = {k: v for k, v in {**header, **change}.items() if v is not None}
    text = change if isinstance(change, str) else json.dumps(header)
    safetensors.torch.save_file({"a": torch.zeros(1)}, path, metadata={"segood": text})
    with pytest.raises(CheckpointError, match=message):
        load_model(path)


def test_published_weights_with_other_classes(shared: Path) -> None:
    weights = shared / "weights" / "espnetv2_s_2.0_city_1024x512.pth"
    with pytest.raises(
        CheckpointError, match=r"has 20 output channels \(classes\), the network espnetv2 has 11"
    ):
        load_model("espnetv2", weights, num_classes=11)
