"""RbA by hand, its range, and for which networks it is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from segood.deployment import Monitor
from segood.errors import UsageError
from segood.models import SegmentationModel
from segood.scores import RbA, get_score


class TwoMasks(nn.Module):
    """Query 0 is sure of class 0 on the left half, query 1 of class 1 in the middle; the right is free."""

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        classes = torch.tensor([[[40.0, 0.0, 0.0], [0.0, 40.0, 0.0]]])
        masks = torch.full((1, 2, 1, 4), -40.0)
        masks[0, 0, 0, :2] = 40.0
        masks[0, 1, 0, 1:3] = 40.0
        return {"class_queries_logits": classes, "masks_queries_logits": masks}


def test_pixels_by_hand() -> None:
    model = SegmentationModel(TwoMasks(), num_classes=2)
    logits = model(torch.zeros(1, 3, 1, 4))
    score = get_score("rba")(logits=logits)
    claimed = -np.tanh(1.0)
    # columns: query 0 only, both, query 1 only, none
    assert score[0, 0].tolist() == pytest.approx([claimed, 2 * claimed, claimed, 0.0], abs=1e-6)


def test_values_stay_between_minus_the_classes_and_zero() -> None:
    logits = 1e4 * torch.randn(1, 7, 5, 5, generator=torch.Generator().manual_seed(0))
    score = RbA()(logits=logits)
    assert -7 <= score.min() <= score.max() <= 0
    everything = RbA()(logits=torch.full((1, 7, 1, 1), 50.0))
    assert everything.item() == -7.0


def test_gradient_is_finite_where_tanh_saturates() -> None:
    logits = torch.tensor([1e4, -1e4, 30.0]).reshape(1, 3, 1, 1).requires_grad_()
    RbA()(logits=logits).sum().backward()
    assert logits.grad is not None
    assert bool(torch.isfinite(logits.grad).all())


def test_the_range_can_be_chosen() -> None:
    assert get_score("rba", range=(-19, 0)).range == (-19.0, 0.0)
    assert RbA().range == (-128.0, 0.0)
    assert RbA.needs == {"logits", "masks"}


def test_networks_without_masks_are_refused() -> None:
    image = np.zeros((8, 12, 3), np.uint8)
    monitor = Monitor(nn.Conv2d(3, 4, 1), score="rba", threshold=-0.1)
    with pytest.raises(
        UsageError, match=r"'rba' is for mask-classification networks .* choose another score"
    ):
        monitor(image)
    masks = SegmentationModel(TwoMasks(), num_classes=2)
    assert Monitor(masks, score="rba", threshold=-0.1)(image).score.shape == (8, 12)


def test_a_network_nobody_knows_is_not_refused() -> None:
    RbA().check_network(nn.Conv2d(3, 4, 1))
