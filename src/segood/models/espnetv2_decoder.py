"""Decoder blocks of ESPNetv2: efficient pyramid pooling and the weighted skip connection.

Enters and leaves: feature maps (N,C,H,W). Attribute names are the keys of the published weights.
Source: ESPNetv2 (CVPR 2019), section 3.3 and the published segmentation network built on it.
"""

from __future__ import annotations

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segood.models.espnetv2_blocks import convolve_and_normalise, make_conv

POOLING_SCALES = (2.0, 1.5, 1.0, 0.5, 0.1)
"""Relative sizes at which the pyramid looks at its input."""

MIN_POOLED_SIZE = 5


def resize(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize (N,C,H,W) to `size` (rows, columns), bilinear, corners aligned as in the published network."""
    if tuple(x.shape[-2:]) == tuple(size):
        return x
    return F.interpolate(x, size=size, mode="bilinear", align_corners=True)


class ConvNormAct(nn.Module):
    """Convolution, batch-norm, PReLU ("CBR" of the decoder; keys `cbr.0/1/2`)."""

    def __init__(self, nin: int, nout: int, kernel: int, *, groups: int = 1) -> None:
        super().__init__()
        conv, bn = make_conv(nin, nout, kernel, groups=groups), nn.BatchNorm2d(nout)
        self.cbr = nn.Sequential(conv, bn, nn.PReLU(nout))

    def forward(self, x: Tensor) -> Tensor:
        conv, bn, act = self.cbr
        return act(convolve_and_normalise(cast(nn.Conv2d, conv), cast(nn.BatchNorm2d, bn), x))


class NormAct(nn.Module):
    """Batch-norm, PReLU ("BR" of the decoder; keys `br.0/1`)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.br = nn.Sequential(nn.BatchNorm2d(channels), nn.PReLU(channels))

    def forward(self, x: Tensor) -> Tensor:
        return self.br(x)


def scaled_size(size: int, scale: float) -> int:
    """Scale a side, rounded up, at least 5.

    The product is rounded as a float, as published, so 70 · 0.1 = 7.000000000000001 gives 8.

    Example:
        >>> scaled_size(32, 0.5), scaled_size(32, 0.1), scaled_size(33, 1.5)
        (16, 5, 50)
    """
    return max(math.ceil(size * scale), MIN_POOLED_SIZE)


class PyramidPooling(nn.Module):
    """Efficient pyramid pooling: depth-wise convolutions of one narrow map at five scales, merged.

    Args:
        nin, nout: channels in and out.
        width: channels of the projected map.
        is_last: the last one gives logits: bias in its 1×1 convolution, nothing after it.
    """

    def __init__(self, nin: int, nout: int, *, width: int, is_last: bool = False) -> None:
        super().__init__()
        merged = width * len(POOLING_SCALES)
        self.stages = nn.ModuleList(make_conv(width, width, 3, groups=width) for _ in POOLING_SCALES)
        self.projection_layer = ConvNormAct(nin, width, 1)
        self.merge_layer = nn.Sequential(
            NormAct(merged),
            nn.ChannelShuffle(len(POOLING_SCALES)),  # (5, width) becomes (width, 5)
            ConvNormAct(merged, width, 3, groups=width),
            nn.Conv2d(width, nout, 1, bias=is_last),
        )
        self.br = nn.Identity() if is_last else NormAct(nout)

    def forward(self, x: Tensor) -> Tensor:
        x = self.projection_layer(x)
        h, w = x.shape[-2:]
        views = []
        for scale, stage in zip(POOLING_SCALES, self.stages, strict=True):
            size = (scaled_size(h, scale), scaled_size(w, scale))
            if scale < 1:
                views.append(resize(stage(F.adaptive_avg_pool2d(x, size)), (h, w)))
            elif scale > 1:
                views.append(F.adaptive_avg_pool2d(stage(resize(x, size)), (h, w)))
            else:
                views.append(stage(x))
        return self.br(self.merge_layer(torch.cat(views, dim=1)))


class WeightedSkip(nn.Module):
    """Bring an encoder level to the decoder's channels, each weighted by the level's global mean."""

    def __init__(self, nin: int, nout: int) -> None:
        super().__init__()
        self.wt_layer = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(nin, nout, 1, bias=False), nn.Sigmoid()
        )
        self.expansion_layer = ConvNormAct(nin, nout, 3, groups=math.gcd(nin, nout))

    def forward(self, x: Tensor) -> Tensor:
        return self.expansion_layer(x) * self.wt_layer(x)
