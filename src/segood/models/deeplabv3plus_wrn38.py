"""DeepLabv3+ on Wide-ResNet-38, the paper's network: normalised image (N,3,H,W) -> logits (N,C,H,W).

State-dict keys and shapes are those of the published Cityscapes weights (137 M values), which load
strictly. Images are RGB in [0,1] normalised with the ImageNet mean and std.

Source: L.-C. Chen, Y. Zhu, G. Papandreou, F. Schroff, H. Adam, "Encoder-Decoder with Atrous
Separable Convolution for Semantic Image Segmentation", ECCV 2018 (here with plain convolutions), in
the variant of Y. Zhu, K. Sapra, F. A. Reda, K. J. Shih, S. Newsam, A. Tao, B. Catanzaro, "Improving
Semantic Segmentation via Video Propagation and Label Relaxation", CVPR 2019.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from segood.errors import UsageError
from segood.models.wide_resnet38 import Convolution, WideResNet38

ASPP_RATES = (12, 24, 36)


class ASPP(nn.Module):
    """Atrous spatial pyramid pooling: image pool, 1×1, and dilated 3×3 convolutions, concatenated.

    Args:
        nin: channels in.
        nout: channels of each of the five branches.
    """

    def __init__(self, nin: int, nout: int) -> None:
        super().__init__()
        self.features = nn.ModuleList([_conv_norm_relu(nin, nout, 1)])
        self.features.extend(_conv_norm_relu(nin, nout, 3, dilation=rate) for rate in ASPP_RATES)
        self.img_conv = _conv_norm_relu(nin, nout, 1)

    def forward(self, x: Tensor) -> Tensor:
        n, _, h, w = x.shape
        pooled = self._pool(x).expand(n, -1, h, w)
        return torch.cat([pooled, *(branch(x) for branch in self.features)], dim=1)

    def _pool(self, x: Tensor) -> Tensor:
        convolution, norm, relu = self.img_conv
        pooled = convolution(x.mean((2, 3), keepdim=True))
        if isinstance(norm, nn.BatchNorm2d) and norm.training and len(x) == 1:
            # one value per channel has no variance to learn from
            fixed = F.batch_norm(
                pooled, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps
            )
            return relu(fixed)
        return relu(norm(pooled))


class DeepLabV3PlusWRN38(WideResNet38):
    """DeepLabv3+ with a Wide-ResNet-38 encoder and output stride 8.

    Args:
        out_channels: channels of the logits, at least 2 (19 for the published weights).
        width: channels after the first convolution, at least 4; all others follow (64 for the
            published weights).
        activation_checkpointing: compute inner activations again during the backward instead of
            keeping them; results are the same.

    Example:
        >>> import torch
        >>> network = DeepLabV3PlusWRN38(out_channels=5, width=4).eval()
        >>> network(torch.zeros(1, 3, 65, 97)).shape
        torch.Size([1, 5, 65, 97])
    """

    def __init__(
        self, out_channels: int = 19, width: int = 64, *, activation_checkpointing: bool = False
    ) -> None:
        if out_channels < 2:
            raise UsageError(f"`out_channels` of deeplabv3plus_wrn38 must be at least 2; got {out_channels}")
        if width < 4:  # oneDNN's convolutions of two channels write where they must not (torch 2.15)
            raise UsageError(f"`width` of deeplabv3plus_wrn38 must be at least 4; got {width}")
        super().__init__(width, activation_checkpointing=activation_checkpointing)
        middle, edges = 4 * width, 3 * width // 4
        self.aspp = ASPP(64 * width, middle)
        self.bot_fine = Convolution(2 * width, edges, 1)
        self.bot_aspp = Convolution(5 * middle, middle, 1)
        self.final = nn.Sequential(
            *_conv_norm_relu(edges + middle, middle, 3),
            *_conv_norm_relu(middle, middle, 3),
            Convolution(middle, out_channels, 1),
        )
        # a fifth of the time on a CPU; nearly all of it goes into the convolutions
        self.to(memory_format=torch.channels_last)

    def forward(self, image: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n c h w"]:
        """Compute logits at the size of `image`; any size works."""
        fine, deep = self.encode(image.contiguous(memory_format=torch.channels_last))
        context = _resize(self.bot_aspp(self.run_block(self.aspp, deep)), fine)
        logits = self.run_block(self.final, torch.cat([self.bot_fine(fine), context], dim=1))
        # what follows works class by class
        return _resize(logits.contiguous(), image)


def _conv_norm_relu(nin: int, nout: int, kernel: int, *, dilation: int = 1) -> nn.Sequential:
    convolution = Convolution(nin, nout, kernel, dilation=dilation)
    return nn.Sequential(convolution, nn.BatchNorm2d(nout), nn.ReLU(inplace=True))


def _resize(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=True)
