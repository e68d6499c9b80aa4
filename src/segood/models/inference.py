"""How the logits of one image are computed: whole or in tiles, once or from several views, how precisely.

Enters: options. Leaves: `Inference`, which a `SegmentationModel` follows in `predict_logits`; training and
the model's `forward` do not. `segood.models.tiling` does what the options say, `segood.models.forward` calls
the network. This module imports no PyTorch: configurations hold it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from segood.checks import check_choice
from segood.errors import UsageError

Blend = Literal["mean", "gaussian"]
Average = Literal["logits", "probs"]
Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class Inference:
    """Options of `SegmentationModel.predict_logits`; the default is one forward of the whole image.

    What each does to the numbers is measured in docs/inference.md.

    Args:
        tile_size: (rows, columns) of a tile, at least 1 each, in pixels of the network's input (after the
            working size and the scale); None for the whole image. Where the image is smaller, the tile
            is the image. The last tiles are shifted inward, so that all have this size.
        overlap: share of a tile's rows, and of its columns, that it has in common with the next one, in
            [0,1). The time grows with 1 / (1 - overlap)².
        tile_batch: tiles per forward, at least 1; changes time and memory, not the result.
        blend: weight of a pixel within its tile where tiles overlap: `mean` 1 for all, `gaussian` falling
            towards the tile's border, standard deviation an eighth of its rows and of its columns.
        scales: sizes of the image relative to the working size (or its own), positive. The network sees
            the image at each, and the results are averaged.
        flip: also average with the mirrored image (left and right), at every scale.
        average: what tiles, scales and mirrored images are averaged as: `logits`, or `probs`: softmax
            probabilities, whose logarithm is returned. The mean of the probabilities is at least as
            uncertain as the views are on average (its entropy is never smaller): disagreement counts as
            doubt. With `logits` it does not: softmax of a mean is the normalised geometric mean.
            With `probs` the level of the logits is lost, which scores like `energy` and `max_logit` need.
        precision: `bfloat16` runs the network's convolutions and matrix products with 8 significant bits
            (autocast); weights, and logits as returned, stay float32.
        channels_last: keep the channels innermost in memory; results change by rounding only. The
            network's weights are stored likewise from the first prediction on.
        compile: run the network through `torch.compile`; needs a C++ compiler. The first prediction, and
            the first of another size, take a minute or more; results change by rounding only.

    Raises:
        UsageError: a value breaks its rule.

    Example:
        >>> options = Inference(tile_size=(512, 512), overlap=0.25, flip=True)
        >>> options.num_views, Inference.from_dict(options.to_dict()) == options
        (2, True)
    """

    tile_size: tuple[int, int] | None = None
    overlap: float = 0.0
    tile_batch: int = 1
    blend: Blend = "mean"
    scales: tuple[float, ...] = (1.0,)
    flip: bool = False
    average: Average = "logits"
    precision: Precision = "float32"
    channels_last: bool = False
    compile: bool = False

    def __post_init__(self) -> None:
        if self.tile_size is not None:
            size = _as_tuple("tile_size", self.tile_size)
            if len(size) != 2 or not all(_is_count(v) for v in size):
                raise UsageError(f"`tile_size` must be (rows, columns), at least 1 each; got {size}")
            object.__setattr__(self, "tile_size", size)
        if not _is_number(self.overlap) or not 0.0 <= self.overlap < 1.0:
            raise UsageError(f"`overlap` must lie in [0, 1); got {self.overlap}")
        if not _is_count(self.tile_batch):
            raise UsageError(f"`tile_batch` must be a whole number, at least 1; got {self.tile_batch}")
        scales = _as_tuple("scales", self.scales)
        if not scales or not all(_is_number(s) and math.isfinite(s) and s > 0 for s in scales):
            raise UsageError(f"`scales` must hold positive finite numbers, at least one; got {scales}")
        object.__setattr__(self, "scales", tuple(float(s) for s in scales))
        check_choice("blend", self.blend, ("mean", "gaussian"))
        check_choice("average", self.average, ("logits", "probs"))
        check_choice("precision", self.precision, ("float32", "bfloat16"))
        for name in ("flip", "channels_last", "compile"):
            if not isinstance(getattr(self, name), bool):
                raise UsageError(f"`{name}` must be true or false; got {getattr(self, name)!r}")

    @property
    def views(self) -> tuple[tuple[float, bool], ...]:
        """(scale, mirrored) of every view of the image."""
        return tuple((s, mirrored) for s in self.scales for mirrored in (False, True)[: 1 + self.flip])

    @property
    def num_views(self) -> int:
        """Count how often the network sees the whole image."""
        return len(self.views)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, the inverse of `from_dict`."""
        return {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Inference:
        """Build from the result of `to_dict`, or from a part of it.

        Raises:
            UsageError: an unknown name, or a value that breaks its rule.

        Example:
            >>> Inference.from_dict({"scales": [0.5, 1]}).scales
            (0.5, 1.0)
        """
        names = [f.name for f in fields(cls)]
        unknown = sorted(set(values) - set(names))
        if unknown:
            raise UsageError(f"`inference` knows {', '.join(names)}; got {', '.join(unknown)}")
        return cls(**values)

    def changed(self, values: Mapping[str, Any]) -> Inference:
        """Return a copy in which the given values differ.

        Example:
            >>> Inference(flip=True).changed({"overlap": 0.5})
            Inference(tile_size=None, overlap=0.5, ..., flip=True, ...)
        """
        return self.from_dict({**self.to_dict(), **values})


def _as_tuple(name: str, values: Any) -> tuple[Any, ...]:
    if isinstance(values, (list, tuple)):
        return tuple(values)
    raise UsageError(f"`{name}` must be a list of numbers; got {values!r}")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
