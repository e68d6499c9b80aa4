"""ONNX files as networks: graphs made by hand, so that every number is known."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from segood.errors import CheckpointError, UsageError
from segood.evaluation.describe import weights_hash
from segood.models import Preprocessing, load_model, save_model
from segood.models.config import ModelConfig
from segood.scores import get_score
from segood.segments import extract_segments

WEIGHT = np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32)
PLAIN = Preprocessing(mean=(0, 0, 0), std=(1, 1, 1))


def write(
    path: Path,
    shape: tuple[Any, ...] = ("n", 3, "h", "w"),
    *,
    name: str = "logits",
    element: int = TensorProto.FLOAT,
    second: str | None = None,
    weight: np.ndarray = WEIGHT,
) -> Path:
    """Write a 3×3 convolution with stride 2, from 3 channels to 4."""
    dtype = helper.tensor_dtype_to_np_dtype(element)
    nodes = [
        helper.make_node(
            "Conv", ["image", "weight"], [name], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]
        )
    ]
    outputs = [helper.make_tensor_value_info(name, element, (shape[0], 4, None, None))]
    if second:
        nodes.append(helper.make_node("Neg", [name], [second]))
        outputs.append(helper.make_tensor_value_info(second, element, (shape[0], 4, None, None)))
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("image", element, shape)],
        outputs,
        [numpy_helper.from_array(weight.astype(dtype), "weight")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path)
    return path


def torch_twin() -> nn.Module:
    network = nn.Conv2d(3, 4, 3, stride=2, padding=1, bias=False)
    network.weight.data = torch.from_numpy(WEIGHT.copy())
    return network


def image() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (65, 97, 3), dtype=np.uint8)


@pytest.mark.parametrize("element", [TensorProto.FLOAT, TensorProto.FLOAT16])
def test_equal_to_the_same_network_in_pytorch(tmp_path: Path, element: int) -> None:
    model = load_model(write(tmp_path / "net.onnx", element=element), num_classes=4)
    twin = load_model(torch_twin())
    for size in ((65, 97), (64, 96)):
        images = torch.rand(2, 3, *size)
        logits = model(images)
        assert logits.dtype == torch.float32
        atol = 1e-5 if element == TensorProto.FLOAT else 0.1
        torch.testing.assert_close(logits, twin(images).detach(), rtol=0, atol=atol)
        assert torch.equal(logits, model(images))
    entropy = get_score("entropy")(logits=model.predict_logits(image())[None])
    assert entropy.shape == (1, 65, 97)
    assert len(extract_segments(logits=model.predict_logits(image()), threshold=0.5)) >= 1


def test_classes_and_names_can_be_counted(tmp_path: Path) -> None:
    path = write(tmp_path / "net.onnx")
    assert load_model(str(path)).num_classes == 4
    assert load_model(path, class_names="abcd").class_names == ("a", "b", "c", "d")
    assert load_model(path, num_classes=3, drop_channels=1).num_classes == 3
    with pytest.raises(UsageError, match="pass num_classes=4"):
        load_model(path, num_classes=3)


def test_a_fixed_size_is_the_working_size(tmp_path: Path) -> None:
    path = write(tmp_path / "net.onnx", (1, 3, 32, 48))
    model = load_model(path, preprocessing={"mean": (0, 0, 0), "std": (1, 1, 1)})
    assert model.preprocessing.working_size == (32, 48)
    twin = load_model(torch_twin(), preprocessing=Preprocessing((0, 0, 0), (1, 1, 1), (32, 48)))
    torch.testing.assert_close(model.predict_logits(image()), twin.predict_logits(image()))
    images = torch.rand(3, 3, 32, 48)  # three runs of a graph with batch size 1
    torch.testing.assert_close(model(images), twin(images).detach())
    with pytest.raises(UsageError, match=r"net.onnx takes images of 32×48 only; got 65×97"):
        model(torch.rand(1, 3, 65, 97))
    with pytest.raises(UsageError, match=r"takes images of \(32, 48\) only; got working_size=\(64, 64\)"):
        load_model(path, preprocessing=Preprocessing(working_size=(64, 64)))


def test_a_fixed_batch_is_filled_up(tmp_path: Path) -> None:
    model = load_model(write(tmp_path / "net.onnx", (2, 3, "h", "w")), num_classes=4, preprocessing=PLAIN)
    twin = load_model(torch_twin(), preprocessing=PLAIN)
    images = torch.rand(3, 3, 16, 16)
    torch.testing.assert_close(model(images), twin(images).detach())


def test_of_several_outputs_the_logits_are_taken(tmp_path: Path) -> None:
    path = write(tmp_path / "net.onnx", name="aux", second="logits", weight=-WEIGHT)
    torch.testing.assert_close(
        load_model(path)(torch.ones(1, 3, 8, 8)), load_model(torch_twin())(torch.ones(1, 3, 8, 8)).detach()
    )
    unnamed = write(tmp_path / "two.onnx", name="a", second="b")
    with pytest.raises(UsageError, match="a dict with `out` or an object with `logits`; got dict with a, b"):
        load_model(unnamed, num_classes=4)


def test_mask_outputs_are_reduced(tmp_path: Path) -> None:
    # four queries; their classes are constants of the graph
    classes = np.random.default_rng(0).normal(size=(1, 4, 6)).astype(np.float32)
    conv = helper.make_node("Conv", ["image", "weight"], ["masks_queries_logits"], pads=[1, 1, 1, 1])
    constant = helper.make_node(
        "Constant", [], ["class_queries_logits"], value=numpy_helper.from_array(classes)
    )
    graph = helper.make_graph(
        [conv, constant],
        "masks",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, (1, 3, "h", "w"))],
        [
            helper.make_tensor_value_info("class_queries_logits", TensorProto.FLOAT, (1, 4, 6)),
            helper.make_tensor_value_info("masks_queries_logits", TensorProto.FLOAT, (1, 4, None, None)),
        ],
        [numpy_helper.from_array(WEIGHT, "weight")],
    )
    path = tmp_path / "masks.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    model = load_model(path)
    assert model.num_classes == 5
    assert model.gives_masks is True


def test_copies_and_pickles_open_the_file_again(tmp_path: Path) -> None:
    model = load_model(write(tmp_path / "net.onnx"), num_classes=4)
    expected = model.predict_logits(image())
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(twin.predict_logits(image()), expected)


def test_files_are_told_apart_by_their_weights(tmp_path: Path) -> None:
    first = load_model(write(tmp_path / "a.onnx"))
    same = load_model(write(tmp_path / "b.onnx"))
    other = load_model(write(tmp_path / "c.onnx", weight=2 * WEIGHT))
    assert weights_hash(first) == weights_hash(same) != weights_hash(other)


def test_as_many_threads_as_pytorch_uses(tmp_path: Path) -> None:
    model = load_model(write(tmp_path / "net.onnx"), num_classes=4)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(before + 1)
        model.predict_logits(image())
        assert model.network._session.get_session_options().intra_op_num_threads == before + 1
    finally:
        torch.set_num_threads(before)


def test_no_gradients_and_no_checkpoint_of_its_own(tmp_path: Path) -> None:
    path = write(tmp_path / "net.onnx")
    model = ModelConfig(name=str(path)).load_trained()
    with pytest.raises(UsageError, match=r"net.onnx is an ONNX file, which gives no gradients"):
        model(torch.rand(1, 3, 8, 8, requires_grad=True))
    with pytest.raises(UsageError, match=r"the network is the ONNX file .*net\.onnx; copy that file"):
        save_model(model, tmp_path / "model.safetensors")
    save_model(load_model(torch_twin()), tmp_path / "other.safetensors")
    with pytest.raises(UsageError, match="holds its own weights; leave `checkpoint` out"):
        load_model(path, checkpoint=tmp_path / "other.safetensors")
    with pytest.raises(UsageError, match=r"net\.onnx takes no options.*got width"):
        load_model(path, width=3)


def test_bad_files_are_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a graph")
    with pytest.raises(CheckpointError, match=r"broken.onnx cannot be read as ONNX: "):
        load_model(broken, num_classes=4)
    with pytest.raises(CheckpointError, match=r"gone.onnx does not exist"):
        load_model(tmp_path / "gone.onnx")


@pytest.mark.parametrize(
    ("shape", "element", "message"),
    [
        (
            ("n", 1, "h", "w"),
            TensorProto.FLOAT,
            "must take one image .N,3,H,W., floating point; it takes image",
        ),
        ((1, 3, 32, "w"), TensorProto.FLOAT, "fixes only one of rows and columns"),
    ],
)
def test_other_inputs_are_named(tmp_path: Path, shape: Any, element: int, message: str) -> None:
    weight = WEIGHT if shape[1] == 3 else WEIGHT[:, :1]
    with pytest.raises(UsageError, match=message):
        load_model(write(tmp_path / "net.onnx", shape, element=element, weight=weight), num_classes=4)
