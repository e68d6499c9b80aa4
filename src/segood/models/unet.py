"""A plain small U-Net: normalised image (N,3,H,W) -> logits (N,C,h,w) at a quarter of the size.

It learns from random weights on a few hundred images within minutes on a CPU, where networks built
of depth-wise convolutions do not; the demo and quick experiments use it.

Source: the encoder-decoder with skip connections of O. Ronneberger, P. Fischer, T. Brox, "U-Net:
Convolutional Networks for Biomedical Image Segmentation", MICCAI 2015; with batch norm, strided
convolutions for pooling, dilated convolutions at the bottom.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from segood.errors import UsageError


class UNet(nn.Module):
    """Encoder with three resolutions (1/4, 1/8, 1/16), decoder back to 1/4.

    Args:
        out_channels: channels of the logits, at least 2.
        width: channels at 1/4 of the size; twice as many at 1/8, four times at 1/16.

    Example:
        >>> import torch
        >>> UNet(out_channels=5, width=8).eval()(torch.zeros(1, 3, 65, 97)).shape
        torch.Size([1, 5, 17, 25])
    """

    def __init__(self, out_channels: int = 19, width: int = 40) -> None:
        super().__init__()
        if out_channels < 2:
            raise UsageError(f"`out_channels` of unet must be at least 2; got {out_channels}")
        if width < 2:
            raise UsageError(f"`width` of unet must be at least 2; got {width}")
        fine, middle, coarse = width, 2 * width, 4 * width
        self.stem = _block(3, width // 2, stride=2)
        self.fine = nn.Sequential(_block(width // 2, fine, stride=2), _block(fine, fine))
        self.middle = nn.Sequential(_block(fine, middle, stride=2), _block(middle, middle))
        self.coarse = nn.Sequential(
            _block(middle, coarse, stride=2),
            _block(coarse, coarse, dilation=2),
            _block(coarse, coarse, dilation=4),
        )
        self.up_middle = _block(coarse + middle, middle)
        self.up_fine = _block(middle + fine, fine)
        self.head = nn.Conv2d(fine, out_channels, 1)
        self.to(memory_format=torch.channels_last)  # faster convolutions on a CPU

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n c i j"]:
        """Compute logits at a quarter of the image's size, rounded up."""
        fine = self.fine(self.stem(images.contiguous(memory_format=torch.channels_last)))
        middle = self.middle(fine)
        coarse = self.coarse(middle)
        coarse = coarse + coarse.mean((2, 3), keepdim=True)  # what the whole scene looks like
        up = self.up_middle(_join(coarse, middle))
        return self.head(self.up_fine(_join(up, fine)))


def _block(inputs: int, outputs: int, *, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=dilation, dilation=dilation, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def _join(deep: Tensor, skip: Tensor) -> Tensor:
    size = (skip.shape[2], skip.shape[3])
    return torch.cat([F.interpolate(deep, size=size, mode="bilinear", align_corners=False), skip], dim=1)
