"""Every network of the zoo as an ONNX graph: any batch and size, and the same entropy as PyTorch's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from tests.models.test_contract import CASES, CLASSES, USER_CODE

from segood.deployment.onnx_graph import ImageToEntropy, check_graph, export_graph
from segood.errors import CheckpointError, UsageError
from segood.models import SegmentationModel, load_model
from segood.models.config import ModelConfig
from segood.models.preprocessing import Preprocessing

SIZES = ((1, 128, 256), (2, 121, 203))
"""Sizes that no exporter has seen; the second divides by nothing."""


def small_model(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> SegmentationModel:
    (folder / "my_model.py").write_text(USER_CODE)
    monkeypatch.chdir(folder)
    torch.manual_seed(0)
    return ModelConfig(num_classes=CLASSES, **CASES[name].config).load().eval()


QUICK = ("user", "maskformer")
"""The others take longer; `make test-long` has them all."""
FIXED = ("maskformer", "mask2former")
"""Exported for one size, as `segood export` does."""
NAMES = [n if n in QUICK else pytest.param(n, marks=pytest.mark.long) for n in CASES]


@pytest.mark.parametrize("name", NAMES)
def test_every_network_exports(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = small_model(name, tmp_path, monkeypatch)
    fixed = name in FIXED
    graph = export_graph(model, SIZES[0][1:] if fixed else None)
    difference = check_graph(graph, model, ((1, *SIZES[0][1:]), (3, *SIZES[0][1:])) if fixed else SIZES)
    # Random weights enlarge rounding: what float32 itself costs is the measure, not a fixed number.
    rounding = _float32_rounding(model)
    assert difference <= 1e-5 + 5 * rounding, (difference, rounding)


def _float32_rounding(model: SegmentationModel) -> float:
    """Return how far PyTorch's own float32 lies from float64 on such images."""
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (*SIZES[0], 3), dtype=np.uint8))
    with torch.no_grad():
        short = ImageToEntropy(model)(images)[0]
        x = images.permute(0, 3, 1, 2).double() / 255
        logits = model.double()(x)
        model.float()
    log_probs = logits.log_softmax(1)
    exact = -(log_probs.exp() * log_probs).sum(1) / np.log(model.num_classes)
    return float((short - exact).abs().max())


def test_preprocessing_lies_within_the_graph() -> None:
    torch.manual_seed(0)
    network = torch.nn.Conv2d(3, 4, 3, stride=2)
    with torch.no_grad():
        network.weight.mul_(0.005)  # values up to 255 would make rounding as large as what is tested
    odd = Preprocessing(channel_order="bgr", value_range=(0, 255), mean=(104, 117, 123), size_multiple=32)
    model = SegmentationModel(network, num_classes=3, drop_channels=1, preprocessing=odd).eval()
    graph = export_graph(model)
    assert check_graph(graph, model, SIZES) <= 1e-5
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    image = np.random.default_rng(1).integers(0, 256, (1, 65, 97, 3), dtype=np.uint8)
    entropy, classes, logits = session.run(["entropy", "classes", "logits"], {"image": image})
    expected = model.predict_logits(image[0])
    np.testing.assert_allclose(logits[0], expected.numpy(), atol=1e-3)
    assert entropy.shape == classes.shape == (1, 65, 97)
    assert (classes[0] == expected.argmax(0).numpy()).mean() > 0.999


def test_networks_that_cannot_be_exported(tmp_path: Path) -> None:
    class Moody(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv2d(3, 2, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.conv(x) if float(x.sum()) > 0 else self.conv(-x)

    with pytest.raises(CheckpointError, match="cannot be exported to ONNX: "):
        export_graph(load_model(Moody(), num_classes=2))
    graph = export_graph(load_model(torch.nn.Conv2d(3, 2, 1)))
    torch.onnx.export(
        torch.nn.Conv2d(3, 2, 1).eval(),
        (torch.zeros(1, 3, 8, 8),),
        tmp_path / "net.onnx",
        dynamo=True,
        verbose=False,
    )
    with pytest.raises(UsageError, match="is an ONNX file; export the PyTorch network"):
        export_graph(load_model(str(tmp_path / "net.onnx"), num_classes=2))
    with pytest.raises(CheckpointError, match=r"the exported Conv2d returns .* for images \(1, 8, 8\)"):
        check_graph(graph, load_model(torch.nn.Conv2d(3, 3, 1)), ((1, 8, 8),))
