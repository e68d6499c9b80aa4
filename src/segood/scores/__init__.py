"""Scores: logits of a segmentation network -> one out-of-distribution score per pixel.

In: logits (N,C,H,W). Out: score maps (N,H,W), higher = more out of distribution. One method per file,
named as in the literature; `get_score` finds it by name. Knows tensors, no files and no networks.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segood.scores.base import Score
    from segood.scores.energy import Energy
    from segood.scores.entropy import Entropy, normalized_entropy
    from segood.scores.max_logit import MaxLogit
    from segood.scores.msp import MSP
    from segood.scores.registry import get_score, list_scores

__all__ = ["MSP", "Energy", "Entropy", "MaxLogit", "Score", "get_score", "list_scores", "normalized_entropy"]

_HOME = {
    "Score": "base",
    "Energy": "energy",
    "Entropy": "entropy",
    "normalized_entropy": "entropy",
    "MaxLogit": "max_logit",
    "MSP": "msp",
    "get_score": "registry",
    "list_scores": "registry",
}


def __getattr__(name: str) -> Any:
    """Import on first use, so that naming a score does not cost an import of torch."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
