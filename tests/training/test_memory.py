"""The memory of a training step: against sizes derived by hand, and against a step that is really run."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import Tensor, nn

from segood.models import SegmentationModel, load_model
from segood.training.config import OptimizerConfig
from segood.training.memory import estimate_step_memory


class Sum(nn.Module):
    """One weight per class; the backward needs nothing of the forward but the image."""

    def __init__(self) -> None:
        super().__init__()
        self.classes = nn.Conv2d(3, 4, 1, bias=False)

    def forward(self, image: Tensor) -> Tensor:
        return self.classes(image)


@pytest.mark.parametrize(("name", "states"), [("adam", 2), ("adamw", 2), ("sgd", 1)])
def test_fixed_parts_by_hand(name: str, states: int) -> None:
    model = SegmentationModel(Sum(), num_classes=4)
    memory = estimate_step_memory(model, OptimizerConfig(name), batch_size=2, crop_size=(8, 8))  # type: ignore[arg-type]
    buffers = 2 * 3 * 4  # mean and std
    assert memory.parameters == 12 * 4 + buffers
    assert memory.gradients == 12 * 4
    # Adam counts its steps in one number per tensor
    assert memory.optimizer - states * 12 * 4 in (0, 4)
    assert memory.peak == memory.parameters + memory.gradients + memory.optimizer + memory.activations


def test_activations_by_hand() -> None:
    # alive in the backward of the softmax: images (3 channels), target (8 bytes), the normalised images
    # that the convolution needs (3), the log-softmax (4), its gradient (4), that of the logits (4)
    pixels, crop = 2 * 100 * 100, (100, 100)
    model = SegmentationModel(Sum(), num_classes=4)
    memory = estimate_step_memory(model, OptimizerConfig("sgd"), batch_size=2, crop_size=crop)
    expected = pixels * (3 * 4 + 8 + 3 * 4 + 3 * 4 * 4)
    assert 0 <= memory.activations - expected < 64  # the loss itself


def test_grows_with_the_batch_and_shrinks_with_checkpointing() -> None:
    def activations(batch_size: int, **options: object) -> int:
        model = load_model("deeplabv3plus_wrn38", width=4, **options)
        optimizer = OptimizerConfig("sgd")
        return estimate_step_memory(model, optimizer, batch_size=batch_size, crop_size=(96, 96)).activations

    one, two, three = (activations(n) for n in (1, 2, 3))
    assert abs((three - two) / (two - one) - 1) < 0.05
    assert activations(2, activation_checkpointing=True) < 0.8 * two


def test_frozen_weights_have_no_gradient() -> None:
    model = load_model("unet", width=4)
    for parameter in model.parameters():
        parameter.requires_grad = False
    head = list(model.parameters())[-1]
    head.requires_grad = True
    memory = estimate_step_memory(model, OptimizerConfig("sgd"), batch_size=1, crop_size=(64, 64))
    assert memory.gradients == head.numel() * 4


MEASURE = """
import sys, torch
torch.set_num_threads(1)
from segood.models import load_model
from segood.training.config import OptimizerConfig
from segood.training.memory import _step, estimate_step_memory
from segood.training.module import build_optimizer

def status(key):
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith(key))

def train(name, size, **options):
    model = load_model(name, **options).train()
    optimizer = build_optimizer(model, OptimizerConfig(), total_steps=1)
    for _ in range(2):
        _step(model, optimizer, torch.rand(4, 3, size, size), torch.zeros(4, size, size, dtype=torch.long))

estimate = estimate_step_memory(load_model("unet"), OptimizerConfig(), batch_size=4, crop_size=(128, 128))
train("unet", 32, width=4)  # libraries take their memory
open("/proc/self/clear_refs", "w").write("5")
before = status("VmRSS")
train("unet", 128)
print((status("VmHWM") - before) / estimate.peak)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the process's own peak from /proc")
def test_close_to_what_a_step_takes() -> None:
    code = [sys.executable, "-c", MEASURE]
    environment = {"MALLOC_MMAP_THRESHOLD_": "65536", "OMP_NUM_THREADS": "1", "PATH": ""}
    done = subprocess.run(code, capture_output=True, text=True, check=False, env=environment)
    if "Permission" in done.stderr or "Read-only" in done.stderr:
        pytest.skip("this system does not let a process reset its peak")
    assert done.returncode == 0, done.stderr
    assert 0.8 < float(done.stdout) < 1.3


def test_the_model_is_only_a_shape_afterwards() -> None:
    model = load_model("unet", width=4)
    estimate_step_memory(model, OptimizerConfig(), batch_size=1, crop_size=(32, 32))
    assert all(parameter.device == torch.device("meta") for parameter in model.parameters())
