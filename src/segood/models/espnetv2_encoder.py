"""Encoder of ESPNetv2: image (N,3,H,W) -> feature maps at 1/2, 1/4, 1/8 and 1/16 of the size.

Source: ESPNetv2 (CVPR 2019), section 3 and table 1; the two widths are those with published
Cityscapes weights.
"""

from __future__ import annotations

from torch import Tensor, nn

from segood.models.espnetv2_blocks import EESP, ConvNormAct, DownSampler, halve

ENCODER_CHANNELS: dict[float, tuple[int, int, int, int]] = {
    0.5: (16, 32, 64, 128),
    2.0: (32, 128, 256, 512),
}
"""Channels of the four levels, by width scale."""


class Encoder(nn.Module):
    """Four levels of EESP units; each down-sampling sees the image again, pooled to its size."""

    def __init__(self, channels: tuple[int, int, int, int]) -> None:
        super().__init__()
        c1, c2, c3, c4 = channels
        self.level1 = ConvNormAct(3, c1, 3, stride=2)
        self.level2_0 = DownSampler(c1, c2, receptive_limit=13)
        self.level3_0 = DownSampler(c2, c3, receptive_limit=11)
        self.level3 = nn.ModuleList(EESP(c3, c3, receptive_limit=9) for _ in range(3))
        self.level4_0 = DownSampler(c3, c4, receptive_limit=9)
        self.level4 = nn.ModuleList(EESP(c4, c4, receptive_limit=7) for _ in range(7))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Map `image` (N,3,H,W) to the levels, finest first; every halving rounds up."""
        at_level2 = halve(halve(image))
        at_level3 = halve(at_level2)
        level1 = self.level1(image)
        level2 = self.level2_0(level1, at_level2)
        level3 = self.level3_0(level2, at_level3)
        for unit in self.level3:
            level3 = unit(level3)
        level4 = self.level4_0(level3, halve(at_level3))
        for unit in self.level4:
            level4 = unit(level4)
        return level1, level2, level3, level4
