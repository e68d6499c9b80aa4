"""A training's numbers, kept with every checkpoint, so that an interruption does not lose them.

In: what was logged. Out: the numbers logged last, as a part of the checkpoint, for the network's file; and
the logs on disk up to the checkpoint, since loggers keep their latest lines in memory.
"""

from __future__ import annotations

import math
from typing import Any

import lightning

_LAST, _LINE = "metrics", "metrics_of_step"


class KeptNumbers(lightning.Callback):
    """Store numbers in checkpoints, and write the logs before."""

    def __init__(self) -> None:
        self._earlier: dict[str, float] = {}
        self._line: dict[str, float] = {}

    def on_save_checkpoint(
        self, trainer: lightning.Trainer, pl_module: Any, checkpoint: dict[str, Any]
    ) -> None:
        """Add the numbers to a checkpoint."""
        for logger in trainer.loggers:
            logger.save()
        checkpoint[_LAST] = self.last(trainer)
        if not trainer.is_last_batch:  # the step's own line is logged after the checkpoint
            logged = {k: float(v) for k, v in trainer.logged_metrics.items() if k.startswith("loss")}
            checkpoint[_LINE] = {**logged, "epoch": trainer.current_epoch}

    def on_load_checkpoint(
        self, trainer: lightning.Trainer, pl_module: Any, checkpoint: dict[str, Any]
    ) -> None:
        """Take the numbers from a checkpoint; older ones have none."""
        self._earlier = dict(checkpoint.get(_LAST, {}))
        self._line = dict(checkpoint.get(_LINE, {}))

    def on_train_start(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Log the step of the checkpoint, which the interrupted process may not have done."""
        for logger in trainer.loggers if self._line else ():
            logger.log_metrics(self._line, trainer.global_step - 1)

    def last(self, trainer: lightning.Trainer) -> dict[str, float]:
        """Return the numbers logged last, those that JSON can hold."""
        found = self._earlier | {name: float(value) for name, value in trainer.callback_metrics.items()}
        return {name: value for name, value in found.items() if math.isfinite(value)}


def last_numbers(trainer: lightning.Trainer) -> dict[str, float]:
    """Return the numbers that a training logged last, before an interruption, too."""
    return next(c for c in trainer.callbacks if isinstance(c, KeptNumbers)).last(trainer)  # type: ignore[attr-defined]
