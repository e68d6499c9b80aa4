"""What a file of segood's says about the network whose weights it holds.

Enters: a model. Leaves: JSON values that build it again; and, read back, the same, checked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from segood.data.label_spaces import CAMVID11, CITYSCAPES
from segood.errors import CheckpointError
from segood.models.adapter import SegmentationModel

HEADER_KEY = "segood"
HEADER_FORMAT = 1


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
    if header.get("format", 0) > HEADER_FORMAT:
        raise CheckpointError(
            f"{path} was written by segood {header.get('segood')} with header format {header['format']}; "
            f"this version reads up to {HEADER_FORMAT}, upgrade segood"
        )
    return header


def _label_space(class_names: Sequence[str]) -> str | None:
    names = tuple(class_names)
    return next((space.name for space in (CITYSCAPES, CAMVID11) if space.class_names == names), None)
