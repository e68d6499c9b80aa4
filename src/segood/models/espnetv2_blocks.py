"""Building blocks of ESPNetv2: convolution with batch-norm, EESP unit, down-sampler.

Enters and leaves: feature maps (N,C,H,W). Attribute names are the keys of the published weights.

Source: S. Mehta, M. Rastegari, L. Shapiro, H. Hajishirzi, "ESPNetv2: A Light-weight, Power
Efficient, and General Purpose Convolutional Neural Network", CVPR 2019.

Batch-norm that does not learn statistics (evaluation, or frozen while fine-tuning) is an affine
map, so it is folded into the convolution before it: one pass over memory less, the same result up
to float rounding, and gradients still reach the parameters of both.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BRANCHES = 4
"""Parallel branches (k) of every EESP unit, and groups of its 1×1 convolutions."""


def make_conv(
    nin: int, nout: int, kernel: int, *, stride: int = 1, groups: int = 1, dilation: int = 1
) -> nn.Conv2d:
    """Build a bias-free convolution whose padding keeps the size (for stride 1)."""
    padding = (kernel - 1) // 2 * dilation
    return nn.Conv2d(nin, nout, kernel, stride, padding, dilation, groups, bias=False)


def convolve_and_normalise(conv: nn.Conv2d, bn: nn.BatchNorm2d, x: Tensor) -> Tensor:
    """Apply `bn(conv(x))`, folded into one convolution when `bn` uses its running statistics."""
    if bn.training or bn.running_mean is None or bn.running_var is None:
        return bn(conv(x))
    scale = bn.weight * torch.rsqrt(bn.running_var + bn.eps)
    shift = bn.bias - bn.running_mean * scale
    weight = conv.weight * scale[:, None, None, None]
    return F.conv2d(x, weight, shift, conv.stride, conv.padding, conv.dilation, conv.groups)


class ConvNormAct(nn.Module):
    """Convolution, batch-norm, PReLU ("CBR" of the encoder; keys `conv`, `bn`, `act`)."""

    def __init__(self, nin: int, nout: int, kernel: int, *, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.conv = make_conv(nin, nout, kernel, stride=stride, groups=groups)
        self.bn = nn.BatchNorm2d(nout)
        self.act = nn.PReLU(nout)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(convolve_and_normalise(self.conv, self.bn, x))


class ConvNorm(nn.Module):
    """Convolution, batch-norm without activation ("CB"; keys `conv`, `bn`)."""

    def __init__(self, nin: int, nout: int, kernel: int, *, groups: int = 1) -> None:
        super().__init__()
        self.conv = make_conv(nin, nout, kernel, groups=groups)
        self.bn = nn.BatchNorm2d(nout)

    def forward(self, x: Tensor) -> Tensor:
        return convolve_and_normalise(self.conv, self.bn, x)


class NormAct(nn.Module):
    """Batch-norm, PReLU ("BR" of the encoder; keys `bn`, `act`)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(channels)
        self.act = nn.PReLU(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.bn(x))


class DilatedConv(nn.Module):
    """Depth-wise dilated 3×3 convolution (key `conv`)."""

    def __init__(self, channels: int, *, stride: int, dilation: int) -> None:
        super().__init__()
        self.conv = make_conv(channels, channels, 3, stride=stride, groups=channels, dilation=dilation)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


def branch_dilations(receptive_limit: int) -> list[int]:
    """Give the dilations of the EESP branches, in order.

    Branch i has receptive size 3 + 2i; sizes above `receptive_limit` fall back to 3; sorted.

    Example:
        >>> branch_dilations(13), branch_dilations(7)
        ([1, 2, 3, 4], [1, 1, 2, 3])
    """
    sizes = [3 + 2 * i for i in range(BRANCHES)]
    return [(size - 1) // 2 for size in sorted(size if size <= receptive_limit else 3 for size in sizes)]


class EESP(nn.Module):
    """Extremely efficient spatial pyramid: reduce, look with growing dilation, fuse, expand.

    Args:
        nin, nout: channels in and out (multiples of 4).
        stride: 2 makes the unit a part of a down-sampler: no shortcut, no last activation.
        receptive_limit: largest receptive size of a branch, in pixels of the input.
    """

    def __init__(self, nin: int, nout: int, *, stride: int = 1, receptive_limit: int) -> None:
        super().__init__()
        width = nout // BRANCHES
        self.stride = stride
        self.has_shortcut = nin == nout
        self.proj_1x1 = ConvNormAct(nin, width, 1, groups=BRANCHES)
        self.spp_dw = nn.ModuleList(
            DilatedConv(width, stride=stride, dilation=dilation)
            for dilation in branch_dilations(receptive_limit)
        )
        self.conv_1x1_exp = ConvNorm(nout, nout, 1, groups=BRANCHES)
        self.br_after_cat = NormAct(nout)
        self.module_act = nn.PReLU(nout)  # unused with stride 2, but the published weights have it

    def forward(self, x: Tensor) -> Tensor:
        reduced = self.proj_1x1(x)
        branches = [self.spp_dw[0](reduced)]
        for branch in self.spp_dw[1:]:  # hierarchical fusion: no gridding from the dilated kernels
            branches.append(branch(reduced) + branches[-1])
        expanded = self.conv_1x1_exp(self.br_after_cat(torch.cat(branches, dim=1)))
        if self.stride == 2:
            return expanded
        return self.module_act(expanded + x if self.has_shortcut else expanded)


def halve(x: Tensor) -> Tensor:
    """Average-pool to half the size, rounded up; padding counts as zeros."""
    return F.avg_pool2d(x, kernel_size=3, stride=2, padding=1)


class DownSampler(nn.Module):
    """Halve the size, raise the channels, and remind the features of the input image.

    Args:
        nin, nout: channels in and out; `nout - nin` come from the strided EESP unit.
        receptive_limit: see `EESP`.
    """

    def __init__(self, nin: int, nout: int, *, receptive_limit: int) -> None:
        super().__init__()
        self.eesp = EESP(nin, nout - nin, stride=2, receptive_limit=receptive_limit)
        self.inp_reinf = nn.Sequential(ConvNormAct(3, 3, 3), ConvNorm(3, nout, 1))
        self.act = nn.PReLU(nout)

    def forward(self, x: Tensor, image: Tensor) -> Tensor:
        """Map `x` (N,nin,H,W) to (N,nout,⌈H/2⌉,⌈W/2⌉); `image` (N,3,⌈H/2⌉,⌈W/2⌉) is the pooled input."""
        features = torch.cat([halve(x), self.eesp(x)], dim=1)
        return self.act(features + self.inp_reinf(image))
