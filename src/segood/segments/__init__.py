"""Segments: score map and class probabilities -> connected OoD segments and their features.

In: logits or probs (C,H,W). Out: `Segments`: label image, one row of features per segment, score map.
Knows arrays, no files and no networks. Only `extract_segments` needs torch, pandas.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from segood.lazy import attach

if TYPE_CHECKING:
    from segood.segments.components import boundary_mask as boundary_mask
    from segood.segments.components import label_components as label_components
    from segood.segments.extract import Segments as Segments
    from segood.segments.extract import extract_segments as extract_segments
    from segood.segments.names import FEATURE_GROUPS as FEATURE_GROUPS
    from segood.segments.names import FeatureGroup as FeatureGroup
    from segood.segments.names import describe_feature as describe_feature
    from segood.segments.names import feature_group as feature_group
    from segood.segments.names import feature_names as feature_names
    from segood.segments.names import published_names as published_names
    from segood.segments.region import Region as Region

_HOMES = {
    "FEATURE_GROUPS": "names",
    "FeatureGroup": "names",
    "Region": "region",
    "Segments": "extract",
    "boundary_mask": "components",
    "describe_feature": "names",
    "extract_segments": "extract",
    "feature_group": "names",
    "feature_names": "names",
    "label_components": "components",
    "published_names": "names",
}
__all__ = sorted(_HOMES)
__getattr__, __dir__ = attach(__name__, _HOMES)
