"""The training step as the engine (Lightning) wants it; nothing else in segood needs Lightning to run.

In: `Batch`es of uint8 images (N,3,h,w) and targets (N,h,w). Out: updated weights, logged numbers.

The objective is a quotient: sums over pixels by numbers of pixels. Both are added up over the processes and
accumulated batches of a step before they are divided, so that a step is the same however it is shared: a mean
of each process' own quotient would weigh its pixels by how few of them there are.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import lightning
import numpy as np
import torch
from torch import Tensor, nn

from segood.errors import SegoodError
from segood.evaluation import ClosedSetMetrics
from segood.models import SegmentationModel
from segood.scores import get_score
from segood.training.config import LossConfig, OptimizerConfig
from segood.training.freezing import hold_frozen
from segood.training.loading import Batch, TrainingData
from segood.training.loss import EntropyMaximizationLoss, LossTerms, loss_terms
from segood.training.sharding import shard
from segood.types import IGNORE, OOD

_NOISE = 4  # a random stream of the seed; those of the samples are in `sampling`


class OutOfDistributionTraining(lightning.LightningModule):
    """Fine-tune a network with the entropy-maximisation objective.

    Args:
        model: the network; trained in place. As it is now it is the teacher, where the objective distils.
        loss: objective.
        optimizer: optimiser and schedule.
        seed: of everything random in the network, such as dropout.

    Attributes:
        validation_kinds: what each validation loader yields: `street` (counts for mIoU and the entropy
            of known pixels) or `proxies` (counts for the entropy of OoD pixels).
    """

    def __init__(
        self, model: SegmentationModel, loss: LossConfig, optimizer: OptimizerConfig, seed: int = 0
    ) -> None:
        super().__init__()
        self.model = model
        self.loss = EntropyMaximizationLoss(loss.ood_weight, loss.normalization, loss.distillation)
        # in a tuple: not a part of this module, so that neither checkpoints nor strategies hold it
        self._teacher = (copy.deepcopy(model).eval().requires_grad_(False),) if loss.distillation else ()
        self.config, self.seed = optimizer, seed
        self.validation_kinds: tuple[str, ...] = ()
        self._sums = np.zeros(3)  # of the step so far: in-distribution, OoD, distilled
        self._entropy = get_score("entropy")
        self._closed_set = ClosedSetMetrics(model.num_classes, model.class_names)
        self._entropy_sums = torch.zeros(2, 2, dtype=torch.float64)  # (in, OoD) x (sum, pixels)

    def configure_model(self) -> None:
        """Share the weights among the processes, where the strategy says so."""
        shard(self.model, self.trainer.strategy)

    def on_train_start(self) -> None:
        """Prepare the rest of an epoch, where one goes on in the middle."""
        self.on_train_epoch_start()

    def on_train_epoch_start(self) -> None:
        """Keep what is frozen as it is."""
        hold_frozen(self.model.network, self.config)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Draw what is random in the network from the place in the training alone, so that it can go on."""
        place = (self.seed, _NOISE, self.current_epoch, batch_idx, self.trainer.global_rank)
        torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0] >> 1))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return this piece's share of the objective of its step.

        The engine takes the mean over processes and pieces; the share is scaled so that it is the sum.
        """
        images = batch.images.float() / 255
        terms = loss_terms(self.model(images), batch.target, self._teacher_logits(images))
        sums = torch.stack([terms.in_sum, terms.ood_sum, terms.distilled_sum]).detach()
        # in float64 each: stacked together, counts would be rounded to float32; not every GPU has float64
        own = torch.cat([batch.step_counts.cpu().double(), sums.cpu().double()])
        added_up = self._added_up(own).tolist()
        counts = [torch.tensor(int(count), device=terms.in_sum.device) for count in added_up[:3]]
        self._sums += added_up[3:]
        if batch.ends_step:
            self._log_step(counts, batch_idx)
        own_sums = terms.in_sum, terms.ood_sum, terms.distilled_sum
        share = self.loss.combine(_terms(own_sums, counts))
        return share * (self.trainer.world_size * self.trainer.accumulate_grad_batches)

    def _teacher_logits(self, images: Tensor) -> Tensor | None:
        if not self._teacher:
            return None
        with torch.no_grad():
            logits: Tensor = self._teacher[0].to(images.device)(images)
        return logits

    def validation_step(
        self, batch: tuple[Tensor, Tensor], batch_idx: int, dataloader_idx: int = 0
    ) -> dict[str, Tensor]:
        """Count one frame: of the street confusion and entropy, of proxies the OoD pixels' entropy.

        Returns:
            For callbacks: `entropy` (N,H,W) and `counted`, bool (N,H,W), the pixels that count.
        """
        images, target = batch
        logits = self.model(images.float() / 255)
        entropy = self._entropy(logits=logits)
        is_street = self.validation_kinds[dataloader_idx] == "street"
        counted = target < self.model.num_classes if is_street else target == OOD
        row = 0 if is_street else 1
        self._entropy_sums[row, 0] += entropy[counted].sum().double().cpu()
        self._entropy_sums[row, 1] += counted.sum().cpu()
        if is_street:
            labels = torch.where(counted, target, IGNORE)
            for predicted, label in zip(logits.argmax(1), labels, strict=True):
                self._closed_set.update(predicted.cpu().numpy(), label.cpu().numpy())
        return {"entropy": entropy, "counted": counted}

    def on_validation_epoch_end(self) -> None:
        """Log mIoU and the mean entropy of both kinds of pixels, over the frames of all processes."""
        confusion = self._added_up(torch.from_numpy(self._closed_set.confusion))
        everywhere = ClosedSetMetrics(self.model.num_classes, self.model.class_names)
        everywhere.add_confusion(confusion.cpu().numpy(), 0)
        report = everywhere.compute()
        if report.miou is not None:
            self.log("miou", report.miou, prog_bar=True)
        sums = self._added_up(self._entropy_sums).tolist()
        for name, (total, pixels) in zip(("entropy_in", "entropy_ood"), sums, strict=True):
            if pixels:
                self.log(name, total / pixels, prog_bar=True)
        self._closed_set = ClosedSetMetrics(self.model.num_classes, self.model.class_names)
        self._entropy_sums.zero_()

    def configure_optimizers(self) -> Any:
        """Build the optimiser; it lives as long as the training."""
        return build_optimizer(
            self.model, self.config, total_steps=int(self.trainer.estimated_stepping_batches)
        )

    def _added_up(self, values: Tensor) -> Tensor:
        """Return the sum over all processes, exact for counts below 2⁵³."""
        if self.trainer.world_size == 1:
            return values
        total = self.trainer.strategy.reduce(values.to(self.device), reduce_op="sum")
        assert isinstance(total, Tensor), "what goes in comes out"
        return total

    def _log_step(self, counts: list[Tensor], batch_idx: int) -> None:
        terms = _terms([torch.tensor(value) for value in self._sums], [count.cpu() for count in counts])
        self._sums = np.zeros(3)
        loss = self.loss.combine(terms)
        if not torch.isfinite(loss):
            step = batch_idx // self.trainer.accumulate_grad_batches
            raise SegoodError(
                f"the loss became {loss.item()} in epoch {self.current_epoch}, step {step}"
                f"{self._images_of(step)}; the last checkpoint is from before it: lower optimizer.lr, "
                "or go on with --resume"
            )
        self.log("loss", loss.float(), prog_bar=True)
        self.log("loss_in", terms.in_mean.float())
        if terms.ood_count:
            self.log("loss_ood", terms.ood_mean.float())
        if self.loss.distillation:
            self.log("loss_distilled", terms.distilled_mean.float())

    def _images_of(self, step: int) -> str:
        data = getattr(self.trainer, "datamodule", None)
        return (
            f", images {', '.join(data.names_of_step(self.current_epoch, step))}"
            if isinstance(data, TrainingData)
            else ""
        )


def _terms(sums: Sequence[Tensor], counts: Sequence[Tensor]) -> LossTerms:
    """Return terms from sums and counts of in-distribution, OoD and distilled pixels."""
    return LossTerms(sums[0], counts[0], sums[1], counts[1], sums[2], counts[2])


def build_optimizer(model: nn.Module, config: OptimizerConfig, *, total_steps: int) -> Any:
    """Return what Lightning's `configure_optimizers` wants: optimiser, and schedule if there is one."""
    weights = [p for p in model.parameters() if p.requires_grad]
    settings: dict[str, Any] = {"lr": config.lr, "weight_decay": config.weight_decay}
    if config.name == "sgd":
        settings["momentum"] = 0.9
    kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
    optimizer = kinds[config.name](weights, **settings)
    if config.schedule == "constant":
        return optimizer
    schedule = torch.optim.lr_scheduler.PolynomialLR(optimizer, total_iters=total_steps, power=0.9)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
