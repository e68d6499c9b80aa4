"""Meta classification: segment features -> probability that the segment is a false alarm.

In: one row of features per predicted segment. Out: probabilities, their decomposition into per-feature
contributions, cross-validated metrics, a feature ranking. Knows tables and arrays, no images and no
networks, and works without torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segood.meta.classifier import MetaClassifier
    from segood.meta.cross_validation import CrossValidation, cross_validate
    from segood.meta.feature_ranking import FeatureRanking, lars_path

__all__ = ["CrossValidation", "FeatureRanking", "MetaClassifier", "cross_validate", "lars_path"]

_HOME = {
    "CrossValidation": "cross_validation",
    "FeatureRanking": "feature_ranking",
    "MetaClassifier": "classifier",
    "cross_validate": "cross_validation",
    "lars_path": "feature_ranking",
}


def __getattr__(name: str) -> Any:
    """Import on first use."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
