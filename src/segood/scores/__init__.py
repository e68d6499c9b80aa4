"""Scores: logits of a segmentation network -> one out-of-distribution score per pixel.

In: logits (N,C,H,W). Out: score maps (N,H,W), higher = more out of distribution. One method per file,
named as in the literature; `get_score` finds it by name. Knows tensors, no files and no networks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from segood.lazy import attach

if TYPE_CHECKING:
    from segood.scores.base import Score as Score
    from segood.scores.energy import Energy as Energy
    from segood.scores.entropy import Entropy as Entropy
    from segood.scores.entropy import normalized_entropy as normalized_entropy
    from segood.scores.max_logit import MaxLogit as MaxLogit
    from segood.scores.msp import MSP as MSP
    from segood.scores.rba import RbA as RbA
    from segood.scores.registry import get_score as get_score
    from segood.scores.registry import list_scores as list_scores

_HOMES = {
    "Energy": "energy",
    "Entropy": "entropy",
    "MSP": "msp",
    "MaxLogit": "max_logit",
    "RbA": "rba",
    "Score": "base",
    "get_score": "registry",
    "list_scores": "registry",
    "normalized_entropy": "entropy",
}
__all__ = sorted(_HOMES)
__getattr__, __dir__ = attach(__name__, _HOMES)
