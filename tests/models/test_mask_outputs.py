"""Masks with classes reduced to class scores: by hand, against the plain formula, and at the extremes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from segood.errors import UsageError
from segood.models import SegmentationModel
from segood.models.adapter import extract_logits
from segood.models.mask_outputs import mask_class_logits


def plain(class_logits: np.ndarray, mask_logits: np.ndarray) -> np.ndarray:
    """S_c = Σ_n softmax(class)_nc · σ(mask)_n in double precision, "no object" left out."""
    z = class_logits.astype(np.float64)
    p = np.exp(z - z.max(2, keepdims=True))
    p = (p / p.sum(2, keepdims=True))[:, :, :-1]
    m = 1 / (1 + np.exp(-mask_logits.astype(np.float64)))
    return np.einsum("nqc,nqhw->nchw", p, m)


def test_two_queries_by_hand() -> None:
    # query 0: classes (1/2, 1/4), nothing 1/4; its mask covers the pixel by 1/2
    # query 1: classes (1/8, 5/8), nothing 2/8; its mask covers the pixel by 3/4
    classes = torch.tensor([[[2.0, 1.0, 1.0], [1.0, 5.0, 2.0]]]).log()
    masks = torch.tensor([1.0, 3.0]).log().reshape(1, 2, 1, 1)
    expected = [1 / 2 * 1 / 2 + 1 / 8 * 3 / 4, 1 / 4 * 1 / 2 + 5 / 8 * 3 / 4]
    found = mask_class_logits(classes, masks)
    assert found.exp().flatten().tolist() == pytest.approx(expected, rel=1e-6)
    # p_c ∝ S_c
    assert found.softmax(1).flatten().tolist() == pytest.approx([e / sum(expected) for e in expected])


def test_equal_to_the_plain_formula() -> None:
    rng = np.random.default_rng(0)
    classes = rng.normal(0, 3, (2, 11, 20)).astype(np.float32)
    masks = rng.normal(0, 5, (2, 11, 7, 9)).astype(np.float32)
    found = mask_class_logits(torch.from_numpy(classes), torch.from_numpy(masks))
    np.testing.assert_allclose(found.exp().numpy(), plain(classes, masks), rtol=1e-5)


def test_order_of_queries_is_of_no_account() -> None:
    classes, masks = torch.randn(1, 6, 5), torch.randn(1, 6, 3, 4)
    order = torch.randperm(6)
    torch.testing.assert_close(
        mask_class_logits(classes[:, order], masks[:, order]), mask_class_logits(classes, masks)
    )


@pytest.mark.parametrize("scale", [200.0, 1e4])
def test_finite_where_plain_sums_underflow(scale: float) -> None:
    generator = torch.Generator().manual_seed(0)
    classes = scale * torch.randn(1, 6, 5, generator=generator)
    masks = -scale * torch.rand(1, 6, 3, 4, generator=generator)
    found = mask_class_logits(classes, masks)
    assert bool(torch.isfinite(found).all())
    # where one query has both the largest mask and the largest class term, that term is S
    of_class, of_mask = classes.double().log_softmax(2)[0, :, :-1], masks.double()[0]
    exact = torch.logsumexp(of_class[:, :, None, None] + of_mask[:, None].sigmoid().log(), 0)
    assert bool(torch.isfinite(exact).all()) == (scale < 1e3)
    term = torch.nn.functional.logsigmoid(of_mask)[:, None] + of_class[:, :, None, None]
    assert bool((found[0] >= term.amax(0) - 1e-2 - 1e-5 * scale).all())


def test_half_precision_is_summed_in_float32() -> None:
    classes, masks = torch.randn(1, 6, 5), torch.randn(1, 6, 3, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = mask_class_logits(classes, masks)
    assert torch.equal(found, mask_class_logits(classes, masks))
    assert mask_class_logits(classes.bfloat16(), masks.bfloat16()).dtype == torch.float32


def test_gradient_equals_finite_differences() -> None:
    generator = torch.Generator().manual_seed(0)
    classes = torch.randn(1, 3, 4, dtype=torch.float64, generator=generator, requires_grad=True)
    masks = torch.randn(1, 3, 2, 2, dtype=torch.float64, generator=generator, requires_grad=True)
    assert torch.autograd.gradcheck(mask_class_logits, (classes, masks))


@pytest.mark.parametrize(
    ("classes", "masks"),
    [((1, 6, 5), (1, 5, 3, 4)), ((1, 6, 2), (1, 6, 3, 4)), ((6, 5), (6, 3, 4)), ((2, 6, 5), (1, 6, 3, 4))],
)
def test_other_shapes_are_named(classes: tuple[int, ...], masks: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match=r"class logits \(N,Q,C\+1\) and mask logits \(N,Q,h,w\)"):
        mask_class_logits(torch.zeros(classes), torch.zeros(masks))


class Masks(nn.Module):
    """A network with four queries and three classes."""

    def __init__(self, dress: Any) -> None:
        super().__init__()
        self.conv, self.classes, self.dress = (
            nn.Conv2d(3, 4, 1, stride=4),
            nn.Parameter(torch.randn(4, 4)),
            dress,
        )

    def forward(self, x: Tensor) -> Any:
        return self.dress(self.classes.expand(len(x), -1, -1), self.conv(x))


@pytest.mark.parametrize(
    "dress",
    [
        lambda c, m: {"class_queries_logits": c, "masks_queries_logits": m},
        lambda c, m: SimpleNamespace(class_queries_logits=c, masks_queries_logits=m),
        lambda c, m: {"pred_logits": c, "pred_masks": m, "aux_outputs": []},
    ],
)
def test_the_adapter_reduces_them(dress: Any) -> None:
    model = SegmentationModel(Masks(dress), num_classes=3)
    assert model.gives_masks is None
    assert model(torch.rand(2, 3, 65, 97)).shape == (2, 3, 65, 97)
    assert model.gives_masks is True
    per_class = SegmentationModel(nn.Conv2d(3, 3, 1), num_classes=3)
    per_class(torch.rand(1, 3, 4, 4))
    assert per_class.gives_masks is False
    output = model.network(torch.rand(1, 3, 8, 8))
    assert extract_logits(output).shape == (1, 3, 2, 2)
