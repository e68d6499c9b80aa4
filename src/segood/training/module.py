"""One training step and one validation step, for Lightning to run.

In: batches of (uint8 images (N,3,h,w), targets (N,h,w)). Out: updated weights, logged numbers.
"""

from __future__ import annotations

from typing import Any

import lightning
import torch
from torch import Tensor, nn

from segood.errors import SegoodError
from segood.evaluation import ClosedSetMetrics
from segood.models import SegmentationModel
from segood.scores import get_score
from segood.training.config import LossConfig, OptimizerConfig
from segood.training.loss import EntropyMaximizationLoss, loss_terms
from segood.types import IGNORE, OOD


class OutOfDistributionTraining(lightning.LightningModule):
    """Fine-tune a network with the entropy-maximisation objective.

    Args:
        model: the network; trained in place.
        loss: objective.
        optimizer: optimiser and schedule.

    Attributes:
        validation_kinds: what each validation loader yields: `street` (counts for mIoU and the entropy
            of known pixels) or `proxies` (counts for the entropy of OoD pixels).
    """

    def __init__(self, model: SegmentationModel, loss: LossConfig, optimizer: OptimizerConfig) -> None:
        super().__init__()
        self.model = model
        self.loss = EntropyMaximizationLoss(loss.ood_weight, loss.normalization)
        self.config = optimizer
        self.validation_kinds: tuple[str, ...] = ()
        self._entropy = get_score("entropy")
        self._closed_set = ClosedSetMetrics(model.num_classes, model.class_names)
        self._entropy_sums = torch.zeros(2, 2, dtype=torch.float64)  # (in, OoD) x (sum, pixels)

    def on_train_epoch_start(self) -> None:
        """Keep batch-norm statistics as they are, where asked for."""
        if self.config.freeze_batch_norm:
            freeze_batch_norm(self.model)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Return the objective of one batch."""
        images, target = batch
        terms = loss_terms(self.model(images.float() / 255), target)
        loss = self.loss.combine(terms)
        if not torch.isfinite(loss):
            raise SegoodError(
                f"the loss became {loss.item()} in epoch {self.current_epoch}, batch {batch_idx}; "
                "lower optimizer.lr, or continue from the last checkpoint"
            )
        self.log("loss", loss, prog_bar=True)
        self.log("loss_in", terms.in_mean)
        if terms.ood_count:
            self.log("loss_ood", terms.ood_mean)
        return loss

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
        """Log mIoU and the mean entropy of both kinds of pixels."""
        report = self._closed_set.compute()
        if report.miou is not None:
            self.log("miou", report.miou, prog_bar=True)
        for name, (total, pixels) in zip(
            ("entropy_in", "entropy_ood"), self._entropy_sums.tolist(), strict=True
        ):
            if pixels:
                self.log(name, total / pixels, prog_bar=True)
        self._closed_set = ClosedSetMetrics(self.model.num_classes, self.model.class_names)
        self._entropy_sums.zero_()

    def configure_optimizers(self) -> Any:
        """Build the optimiser; it lives as long as the training."""
        return build_optimizer(
            self.model, self.config, total_steps=int(self.trainer.estimated_stepping_batches)
        )


def freeze_batch_norm(model: nn.Module) -> None:
    """Use and keep the running batch-norm statistics (scale and shift are still trained)."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()


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
