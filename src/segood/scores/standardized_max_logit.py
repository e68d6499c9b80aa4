"""Standardised max-logit: how far the largest logit lies below what its class has on training data.

In: logits (N,C,H,W); for fitting, logits of training frames with their targets. Out: score map (N,H,W),
-(z_max - μ_c) / σ_c with c the predicted class, in standard deviations.
Source: Jung et al., ICCV 2021, eq. 2 to 4, without the boundary suppression and smoothing that follow there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Integer
from torch import Tensor

from segood.checks import check_logits
from segood.errors import UsageError
from segood.scores.arrays import as_tensor, check_finite
from segood.scores.base import Need, Observation, Target, check_range, row_blocks
from segood.scores.fitted import LARGEST, FittedScore, check_labels, check_train_ids, joined_means
from segood.types import OOD

STD_FLOOR = 1e-3
"""Smallest σ_c, in logits: a class whose largest logit hardly varied would turn rounding into deviations."""


class StandardizedMaxLogit(FittedScore):
    """The negated largest logit, standardised by mean and deviation of its class on training data.

    The mean and the deviation of class c are those of the largest logit over the labelled pixels that are
    *predicted* as c. A class that is never predicted in fitting has none: it is left out of the maximum, and
    is one of `unseen_classes`.

    Values are mostly within ±10, unbounded in theory; they end at ±60000, so that float16 holds them.

    Args:
        range: where the bins of streaming metrics lie; values beyond are still scored correctly.

    Raises:
        UsageError: `range` is not (low, high), finite and rising.

    Reference:
        Jung et al.: Standardized Max Logits: A Simple yet Effective Approach for Identifying Unexpected
        Road Obstacles in Urban-Scene Segmentation, ICCV 2021.

    Example:
        >>> score = StandardizedMaxLogit()
        >>> train = torch.tensor([[4.0, 6.0, 0.0, 0.0], [0.0, 0.0, 1.0, 3.0]]).reshape(1, 2, 1, 4)
        >>> score.update_arrays(logits=train, target=np.zeros((1, 1, 4), np.uint8))
        >>> score.mean, score.std  # of 4 and 6, of 1 and 3
        (array([5., 2.]), array([1., 1.]))
        >>> score(logits=torch.tensor([3.0, 0.0]).reshape(1, 2, 1, 1))  # two deviations below 5
        tensor([[[2.]]])
    """

    name: ClassVar[str] = "standardized_max_logit"
    title: ClassVar[str] = "Standardised max-logit"
    reference: ClassVar[str] = "Jung et al., ICCV 2021, arXiv 2107.11264"
    needs: frozenset[Need] = frozenset({"logits", "fit"})

    def __init__(self, *, range: Any = (-512.0, 512.0)) -> None:
        self.range = check_range(range)
        self._reset()

    @property
    def mean(self) -> Float[np.ndarray, " c"]:
        """μ_c, float64; 0 for unseen classes."""
        return self._mean.copy()

    @property
    def std(self) -> Float[np.ndarray, " c"]:
        """σ_c, float64 (of the population), at least `STD_FLOOR`."""
        return np.maximum(np.sqrt(self._squares / np.maximum(self._counts, 1)), STD_FLOOR)

    def update(self, observation: Observation, target: Target) -> None:
        """Add one frame.

        Args:
            observation: a training frame, of the target's size.
            target: (H,W) integers; pixels with 254 and above are left out.

        Raises:
            UsageError: sizes differ, logits are not finite, or a label is no class.
        """
        labels = as_tensor(target, name="target")
        self.update_arrays(logits=observation.logits()[None], target=labels[None])

    def update_arrays(
        self, *, logits: Float[Tensor, "n c h w"] | np.ndarray, target: Integer[Tensor, "n h w"] | np.ndarray
    ) -> None:
        """Add frames without a network; as `update`, with logits (N,C,H,W) and target (N,H,W)."""
        values = as_tensor(logits, name="logits")
        check_logits(values, dims=4)
        check_finite(values, name="logits", score=self.name)
        n, classes, h, w = values.shape
        labels = check_labels(target, (n, h, w), f"(N,H,W)=({n},{h},{w}) to match `logits`")
        check_train_ids(labels, classes, self.name)
        self._check_classes(classes)
        highest, predicted = (
            torch.cat(m, 1) for m in zip(*(b.max(1) for b in row_blocks(values)), strict=True)
        )
        counted = labels.to(values.device) < OOD
        z = highest[counted].double().cpu().numpy()
        c = predicted[counted].cpu().numpy()
        count = np.bincount(c, minlength=classes)
        mean = np.bincount(c, z, classes) / np.maximum(count, 1)
        squares = np.bincount(c, (z - mean[c]) ** 2, classes)
        self._add({"count": count, "mean": mean, "squares": squares})

    def compute(self, logits: Float[Tensor, "n c h w"]) -> Float[Tensor, "n h w"]:
        """Compute the score of checked logits."""
        self._check_classes(logits.shape[1])
        seen = torch.from_numpy(np.flatnonzero(self._counts))
        if len(seen) < logits.shape[1]:
            logits = logits.index_select(1, seen.to(logits.device))
        highest, index = logits.max(dim=1)
        mean, std = (torch.from_numpy(v)[seen].to(logits)[index] for v in (self._mean, self.std))
        return ((mean - highest) / std).clamp(-LARGEST, LARGEST)

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return `count` (C,) int64, `mean` (C,) and `squares` (C,) float64: Σ (z - μ_c)²."""
        return {
            "count": self._counts.copy(),
            "mean": self._mean.copy(),
            "squares": self._squares.copy(),
        }

    def _reset(self) -> None:
        self._counts, self._mean, self._squares = np.zeros(0, np.int64), np.zeros(0), np.zeros(0)

    def _add(self, state: Mapping[str, np.ndarray]) -> None:
        if not len(self._counts):
            self._counts = state["count"].astype(np.int64)
            self._mean, self._squares = state["mean"].copy(), state["squares"].copy()
            return
        self._check_classes(len(state["count"]))
        counts, means = (self._counts, state["count"]), (self._mean, state["mean"])
        mean, weight = joined_means(counts, means)
        self._squares = self._squares + state["squares"] + weight * (means[1] - means[0]) ** 2
        self._counts, self._mean = counts[0] + counts[1], mean

    def _shapes(self, state: Mapping[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
        return dict.fromkeys(state, (state["count"].size,))

    def _check_classes(self, classes: int) -> None:
        if len(self._counts) not in (0, classes):
            raise UsageError(
                f"score '{self.name}' is fitted for {len(self._counts)} classes; got {classes}; "
                "fit it with the network that it is for"
            )
