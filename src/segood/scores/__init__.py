"""Scores: logits of a segmentation network -> one out-of-distribution score per pixel.

In: logits (N,C,H,W). Out: score maps (N,H,W), higher = more out of distribution. One method per file,
named as in the literature; `get_score` finds it by name. Knows tensors, no files and no networks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from segood.lazy import attach

if TYPE_CHECKING:
    from segood.scores.base import Score
    from segood.scores.energy import Energy
    from segood.scores.entropy import Entropy, normalized_entropy
    from segood.scores.max_logit import MaxLogit
    from segood.scores.msp import MSP
    from segood.scores.registry import get_score, list_scores

__all__ = ["MSP", "Energy", "Entropy", "MaxLogit", "Score", "get_score", "list_scores", "normalized_entropy"]

# Lazy, so that naming a score does not cost an import of torch.
__getattr__, __dir__ = attach(
    __name__,
    {
        "MSP": "msp",
        "Energy": "energy",
        "Entropy": "entropy",
        "MaxLogit": "max_logit",
        "Score": "base",
        "get_score": "registry",
        "list_scores": "registry",
        "normalized_entropy": "entropy",
    },
)
