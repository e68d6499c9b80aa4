"""Sizes of the Transformers networks that segood builds by name, as their papers give them.

Enters: architecture and encoder. Leaves: arguments of the library's configuration class.

Sources: SegFormer (E. Xie et al., NeurIPS 2021, table 6), Swin (Z. Liu et al., ICCV 2021, section 3.3),
ConvNeXt (Z. Liu et al., CVPR 2022, section 3).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from segood.checks import check_choice
from segood.errors import UsageError

_STAGES = ["stage1", "stage2", "stage3", "stage4"]


def _segformer(widths: list[int], depths: list[int], decoder: int) -> dict[str, Any]:
    return {"hidden_sizes": widths, "depths": depths, "decoder_hidden_size": decoder}


def _swin(width: int, depths: list[int], heads: int, window: int) -> dict[str, Any]:
    return {
        "model_type": "swin",
        "embed_dim": width,
        "depths": depths,
        "num_heads": [heads, 2 * heads, 4 * heads, 8 * heads],
        "window_size": window,
        "out_features": _STAGES,
    }


def _convnext(width: int, depths: list[int]) -> dict[str, Any]:
    return {
        "model_type": "convnext",
        "hidden_sizes": [width, 2 * width, 4 * width, 8 * width],
        "depths": depths,
        "out_features": _STAGES,
    }


_WIDE = [64, 128, 320, 512]
SEGFORMER = {
    "b0": _segformer([32, 64, 160, 256], [2, 2, 2, 2], 256),
    "b1": _segformer(_WIDE, [2, 2, 2, 2], 256),
    "b2": _segformer(_WIDE, [3, 4, 6, 3], 768),
    "b3": _segformer(_WIDE, [3, 4, 18, 3], 768),
    "b4": _segformer(_WIDE, [3, 8, 27, 3], 768),
    "b5": _segformer(_WIDE, [3, 6, 40, 3], 768),
}
_SWIN = {
    "swin_tiny": _swin(96, [2, 2, 6, 2], 3, 7),
    "swin_small": _swin(96, [2, 2, 18, 2], 3, 7),
    "swin_base": _swin(128, [2, 2, 18, 2], 4, 12),
    "swin_large": _swin(192, [2, 2, 18, 2], 6, 12),
}
_CONVNEXT = {
    "convnext_tiny": _convnext(96, [3, 3, 9, 3]),
    "convnext_small": _convnext(96, [3, 3, 27, 3]),
    "convnext_base": _convnext(128, [3, 3, 27, 3]),
}
_WITH_BACKBONE = {name: {"backbone_config": backbone} for name, backbone in {**_SWIN, **_CONVNEXT}.items()}
_WITH_SWIN = {name: {"backbone_config": backbone} for name, backbone in _SWIN.items()}
PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "segformer": SEGFORMER,
    "upernet": _WITH_BACKBONE,
    "maskformer": _WITH_SWIN,
    "mask2former": _WITH_SWIN,
}
"""Encoders by architecture; the smallest one is the default."""


def configuration(arch: str, encoder: str | None, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration's arguments: those of the preset, changed by `arguments`.

    Args:
        arch: architecture; those without presets are described by `arguments` alone.
        encoder: name of a preset; the smallest where not given.
        arguments: values of the configuration; a mapping inside changes single values, too, unless it
            names another `model_type`.

    Raises:
        UsageError: the architecture has no such encoder, or no encoders at all.

    Example:
        >>> configuration("segformer", "b1", {"depths": [1, 1, 1, 1]})["depths"]
        [1, 1, 1, 1]
    """
    if arch not in PRESETS:
        if encoder is not None:
            raise UsageError(
                f"`encoder` is for {', '.join(PRESETS)}; describe {arch} by `arguments`, as its "
                "configuration class in Transformers takes them"
            )
        return dict(arguments)
    presets = PRESETS[arch]
    if encoder is not None:
        check_choice(f"encoder of {arch}", encoder, presets)
    return _merged(presets[encoder or next(iter(presets))], arguments)


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        inner = merged.get(key)
        if isinstance(inner, Mapping) and isinstance(value, Mapping):
            same = value.get("model_type", inner.get("model_type")) == inner.get("model_type")
            merged[key] = _merged(inner, value) if same else dict(value)
        else:
            merged[key] = value
    return merged
