"""What figures need beyond the stored numbers, derived from curves and binned counts.

In: `PixelResult`, `Distribution` counts, feature names. Out: operating points, smoothed densities,
quantiles, words. Nothing is guessed: what cannot be derived is `None`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segood.errors import UsageError
from segood.evaluation.results import Curve, PixelResult
from segood.segments.names import describe_feature

BANDWIDTH = 0.015
"""Standard deviation of the violin's Gaussian kernel, as a share of the score's range."""


@dataclass(frozen=True)
class OperatingPoint:
    """Rates of "score ≥ threshold"; `precision` is `None` if nothing is predicted."""

    fpr: float
    tpr: float
    precision: float | None


def operating_point(item: PixelResult, threshold: float | None) -> OperatingPoint | None:
    """Return the operating point at `threshold`, where the stored counts or curve determine it.

    Exact if the threshold is an edge of the distribution's bins, else the curve's last point at or
    above the threshold, if the next one is at most 0.01 of the score's range further.

    Example:
        >>> from segood.evaluation.results import Distribution
        >>> counts = Distribution([0.0, 0.5, 1.0], [90, 10], [1, 9])
        >>> item = PixelResult("m", "d", "entropy", 100, 10, None, None, None, {}, None, None, counts)
        >>> operating_point(item, 0.5)
        OperatingPoint(fpr=0.1, tpr=0.9, precision=0.47368421052631576)
    """
    if threshold is None or not has_pixels(item) or not item.num_in or not item.num_ood:
        return None
    edges = np.asarray(item.distribution.edges)
    span = float(edges[-1] - edges[0])
    nearest = int(np.argmin(np.abs(edges - threshold)))
    if abs(edges[nearest] - threshold) <= 1e-6 * span:
        false = sum(item.distribution.in_distribution[nearest:])
        true = sum(item.distribution.ood[nearest:])
        num_in, num_ood = sum(item.distribution.in_distribution), sum(item.distribution.ood)
        return OperatingPoint(false / num_in, true / num_ood, true / (true + false) if true + false else None)
    if item.roc is None:
        return None
    above = [i for i, value in enumerate(item.roc.thresholds) if value >= threshold]
    if not above or above[-1] + 1 >= len(item.roc.thresholds):
        return None
    at = above[-1]
    if item.roc.thresholds[at] - item.roc.thresholds[at + 1] > 0.01 * span:
        return None
    fpr, tpr = item.roc.x[at], item.roc.y[at]
    predicted = fpr * item.num_in + tpr * item.num_ood
    return OperatingPoint(fpr, tpr, tpr * item.num_ood / predicted if predicted else None)


def has_pixels(item: PixelResult) -> bool:
    """Tell whether the score distribution holds any pixel."""
    return sum(item.distribution.in_distribution) + sum(item.distribution.ood) > 0


def density(edges: list[float], counts: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Smooth binned counts with a Gaussian kernel that is reflected at both ends of the range.

    Args:
        edges: B+1 rising bin edges, equally spaced.
        counts: B counts, not all zero.

    Returns:
        Bin centres and widths, both float64; the largest width is 1. Bins at either end that are
        narrower than 0.004 are cut off: a hairline over the whole range would look like data.

    Example:
        >>> centers, widths = density([0.0, 0.5, 1.0], [1, 3])
        >>> centers.tolist(), widths.round(3).tolist()
        ([0.25, 0.75], [0.333, 1.0])
    """
    bins = np.asarray(edges, dtype=np.float64)
    centers = (bins[:-1] + bins[1:]) / 2
    values = np.asarray(counts, dtype=np.float64)
    sigma = BANDWIDTH * len(values)  # in bins
    reach = min(len(values), int(np.ceil(4 * sigma)))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    smooth = np.convolve(np.pad(values, reach, mode="symmetric"), kernel, mode="valid")
    widths = smooth / smooth.max()
    visible = np.flatnonzero(widths > 0.004)
    shown = slice(visible[0], visible[-1] + 1)
    return centers[shown], widths[shown]


def quantile(edges: list[float], counts: list[int], share: float) -> float:
    """Return the score below which `share` of the pixels lie, linear inside a bin.

    Example:
        >>> quantile([0.0, 0.5, 1.0], [1, 1], 0.75)
        0.75
    """
    below = np.concatenate([[0.0], np.cumsum(np.asarray(counts, dtype=np.float64))])
    wanted = share * below[-1]
    at = max(int(np.searchsorted(below, wanted)), 1)  # the first bin that reaches it, never an empty one
    inside = (wanted - below[at - 1]) / (below[at] - below[at - 1]) if below[at] > below[at - 1] else 0.0
    return float(edges[at - 1] + inside * (edges[at] - edges[at - 1]))


def thin_curve(curve: Curve, limit: int = 800) -> tuple[list[float], list[float], list[float]]:
    """Return x, y and thresholds of at most `limit` points, evenly spaced along the curve, ends kept."""
    x, y, t = (np.asarray(values, dtype=np.float64) for values in (curve.x, curve.y, curve.thresholds))
    if len(x) > limit:
        length = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
        at = np.unique(np.searchsorted(length, np.linspace(0, length[-1], limit)).clip(0, len(x) - 1))
        at = np.union1d(at, [0, len(x) - 1])
        x, y, t = x[at], y[at], t[at]
    return np.round(x, 6).tolist(), np.round(y, 6).tolist(), np.round(t, 5).tolist()


def feature_words(name: str, class_names: list[str]) -> str:
    """Return what a feature measures, in words; an unknown feature keeps its name."""
    try:
        return describe_feature(name, class_names)
    except UsageError:
        return name
