"""A threshold with few segment errors, chosen on a validation split.

In: score maps and targets of street frames (nothing unknown) and of proxy frames (objects unknown, the rest
ignored). Out: the candidate with the fewest false segments on streets plus missed proxy objects.
"""

from __future__ import annotations

import numpy as np

from segood.evaluation.curves import OperatingPoints
from segood.segments.components import label_components
from segood.types import IGNORE, OUT_OF_DISTRIBUTION


def candidate_thresholds(points: OperatingPoints, count: int, max_fpr: float = 1.0) -> np.ndarray:
    """Return thresholds that cover the operating points.

    Half of them lie at false positives from one pixel up in equal ratios, half at equal steps of the TPR.
    Without a limit on the false positives, flagging nearly all pixels would have few errors: one segment that
    covers the frame misses nothing, and is one false alarm at the most.

    Args:
        points: pooled over the validation split.
        count: at most so many, at least 2.
        max_fpr: largest share of in-distribution pixels that may be flagged, in [0, 1].

    Returns:
        (≤ count,) falling, scores that occur.

    Example:
        >>> scores, num_in, num_ood = np.array([1.0, 2, 3]), np.array([9, 1, 0]), np.array([0, 1, 4])
        >>> points = OperatingPoints.from_counts(scores, num_in, num_ood)
        >>> candidate_thresholds(points, 4).tolist()
        [3.0, 2.0, 1.0]
    """
    half = max(count // 2, 1)
    last = max(int(np.searchsorted(points.fp, max_fpr * points.num_in, side="right")) - 1, 0)
    false = np.geomspace(1, max(points.fp[last], 1), half)
    true = np.linspace(0, points.tp[last], count - half + 1)[1:]
    at = np.concatenate([np.searchsorted(points.fp, false), np.searchsorted(points.tp, true)])
    return points.to_score(points.thresholds[np.unique(at.clip(0, last))]).astype(np.float64)


class ErrorCurve:
    """Segment errors per candidate threshold, frame by frame.

    Args:
        thresholds: candidates, falling; a pixel is OoD where score ≥ threshold.

    Example:
        >>> curve = ErrorCurve(np.array([0.9, 0.5, 0.1]))
        >>> curve.update(np.array([[0.2, 0.0, 0.4]]), np.array([[0, 0, 0]], np.uint8))  # a street
        >>> curve.update(np.array([[0.6, 0.7, 0.0]]), np.array([[1, 1, 255]], np.uint8))  # an object
        >>> curve.errors.tolist(), curve.best()
        ([1, 0, 2], 0.5)
    """

    def __init__(self, thresholds: np.ndarray) -> None:
        self.thresholds = thresholds
        self.errors = np.zeros(len(thresholds), np.int64)

    def update(self, score: np.ndarray, target: np.ndarray) -> None:
        """Add a frame.

        Args:
            score: (H,W).
            target: (H,W) 0 in, 1 OoD, 255 ignored.
        """
        ood = target == OUT_OF_DISTRIBUTION
        truth, count = label_components(ood) if ood.any() else (None, 0)
        counted = target != IGNORE
        for i, threshold in enumerate(self.thresholds):
            predicted = (score >= threshold) & counted
            false = 0
            if not (ood | ~counted).all():  # some pixel could be a false alarm
                labels, found = label_components(predicted)
                false = found - len(np.unique(labels[ood & predicted]))
            missed = count - len(np.unique(truth[ood & predicted])) if truth is not None else 0
            self.errors[i] += false + missed

    def best(self) -> float:
        """Return the threshold with the fewest errors; of equals the highest."""
        return float(self.thresholds[int(np.argmin(self.errors))])
