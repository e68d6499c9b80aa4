"""One way to a model, from a name, a saved file, or a module of the user's.

Enters: what to build and which weights. Leaves: a `SegmentationModel` in evaluation mode.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from segood.checks import check_choice
from segood.data.label_spaces import CITYSCAPES
from segood.errors import CheckpointError, UsageError
from segood.models.adapter import SegmentationModel, probe_num_channels
from segood.models.checkpoints import Checkpoint, read_checkpoint
from segood.models.matching import load_weights, unwrap_keys
from segood.models.preprocessing import Preprocessing
from segood.models.weights import resolve_weights
from segood.models.zoo import CITYSCAPES_CLASSES, NETWORKS, NetworkEntry

_FILE_SUFFIXES = {".safetensors", ".pth", ".pt", ".ckpt", ".bin", ".tar"}


def list_models() -> tuple[str, ...]:
    """Return the names `load_model` knows.

    Example:
        >>> list_models()
        ('espnetv2', 'deeplabv3plus_wrn38', 'torchvision', 'unet')
    """
    return tuple(NETWORKS)


def load_model(
    name_or_module_or_path: str | Path | nn.Module,
    checkpoint: str | Path | None = None,
    *,
    num_classes: int | None = None,
    class_names: Sequence[str] | None = None,
    preprocessing: Preprocessing | None = None,
    drop_channels: int = 0,
    device: str | torch.device = "cpu",
    **options: Any,
) -> SegmentationModel:
    """Build a network, load its weights, and give it the face all of segood works with.

    What is not given comes from the checkpoint, as far as it tells (segood's own tell everything);
    then from the defaults: 19 classes for a named network, those of Cityscapes.

    Args:
        name_or_module_or_path: a name of `list_models`; a file written by `save_model`; or a module
            of yours (see `SegmentationModel` for what it may return), which is wrapped, not copied.
        checkpoint: weights for a named network or a module: a file, or the name of public weights
            that were fetched (`segood models list`); read without running code, loaded strictly.
            Random weights where not given.
        num_classes: number of classes q. For a module it is counted with one small forward.
        class_names: q names.
        preprocessing: normalisation and working size; ImageNet's, any size.
        drop_channels: for a module: trailing channels of its logits that are no classes.
        device: where the model goes.
        options: of the named network: `scale` for espnetv2 (2.0 or 0.5), `activation_checkpointing`
            for deeplabv3plus_wrn38 (less memory in training, a third more time), `arch` for
            torchvision, `width` for unet.

    Returns:
        The model, in evaluation mode.

    Raises:
        UsageError: unknown name or option, or an argument that breaks its rule.
        CheckpointError: the checkpoint cannot be read, would run code, or does not fit.

    Example:
        >>> model = load_model("espnetv2", scale=0.5)
        >>> model(torch.zeros(1, 3, 65, 97)).shape, model.class_names[10]
        (torch.Size([1, 19, 65, 97]), 'sky')
    """
    target = name_or_module_or_path
    file = None if checkpoint is None else read_checkpoint(resolve_weights(checkpoint))
    if isinstance(target, nn.Module):
        _refuse_options(options, type(target).__name__)
        model = _wrap(target, file, num_classes, class_names, preprocessing, drop_channels)
        entry = NETWORKS.get(model.name or "")
    else:
        if drop_channels:
            raise UsageError("`drop_channels` is for modules of your own; a named network has its own")
        if isinstance(target, Path) or _is_file_name(target):
            if file is not None:
                raise UsageError(f"give one file: {target} holds its own weights, `checkpoint` is for names")
            file = read_checkpoint(target)
            _refuse_options(options, str(target))
            target = _name_in_header(file)
        else:
            check_choice("model", target, NETWORKS)
        entry = NETWORKS[target]
        model = _build(entry, file, num_classes, class_names, preprocessing, options)
    if file is not None:
        load_weights(model, file, ignored=entry.ignored if entry else ())
    return model.to(_checked_device(device)).eval()


def _build(
    entry: NetworkEntry,
    file: Checkpoint | None,
    num_classes: int | None,
    class_names: Sequence[str] | None,
    preprocessing: Preprocessing | None,
    options: dict[str, Any],
) -> SegmentationModel:
    for option in options:
        check_choice(f"option of {entry.name}", option, entry.options)
    known = dict(entry.options)
    header = (file.header if file else None) or {}
    if file and header and header["name"] not in (None, entry.name):
        raise CheckpointError(f"{file.path} holds weights of {header['name']}, not of {entry.name}")
    inferred = dict(header.get("options", {}))
    if header:
        inferred["num_classes"] = header["num_classes"]
    elif file is not None:
        with torch.device("meta"):  # for its keys only: no memory, no time
            expected, _ = entry.build(CITYSCAPES_CLASSES, **{**known, **options})
        inferred = entry.infer(unwrap_keys(file.tensors, expected.state_dict()))
    counted = inferred.pop("num_classes", None)
    known.update({key: value for key, value in inferred.items() if key in known})
    known.update(options)
    # the caller's word goes before the file's: where they differ, loading says so
    q = num_classes or (len(class_names) if class_names else None) or counted or CITYSCAPES_CLASSES
    if q < 2:
        raise UsageError(f"`num_classes` must be at least 2; got {q}")
    if class_names is None and header and header["num_classes"] == q:
        class_names = header.get("class_names")
    if class_names is None and q == CITYSCAPES_CLASSES:
        class_names = CITYSCAPES.class_names
    network, drop_channels = entry.build(q, **known)
    return SegmentationModel(
        network,
        num_classes=q,
        class_names=class_names,
        preprocessing=preprocessing or _preprocessing_in(header),
        drop_channels=drop_channels,
        name=entry.name,
        options=known,
    )


def _wrap(
    module: nn.Module,
    file: Checkpoint | None,
    num_classes: int | None,
    class_names: Sequence[str] | None,
    preprocessing: Preprocessing | None,
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
    header = (file.header if file else None) or {}
    preprocessing = preprocessing or _preprocessing_in(header)
    if num_classes is None:
        num_classes = probe_num_channels(module, preprocessing) - drop_channels
    if class_names is None and header.get("num_classes") == num_classes:
        class_names = header.get("class_names")
    return SegmentationModel(
        module,
        num_classes=num_classes,
        class_names=class_names,
        preprocessing=preprocessing,
        drop_channels=drop_channels,
    )


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
    if name not in NETWORKS:
        raise CheckpointError(f"{file.path} is for the network {name!r}, which this version does not know")
    return str(name)


def _preprocessing_in(header: dict[str, Any]) -> Preprocessing | None:
    return Preprocessing.from_dict(header["preprocessing"]) if "preprocessing" in header else None


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
