"""From a configuration to a trained network in a run directory.

In: `TrainConfig`, an output folder. Out: the folder with `config.yaml`, `environment.json`,
`checkpoints/start.safetensors` (the network before), `checkpoints/model.safetensors` (after),
`checkpoints/last.ckpt` (to resume), and CSV and TensorBoard logs under `logs/`.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path

import lightning
from lightning.pytorch.utilities.exceptions import SIGTERMException

from segood import runs
from segood.errors import OutputError, SegoodError, UsageError, system_says
from segood.evaluation.fitting import check_labels_fit, name_classes
from segood.models import SegmentationModel, save_model
from segood.training.config import TrainConfig
from segood.training.freezing import frozen_parts
from segood.training.loading import TrainingData
from segood.training.module import OutOfDistributionTraining
from segood.training.numbers import last_numbers
from segood.training.sharding import ShardedStrategy
from segood.training.sources import open_proxies, open_street, open_training_streets
from segood.training.trainer import LAST, build_trainer, quiet_engine


def train(
    config: TrainConfig,
    out: str | Path,
    *,
    model: SegmentationModel | None = None,
    resume: bool = False,
    progress: bool = True,
) -> SegmentationModel:
    """Train as `config` says and leave a run directory.

    With `trainer.devices` or `num_nodes` above 1, or under torchrun or SLURM, every process calls this alike;
    the first one writes.

    Args:
        config: everything that fixes the result.
        out: run directory; must be new or empty, unless `resume`.
        model: the network to train, instead of the one `config.model` names; trained in place.
        resume: continue an interrupted run of the same configuration from its last checkpoint, or
            from the start where it was interrupted before the first one. On the CPU it ends with the very
            weights of a run that was not interrupted.
        progress: show a progress bar.

    Returns:
        The trained network, in eval mode.

    Raises:
        UsageError: a value breaks its rule, or `out` holds another run (or none, with `resume`), or another
            process writes to it.
        DataError: a data set is not what it has to be.
        CheckpointError: the start weights do not fit.
        OutputError: the disk is full or not writable; finished epochs are kept.
    """
    config.check()
    street, unlabeled = open_training_streets(config)
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
    trainer = build_trainer(config, Path(out), progress=progress)
    checks = {kind: found for kind, found in {"street": validation, "proxies": held_out}.items() if found}
    data = TrainingData(config, street, unlabeled, proxies, checks)
    data.share(trainer.global_rank, trainer.world_size, trainer.accumulate_grad_batches)  # or say why not
    module = OutOfDistributionTraining(model.train(), config.loss, config.optimizer, config.seed)
    module.validation_kinds = tuple(checks)
    with (
        frozen_parts(model.network, config.optimizer.frozen),
        _open_run(config, Path(out), model, resume=resume, writes=trainer.is_global_zero) as out,
    ):
        last = out / LAST
        # shared weights stay shared: they are put together in a network of their own
        whole = copy.deepcopy(model) if isinstance(trainer.strategy, ShardedStrategy) else model
        with quiet_engine(), _named_failures(out):
            trainer.fit(
                module,
                datamodule=data,
                ckpt_path=str(last) if last.exists() else None,
                weights_only=True,  # a checkpoint is data, never code
            )
        if whole is not model:
            weights = trainer.strategy.lightning_module_state_dict()  # of the first process, else empty
            whole.load_state_dict({k.removeprefix("model."): w for k, w in weights.items()}, strict=False)
        if trainer.is_global_zero:
            metadata = {"training": dataclasses.asdict(config), "metrics": last_numbers(trainer)}
            save_model(whole.eval(), out / runs.FINAL, metadata=metadata)
    return whole.eval()


@contextlib.contextmanager
def _named_failures(out: Path) -> Iterator[None]:
    """Say in one line why the training engine stopped, and that `--resume` goes on."""
    goes_on = "finished epochs are kept, continue with --resume"
    try:
        yield
    except SegoodError as error:
        text = str(error.args[0]) if error.args else ""  # `str(error)` is one line already
        if "Original Traceback" in text:  # a loading process wraps what it raises in its traceback
            raise type(error)(text.strip().splitlines()[-1].split(": ", 1)[-1]) from None
        raise
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        what = f"{where}{system_says(error, 'free space or permission?')}"
        raise OutputError(f"training in {out} stopped: {what} {goes_on}") from error
    except RuntimeError as error:
        if "DataLoader worker" in str(error):
            raise SegoodError(
                f"training in {out} stopped: a process that loads data was killed, as the system does when "
                f"memory is short; give a smaller num_workers or batch_size; {goes_on}"
            ) from error
        if "did not receive grad" in str(error) or "finished reduction" in str(error):
            raise UsageError(
                "the network has weights that took no part in the loss, which several processes do not "
                "expect; set trainer.strategy to ddp_find_unused_parameters_true"
            ) from error
        raise
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


_MAY_CHANGE = {
    "epochs", "num_workers", "trainer", "data_root", "evaluation", "example_frames", "checkpoint_steps",
}  # fmt: skip


@contextlib.contextmanager
def _open_run(
    config: TrainConfig, out: Path, model: SegmentationModel, *, resume: bool, writes: bool
) -> Iterator[Path]:
    """Hold a run's folder, where this process `writes`; the others of a training leave it alone."""
    if not writes:
        yield out
        return
    with runs.locked(out):
        yield _described(config, out, model, resume=resume)


def _described(config: TrainConfig, out: Path, model: SegmentationModel, *, resume: bool) -> Path:
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
