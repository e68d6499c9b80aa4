"""Segments: score map and class probabilities -> connected OoD segments and their features.

In: logits or probs (C,H,W). Out: `Segments`: label image, one row of features per segment, score map.
Knows arrays, no files and no networks. `names` and `components` work without torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from segood.lazy import attach
from segood.segments.components import boundary_mask, label_components
from segood.segments.names import (
    FEATURE_GROUPS,
    FeatureGroup,
    describe_feature,
    feature_group,
    feature_names,
    published_names,
)

if TYPE_CHECKING:
    from segood.segments.extract import Segments, extract_segments

__all__ = [
    "FEATURE_GROUPS",
    "FeatureGroup",
    "Segments",
    "boundary_mask",
    "describe_feature",
    "extract_segments",
    "feature_group",
    "feature_names",
    "label_components",
    "published_names",
]

# Lazy, because only extracting segments needs torch.
__getattr__, __dir__ = attach(__name__, {"Segments": "extract", "extract_segments": "extract"})
