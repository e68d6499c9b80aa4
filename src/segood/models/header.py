"""What a file of segood's says about the network whose weights it holds.

Enters: a model. Leaves: JSON values that build it again; and, read back, the same, checked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from segood.data.label_spaces import CAMVID11, CITYSCAPES
from segood.errors import CheckpointError, UsageError
from segood.models.adapter import SegmentationModel
from segood.models.inference import Inference
from segood.models.preprocessing import Preprocessing

HEADER_KEY = "segood"
HEADER_FORMAT = 1
MOST = 2**16
"""No number of a header that builds a network is larger."""


def model_header(model: SegmentationModel, metadata: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Describe a model in JSON values, completely enough to build it again.

    Args:
        model: the model.
        metadata: further JSON values to keep with it (training configuration, metrics).

    Returns:
        `format`, `segood` (version), `name` (of `list_models`, or an import path), `options`, `network`
        (class), `num_classes`, `drop_channels`, `class_names`, `label_space` (its name, where the classes
        are those of one that segood knows), `preprocessing`, `inference`, `metadata`.
    """
    network = type(model.network)
    return {
        "format": HEADER_FORMAT,
        "segood": version("segood"),
        "name": model.name,
        "options": model.options,
        "network": f"{network.__module__}.{network.__qualname__}",
        "num_classes": model.num_classes,
        "drop_channels": model.drop_channels,
        "class_names": list(model.class_names),
        "label_space": _label_space(model.class_names),
        "preprocessing": model.preprocessing.to_dict(),
        "inference": model.inference.to_dict(),
        "metadata": dict(metadata or {}),
    }


def checked_header(path: Path, header: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return the header if it is one that this version reads, None if there is none.

    Raises:
        CheckpointError: it is damaged, or of a later version.
    """
    if header is None:
        return None
    if not isinstance(header, dict) or not {"name", "options", "num_classes"} <= set(header):
        raise CheckpointError(f"{path} has a damaged segood header; save the model again")
    number = header.get("format", 0)
    if type(number) is int and number > HEADER_FORMAT:
        raise CheckpointError(
            f"{path} was written by segood {header.get('segood')} with header format {number}; "
            f"this version reads up to {HEADER_FORMAT}, upgrade segood"
        )
    for name, (rule, holds) in _RULES.items():
        if name in header and not holds(header[name]):
            raise CheckpointError(
                f"{path} has a damaged segood header: `{name}` must be {rule}; save the model again"
            )
    try:
        Preprocessing.from_dict(header.get("preprocessing", {}))
        Inference.from_dict(header.get("inference", {}))
    except UsageError as error:
        raise CheckpointError(f"{path} has a damaged segood header: {error}; save the model again") from error
    return header


def _is_count(value: Any, least: int = 0) -> bool:
    return type(value) is int and least <= value <= MOST


def _is_small(value: Any) -> bool:
    """Whether no number within options is beyond what networks are built of."""
    if isinstance(value, (list, tuple)):
        return all(map(_is_small, value))
    if isinstance(value, dict):
        return all(map(_is_small, value.values()))
    return not isinstance(value, (int, float)) or -MOST <= value <= MOST


_Rule = tuple[str, Callable[[Any], bool]]
_OBJECT: _Rule = ("an object", lambda value: isinstance(value, dict))
_RULES: dict[str, _Rule] = {
    "format": ("a whole number", _is_count),
    "name": ("text or null", lambda value: value is None or isinstance(value, str)),
    "options": (
        f"an object with numbers up to {MOST}",
        lambda value: isinstance(value, dict) and _is_small(value),
    ),
    "num_classes": (f"a whole number in 2..{MOST}", lambda value: _is_count(value, 2)),
    "drop_channels": (f"a whole number in 0..{MOST}", _is_count),
    "class_names": (
        "a list of texts",
        lambda value: isinstance(value, list) and all(isinstance(v, str) for v in value),
    ),
    "preprocessing": _OBJECT,
    "inference": _OBJECT,
}


def _label_space(class_names: Sequence[str]) -> str | None:
    names = tuple(class_names)
    return next((space.name for space in (CITYSCAPES, CAMVID11) if space.class_names == names), None)
