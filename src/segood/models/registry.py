"""One way to a model, from a name, a file, the user's code, or a module.

Enters: what to build and which weights. Leaves: a `SegmentationModel` in evaluation mode.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from segood.checks import check_choice
from segood.errors import CheckpointError, UsageError
from segood.models.adapter import SegmentationModel
from segood.models.building import (
    PreprocessingChoice,
    build_imported,
    build_named,
    choose_preprocessing,
    header_of,
)
from segood.models.checkpoints import Checkpoint, read_checkpoint, shorten
from segood.models.inference import Inference
from segood.models.matching import load_weights
from segood.models.preprocessing import Preprocessing
from segood.models.probing import check_forward, probe_num_channels
from segood.models.weights import resolve_weights
from segood.models.zoo import NETWORKS
from segood.user_code import is_import_path

_FILE_SUFFIXES = {".safetensors", ".pth", ".pt", ".ckpt", ".bin", ".tar", ".onnx"}
_log = logging.getLogger("segood.models")


def list_models() -> tuple[str, ...]:
    """Return the names `load_model` knows.

    Example:
        >>> list_models()
        ('espnetv2', 'deeplabv3plus_wrn38', 'torchvision', 'smp', 'transformers', 'unet')
    """
    return tuple(NETWORKS)


def load_model(
    name_or_module_or_path: str | Path | nn.Module,
    checkpoint: str | Path | None = None,
    *,
    num_classes: int | None = None,
    class_names: Sequence[str] | None = None,
    preprocessing: Preprocessing | Mapping[str, Any] | None = None,
    drop_channels: int = 0,
    device: str | torch.device = "cpu",
    inference: Inference | Mapping[str, Any] | None = None,
    allow_partial: bool = False,
    **options: Any,
) -> SegmentationModel:
    """Build a network, load its weights, and give it the face all of segood works with.

    What is not given comes from the checkpoint, as far as it tells (segood's own tell everything);
    then from the defaults: 19 classes for a named network, those of Cityscapes.

    Args:
        name_or_module_or_path: a name of `list_models`; a file written by `save_model`; an ONNX file; the
            import path of code of yours, `my_pkg.my_model:build` or `path/to/my_model.py:build`, which is
            run; or a module of yours, which is wrapped, not copied. See `SegmentationModel` for what a
            network may return.
        checkpoint: weights for a named network or code or a module of yours: a file, or the name of
            public weights that were fetched (`segood models list`); read without running code, loaded
            strictly. Random weights where not given.
        num_classes: number of classes q. For networks of yours it is counted with one small forward.
        class_names: q names.
        preprocessing: normalisation and working size; ImageNet's, any size. A mapping changes only what
            it holds.
        drop_channels: for networks of yours: trailing channels of the logits that are no classes.
        device: where the model goes.
        inference: how `predict_logits` computes: tiles, scales, precision; that of the checkpoint, or one
            float32 forward of the whole image. A mapping changes only what it holds.
        allow_partial: load what fits of the checkpoint and leave the rest random, for example for a new
            head; the logger `segood.models` says what was left out, as does `random_weights` of the model.
        options: of the named network (`scale` for espnetv2; `activation_checkpointing` for
            deeplabv3plus_wrn38: less memory in training, a third more time; `arch`, `encoder`,
            `pretrained`, `arguments` for networks of other libraries; `width` for unet), or arguments of
            your function.

    Returns:
        The model, in evaluation mode.

    Raises:
        UsageError: unknown name or option, an argument that breaks its rule, or code of yours that
            cannot be used.
        CheckpointError: the checkpoint cannot be read, would run code, or does not fit; or pretrained
            weights cannot be had.

    Example:
        >>> model = load_model("espnetv2", scale=0.5)
        >>> model(torch.zeros(1, 3, 65, 97)).shape, model.class_names[10]
        (torch.Size([1, 19, 65, 97]), 'sky')
    """
    target = name_or_module_or_path
    if allow_partial and checkpoint is None:
        raise UsageError("`allow_partial` is for loading a checkpoint; give `checkpoint`")
    file = None if checkpoint is None else read_checkpoint(resolve_weights(checkpoint))
    if isinstance(target, nn.Module):
        _refuse_options(options, type(target).__name__)
        model = _wrap(target, file, num_classes, class_names, preprocessing, drop_channels)
    elif str(target).endswith(".onnx"):
        _refuse_options(options, str(target))
        if file is not None:
            raise UsageError(f"{target} holds its own weights; leave `checkpoint` out")
        model = _open_onnx(target, num_classes, class_names, preprocessing, drop_channels)
    elif isinstance(target, str) and is_import_path(target):
        model = build_imported(target, file, num_classes, class_names, preprocessing, drop_channels, options)
    else:
        if str(target).endswith(".py"):
            raise UsageError(f"say what builds the network in {target}, for example {target}:build")
        if drop_channels:
            raise UsageError("`drop_channels` is for networks of your own; a named network has its own")
        if isinstance(target, Path) or _is_file_name(target):
            if file is not None:
                raise UsageError(f"give one file: {target} holds its own weights, `checkpoint` is for names")
            file = read_checkpoint(target)
            _refuse_options(options, str(target))
            target = _name_in_header(file)
        else:
            check_choice("model", target, NETWORKS)
        model = build_named(target, file, num_classes, class_names, preprocessing, options, allow_partial)
    if file is not None:
        _load(model, file, allow_partial)
    if file is not None and not isinstance(target, SegmentationModel):
        model.inference = Inference.from_dict(header_of(file).get("inference", {}))
    if isinstance(inference, Inference):
        model.inference = inference
    elif inference is not None:
        model.inference = model.inference.changed(inference)
    return model.to(_checked_device(device)).eval()


def _load(model: SegmentationModel, file: Checkpoint, allow_partial: bool) -> None:
    entry = NETWORKS.get(model.name or "")
    ignored = entry.ignored if entry else ()
    report = load_weights(model, file, ignored=ignored, allow_partial=allow_partial)
    model.random_weights = shorten(list(report.kept)) if report.kept else None
    if report.mismatch:
        _log.warning("%s, partly loaded into %s: %s", file.path, model.name or "the module", report)


def _wrap(
    module: nn.Module,
    file: Checkpoint | None,
    num_classes: int | None,
    class_names: Sequence[str] | None,
    preprocessing: PreprocessingChoice,
    drop_channels: int,
) -> SegmentationModel:
    if isinstance(module, SegmentationModel):
        if num_classes not in (None, module.num_classes):
            raise UsageError(f"the model has {module.num_classes} classes; got num_classes={num_classes}")
        if class_names is not None or preprocessing is not None or drop_channels:
            raise UsageError(
                "a SegmentationModel has its own class_names, preprocessing and drop_channels; "
                "pass its `.network` to give others"
            )
        return module
    header = header_of(file)
    chosen = choose_preprocessing(preprocessing, header, Preprocessing())
    if num_classes is None:
        num_classes = probe_num_channels(module, chosen) - drop_channels
    if class_names is None and header.get("num_classes") == num_classes:
        class_names = header.get("class_names")
    return SegmentationModel(
        module,
        num_classes=num_classes,
        class_names=class_names,
        preprocessing=chosen,
        drop_channels=drop_channels,
    )


def _open_onnx(
    path: str | Path,
    num_classes: int | None,
    class_names: Sequence[str] | None,
    preprocessing: PreprocessingChoice,
    drop_channels: int,
) -> SegmentationModel:
    from segood.models.onnx_network import OnnxNetwork

    network = OnnxNetwork(path)
    chosen = choose_preprocessing(preprocessing, {}, Preprocessing())
    if network.image_size is not None:
        if chosen.working_size not in (None, network.image_size):
            raise UsageError(
                f"{path} takes images of {network.image_size} only; got working_size={chosen.working_size}"
            )
        chosen = chosen.changed({"working_size": network.image_size})
    if num_classes is None and class_names is not None:
        num_classes = len(class_names)
    model = _wrap(network, None, num_classes, class_names, chosen, drop_channels)
    check_forward(model)
    return model


def _is_file_name(target: str) -> bool:
    if target in NETWORKS:
        return False
    path = Path(target)
    return path.suffix in _FILE_SUFFIXES or len(path.parts) > 1 or path.is_file()


def _name_in_header(file: Checkpoint) -> str:
    """Return the name of the network that a file written by `save_model` is for."""
    if file.header is None:
        raise CheckpointError(
            f"{file.path} does not say which network it is for (no segood header); "
            f"give the network: load_model(name or module, checkpoint={file.path.name!r})"
        )
    name = file.header["name"]
    if name is None:
        raise CheckpointError(
            f"{file.path} holds weights of a module of your own ({file.header.get('network')}); "
            f"build it and pass it: load_model(module, checkpoint={file.path.name!r})"
        )
    if is_import_path(name):
        raise CheckpointError(
            f"{file.path} holds weights of code of yours, which a checkpoint never runs; "
            f"name the code, too: load_model({name!r}, checkpoint={file.path.name!r}), "
            f"or --model.name {name} --model.checkpoint {file.path.name}"
        )
    if name not in NETWORKS:
        raise CheckpointError(f"{file.path} is for the network {name!r}, which this version does not know")
    return str(name)


def _refuse_options(options: dict[str, Any], what: str) -> None:
    if options:
        raise UsageError(f"{what} takes no options, they are for names; got {', '.join(sorted(options))}")


def _checked_device(device: str | torch.device) -> torch.device:
    try:
        found = torch.device(device)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError, ValueError) as error:
        reason = str(error).split("\n")[0]
        raise UsageError(f"`device` {device} cannot be used here: {reason}; try cpu") from error
    return found
