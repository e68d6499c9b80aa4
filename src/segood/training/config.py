"""How a configuration describes a training.

How objects are shown, the objective and the learning rate are by default what the study found best
(docs/study.md); the paper's recipe (section 4) is the configuration `paper_cityscapes_coco`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from segood.checks import check_unit_interval
from segood.data.config import DatasetConfig
from segood.data.paste_options import PasteOptions
from segood.errors import UsageError
from segood.evaluation.config import EvaluationConfig
from segood.models.config import ModelConfig

MixMode = Literal["images", "paste"]
Normalization = Literal["pooled", "distribution"]


@dataclass
class ProxyConfig:
    """The stand-ins for unknown objects.

    Args:
        dataset: the proxy set (`coco_proxies`; its options: excluded, min_side, background, cache).
        ratio: proxies drawn afresh each epoch, per street image (paper: 0.1, of whole images).
        mode: `paste` pastes proxy objects into the street scenes, `images` puts whole proxy images into the
            batches (the paper).
        paste: how objects are pasted, see `segood.data.PasteOptions`; for example `{max_objects: 1}`.
        validation_share: share of the proxies held out for the in/out entropy after each epoch.
    """

    dataset: DatasetConfig
    ratio: float = 1.0
    mode: MixMode = "paste"
    paste: dict[str, Any] = field(default_factory=dict)
    validation_share: float = 0.1


@dataclass
class LossConfig:
    """The objective, see `segood.training.EntropyMaximizationLoss`.

    Args:
        ood_weight: λ in [0, 1]; 0 is ordinary training (paper: 0.9, pooled).
        normalization: `pooled` (the published networks) or `distribution` (the equation), whose λ weighs
            alike however many pixels are OoD.
        distillation: δ in [0, 1], share of the in-distribution term that holds the network to what it said
            before the training, on all pixels that are not OoD; 0 is the paper, 1 needs no labels. Every
            device keeps the original network whole and asks it, too.
    """

    ood_weight: float = 0.1
    normalization: Normalization = "distribution"
    distillation: float = 0.0


@dataclass
class AugmentationConfig:
    """Random changes of a training sample.

    Args:
        crop_size: rows and columns of the random crop.
        scale_range: street images are scaled by a random factor in this range before the crop.
        flip: probability of a horizontal flip.
        brightness: largest relative change of brightness.
    """

    crop_size: tuple[int, int] = (480, 480)
    scale_range: tuple[float, float] = (1.0, 1.0)
    flip: float = 0.5
    brightness: float = 0.0


@dataclass
class OptimizerConfig:
    """The optimiser; its state is kept over all epochs.

    Args:
        name: `adam`, `adamw` or `sgd` (momentum 0.9).
        lr: learning rate (paper: 1e-5).
        weight_decay: L2 penalty (decoupled for adamw).
        schedule: `constant`, or `poly` (falls to 0 with power 0.9).
        freeze_batch_norm: keep the batch-norm statistics of the start weights.
        frozen: parts of the network, by their names in it (`[base_net]`), that stay as they are; what lies
            before the first part that learns needs no gradients, so that a step is faster and smaller.
    """

    name: Literal["adam", "adamw", "sgd"] = "adam"
    lr: float = 5e-5
    weight_decay: float = 0.0
    schedule: Literal["constant", "poly"] = "constant"
    freeze_batch_norm: bool = False
    frozen: list[str] = field(default_factory=list)


@dataclass
class TrainConfig:
    """One training run.

    Args:
        street: in-distribution training images; with `loss.distillation: 1` they need no labels, but the
            data set's option `allow_unlabeled: true`.
        model: network and start weights.
        proxies: stand-ins for unknown objects; none for ordinary training.
        unlabeled: further in-distribution images, for distillation alone: any data set, with its option
            `allow_unlabeled: true` where frames have no label; what labels it has are not looked at.
        validation: in-distribution images for the mIoU after each epoch.
        loss: objective.
        augmentation: random changes.
        optimizer: optimiser.
        evaluation: what `segood evaluate` will do with the run, unless told otherwise there.
        data_root: folder that relative data set roots lie under.
        epochs: passes over the street images, those without labels among them.
        batch_size: samples per step of the optimiser, over all processes and accumulated batches: the same
            configuration trains alike on any number of devices.
        num_workers: processes that load data; 0 loads in the main one.
        seed: fixes weights, draws, crops and order.
        example_frames: validation frames that TensorBoard shows after each epoch, street and proxies; 0 for
            none.
        checkpoint_steps: steps after which an unfinished epoch is saved, too; 0 for finished ones only.
        trainer: further arguments of `lightning.Trainer` (accelerator, devices, num_nodes, precision,
            accumulate_grad_batches, sync_batchnorm, strategy: ddp, or fsdp for a network that one device
            cannot hold, …).
    """

    street: DatasetConfig
    model: ModelConfig = field(default_factory=ModelConfig)
    proxies: ProxyConfig | None = None
    unlabeled: DatasetConfig | None = None
    validation: DatasetConfig | None = None
    loss: LossConfig = field(default_factory=LossConfig)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    data_root: str = "."
    epochs: int = 4
    batch_size: int = 8
    num_workers: int = 2
    seed: int = 0
    example_frames: int = 4
    checkpoint_steps: int = 200
    trainer: dict[str, Any] = field(default_factory=dict)

    def _datasets(self) -> list[DatasetConfig]:
        proxies = [self.proxies.dataset] if self.proxies else []
        evaluated = [*self.evaluation.datasets.values(), *self.evaluation.closed_set.values()]
        others = [described for described in (self.unlabeled, self.validation) if described]
        return [self.street, *others, *proxies, *evaluated]

    def check(self) -> None:
        """Raise `UsageError` where a value breaks its rule."""
        check_unit_interval("loss.ood_weight", self.loss.ood_weight)
        check_unit_interval("loss.distillation", self.loss.distillation)
        if self.unlabeled and not self.loss.distillation:
            raise UsageError(
                "`unlabeled` images are for distillation; set loss.distillation above 0 (1 for all)"
            )
        check_unit_interval("augmentation.flip", self.augmentation.flip)
        self.evaluation.check()
        for name, value in (("epochs", self.epochs), ("batch_size", self.batch_size)):
            if value < 1:
                raise UsageError(f"`{name}` must be at least 1; got {value}")
        for name in ("num_workers", "example_frames", "checkpoint_steps"):
            if getattr(self, name) < 0:
                raise UsageError(f"`{name}` must not be negative; got {getattr(self, name)}")
        if self.optimizer.lr <= 0:
            raise UsageError(f"`optimizer.lr` must be positive; got {self.optimizer.lr}")
        for described in self._datasets():
            described.check()
        if self.proxies is not None:
            check_unit_interval("proxies.validation_share", self.proxies.validation_share)
            if self.proxies.ratio < 0:
                raise UsageError(f"`proxies.ratio` must not be negative; got {self.proxies.ratio}")
            background = self.proxies.dataset.options.get("background", "ignore")
            PasteOptions.for_label_space(None, **self.proxies.paste)
            if self.proxies.mode == "paste" and background == "ood":
                raise UsageError(
                    "`proxies.mode: paste` cuts objects out, so `background: ood` has none; use ignore"
                )
        elif self.loss.ood_weight > 0:
            raise UsageError(
                f"`loss.ood_weight` is {self.loss.ood_weight} but there are no `proxies`; "
                "give a proxy data set, or set loss.ood_weight to 0 for ordinary training"
            )
