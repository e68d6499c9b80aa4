"""Scores: what a segmentation network says -> one out-of-distribution score per pixel.

In: logits (N,C,H,W), or an `Observation` of an image where a method needs features, gradients or dropout.
Out: score maps (N,H,W), higher = more out of distribution. One method per file, named as in the literature;
`get_score` finds it by name. Knows tensors, no files and no networks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from segood.lazy import attach

if TYPE_CHECKING:
    from segood.scores.base import Score as Score
    from segood.scores.energy import Energy as Energy
    from segood.scores.entropy import Entropy as Entropy
    from segood.scores.entropy import normalized_entropy as normalized_entropy
    from segood.scores.fitted import FittedScore as FittedScore
    from segood.scores.mahalanobis import Mahalanobis as Mahalanobis
    from segood.scores.max_logit import MaxLogit as MaxLogit
    from segood.scores.mc_dropout import MCDropout as MCDropout
    from segood.scores.msp import MSP as MSP
    from segood.scores.observation import Observation as Observation
    from segood.scores.odin import ODIN as ODIN
    from segood.scores.rba import RbA as RbA
    from segood.scores.registry import get_score as get_score
    from segood.scores.registry import list_scores as list_scores
    from segood.scores.registry import score_class as score_class
    from segood.scores.smoothed_entropy import SmoothedEntropy as SmoothedEntropy
    from segood.scores.standardized_max_logit import StandardizedMaxLogit as StandardizedMaxLogit

_HOMES = {
    "Energy": "energy",
    "Entropy": "entropy",
    "FittedScore": "fitted",
    "MCDropout": "mc_dropout",
    "MSP": "msp",
    "Mahalanobis": "mahalanobis",
    "MaxLogit": "max_logit",
    "ODIN": "odin",
    "Observation": "observation",
    "RbA": "rba",
    "Score": "base",
    "SmoothedEntropy": "smoothed_entropy",
    "StandardizedMaxLogit": "standardized_max_logit",
    "get_score": "registry",
    "list_scores": "registry",
    "normalized_entropy": "entropy",
    "score_class": "registry",
}
__all__ = sorted(_HOMES)
__getattr__, __dir__ = attach(__name__, _HOMES)
