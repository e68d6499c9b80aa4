"""The networks segood knows by name: how to build each, and what a checkpoint tells about it.

Enters: number of classes and options. Leaves: a network with random weights.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
import torchvision
from torch import Tensor, nn

from segood.checks import check_choice
from segood.models.deeplabv3plus_wrn38 import DeepLabV3PlusWRN38
from segood.models.espnetv2 import ESPNetv2
from segood.models.espnetv2_encoder import ENCODER_CHANNELS
from segood.models.preprocessing import Preprocessing
from segood.models.unet import UNet
from segood.models.weights import PUBLIC_WEIGHTS, PublicWeights

CITYSCAPES_CLASSES = 19


@dataclass(frozen=True)
class NetworkEntry:
    """One named network.

    Attributes:
        name: what `load_model` takes.
        summary: one line for a list.
        build: `(num_classes, **options) -> (network, drop_channels)`; its keyword-only parameters
            are the options, with their defaults.
        infer: `(tensors) -> options and num_classes` as far as the weights tell them.
        ignored: beginnings of keys of published checkpoints that the network does without.
        preprocessing: what the published weights expect; default of a network built by this name.
        label_space: what the outputs mean unless told otherwise; None where that is the user's word.
        licence: of the code that builds the network.
        source: the publication, or the library the network comes from.
    """

    name: str
    summary: str
    build: Callable[..., tuple[nn.Module, int]]
    infer: Callable[[Mapping[str, Tensor]], dict[str, Any]]
    ignored: tuple[str, ...] = ()
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    label_space: str | None = None
    licence: str = "Apache-2.0 (segood's own code)"
    source: str = ""

    @property
    def weights(self) -> tuple[PublicWeights, ...]:
        """Public weights for this network, see `segood models fetch`."""
        return tuple(w for w in PUBLIC_WEIGHTS.values() if w.network == self.name)

    @property
    def options(self) -> dict[str, Any]:
        """Names of the options, with their defaults."""
        parameters = inspect.signature(self.build).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}


def build_espnetv2(num_classes: int, *, scale: float = 2.0) -> tuple[nn.Module, int]:
    """Build ESPNetv2; for 19 classes with the 20th channel that the Cityscapes weights have."""
    extra = 1 if num_classes == CITYSCAPES_CLASSES else 0
    return ESPNetv2(num_classes + extra, float(scale)), extra


def infer_espnetv2(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Tell scale and classes from the first and the last convolution."""
    known: dict[str, Any] = {}
    first, last = tensors.get("base_net.level1.conv.weight"), tensors.get("bu_dec_l4.merge_layer.3.bias")
    widths = {channels[0]: scale for scale, channels in ENCODER_CHANNELS.items()}
    if first is not None and first.shape[0] in widths:
        known["scale"] = widths[first.shape[0]]
    if last is not None:
        known["num_classes"] = CITYSCAPES_CLASSES if len(last) == CITYSCAPES_CLASSES + 1 else len(last)
    return known


def build_deeplabv3plus_wrn38(
    num_classes: int, *, width: int = 64, activation_checkpointing: bool = False
) -> tuple[nn.Module, int]:
    """Build the paper's network; narrower ones are for trying things out."""
    return DeepLabV3PlusWRN38(num_classes, width, activation_checkpointing=activation_checkpointing), 0


def infer_deeplabv3plus_wrn38(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Tell width and classes from the first and the last convolution."""
    first, last = tensors.get("mod1.conv1.weight"), tensors.get("final.6.weight")
    known = {} if first is None else {"width": first.shape[0]}
    return known if last is None else {**known, "num_classes": last.shape[0]}


def build_torchvision(num_classes: int, *, arch: str = "lraspp_mobilenet_v3_large") -> tuple[nn.Module, int]:
    """Build any of torchvision's segmentation networks, without pretrained weights or auxiliary head."""
    check_choice("arch", arch, torchvision.models.list_models(module=torchvision.models.segmentation))
    network = torchvision.models.get_model(arch, weights=None, weights_backbone=None, num_classes=num_classes)
    # two thirds of the time per training step on a CPU for the MobileNets, no difference for ResNets
    return network.to(memory_format=torch.channels_last), 0


def infer_torchvision(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Tell the classes from the head of DeepLabv3, FCN or LR-ASPP."""
    for key in ("classifier.low_classifier.weight", "classifier.4.weight"):
        if key in tensors:
            return {"num_classes": tensors[key].shape[0]}
    return {}


def build_unet(num_classes: int, *, width: int = 40) -> tuple[nn.Module, int]:
    """Build the small U-Net."""
    return UNet(num_classes, width), 0


def infer_unet(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Tell width and classes from the last convolution."""
    head = tensors.get("head.weight")
    return {} if head is None else {"num_classes": head.shape[0], "width": head.shape[1]}


NETWORKS: dict[str, NetworkEntry] = {
    entry.name: entry
    for entry in (
        NetworkEntry(
            "espnetv2",
            "ESPNetv2 (CVPR 2019), small and fast; scale 2.0 or 0.5",
            build_espnetv2,
            infer_espnetv2,
            label_space="cityscapes",
            source="S. Mehta et al., ESPNetv2, CVPR 2019, arXiv 1811.11431",
        ),
        NetworkEntry(
            "deeplabv3plus_wrn38",
            "the paper's network, DeepLabv3+ on Wide-ResNet-38 (CVPR 2019); activation_checkpointing, width",
            build_deeplabv3plus_wrn38,
            infer_deeplabv3plus_wrn38,
            label_space="cityscapes",
            source="L.-C. Chen et al., DeepLabv3+, ECCV 2018, arXiv 1802.02611; Y. Zhu et al., CVPR 2019, "
            "arXiv 1812.01593",
        ),
        NetworkEntry(
            "torchvision",
            "torchvision's segmentation networks; arch as torchvision names them",
            build_torchvision,
            infer_torchvision,
            ignored=("aux_classifier.",),
            licence="BSD-3-Clause (torchvision)",
            source="torchvision.models.segmentation",
        ),
        NetworkEntry(
            "unet",
            "a plain small U-Net that learns from random weights in minutes on a CPU; width",
            build_unet,
            infer_unet,
            source="O. Ronneberger et al., U-Net, MICCAI 2015, arXiv 1505.04597",
        ),
    )
}
