"""The original task: what a network still knows after it learned to doubt.

In: predicted classes, train ids, and (optionally) which pixels were flagged OoD. Out: IoU per class,
their mean, and the share of in-distribution pixels flagged.

Rule: one confusion matrix over all frames, so IoU = TP / (TP + FP + FN) of the pooled pixels. A class
without a single ground-truth pixel has no IoU (None) and is left out of the mean; predicting it is
still an error of the class that is really there. Pixels with target 254 or 255 count nowhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from segood.errors import UsageError
from segood.evaluation.inputs import to_numpy
from segood.types import IGNORE, OOD


@dataclass(frozen=True)
class ClosedSetReport:
    """The closed-set numbers.

    Attributes:
        miou: mean IoU over the classes that occur in the ground truth, None if none does.
        iou: per class name, None for classes without ground truth.
        flagged_share: flagged share of the labelled pixels, None where `flagged` was never given.
        num_pixels: labelled pixels.
        num_frames: calls of `update`.
    """

    miou: float | None
    iou: dict[str, float | None]
    flagged_share: float | None
    num_pixels: int
    num_frames: int


class ClosedSetMetrics:
    """Stream predictions of the original task into IoU and the share of false alarms.

    Args:
        num_classes: number of train ids q, 1..254.
        class_names: one per train id; their numbers by default.

    Raises:
        UsageError: a number of classes that cannot be, names that are too few, too many or twice.

    Example:
        >>> metrics = ClosedSetMetrics(2, ["road", "car"])
        >>> predicted, target = np.array([[0, 0, 1, 1]]), np.array([[0, 0, 0, 255]])
        >>> metrics.update(predicted, target, flagged=np.array([[True, False, False, False]]))
        >>> report = metrics.compute()
        >>> report.iou, round(report.flagged_share, 3)
        ({'road': 0.6666666666666666, 'car': None}, 0.333)
    """

    def __init__(self, num_classes: int, class_names: Sequence[str] | None = None) -> None:
        if not 1 <= num_classes <= OOD:
            raise UsageError(f"`num_classes` must lie in [1, {OOD}]; got {num_classes}")
        names = [str(i) for i in range(num_classes)] if class_names is None else list(class_names)
        if len(names) != num_classes or len(set(names)) != num_classes:
            raise UsageError(
                f"`class_names` must be {num_classes} different names; got {len(names)}: {names}"
            )
        self.num_classes = num_classes
        self.class_names = tuple(names)
        self._confusion = np.zeros((num_classes, num_classes), np.int64)  # rows: truth
        self._flagged = np.zeros(2, np.int64)  # flagged, asked
        self._num_frames = 0

    def update(self, predicted: Any, target: Any, flagged: Any = None, name: str | None = None) -> None:
        """Count one frame (or several).

        Args:
            predicted: (H,W) integer train ids 0..q-1; array or tensor.
            target: (H,W) integer train ids, or 254 (OoD) or 255 (ignore), which are left out.
            flagged: (H,W) bool, True where the score says OoD; or None.
            name: what an error calls the frame.

        Raises:
            UsageError: shapes or types differ from these, another label; the counts stay as before.
        """
        where = f"frame {name}: " if name else ""
        predicted, target = to_numpy(predicted), to_numpy(target)
        flags = None if flagged is None else to_numpy(flagged)
        self._check(predicted, target, flags, where)
        counted = target < self.num_classes
        truth, guess = target[counted].astype(np.int64), predicted[counted]
        q = self.num_classes
        self._confusion += np.bincount(truth * q + guess, minlength=q * q).reshape(q, q)
        if flags is not None:
            self._flagged += (int(np.count_nonzero(flags[counted])), truth.size)
        self._num_frames += 1

    @property
    def confusion(self) -> np.ndarray:
        """(q,q) int64 pixel counts, rows are the truth; a copy."""
        return self._confusion.copy()

    def add_confusion(self, counts: np.ndarray, num_frames: int) -> None:
        """Add (q,q) pixel counts of `num_frames` frames, as `confusion` gives them."""
        self._confusion += counts
        self._num_frames += num_frames

    def merge(self, other: ClosedSetMetrics) -> ClosedSetMetrics:
        """Add the counts of `other`, which stays as it is; return self.

        Raises:
            UsageError: the classes differ.
        """
        if other.class_names != self.class_names:
            raise UsageError(
                f"only equal classes merge: these are {list(self.class_names)}; got {list(other.class_names)}"
            )
        self._confusion += other._confusion
        self._flagged += other._flagged
        self._num_frames += other._num_frames
        return self

    def compute(self) -> ClosedSetReport:
        """Return the numbers; what has no pixel to measure is None."""
        true_positives = np.diag(self._confusion)
        truth, guess = self._confusion.sum(axis=1), self._confusion.sum(axis=0)
        values = [
            float(tp / (t + g - tp)) if t else None
            for tp, t, g in zip(true_positives, truth, guess, strict=True)
        ]
        present = [value for value in values if value is not None]
        flagged, asked = (int(count) for count in self._flagged)
        return ClosedSetReport(
            miou=float(np.mean(present)) if present else None,
            iou=dict(zip(self.class_names, values, strict=True)),
            flagged_share=flagged / asked if asked else None,
            num_pixels=int(truth.sum()),
            num_frames=self._num_frames,
        )

    def _check(self, predicted: np.ndarray, target: np.ndarray, flags: np.ndarray | None, where: str) -> None:
        for name, array in (("predicted", predicted), ("flagged", flags)):
            if array is not None and array.shape != target.shape:
                raise UsageError(
                    f"{where}`{name}` must have the shape of `target`, {target.shape}; got {array.shape}"
                )
        for name, array in (("predicted", predicted), ("target", target)):
            if array.dtype.kind not in "iu":
                raise UsageError(f"{where}`{name}` must hold integers; got {array.dtype}")
        if flags is not None and flags.dtype.kind != "b":
            raise UsageError(f"{where}`flagged` must be bool; got {flags.dtype}")
        highest = self.num_classes - 1
        wrong = (predicted < 0) | (predicted > highest)
        if wrong.any():
            raise UsageError(
                f"{where}`predicted` must hold train ids 0..{highest}; found {predicted[wrong][0]}"
            )
        wrong = ((target < 0) | (target > highest)) & (target != OOD) & (target != IGNORE)
        if wrong.any():
            raise UsageError(
                f"{where}`target` must hold train ids 0..{highest}, {OOD} or {IGNORE}; "
                f"found {target[wrong][0]}"
            )


def mean_iou(confusion: np.ndarray) -> np.ndarray:
    """Return the mean IoU over the classes with ground truth; NaN where there is none.

    Args:
        confusion: (..., q, q) pixel counts, rows are the truth.

    Example:
        >>> mean_iou(np.array([[8, 0], [2, 0]]))  # IoU 8/10 and 0/2
        array(0.4)
    """
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    truth, guess = confusion.sum(axis=-1), confusion.sum(axis=-2)
    iou = np.divide(hits, truth + guess - hits, out=np.zeros(hits.shape), where=truth > 0)
    present = (truth > 0).sum(axis=-1)
    return np.divide(iou.sum(axis=-1), present, out=np.full(present.shape, np.nan), where=present > 0)
