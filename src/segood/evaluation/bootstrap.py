"""How far a number would move with other images: bootstrap over the images of a data set.

In: what each image adds to the sums that a number is made of. Out: the number's draws, its 95 % interval,
and whether one method is better than another on the same drawn images.
Source: B. Efron, R. Tibshirani, "An Introduction to the Bootstrap", 1993 (percentile intervals). The
intervals are conditional on the trained network, and only as good as the images are independent.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from segood.errors import UsageError
from segood.evaluation.comparison.results import Number

QUANTILES = (0.025, 0.975)


class Bootstrap:
    """Draws of as many images as there are, with replacement; the same for all who pass the same seed.

    Args:
        num_images: images of the data set, ≥ 1.
        num_draws: draws, ≥ 1.
        seed: of the draws.

    Attributes:
        weights: (num_draws, num_images) float64, how often each image was drawn.

    Raises:
        UsageError: no image or no draw.

    Example:
        >>> bootstrap = Bootstrap(3, num_draws=2000, seed=0)
        >>> found = np.array([[1.0, 4], [2, 4], [3, 4]])  # per image: objects found, objects there
        >>> found_share = bootstrap.sums(found)[:, 0] / bootstrap.sums(found)[:, 1]
        >>> number = bootstrap.number(6 / 12, found_share)
        >>> number.value, number.low, number.high, number.num_draws
        (0.5, 0.25, 0.75, 2000)
    """

    def __init__(self, num_images: int, *, num_draws: int = 1000, seed: int = 0) -> None:
        for name, value in (("num_images", num_images), ("num_draws", num_draws)):
            if value < 1:
                raise UsageError(f"`{name}` must be at least 1; got {value}")
        drawn = np.random.default_rng(seed).integers(num_images, size=(num_draws, num_images))
        rows = np.arange(num_draws)[:, None] * num_images
        counts = np.bincount((rows + drawn).ravel(), minlength=num_draws * num_images)
        self.weights: Float64[np.ndarray, "d n"] = counts.reshape(num_draws, num_images).astype(np.float64)
        self.num_images = num_images

    def sums(self, per_image: np.ndarray) -> Float64[np.ndarray, "d m"]:
        """Return the sums over the drawn images.

        Args:
            per_image: (num_images, m) numbers, row by row in the order of the images.

        Raises:
            UsageError: another number of rows.
        """
        values = np.asarray(per_image, np.float64)
        if values.ndim != 2 or len(values) != self.num_images:
            raise UsageError(
                f"`per_image` must have one row for each of {self.num_images} images; got {values.shape}"
            )
        return self.weights @ values

    def number(self, value: float | None, draws: np.ndarray) -> Number:
        """Return a number with its interval.

        Args:
            value: measured on all images, None where it is undefined.
            draws: (num_draws,) the same number on the drawn images; NaN where it is undefined.
        """
        defined = draws[np.isfinite(draws)]
        if value is None or not len(defined):
            return Number(value, num_images=self.num_images)
        low, high = np.quantile(defined, QUANTILES)
        return Number(value, float(low), float(high), self.num_images, len(defined))


def share_better(a: np.ndarray, b: np.ndarray, *, higher_is_better: bool) -> float | None:
    """Return the share of draws in which `a` is better than `b`; equal ones count half.

    Args:
        a, b: (num_draws,) of two methods on the same drawn images; draws where one is NaN are left out.
        higher_is_better: whether larger numbers are better.

    Returns:
        In [0,1], None where no draw defines both.

    Example:
        >>> share_better(np.array([0.9, 0.8, 0.7]), np.array([0.5, 0.8, 0.9]), higher_is_better=True)
        0.5
    """
    both = np.isfinite(a) & np.isfinite(b)
    if not both.any():
        return None
    sign = np.sign(a[both] - b[both]) * (1 if higher_is_better else -1)
    return float(np.mean((sign + 1) / 2))
