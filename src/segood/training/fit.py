"""From a configuration to a trained network in a run directory.

In: `TrainConfig`, an output folder. Out: the folder with `config.yaml`, `environment.json`,
`checkpoints/start.safetensors` (the network before), `checkpoints/model.safetensors` (after),
`checkpoints/last.ckpt` (to resume), and CSV and TensorBoard logs under `logs/`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import math
import shutil
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch.utils.data import DataLoader

from segood import runs
from segood.data import Sample, TrainTransform
from segood.data.dataset import SegmentationDataset
from segood.data.paste_options import PasteOptions
from segood.errors import OutputError, SegoodError, UsageError
from segood.evaluation.fitting import check_labels_fit, name_classes
from segood.models import SegmentationModel, save_model
from segood.training.config import TrainConfig
from segood.training.mixture import TrainingMixture, ValidationFrames
from segood.training.module import OutOfDistributionTraining
from segood.training.sources import epoch_batches, open_proxies, open_street
from segood.training.tensorboard_log import TensorBoardLog


def train(
    config: TrainConfig,
    out: str | Path,
    *,
    model: SegmentationModel | None = None,
    resume: bool = False,
    progress: bool = True,
) -> SegmentationModel:
    """Train as `config` says and leave a run directory.

    Args:
        config: everything that fixes the result.
        out: run directory; must be new or empty, unless `resume`.
        model: the network to train, instead of the one `config.model` names; trained in place.
        resume: continue an interrupted run of the same configuration from its last checkpoint, or
            from the start where it was interrupted before the first one.
        progress: show a progress bar.

    Returns:
        The trained network, in eval mode.

    Raises:
        UsageError: a value breaks its rule, or `out` holds another run (or none, with `resume`).
        DataError: a data set is not what it has to be.
        CheckpointError: the start weights do not fit.
        OutputError: the disk is full or not writable; finished epochs are kept.
    """
    config.check()
    street = open_street(config.street, config)
    validation = open_street(config.validation, config) if config.validation else ()
    proxies, held_out = open_proxies(config)
    lightning.seed_everything(config.seed, verbose=False)
    model = model or config.model.load()
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise UsageError(
            f"the network {model.name or type(model.network).__name__} has no weights to train; an ONNX file "
            "is for scoring and evaluation only, train the network it was exported from"
        )
    for dataset in (street, validation):
        if dataset:
            check_labels_fit(dataset, model)
    name_classes(model, street)
    trainer = _build_trainer(config, Path(out), progress=progress)
    loader = _training_loader(config, street, proxies)
    module = OutOfDistributionTraining(model.train(), config.loss, config.optimizer)
    checks = {"street": validation, "proxies": held_out}
    module.validation_kinds = tuple(kind for kind, samples in checks.items() if samples)
    out = _open_run(config, Path(out), model, resume=resume)
    last = out / runs.CHECKPOINTS / "last.ckpt"
    with _quiet_engine(), _named_failures(out):
        trainer.fit(
            module,
            train_dataloaders=loader,
            val_dataloaders=[DataLoader(ValidationFrames(checks[k])) for k in module.validation_kinds]
            or None,
            ckpt_path=str(last) if last.exists() else None,
            weights_only=True,  # a checkpoint is data, never code
        )
    metadata = {"training": dataclasses.asdict(config), "metrics": _last_metrics(trainer)}
    save_model(model.eval(), out / runs.FINAL, metadata=metadata)
    return model


def _last_metrics(trainer: lightning.Trainer) -> dict[str, float]:
    """Return the numbers logged last, those that JSON can hold."""
    found = {name: float(value) for name, value in trainer.callback_metrics.items()}
    return {name: value for name, value in found.items() if math.isfinite(value)}


@contextlib.contextmanager
def _named_failures(out: Path) -> Iterator[None]:
    """Say in one line why the training engine stopped, and that `--resume` goes on."""
    goes_on = "finished epochs are kept, continue with --resume"
    try:
        yield
    except SegoodError as error:
        text = str(error)
        if "Original Traceback" in text:  # a loading process wraps what it raises in its traceback
            raise type(error)(text.strip().splitlines()[-1].split(": ", 1)[-1]) from None
        raise
    except OSError as error:
        raise OutputError(f"training in {out} stopped: {error.strerror or error}; {goes_on}") from error
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise UsageError(  # batch norm behind a global pooling has one value per image
            "the network normalises over the images of a batch, which needs two: set batch_size to 2 or more"
        ) from error
    except SIGTERMException:
        raise SegoodError(f"training in {out} was terminated; {goes_on}") from None
    except SystemExit:  # how the engine leaves after Ctrl-C
        raise KeyboardInterrupt from None


_MAY_CHANGE = {"epochs", "num_workers", "trainer", "data_root", "evaluation", "example_frames"}


def _open_run(config: TrainConfig, out: Path, model: SegmentationModel, *, resume: bool) -> Path:
    """Describe a new run, or check that the one to resume is of the same configuration."""
    now = dataclasses.asdict(config)
    if resume:
        if not (out / runs.CONFIG).exists():
            raise UsageError(f"nothing to resume: {out} holds no run; start without --resume")
        before, after = runs.read_config(out), runs.as_stored(now)
        changed = [key for key in after if key not in _MAY_CHANGE and before.get(key) != after[key]]
        if changed:
            raise UsageError(
                f"{out} was started with another `{changed[0]}`; resume with the same configuration"
            )
    else:
        runs.claim_run(out)
    try:
        runs.write_description(out, now)
        if not (out / runs.START).exists():
            save_model(model, out / runs.START)
    except OutputError:
        if not resume:
            shutil.rmtree(out, ignore_errors=True)  # nothing of a run has come to be
        raise
    return out


def _training_loader(
    config: TrainConfig, street: SegmentationDataset, proxies: Sequence[Sample]
) -> DataLoader[tuple[torch.Tensor, torch.Tensor]]:
    augmentation = config.augmentation
    whole = TrainTransform(augmentation.crop_size, (1.0, 1.0), augmentation.flip, augmentation.brightness)
    mixture = TrainingMixture(
        street,
        proxies,
        dataclasses.replace(whole, scale_range=augmentation.scale_range),
        whole,
        PasteOptions.for_label_space(street.label_space) if street.label_space else None,
    )
    batches = epoch_batches(config, len(street), len(proxies))
    return DataLoader(
        mixture,
        batch_sampler=batches,
        num_workers=config.num_workers,
        persistent_workers=config.num_workers > 0,
        pin_memory=torch.cuda.is_available(),
    )


def _build_trainer(config: TrainConfig, out: Path, *, progress: bool) -> lightning.Trainer:
    # a resumed training logs beside what the interrupted one has logged
    part = len(list((out / "logs").glob("csv*"))) if out.exists() else 0
    suffix = f"_{part}" if part else ""
    loggers: list[Logger] = [CSVLogger(out, name="logs", version=f"csv{suffix}")]
    with contextlib.suppress(ModuleNotFoundError):  # an extra; the CSV log has the same numbers
        loggers.append(TensorBoardLogger(out, name="logs", version=f"tensorboard{suffix}"))
    checkpoint = ModelCheckpoint(
        out / runs.CHECKPOINTS, filename="last", save_top_k=1, monitor=None, enable_version_counter=False
    )
    callbacks: list[lightning.Callback] = [checkpoint, TensorBoardLog(config.example_frames, config.seed)]
    if progress:
        callbacks.append(_ProgressBar(refresh_rate=1 if sys.stderr.isatty() else 10))  # logs stay short
    settings: dict[str, Any] = {
        "max_epochs": config.epochs,
        "logger": loggers,
        "callbacks": callbacks,
        "log_every_n_steps": 1,
        "num_sanity_val_steps": 0,
        "enable_model_summary": False,
        "enable_progress_bar": progress,
        "use_distributed_sampler": False,
        "accelerator": "auto",
        "devices": 1,
        **config.trainer,
    }
    try:
        with _quiet_engine():
            return lightning.Trainer(**settings)
    except TypeError as error:
        raise UsageError(
            f"`trainer` holds an argument that lightning.Trainer does not take: {error}"
        ) from error


class _ProgressBar(TQDMProgressBar):
    """Lightning's bar without the logger's version number; closed before an error is told."""

    def get_metrics(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        return {k: v for k, v in super().get_metrics(*args, **kwargs).items() if k != "v_num"}

    def on_exception(self, *args: Any, **kwargs: Any) -> None:
        for bar in (self._val_progress_bar, self._train_progress_bar):
            if bar is not None:
                bar.close()


@contextlib.contextmanager
def _quiet_engine() -> Iterator[None]:
    """Mute hints about things the configuration has decided; keep stdout for results."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
            for hint in (
                "does not have many workers",
                "have no `val_dataloader`",
                "number of training batches",
                "module.s. in eval mode",
                "isinstance.treespec",
                "Checkpoint directory .* exists and is not empty",
                "LeafSpec",
                "dirpath has changed",  # a run directory may be moved between interruption and resumption
            ):
                warnings.filterwarnings("ignore", message=f".*{hint}.*")
            yield
    finally:
        logger.setLevel(level)
