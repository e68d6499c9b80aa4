"""The entropy-maximisation objective.

In: logits (N,C,H,W) and a target (N,H,W) of train ids, `OOD`, `IGNORE` and `UNLABELED`. Out: a scalar.

    L = (1-λ) · E_in[ -log f_y(x) ]  +  λ · E_out[ -1/q · Σ_j log f_j(x') ]

Source: Chan, Rottmann, Gottschalk, ICCV 2021, arXiv 2012.06575, eq. 2-4. The second term is
minimal, log q, exactly where the softmax is uniform, that is where its entropy is maximal.

With distillation δ (ours), E_in is (1-δ) times that cross-entropy plus δ times the mean KL(f° ‖ f) to the
original network f° over all pixels that are not OoD. It needs no labels, and is 0 where the fine-tuning has
changed nothing.
"""

from __future__ import annotations

from typing import NamedTuple, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from segood.checks import check_choice, check_logits, check_target, check_unit_interval
from segood.errors import UsageError
from segood.training.config import Normalization
from segood.training.distillation import DivergenceSum
from segood.training.loss_sums import objective_sums
from segood.types import IGNORE, OOD, UNLABELED


class LossTerms(NamedTuple):
    """Sums over pixels and their counts: what has to be added up before dividing.

    Attributes:
        in_sum: scalar, sum of -log f_y over in-distribution pixels.
        in_count: scalar int64, number of in-distribution pixels.
        ood_sum: scalar, sum of -1/q Σ_j log f_j over OoD pixels.
        ood_count: scalar int64, number of OoD pixels.
        distilled_sum: scalar, sum of KL(original ‖ network) over the pixels that are not OoD; 0 without
            distillation.
        distilled_count: scalar int64, number of those pixels, labelled or not; 0 without.
    """

    in_sum: Tensor
    in_count: Tensor
    ood_sum: Tensor
    ood_count: Tensor
    distilled_sum: Tensor
    distilled_count: Tensor

    @property
    def in_mean(self) -> Tensor:
        """Mean cross-entropy of the in-distribution pixels, 0 without any."""
        return self.in_sum / self.in_count.clamp(min=1)

    @property
    def ood_mean(self) -> Tensor:
        """Mean cross-entropy of the OoD pixels against the uniform distribution, 0 without any."""
        return self.ood_sum / self.ood_count.clamp(min=1)

    @property
    def distilled_mean(self) -> Tensor:
        """Mean divergence from the original network, 0 without any pixel."""
        return self.distilled_sum / self.distilled_count.clamp(min=1)


def loss_terms(
    logits: Float[Tensor, "n c h w"],
    target: Int[Tensor, "n h w"],
    teacher_logits: Float[Tensor, "n c h w"] | None = None,
) -> LossTerms:
    """Return the sums of the objective and their pixel counts.

    Args:
        logits: (N,C,H,W), finite; computed in float32 at least.
        target: (N,H,W) integer; train ids 0..C-1, `OOD`, `IGNORE`, and with `teacher_logits` `UNLABELED`.
        teacher_logits: (N,C,H,W) of the original network, for distillation.

    Raises:
        UsageError: shapes do not match, a target value is none of those, or more than 254 classes.
    """
    check_logits(logits)
    check_target(target, logits)
    if logits.shape[1] > OOD:
        raise UsageError(
            f"`logits` must have at most {OOD} classes, since the labels {OOD} (OoD) and {IGNORE} (ignore)"
            f" are no train ids; got {logits.shape[1]}"
        )
    if teacher_logits is None:
        sums = objective_sums(logits, target)
        return LossTerms(*sums, torch.zeros_like(sums[0]), torch.zeros_like(sums[1]))
    if teacher_logits.shape != logits.shape:
        raise UsageError(
            f"`teacher_logits` must have the shape of `logits`, {tuple(logits.shape)}; "
            f"got {tuple(teacher_logits.shape)}"
        )
    sums = objective_sums(logits, torch.where(target == UNLABELED, IGNORE, target))
    distilled = (target != OOD) & (target != IGNORE)
    divergence = DivergenceSum.apply(logits, teacher_logits, distilled)  # type: ignore[no-untyped-call]
    return LossTerms(*sums, divergence, distilled.sum())


class EntropyMaximizationLoss(nn.Module):
    """Weigh cross-entropy on known pixels against cross-entropy to uniform on OoD pixels.

    Args:
        ood_weight: λ in [0, 1]. λ = 0 is ordinary cross-entropy training.
        normalization: what the two expectations are taken over.
            `"pooled"` (how the published networks were trained): one mean over all labelled pixels
            of both kinds, so the rarer OoD pixels weigh less; with one proxy in ten images and a
            third of a proxy covered by objects, λ = 0.9 weighs like λ ≈ 0.2 under
            `"distribution"` (the paper's equation): each mean over its own pixels, 0 without any.
        distillation: δ in [0, 1], share of the in-distribution term that is the divergence from the original
            network; 0 is the paper's objective, 1 needs no labels.

    Example:
        >>> import math, torch
        >>> loss = EntropyMaximizationLoss(ood_weight=0.9, normalization="distribution")
        >>> logits = torch.zeros(1, 4, 1, 2)  # uniform softmax
        >>> target = torch.tensor([[[2, 254]]])  # one known pixel, one OoD pixel
        >>> math.isclose(loss(logits, target).item(), math.log(4), rel_tol=1e-6)
        True
    """

    def __init__(
        self, ood_weight: float = 0.9, normalization: Normalization = "pooled", distillation: float = 0.0
    ) -> None:
        super().__init__()
        check_unit_interval("ood_weight", ood_weight)
        check_unit_interval("distillation", distillation)
        check_choice("normalization", normalization, get_args(Normalization))
        self.ood_weight = ood_weight
        self.normalization = normalization
        self.distillation = distillation

    def forward(
        self,
        logits: Float[Tensor, "n c h w"],
        target: Int[Tensor, "n h w"],
        teacher_logits: Float[Tensor, "n c h w"] | None = None,
    ) -> Float[Tensor, ""]:
        """Return the objective for logits (N,C,H,W) and target (N,H,W); 0 if every pixel is ignored.

        Raises:
            UsageError: as `loss_terms`, or `teacher_logits` are missing for a distillation above 0.
        """
        if self.distillation and teacher_logits is None:
            raise UsageError("`teacher_logits` of the original network are needed for `distillation` above 0")
        return self.combine(loss_terms(logits, target, teacher_logits if self.distillation else None))

    def combine(self, terms: LossTerms) -> Tensor:
        """Return the objective from sums and counts (of one process, or added over several)."""
        known, unknown, distilled = 1.0 - self.ood_weight, self.ood_weight, self.distillation
        if self.normalization == "distribution":
            in_mean = (1.0 - distilled) * terms.in_mean + distilled * terms.distilled_mean
            return known * in_mean + unknown * terms.ood_mean
        in_sum = (1.0 - distilled) * terms.in_sum + distilled * terms.distilled_sum
        in_count = terms.distilled_count if distilled else terms.in_count
        return (known * in_sum + unknown * terms.ood_sum) / (in_count + terms.ood_count).clamp(min=1)

    def extra_repr(self) -> str:
        """Show the parameters in the module's text form."""
        return (
            f"ood_weight={self.ood_weight}, normalization={self.normalization!r}, "
            f"distillation={self.distillation}"
        )
