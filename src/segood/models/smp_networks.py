"""Networks of segmentation-models-pytorch, with its own encoders or timm's (`tu-...`).

Enters: architecture, encoder, number of classes. Leaves: the library's module, with random weights or
with pretrained weights of the encoder, and what it expects of its input.

Source: segmentation-models-pytorch (MIT licence), which the extra `smp` installs.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from torch import nn

from segood.checks import check_choice
from segood.errors import UsageError, one_line
from segood.models.libraries import check_known, from_hub, import_library
from segood.models.network import CITYSCAPES_CLASSES, BuiltNetwork
from segood.models.preprocessing import Preprocessing


def build_smp(
    num_classes: int | None,
    *,
    arch: str = "Unet",
    encoder: str = "resnet34",
    pretrained: bool | str | None = None,
    arguments: Mapping[str, Any] | None = None,
) -> BuiltNetwork:
    """Build a network of segmentation-models-pytorch.

    Images are padded to multiples of the encoder's output stride, which most of its networks ask for.

    Args:
        num_classes: q; 19 where not given.
        arch: architecture, as the library calls it (Unet, FPN, DeepLabV3Plus, Segformer, ...).
        encoder: as the library calls it (resnet34, mit_b0, ...), or `tu-` and the name of a timm model.
        pretrained: weights of the encoder: True for ImageNet's, or the library's name of others.
        arguments: further arguments of the library's class, for example `{decoder_channels: [...]}`.

    Raises:
        UsageError: the library is missing, or an option breaks its rule.
        CheckpointError: the weights cannot be had.
    """
    smp = import_library("segmentation_models_pytorch", "smp", "the network `smp`")
    names = {name.__name__.lower(): name.__name__ for name in smp.MODEL_ARCHITECTURES_MAPPING.values()}
    check_choice("arch", names.get(arch.lower(), arch), names.values())
    _check_encoder(smp, encoder)
    if not encoder.startswith("tu-"):  # timm's take arguments that only they know
        known = inspect.signature(smp.MODEL_ARCHITECTURES_MAPPING[arch.lower()]).parameters
        check_known(f"`arguments` of {arch}", arguments or {}, known)
    weights = "imagenet" if pretrained is True else (pretrained or None)
    timm_model = encoder.startswith("tu-")
    given = {"encoder_name": encoder, "classes": num_classes or CITYSCAPES_CLASSES, **(arguments or {})}
    if weights is not None:
        _check_weights(smp, encoder, weights)
        with from_hub(
            f"the weights '{weights}' of the encoder {encoder}",
            "check the connection, or leave `pretrained` out and give a checkpoint",
        ):
            network = smp.create_model(arch, encoder_weights=True if timm_model else weights, **given)
            preprocessing = _preprocessing(smp.encoders.get_preprocessing_params(encoder, weights))
    else:
        network, preprocessing = _without_weights(smp, arch, given), None
    return BuiltNetwork(
        network,
        given["classes"],
        options={"arch": arch, "encoder": encoder, "arguments": dict(arguments or {})},
        preprocessing=preprocessing,
        size_multiple=int(network.encoder.output_stride),
        random_weights="the decoder and the head" if weights else "all",
    )


def _without_weights(smp: Any, arch: str, given: Mapping[str, Any]) -> nn.Module:
    try:
        return smp.create_model(arch, encoder_weights=None, **given)  # type: ignore[no-any-return]
    except Exception as error:  # each of its networks has its own ways to refuse
        reason = one_line(error, 200)
        raise UsageError(
            f"smp cannot build {arch} with the encoder {given['encoder_name']}: {reason}; "
            "check `arch`, `encoder` and `arguments`"
        ) from error


def _check_encoder(smp: Any, encoder: str) -> None:
    if not encoder.startswith("tu-"):
        check_known("segmentation-models-pytorch", [encoder], smp.encoders.get_encoder_names())
        return
    timm = import_library("timm", "smp", f"the encoder {encoder}")
    name = encoder.removeprefix("tu-")
    if not timm.is_model(name):
        check_known("timm", [name], timm.list_models())


def _check_weights(smp: Any, encoder: str, weights: str) -> None:
    if encoder.startswith("tu-"):
        if weights != "imagenet":
            raise UsageError(
                f"`pretrained` of {encoder} must be true; timm names weights in the encoder: {encoder}.TAG"
            )
        return
    check_choice(f"pretrained for {encoder}", weights, smp.encoders.encoders[encoder]["pretrained_settings"])


def _preprocessing(parameters: Mapping[str, Any]) -> Preprocessing:
    low, high = parameters["input_range"]
    return Preprocessing(
        mean=tuple(parameters["mean"]),  # type: ignore[arg-type]
        std=tuple(parameters["std"]),  # type: ignore[arg-type]
        channel_order="bgr" if parameters["input_space"].lower() == "bgr" else "rgb",
        value_range=(low, high),
    )
