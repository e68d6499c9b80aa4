"""The objective: by hand, against PyTorch's cross-entropy, and its invariances."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from segood.errors import UsageError
from segood.training import EntropyMaximizationLoss, loss_terms
from segood.types import IGNORE, OOD


def test_by_hand() -> None:
    # two classes, four pixels:   known, class 0    known, class 1    OoD    ignored
    #             probabilities:  3/4, 1/4          1/2, 1/2          9/10, 1/10   -
    probs = torch.tensor([[0.75, 0.5, 0.9, 0.3], [0.25, 0.5, 0.1, 0.7]])
    logits = probs.log().view(1, 2, 1, 4)
    target = torch.tensor([[[0, 1, OOD, IGNORE]]])
    known = -(math.log(0.75) + math.log(0.5))
    unknown = -0.5 * (math.log(0.9) + math.log(0.1))
    pooled = EntropyMaximizationLoss(0.9, "pooled")(logits, target)
    assert pooled.item() == pytest.approx((0.1 * known + 0.9 * unknown) / 3, rel=1e-6)
    distribution = EntropyMaximizationLoss(0.9, "distribution")(logits, target)
    assert distribution.item() == pytest.approx(0.1 * known / 2 + 0.9 * unknown, rel=1e-6)


@pytest.mark.parametrize("normalization", ["pooled", "distribution"])
def test_lambda_zero_without_ood_is_cross_entropy(normalization: str) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 7, 5, 6, generator=generator)
    target = torch.randint(0, 7, (2, 5, 6), generator=generator)
    target[0, :2] = IGNORE
    expected = F.cross_entropy(logits, target, ignore_index=IGNORE)
    loss = EntropyMaximizationLoss(0.0, normalization)  # type: ignore[arg-type]
    torch.testing.assert_close(loss(logits, target), expected)


def test_ood_term_is_smallest_exactly_at_uniform_softmax() -> None:
    target = torch.full((1, 1, 1), OOD)
    logits = torch.zeros(1, 5, 1, 1, requires_grad=True)
    loss = EntropyMaximizationLoss(1.0)(logits, target)
    assert loss.item() == pytest.approx(math.log(5))
    (gradient,) = torch.autograd.grad(loss, logits)
    torch.testing.assert_close(gradient, torch.zeros_like(gradient))
    assert EntropyMaximizationLoss(1.0)(torch.randn(1, 5, 1, 1), target) > loss


def test_paper_weighting_of_rare_proxies() -> None:
    # 10 images, one of them a proxy covered to a third: pooled λ=0.9 weighs known against OoD pixels
    # 0.1 · 9 : 0.9 · 1/3, that is like a distribution λ of 0.25 (0.2 with crops of unequal cover)
    terms = loss_terms(
        torch.zeros(1, 2, 1, 31),
        torch.tensor([[[0] * 27 + [OOD] + [IGNORE] * 3]]),
    )
    assert (terms.in_count.item(), terms.ood_count.item()) == (27, 1)
    weight_in, weight_ood = 0.1 * 27, 0.9 * 1
    assert weight_ood / (weight_in + weight_ood) == pytest.approx(0.25)


@pytest.mark.parametrize("fill", [IGNORE, OOD, 3])
@pytest.mark.parametrize("normalization", ["pooled", "distribution"])
def test_one_kind_of_pixel_only_is_finite_with_gradient(fill: int, normalization: str) -> None:
    logits = torch.randn(2, 4, 3, 3, requires_grad=True)
    loss = EntropyMaximizationLoss(0.5, normalization)(logits, torch.full((2, 3, 3), fill))  # type: ignore[arg-type]
    loss.backward()
    assert torch.isfinite(loss)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert (loss == 0) == (fill == IGNORE)


def test_extreme_logits_and_half_precision_stay_finite() -> None:
    logits = torch.tensor([1e4, -1e4, 0.0]).view(1, 3, 1, 1).repeat(1, 1, 1, 2)
    target = torch.tensor([[[1, OOD]]])
    assert torch.isfinite(EntropyMaximizationLoss()(logits, target))
    assert torch.isfinite(EntropyMaximizationLoss()(logits.bfloat16(), target))


def test_input_is_not_changed() -> None:
    logits, target = torch.randn(1, 3, 2, 2), torch.tensor([[[0, OOD], [IGNORE, 2]]])
    copies = logits.clone(), target.clone()
    EntropyMaximizationLoss()(logits, target)
    assert torch.equal(logits, copies[0])
    assert torch.equal(target, copies[1])


def test_bad_input() -> None:
    logits = torch.zeros(2, 3, 4, 4)
    with pytest.raises(UsageError, match=r"`ood_weight` must lie in \[0, 1\]; got 1.5"):
        EntropyMaximizationLoss(1.5)
    with pytest.raises(UsageError, match="did you mean 'pooled'"):
        EntropyMaximizationLoss(normalization="poled")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"`target` must have shape \(N,H,W\)=\(2,4,4\)"):
        EntropyMaximizationLoss()(logits, torch.zeros(2, 1, 4, 4, dtype=torch.long))
    with pytest.raises(UsageError, match=r"train ids 0\.\.2, 254 .* got 7"):
        EntropyMaximizationLoss()(logits, torch.full((2, 4, 4), 7))
    with pytest.raises(UsageError, match="must hold integers"):
        EntropyMaximizationLoss()(logits, torch.zeros(2, 4, 4))
