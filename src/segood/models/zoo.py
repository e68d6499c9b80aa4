"""The networks segood knows by name: how to build each, and what a checkpoint tells about it.

Enters: number of classes and options. Leaves: a network with random weights.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from segood.models.deeplabv3plus_wrn38 import DeepLabV3PlusWRN38
from segood.models.espnetv2 import ESPNetv2
from segood.models.espnetv2_encoder import ENCODER_CHANNELS
from segood.models.network import CITYSCAPES_CLASSES, BuiltNetwork
from segood.models.preprocessing import Preprocessing
from segood.models.smp_networks import build_smp
from segood.models.torchvision_networks import build_torchvision
from segood.models.transformers_networks import build_transformers
from segood.models.unet import UNet
from segood.models.weights import PUBLIC_WEIGHTS, PublicWeights


@dataclass(frozen=True)
class NetworkEntry:
    """One named network.

    Attributes:
        name: what `load_model` takes.
        summary: one line for a list.
        build: `(num_classes or None, **options) -> BuiltNetwork`; its keyword-only parameters are the
            options, with their defaults.
        infer: `(tensors) -> options and num_classes` as far as the weights tell them.
        ignored: beginnings of keys of published checkpoints that the network does without.
        preprocessing: what the published weights expect; default of a network built by this name.
        label_space: what the outputs mean unless told otherwise; None where that is the user's word.
        licence: of the code that builds the network.
        source: the publication, or the library the network comes from.
        feature_layer: where features are taken unless asked for otherwise (see
            `segood.models.features.default_layer`); found by one small forward where None.
    """

    name: str
    summary: str
    build: Callable[..., BuiltNetwork]
    infer: Callable[[Mapping[str, Tensor]], dict[str, Any]]
    ignored: tuple[str, ...] = ()
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    label_space: str | None = None
    licence: str = "Apache-2.0 (segood's own code)"
    source: str = ""
    feature_layer: str | None = None

    @property
    def weights(self) -> tuple[PublicWeights, ...]:
        """Public weights for this network, see `segood models fetch`."""
        return tuple(w for w in PUBLIC_WEIGHTS.values() if w.network == self.name)

    @property
    def options(self) -> dict[str, Any]:
        """Names of the options, with their defaults."""
        parameters = inspect.signature(self.build).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}


def build_espnetv2(num_classes: int | None, *, scale: float = 2.0) -> BuiltNetwork:
    """Build ESPNetv2; for 19 classes with the 20th channel that the Cityscapes weights have."""
    q = num_classes or CITYSCAPES_CLASSES
    extra = 1 if q == CITYSCAPES_CLASSES else 0
    return BuiltNetwork(ESPNetv2(q + extra, float(scale)), q, extra)


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
    num_classes: int | None, *, width: int = 64, activation_checkpointing: bool = False
) -> BuiltNetwork:
    """Build the paper's network; narrower ones are for trying things out."""
    q = num_classes or CITYSCAPES_CLASSES
    return BuiltNetwork(DeepLabV3PlusWRN38(q, width, activation_checkpointing=activation_checkpointing), q)


def infer_deeplabv3plus_wrn38(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Tell width and classes from the first and the last convolution."""
    first, last = tensors.get("mod1.conv1.weight"), tensors.get("final.6.weight")
    known = {} if first is None else {"width": first.shape[0]}
    return known if last is None else {**known, "num_classes": last.shape[0]}


def infer_torchvision(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Tell the classes from the head of DeepLabv3, FCN or LR-ASPP."""
    for key in ("classifier.low_classifier.weight", "classifier.4.weight"):
        if key in tensors:
            return {"num_classes": tensors[key].shape[0]}
    return {}


def build_unet(num_classes: int | None, *, width: int = 40) -> BuiltNetwork:
    """Build the small U-Net."""
    q = num_classes or CITYSCAPES_CLASSES
    return BuiltNetwork(UNet(q, width), q)


def infer_unet(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Tell width and classes from the last convolution."""
    head = tensors.get("head.weight")
    return {} if head is None else {"num_classes": head.shape[0], "width": head.shape[1]}


def infer_smp(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Tell the classes from the head."""
    head = tensors.get("segmentation_head.0.weight")
    return {} if head is None else {"num_classes": head.shape[0]}


def infer_transformers(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Tell the classes from the head; that of mask classification has one more channel."""
    for key, extra in (("decode_head.classifier.weight", 0), ("class_predictor.weight", 1)):
        if key in tensors:
            return {"num_classes": tensors[key].shape[0] - extra}
    return {}


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
            feature_layer="bu_br_l4",
        ),
        NetworkEntry(
            "deeplabv3plus_wrn38",
            "the paper's network, DeepLabv3+ on Wide-ResNet-38 (CVPR 2019); activation_checkpointing, width",
            build_deeplabv3plus_wrn38,
            infer_deeplabv3plus_wrn38,
            label_space="cityscapes",
            source="L.-C. Chen et al., DeepLabv3+, ECCV 2018, arXiv 1802.02611; Y. Zhu et al., CVPR 2019, "
            "arXiv 1812.01593",
            feature_layer="final.5",
        ),
        NetworkEntry(
            "torchvision",
            "torchvision's segmentation networks; arch as torchvision names them, pretrained",
            build_torchvision,
            infer_torchvision,
            ignored=("aux_classifier.",),
            licence="BSD-3-Clause (torchvision)",
            source="torchvision.models.segmentation",
        ),
        NetworkEntry(
            "smp",
            "segmentation-models-pytorch; arch, encoder (timm's as tu-...), pretrained, arguments",
            build_smp,
            infer_smp,
            licence="MIT (segmentation-models-pytorch)",
            source="segmentation_models_pytorch",
        ),
        NetworkEntry(
            "transformers",
            "Hugging Face; arch segformer, upernet, maskformer, mask2former, ..., encoder, pretrained",
            build_transformers,
            infer_transformers,
            ignored=("auxiliary_head.", "criterion."),
            licence="Apache-2.0 (Transformers); pretrained weights have their own",
            source="transformers",
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
