"""Checkpoints of a training that an interruption cannot harm.

In: what the engine wants stored. Out: `last.ckpt`, whole or the one before: written under another name, then
flushed and renamed; after every epoch, and in its middle every so many steps.
"""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.fabric.plugins import TorchCheckpointIO

from segood.errors import DataError, one_line
from segood.files import atomic_path
from segood.training.loading import Batch


class AtomicCheckpoints(TorchCheckpointIO):
    """Write checkpoints through `segood.files.atomic_path`."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None
    ) -> None:
        """Write a checkpoint.

        Raises:
            OutputError: it cannot be written; an older one stays as it was.
        """
        with atomic_path(Path(path)) as temporary, temporary.open("wb") as handle:
            try:
                torch.save(checkpoint, handle)
            except RuntimeError as error:  # PyTorch hides what the system has said
                if isinstance(error.__context__, OSError):
                    raise error.__context__ from None
                raise

    def load_checkpoint(self, path: str | os.PathLike[str], *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Read a checkpoint.

        Raises:
            DataError: it is damaged, or holds code.
        """
        try:
            return super().load_checkpoint(path, *args, **kwargs)
        except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
            raise DataError(
                f"{path}: the checkpoint cannot be read ({one_line(error)}); remove it to start over"
            ) from error


class StepCheckpoints(lightning.Callback):
    """Save the training every so many steps; at the end of an epoch its own checkpoint follows anyway.

    Args:
        path: of the checkpoint.
        every: steps; 0 for never.
    """

    def __init__(self, path: Path, every: int) -> None:
        self.path, self.every = path, every

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: Any, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Save, where it is time; only between two steps, since gradients are not stored."""
        if not self.every or not batch.ends_step or trainer.is_last_batch:
            return
        if trainer.global_step % self.every == 0:
            trainer.save_checkpoint(self.path)
