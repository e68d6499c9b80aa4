"""Pooling by matrices against PyTorch's own."""

import pytest
import torch
import torch.nn.functional as F

from segood.models.adaptive_pooling import pool_by_matrices, pooling_for_all_sizes


@pytest.mark.parametrize(
    ("shape", "size"), [((8, 16), (4, 8)), ((7, 13), (5, 5)), ((33, 50), (50, 75)), ((3, 4), (5, 5))]
)
def test_matrices_give_what_pytorch_gives(shape: tuple[int, int], size: tuple[int, int]) -> None:
    x = torch.randn(2, 3, *shape, generator=torch.Generator().manual_seed(0))
    expected = F.adaptive_avg_pool2d(x, size)
    torch.testing.assert_close(pool_by_matrices(x, size), expected)
    with pooling_for_all_sizes():
        assert torch.equal(F.adaptive_avg_pool2d(x, size), expected)
