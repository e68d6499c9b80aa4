"""Wide-ResNet-38 with output stride 8: normalised image (N,3,H,W) -> fine and deep features.

Residual units with pre-activation: batch-norm and ReLU come before each convolution, nothing comes
after the sum. Attribute names are the keys of the published weights; no convolution has a bias.

Source: Z. Wu, C. Shen, A. van den Hengel, "Wider or Deeper: Revisiting the ResNet Model for Visual
Recognition", Pattern Recognition 2019; with the dilations of S. Rota Bulò, L. Porzi, P.
Kontschieder, "In-Place Activated BatchNorm for Memory-Optimized Training of DNNs", CVPR 2018.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

# per module: blocks, channels of the convolutions (multiples of the width), stride, dilation, dropout
STAGES = {
    "mod2": (3, (2, 2), 1, 1, 0.0),
    "mod3": (3, (4, 4), 1, 1, 0.0),
    "mod4": (6, (8, 8), 2, 1, 0.0),
    "mod5": (3, (8, 16), 1, 2, 0.0),
    "mod6": (1, (8, 16, 32), 1, 4, 0.3),
    "mod7": (1, (16, 32, 64), 1, 4, 0.5),
}


class Convolution(nn.Conv2d):
    """Convolution without bias, size-keeping for stride 1, drawn from He's normal law."""

    def __init__(self, nin: int, nout: int, kernel: int, *, stride: int = 1, dilation: int = 1) -> None:
        padding = kernel // 2 * dilation
        super().__init__(nin, nout, kernel, stride, padding, dilation, bias=False)

    def reset_parameters(self) -> None:
        """Draw the weights; the one draw that construction makes, which for 137 M values is felt."""
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")


def norm_relu(channels: int) -> nn.Sequential:
    """Build batch-norm and ReLU."""
    return nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(inplace=True))


class ResidualBlock(nn.Module):
    """Unit with two 3×3 convolutions, or with a bottleneck of 1×1, 3×3, 1×1.

    Args:
        nin: channels in.
        channels: channels after each convolution, two or three numbers.
        stride: of the first convolution and of the shortcut.
        dilation: of the 3×3 convolutions.
        dropout: probability to drop a channel before the last convolution, in training.
    """

    def __init__(
        self, nin: int, channels: tuple[int, ...], *, stride: int = 1, dilation: int = 1, dropout: float = 0.0
    ) -> None:
        super().__init__()
        kernels = (3, 3) if len(channels) == 2 else (1, 3, 1)
        self.bn1 = norm_relu(nin)
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        previous = nin
        for i, (kernel, nout) in enumerate(zip(kernels, channels, strict=True), start=1):
            if i > 1:
                layers[f"bn{i}"] = norm_relu(previous)
            if i == len(channels) and dropout:
                layers["dropout"] = nn.Dropout2d(dropout)
            layers[f"conv{i}"] = Convolution(
                previous, nout, kernel, stride=stride if i == 1 else 1, dilation=dilation
            )
            previous = nout
        self.convs = nn.Sequential(layers)
        needs_projection = stride != 1 or nin != previous
        self.proj_conv = Convolution(nin, previous, 1, stride=stride) if needs_projection else None

    def forward(self, x: Tensor) -> Tensor:
        active = self.bn1(x)
        shortcut = x if self.proj_conv is None else self.proj_conv(active)
        # in place: neither the last convolution nor the sum needs the addend for its gradient
        return self.convs(active).add_(shortcut)


class WideResNet38(nn.Module):
    """Encoder that gives features at 1/2 (for edges) and at 1/8 of the image's size.

    Args:
        width: channels after the first convolution; those of `STAGES` are multiples of it.
        activation_checkpointing: keep only the inputs of the residual units for the gradient, and
            compute the rest again: less memory for one more forward. Results are the same.
    """

    def __init__(self, width: int = 64, *, activation_checkpointing: bool = False) -> None:
        super().__init__()
        self.activation_checkpointing = activation_checkpointing
        self.mod1 = nn.Sequential(OrderedDict(conv1=Convolution(3, width, 3)))
        nin = width
        for name, (blocks, multiples, stride, dilation, dropout) in STAGES.items():
            channels = tuple(m * width for m in multiples)
            stage: OrderedDict[str, nn.Module] = OrderedDict()
            for i in range(blocks):
                stage[f"block{i + 1}"] = ResidualBlock(
                    nin, channels, stride=stride if i == 0 else 1, dilation=dilation, dropout=dropout
                )
                nin = channels[-1]
            self.add_module(name, nn.Sequential(stage))

    def encode(
        self, image: Float[Tensor, "n 3 h w"]
    ) -> tuple[Float[Tensor, "n c1 h1 w1"], Float[Tensor, "n c2 h2 w2"]]:
        """Compute (features of mod2, features of mod7), with 2 and 64 times `width` channels."""
        x = _halve(self.mod1(image))
        fine = x
        for name in STAGES:
            if name == "mod3":
                fine, x = x, _halve(x)
            for block in self.get_submodule(name).children():
                x = self.run_block(block, x)
        return fine, x

    def run_block(self, block: nn.Module, x: Tensor) -> Tensor:
        """Apply a part of the network; without keeping its inner activations, if so chosen."""
        if not (self.activation_checkpointing and torch.is_grad_enabled()):
            return block(x)
        return checkpoint(block, x, use_reentrant=False, context_fn=_contexts(block))


def _halve(x: Tensor) -> Tensor:
    """Max-pool to half the size, rounded up."""
    return F.max_pool2d(x, kernel_size=3, stride=2, padding=1)


def _contexts(
    block: nn.Module,
) -> Callable[[], tuple[AbstractContextManager[None], AbstractContextManager[None]]]:
    """Give the contexts of the forward, and of its repetition during the backward."""
    return lambda: (nullcontext(), kept_buffers(block))


@contextmanager
def kept_buffers(module: nn.Module) -> Iterator[None]:
    """Let a forward write to copies of the buffers of `module`, which are as before afterwards.

    A forward that is repeated for its gradient would count its batch twice in batch-norm's statistics.
    """
    kept = [(m, name, buffer) for m in module.modules() for name, buffer in m.named_buffers(recurse=False)]
    for owner, name, buffer in kept:
        setattr(owner, name, buffer.clone())
    try:
        yield
    finally:
        for owner, name, buffer in kept:
            setattr(owner, name, buffer)
