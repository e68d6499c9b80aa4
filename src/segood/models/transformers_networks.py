"""Networks of Hugging Face Transformers: from a configuration, or pretrained by hub name or folder.

Enters: architecture (SegFormer, UPerNet, MaskFormer, Mask2Former, or another that the library can
segment with), encoder and arguments of its configuration; or `pretrained`. Leaves: the library's module.
Mask outputs are reduced to class scores by `SegmentationModel`. Code from a hub is never run.

Source: Transformers (Apache-2.0), which the extra `transformers` installs.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from segood.checks import check_choice
from segood.errors import CheckpointError, UsageError, one_line
from segood.models.checkpoints import shorten
from segood.models.libraries import check_known, from_hub, import_library
from segood.models.network import CITYSCAPES_CLASSES, BuiltNetwork
from segood.models.preprocessing import Preprocessing
from segood.models.transformers_presets import configuration

# facts about a file, not about the network; the labels come with the model's own header
_NOT_STORED = ("transformers_version", "architectures", "id2label", "label2id", "dtype", "model_type")


def build_transformers(
    num_classes: int | None,
    *,
    arch: str = "segformer",
    encoder: str | None = None,
    pretrained: str | None = None,
    arguments: Mapping[str, Any] | None = None,
) -> BuiltNetwork:
    """Build a network of Transformers.

    Args:
        num_classes: q; where not given, the pretrained network's, else 19.
        arch: segformer, upernet, maskformer, mask2former, or the library's `model_type` of another.
        encoder: b0 to b5 for segformer; swin_tiny, ..., convnext_tiny, ... for the others.
        pretrained: name on the hub, or folder written by `save_pretrained`; gives the architecture, too.
            With another number of classes the layers that depend on it are new and random.
        arguments: further values of the configuration, for example `{depths: [1, 1, 1, 1]}`.

    Raises:
        UsageError: the library is missing, or an option breaks its rule.
        CheckpointError: the pretrained network cannot be had.
    """
    library = import_library("transformers", "transformers", "the network `transformers`")
    if pretrained is not None:
        return _pretrained(library, pretrained, num_classes, arguments or {})
    arguments = dict(arguments or {})
    q = num_classes or CITYSCAPES_CLASSES
    module = _from_configuration(library, arch, configuration(arch, encoder, arguments), q)
    options = {"arch": arch, "encoder": encoder, "arguments": arguments}
    return BuiltNetwork(module, q, options=options)


def _from_configuration(library: Any, arch: str, values: Mapping[str, Any], num_classes: int) -> nn.Module:
    check_choice("arch", arch, _architectures(library))
    try:
        config = library.AutoConfig.for_model(arch, **values, num_labels=num_classes)
        _check_names(f"`arguments` of {arch}", values, config)
        _without_auxiliary_head(config)
        with _quiet(library):
            return _auto_class(library, config).from_config(config)  # type: ignore[no-any-return]
    except UsageError:
        raise
    except Exception as error:  # its configurations are checked in part, and the rest fails anywhere
        reason = one_line(error, 200)
        raise UsageError(f"Transformers cannot build {arch} from `arguments`: {reason}") from error


def _pretrained(
    library: Any, name: str, num_classes: int | None, arguments: Mapping[str, Any]
) -> BuiltNetwork:
    if not isinstance(name, str):
        raise UsageError(f"`pretrained` of transformers must be a name on the hub or a folder; got {name}")
    if name.startswith(("/", ".", "~")) and not Path(name).expanduser().is_dir():
        raise UsageError(f"`pretrained`: there is no folder {name}")
    remedy = "check the name and the connection, or give a folder that `save_pretrained` wrote"
    with from_hub(f"the pretrained network '{name}'", remedy), _quiet(library):
        config = library.AutoConfig.from_pretrained(name, trust_remote_code=False, **arguments)
        own_classes = config.num_labels
        names = tuple(str(config.id2label[i]) for i in range(own_classes))
    if config.model_type not in _architectures(library):
        raise CheckpointError(f"'{name}' is a {config.model_type}, which is no segmentation network")
    q = num_classes or own_classes
    config.num_labels = q
    _without_auxiliary_head(config)
    with from_hub(f"the pretrained network '{name}'", remedy), _quiet(library):
        module, info = _auto_class(library, config).from_pretrained(
            name,
            config=config,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            dtype=torch.float32,
        )
        processor = _processor_config(library, name)
    parameters = {key for key, _ in module.named_parameters()}
    fresh = [*info["missing_keys"], *(item[0] for item in info["mismatched_keys"])]
    fresh = sorted(key for key in fresh if key in parameters)
    generic = names[0] == "LABEL_0" or q != own_classes
    return BuiltNetwork(
        module.eval(),
        q,
        options={"arch": config.model_type, "encoder": None, "arguments": _stored(config)},
        class_names=None if generic else names,
        preprocessing=_preprocessing(processor),
        random_weights=shorten(fresh) if fresh else None,
    )


def _check_names(what: str, values: Mapping[str, Any], config: Any) -> None:
    """Refuse names that the configuration would keep without ever looking at them."""
    check_known(what, values, {**type(config)().to_dict(), **config.attribute_map})
    for key, value in values.items():
        if isinstance(value, Mapping) and hasattr(getattr(config, key), "to_dict"):
            _check_names(f"{what}.{key}", value, getattr(config, key))


def _architectures(library: Any) -> list[str]:
    modeling = library.models.auto.modeling_auto
    return [
        *modeling.MODEL_FOR_SEMANTIC_SEGMENTATION_MAPPING_NAMES,
        *modeling.MODEL_FOR_UNIVERSAL_SEGMENTATION_MAPPING_NAMES,
    ]


def _auto_class(library: Any, config: Any) -> Any:
    semantic = library.models.auto.modeling_auto.MODEL_FOR_SEMANTIC_SEGMENTATION_MAPPING_NAMES
    if config.model_type in semantic:
        return library.AutoModelForSemanticSegmentation
    return library.AutoModelForUniversalSegmentation


def _without_auxiliary_head(config: Any) -> None:
    # only its own loss, which is not used here, would train it
    if getattr(config, "use_auxiliary_head", False):
        config.use_auxiliary_head = False


def _processor_config(library: Any, name: str) -> dict[str, Any]:
    try:
        return library.models.auto.image_processing_auto.get_image_processor_config(name)  # type: ignore[no-any-return]
    except (OSError, ValueError):
        return {}


def _preprocessing(processor: Mapping[str, Any]) -> Preprocessing | None:
    mean, std = processor.get("image_mean"), processor.get("image_std")
    if not processor.get("do_normalize", True):
        mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    if mean is None or std is None:
        return None
    return Preprocessing(mean=tuple(mean), std=tuple(std))


def _stored(config: Any) -> dict[str, Any]:
    """Return what `AutoConfig.for_model` needs to make the same configuration, as JSON values."""
    values = json.loads(config.to_json_string(use_diff=True))
    return {key: value for key, value in values.items() if key not in _NOT_STORED}


@contextlib.contextmanager
def _quiet(library: Any) -> Iterator[None]:
    """Mute progress bars and hints; what matters is in the result."""
    logging = library.utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
