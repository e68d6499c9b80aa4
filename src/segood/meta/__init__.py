"""Meta classification: segment features -> probability that the segment is a false alarm.

In: one row of features per predicted segment. Out: probabilities, their decomposition into per-feature
contributions, cross-validated metrics, a feature ranking. Knows tables and arrays, no images and no
networks, and works without torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from segood.lazy import attach

if TYPE_CHECKING:
    from segood.meta.classifier import MetaClassifier as MetaClassifier
    from segood.meta.cross_validation import CrossValidation as CrossValidation
    from segood.meta.cross_validation import cross_validate as cross_validate
    from segood.meta.decision import LinearDecision as LinearDecision
    from segood.meta.feature_ranking import FeatureRanking as FeatureRanking
    from segood.meta.feature_ranking import lars_path as lars_path
    from segood.meta.neural import NeuralMetaClassifier as NeuralMetaClassifier

_HOMES = {
    "CrossValidation": "cross_validation",
    "FeatureRanking": "feature_ranking",
    "LinearDecision": "decision",
    "MetaClassifier": "classifier",
    "NeuralMetaClassifier": "neural",
    "cross_validate": "cross_validation",
    "lars_path": "feature_ranking",
}
__all__ = sorted(_HOMES)
__getattr__, __dir__ = attach(__name__, _HOMES)
