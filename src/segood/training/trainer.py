"""The training engine, set up as a configuration says.

In: `TrainConfig`, the run's folder. Out: a `lightning.Trainer` with our logs, checkpoints and progress bar.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from segood import runs
from segood.errors import UsageError
from segood.training.checkpointing import AtomicCheckpoints, StepCheckpoints
from segood.training.config import TrainConfig
from segood.training.numbers import KeptNumbers
from segood.training.sharding import NAME as FSDP
from segood.training.sharding import ShardedStrategy
from segood.training.tensorboard_log import TensorBoardLog, quiet_writer

LAST = f"{runs.CHECKPOINTS}/last.ckpt"


def build_trainer(config: TrainConfig, out: Path, *, progress: bool) -> lightning.Trainer:
    """Return the engine.

    Raises:
        UsageError: `config.trainer` holds what the engine does not take, or devices that are not there.
    """
    # a resumed training logs beside what the interrupted one has logged
    part = len(list((out / "logs").glob("csv*"))) if out.exists() else 0
    suffix = f"_{part}" if part else ""
    loggers: list[Logger] = [CSVLogger(out, name="logs", version=f"csv{suffix}")]
    with contextlib.suppress(ModuleNotFoundError):  # an extra; the CSV log has the same numbers
        loggers.append(TensorBoardLogger(out, name="logs", version=f"tensorboard{suffix}"))
    last = out / LAST
    callbacks: list[lightning.Callback] = [
        ModelCheckpoint(
            last.parent, filename=last.stem, save_top_k=1, monitor=None, enable_version_counter=False
        ),
        StepCheckpoints(last, config.checkpoint_steps),
        KeptNumbers(),
        TensorBoardLog(config.example_frames, config.seed),
    ]
    if progress:
        callbacks.append(_ProgressBar(refresh_rate=1 if sys.stderr.isatty() else 10))  # logs stay short
    settings: dict[str, Any] = {
        "max_epochs": config.epochs,
        "logger": loggers,
        "callbacks": callbacks,
        "plugins": [AtomicCheckpoints()],
        "log_every_n_steps": 1,
        "num_sanity_val_steps": 0,
        "enable_model_summary": False,
        "enable_progress_bar": progress,
        "use_distributed_sampler": False,
        "accelerator": "auto",
        "devices": 1,
        **config.trainer,
    }
    if settings.get("strategy") == FSDP:
        settings["strategy"] = ShardedStrategy()
    try:
        with quiet_engine():
            trainer = lightning.Trainer(**settings)
    except TypeError as error:
        raise UsageError(
            f"`trainer` holds an argument that lightning.Trainer does not take: {error}"
        ) from error
    if settings.get("sync_batchnorm") and trainer.strategy.root_device.type == "cpu":
        raise UsageError(
            "`trainer.sync_batchnorm` needs GPUs; on the CPU use optimizer.freeze_batch_norm, or one process"
        )
    return trainer


def is_first_process() -> bool:
    """Return whether this process is the one of its training that writes and talks."""
    return rank_zero_only.rank == 0  # type: ignore[no-any-return]


class _ProgressBar(TQDMProgressBar):
    """Lightning's bar without the logger's version number; closed before an error is told."""

    def get_metrics(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        return {k: v for k, v in super().get_metrics(*args, **kwargs).items() if k != "v_num"}

    def on_exception(self, *args: Any, **kwargs: Any) -> None:
        for bar in (self._val_progress_bar, self._train_progress_bar):
            if bar is not None:
                bar.close()


@contextlib.contextmanager
def quiet_engine() -> Iterator[None]:
    """Mute hints about things the configuration has decided; keep stdout for results."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with quiet_writer(), contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
            for hint in (
                "does not have many workers",
                "Total length of `list` across ranks is zero",  # nothing to validate on
                "number of training batches",
                "module.s. in eval mode",
                "isinstance.treespec",
                "Checkpoint directory .* exists and is not empty",
                "LeafSpec",
                "your dataloader is not resumable",  # `TrainingData` is
                "dirpath has changed",  # a run directory may be moved between interruption and resumption
            ):
                warnings.filterwarnings("ignore", message=f".*{hint}.*")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
