"""What a builder of networks returns.

Enters: a module and what its builder knows of it. Leaves: one record for `load_model`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from segood.models.preprocessing import Preprocessing

CITYSCAPES_CLASSES = 19


@dataclass(frozen=True)
class BuiltNetwork:
    """A network, and what one has to know to use and to rebuild it.

    Attributes:
        module: maps normalised images (N,3,H,W) to what `SegmentationModel` takes.
        num_classes: number of classes q.
        drop_channels: trailing channels of its logits that are no classes.
        options: what rebuilds the same module without its weights and without any download; None where
            it is what the builder was given.
        class_names: q names, where pretrained weights come with some.
        preprocessing: what pretrained weights expect; None where the entry's default holds.
        size_multiple: rows and columns must be divisible by this; see `Preprocessing.size_multiple`.
        random_weights: which weights are random, in words; None where all are trained or nobody knows.
    """

    module: nn.Module
    num_classes: int
    drop_channels: int = 0
    options: Mapping[str, Any] | None = None
    class_names: tuple[str, ...] | None = None
    preprocessing: Preprocessing | None = None
    size_multiple: int = 1
    random_weights: str | None = "all"
