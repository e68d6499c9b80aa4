"""Gaussians per class with one covariance: their statistics, and the distance to the nearest.

In: vectors (n,D) with their classes. Out: statistics as plain arrays that add up, `count` (C,), `mean` (C,D)
and `scatter` (D,D) = Σ (f - μ_c)(f - μ_c)ᵀ; and of these a `Whitening`. Everything is float64.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from segood.scores.fitted import joined_means

State = Mapping[str, np.ndarray]


def statistics(
    vectors: Float[Tensor, "n d"], classes: Int[Tensor, " n"], num_classes: int
) -> dict[str, np.ndarray]:
    """Compute count, mean and scatter of vectors.

    Args:
        vectors: float64.
        classes: of each, in 0..num_classes-1, on the same device.
        num_classes: C.

    Example:
        >>> found = statistics(torch.tensor([[1.0], [3.0], [7.0]]).double(), torch.tensor([0, 0, 1]), 2)
        >>> found["mean"].tolist(), found["scatter"].tolist()
        ([[2.0], [7.0]], [[2.0]])
    """
    count = torch.bincount(classes, minlength=num_classes)
    sums = vectors.new_zeros((num_classes, vectors.shape[1])).index_add_(0, classes, vectors)
    mean = sums / count.clamp_min(1)[:, None]
    apart = vectors - mean[classes]
    arrays = {"count": count, "mean": mean, "scatter": apart.T @ apart}
    return {key: value.cpu().numpy() for key, value in arrays.items()}


def joined(one: State, two: State) -> dict[str, np.ndarray]:
    """Return the statistics of both samples together; classes that only one knows are empty in the other."""
    classes = max(len(one["count"]), len(two["count"]))
    counts = _grown(one["count"], classes), _grown(two["count"], classes)
    means = _grown(one["mean"], classes), _grown(two["mean"], classes)
    mean, weight = joined_means(counts, means)
    apart = means[1] - means[0]
    scatter = one["scatter"] + two["scatter"] + (apart.T * weight) @ apart
    return {"count": counts[0] + counts[1], "mean": mean, "scatter": scatter}


@dataclass(frozen=True)
class Whitening:
    """Coordinates in which the shared covariance is the unit matrix.

    Attributes:
        center: (D,1), the mean of the class means: differences of large numbers would lose digits.
        matrix: (D,D), L⁻¹ of the covariance with its ridge, L·Lᵀ.
        means: (K,D), L⁻¹·(μ_c - center) of the classes that were seen.
    """

    center: np.ndarray
    matrix: np.ndarray
    means: np.ndarray

    @classmethod
    def of(cls, state: State, ridge: float) -> Whitening:
        """Invert the covariance, with `ridge` times the mean variance (or 1 if there is none) added."""
        from scipy.linalg import solve_triangular

        covariance = state["scatter"] / state["count"].sum()
        eye = np.eye(len(covariance))
        variance = float(np.trace(covariance)) / len(covariance)
        lower = np.linalg.cholesky(covariance + ridge * (variance or 1.0) * eye)
        matrix = solve_triangular(lower, eye, lower=True)
        means = state["mean"][state["count"] > 0]
        center = means.mean(0)
        return cls(center[:, None], matrix, (means - center) @ matrix.T)

    def squared_distance(self, vectors: Float[Tensor, "d n"]) -> Float[Tensor, " n"]:
        """Return the squared Mahalanobis distance of float64 vectors to the nearest class."""
        center, matrix, means = (
            torch.from_numpy(v).to(vectors) for v in (self.center, self.matrix, self.means)
        )
        white = matrix @ (vectors - center)
        of_class = (means**2).sum(1, keepdim=True) - 2 * means @ white
        return ((white**2).sum(0) + of_class.amin(0)).clamp_min(0.0)


def _grown(values: np.ndarray, rows: int) -> np.ndarray:
    return np.concatenate([values, np.zeros((rows - len(values), *values.shape[1:]), values.dtype)])
