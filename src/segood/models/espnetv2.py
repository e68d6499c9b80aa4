"""ESPNetv2 for semantic segmentation: normalised image (N,3,H,W) -> logits (N,C,H,W).

Small and fast. State-dict keys and shapes are those of the published weights (Cityscapes, scales
2.0 and 0.5, MIT licence), which load strictly; those have 20 output channels, of which 0-18 are the
Cityscapes train ids. Images are RGB in [0,1] normalised with the ImageNet mean and std.

Source: S. Mehta, M. Rastegari, L. Shapiro, H. Hajishirzi, "ESPNetv2: A Light-weight, Power
Efficient, and General Purpose Convolutional Neural Network", CVPR 2019.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from segood.errors import UsageError
from segood.models.espnetv2_decoder import PyramidPooling, WeightedSkip, resize
from segood.models.espnetv2_encoder import ENCODER_CHANNELS, Encoder

DECODER_CHANNELS = (64, 48, 32)


class ESPNetv2(nn.Module):
    """ESPNetv2 encoder with a pyramid-pooling decoder.

    Args:
        out_channels: channels of the logits, at least 2 (20 for the published weights).
        scale: width of the encoder, 2.0 or 0.5.

    Example:
        >>> import torch
        >>> network = ESPNetv2(out_channels=5, scale=0.5).eval()
        >>> network(torch.zeros(1, 3, 65, 97)).shape
        torch.Size([1, 5, 65, 97])
    """

    def __init__(self, out_channels: int = 20, scale: float = 2.0) -> None:
        super().__init__()
        if scale not in ENCODER_CHANNELS:
            known = ", ".join(str(s) for s in ENCODER_CHANNELS)
            raise UsageError(f"`scale` of espnetv2 must be one of {known}; got {scale!r}")
        if out_channels < 2:
            raise UsageError(f"`out_channels` of espnetv2 must be at least 2; got {out_channels}")
        c1, c2, c3, c4 = ENCODER_CHANNELS[scale]
        d1, d2, d3 = DECODER_CHANNELS
        width = min(out_channels // 2, 16)
        self.base_net = Encoder((c1, c2, c3, c4))
        self.bu_dec_l1 = PyramidPooling(c4, d1, width=width)
        self.bu_dec_l2 = PyramidPooling(d1, d2, width=width)
        self.bu_dec_l3 = PyramidPooling(d2, d3, width=width)
        self.bu_dec_l4 = PyramidPooling(d3, out_channels, width=width, is_last=True)
        self.merge_enc_dec_l2 = WeightedSkip(c3, d1)
        self.merge_enc_dec_l3 = WeightedSkip(c2, d2)
        self.merge_enc_dec_l4 = WeightedSkip(c1, d3)
        self.bu_br_l2 = nn.Sequential(nn.BatchNorm2d(d1), nn.PReLU(d1))
        self.bu_br_l3 = nn.Sequential(nn.BatchNorm2d(d2), nn.PReLU(d2))
        self.bu_br_l4 = nn.Sequential(nn.BatchNorm2d(d3), nn.PReLU(d3))
        self.apply(_initialise)
        # half the time on a CPU: depth-wise and grouped kernels want the channels innermost
        self.to(memory_format=torch.channels_last)

    def forward(self, image: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n c h w"]:
        """Compute logits at the size of `image`; any size works."""
        image = image.contiguous(memory_format=torch.channels_last)
        level1, level2, level3, level4 = self.base_net(image)
        x = self.bu_dec_l1(level4)
        x = self.bu_dec_l2(self.bu_br_l2(_join(x, self.merge_enc_dec_l2(level3))))
        x = self.bu_dec_l3(self.bu_br_l3(_join(x, self.merge_enc_dec_l3(level2))))
        x = self.bu_dec_l4(self.bu_br_l4(_join(x, self.merge_enc_dec_l4(level1))))
        h, w = image.shape[-2:]
        # what follows works class by class
        return resize(x.contiguous(), (h, w))


def _join(coarse: Tensor, skip: Tensor) -> Tensor:
    """Resize `coarse` to the finer `skip` and add them."""
    h, w = skip.shape[-2:]
    return resize(coarse, (h, w)) + skip


def _initialise(module: nn.Module) -> None:
    """Draw convolutions from He's normal law; batch-norm and PReLU start at PyTorch's defaults."""
    if isinstance(module, nn.Conv2d):
        # fan_out counts one group only: with depth-wise kernels the plain fan_out would be far too large
        fan_out = module.out_channels * module.kernel_size[0] * module.kernel_size[1] // module.groups
        nn.init.normal_(module.weight, std=(2.0 / fan_out) ** 0.5)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
