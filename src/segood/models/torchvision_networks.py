"""The segmentation networks of torchvision.

Enters: architecture, number of classes. Leaves: the library's module without auxiliary head, with
random weights or the library's pretrained ones.

Source: torchvision (BSD-3-Clause).
"""

from __future__ import annotations

from typing import Any

import torch
import torchvision

from segood.checks import check_choice
from segood.models.libraries import from_hub
from segood.models.network import CITYSCAPES_CLASSES, BuiltNetwork

_BACKBONES = ("mobilenet_v3_large", "resnet50", "resnet101")


def build_torchvision(
    num_classes: int | None,
    *,
    arch: str = "lraspp_mobilenet_v3_large",
    pretrained: bool | str | None = None,
) -> BuiltNetwork:
    """Build any of torchvision's segmentation networks, without auxiliary head.

    Args:
        num_classes: q; where not given, the pretrained network's (21), else 19.
        arch: as torchvision names it.
        pretrained: True, or torchvision's name of weights (COCO_WITH_VOC_LABELS_V1). Where `num_classes`
            is another than theirs, only the backbone's ImageNet weights are loaded.

    Raises:
        UsageError: an option breaks its rule.
        CheckpointError: the weights cannot be had.
    """
    check_choice("arch", arch, torchvision.models.list_models(module=torchvision.models.segmentation))
    if not pretrained:
        q = num_classes or CITYSCAPES_CLASSES
        network = torchvision.models.get_model(arch, weights=None, weights_backbone=None, num_classes=q)
        return BuiltNetwork(_channels_last(network), q, options={"arch": arch})
    published = torchvision.models.get_model_weights(arch)
    if pretrained is not True:
        check_choice(f"pretrained of {arch}", pretrained, [w.name for w in published])
    weights = published["DEFAULT" if pretrained is True else pretrained]
    names = tuple(weights.meta["categories"])
    remedy = "check the connection, or leave `pretrained` out and give a checkpoint"
    if num_classes in (None, len(names)):
        with from_hub(f"torchvision's weights {weights.name} of {arch}", remedy):
            network = torchvision.models.get_model(arch, weights=weights)
        network.aux_classifier = None  # torchvision's loader insists on it; nothing here trains or uses it
        return BuiltNetwork(
            _channels_last(network),
            len(names),
            options={"arch": arch},
            class_names=tuple("background" if n == "__background__" else n for n in names),
            random_weights=None,
        )
    backbone = next(name for name in _BACKBONES if arch.endswith(name))
    best = torchvision.models.get_model_weights(backbone)["IMAGENET1K_V1"]
    with from_hub(f"torchvision's ImageNet weights of {backbone}", remedy):
        network = torchvision.models.get_model(
            arch, weights=None, weights_backbone=best, num_classes=num_classes
        )
    return BuiltNetwork(
        _channels_last(network),
        num_classes,
        options={"arch": arch},
        random_weights=f"all but the backbone ({len(names)} classes are pretrained, not {num_classes})",
    )


def _channels_last(network: Any) -> torch.nn.Module:
    # two thirds of the time per training step on a CPU for the MobileNets, no difference for ResNets
    return network.to(memory_format=torch.channels_last)  # type: ignore[no-any-return]
