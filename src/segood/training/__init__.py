"""Logits and targets -> better weights: objective, proxy draw, Lightning training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from segood.lazy import attach

if TYPE_CHECKING:
    from segood.training.config import TrainConfig as TrainConfig
    from segood.training.fit import train as train
    from segood.training.loss import EntropyMaximizationLoss as EntropyMaximizationLoss
    from segood.training.loss import LossTerms as LossTerms
    from segood.training.loss import loss_terms as loss_terms
    from segood.training.sampling import EpochSampler as EpochSampler
    from segood.training.sampling import draw_proxies as draw_proxies
    from segood.training.sampling import plan_epoch as plan_epoch

_HOMES = {
    "EntropyMaximizationLoss": "loss",
    "EpochSampler": "sampling",
    "LossTerms": "loss",
    "TrainConfig": "config",
    "draw_proxies": "sampling",
    "loss_terms": "loss",
    "plan_epoch": "sampling",
    "train": "fit",
}
__all__ = sorted(_HOMES)
__getattr__, __dir__ = attach(__name__, _HOMES)
