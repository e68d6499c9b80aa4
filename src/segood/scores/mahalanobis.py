"""Mahalanobis distance of a network's features to the nearest class of the training data.

In: features (N,D,h,w); for fitting, those of training frames with their targets. Out: score map,
sqrt(min_c (f - μ_c)ᵀ Σ⁻¹ (f - μ_c)), ≥ 0.
Source: Lee et al., NeurIPS 2018, eq. 1 and 2: Gaussians per class, with one covariance for all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Integer
from torch import Tensor

from segood.errors import UsageError
from segood.scores.arrays import as_tensor, check_finite
from segood.scores.base import FloatArray, Need, Observation, Target, check_range
from segood.scores.fitted import LARGEST, FittedScore, check_labels, check_train_ids
from segood.scores.gaussians import Whitening, joined, statistics
from segood.types import OOD

_BLOCK = 2**22  # float64 values of one block of pixels


class Mahalanobis(FittedScore):
    """Distance to the nearest class-conditional Gaussian of the features.

    Targets are brought to the features' grid by taking the nearest pixel. Means and the covariance shared by
    all classes are gathered in float64. The covariance gets a ridge: λ = `ridge` times the mean variance is
    added to its diagonal (`ridge` itself where no feature varies), so that it can always be inverted. A
    class without a labelled pixel is left out of the minimum, and is one of `unseen_classes`.

    Values are about sqrt(D) for features like those of the training data, unbounded above; they end at
    60000, so that float16 holds them.

    Args:
        layer: where features are taken, as `Observation.features` says; None for the network's default.
        ridge: > 0, relative to the mean variance.
        range: where the bins of streaming metrics lie; values beyond are still scored correctly.

    Raises:
        UsageError: an argument breaks its rule.

    Reference:
        Lee et al.: A Simple Unified Framework for Detecting Out-of-Distribution Samples and Adversarial
        Attacks, NeurIPS 2018.

    Example:
        >>> score = Mahalanobis(ridge=1e-12)
        >>> train = torch.tensor([1.0, -1.0, 7.0, 5.0]).reshape(1, 1, 1, 4)  # class 0: ±1, class 1: 6 ± 1
        >>> score.update_arrays(features=train, target=np.array([[[0, 0, 1, 1]]]))
        >>> score(features=torch.tensor([2.0, 9.0]).reshape(1, 1, 1, 2))  # 2 from 0, 3 from 6
        tensor([[[2., 3.]]])
    """

    name: ClassVar[str] = "mahalanobis"
    title: ClassVar[str] = "Mahalanobis"
    reference: ClassVar[str] = "Lee et al., NeurIPS 2018, arXiv 1807.03888"
    needs: frozenset[Need] = frozenset({"features", "fit"})
    _whitening: Whitening | None

    def __init__(self, *, layer: str | None = None, ridge: float = 1e-6, range: Any = (0.0, 1024.0)) -> None:
        if not (np.isfinite(ridge) and ridge > 0):
            raise UsageError(f"`ridge` must be a finite number above 0; got {ridge}")
        self.layer = layer
        self.ridge = float(ridge)
        self.range = check_range(range)
        self._reset()

    def check_network(self, network: Any) -> None:
        """Refuse a network that is known to give no features."""
        if getattr(network, "gives_features", None) is False:
            raise UsageError(
                f"score '{self.name}' needs features, which network {network.label} does not give; use its "
                "PyTorch network, or a score of logits, for example standardized_max_logit"
            )

    # ---- fitting

    @property
    def means(self) -> Float[np.ndarray, "c d"]:
        """μ_c, float64; 0 for unseen classes."""
        return self._means.copy()

    @property
    def covariance(self) -> Float[np.ndarray, "d d"]:
        """Σ, float64, without the ridge: squared deviations from the class means over all pixels."""
        return self._scatter / max(int(self._counts.sum()), 1)

    def update(self, observation: Observation, target: Target) -> None:
        """Add one frame.

        Args:
            observation: a training frame.
            target: (H,W) integers of any size; pixels with 254 and above are left out.

        Raises:
            UsageError: no features, another number of features than before, or a label that is no class.
        """
        features = observation.features(self.layer)
        labels = as_tensor(target, name="target")
        self._update(features[None], labels[None], observation.num_classes)

    def update_arrays(
        self,
        *,
        features: Float[Tensor, "n d i j"] | np.ndarray,
        target: Integer[Tensor, "n h w"] | np.ndarray,
        num_classes: int | None = None,
    ) -> None:
        """Add frames without a network; as `update`.

        Args:
            features: (N,D,h,w), finite.
            target: (N,H,W) of any H and W.
            num_classes: C; the largest train id plus one, so far, where not given.
        """
        self._update(_checked_features(features), target, num_classes)

    def _update(self, features: Tensor, target: Target, num_classes: int | None) -> None:
        check_finite(features, name="features", score=self.name)
        n, depth, h, w = features.shape
        labels = check_labels(target, (n, -1, -1), f"(N,H,W) with N={n}").cpu()
        check_train_ids(labels, num_classes, self.name)
        self._check_depth(depth)
        rows, cols = (_nearest(have, want) for have, want in zip(labels.shape[1:], (h, w), strict=True))
        labels = labels[:, rows][:, :, cols].flatten()
        seen = labels[labels < OOD]
        classes = max(num_classes or 0, len(self._counts), int(seen.max()) + 1 if len(seen) else 0)
        keep = (labels < OOD).nonzero()[:, 0]
        values = features.movedim(1, 0).reshape(depth, -1)
        for pixels in keep.split(max(1, _BLOCK // depth)):
            block = _double(values[:, pixels.to(values.device)]).T
            self._add(statistics(block, labels[pixels].to(block.device), classes))

    # ---- scoring

    def of(self, observation: Observation) -> Float[Tensor, "h w"]:
        """Compute the distance at the features' resolution, resized to the observation's size (bilinear)."""
        self.check_fitted()
        features = observation.features(self.layer)
        return self(features=features[None], size=observation.size)[0]

    def __call__(  # type: ignore[override]  # features instead of logits
        self, *, features: FloatArray, size: tuple[int, int] | None = None
    ) -> FloatArray:
        """Compute the score map of a batch.

        Args:
            features: (N,D,h,w) tensor or array, finite.
            size: (rows, columns) of the result; (h,w) where not given.

        Returns:
            (N,rows,columns) float32 of the same kind, resized bilinearly from (h,w).

        Raises:
            UsageError: wrong shape or number of features, values that are not finite, or a score that is
                not fitted.
        """
        tensor = _checked_features(features)
        self.check_fitted()
        self._check_depth(tensor.shape[1])
        check_finite(tensor, name="features", score=self.name)
        scores = torch.stack([self._distance(frame) for frame in tensor])
        if size is not None and tuple(size) != tuple(scores.shape[1:]):
            scores = F.interpolate(scores[None], size=size, mode="bilinear", align_corners=False)[0]
        return scores if isinstance(features, Tensor) else scores.numpy()

    def compute(self, logits: Float[Tensor, "n c h w"]) -> Float[Tensor, "n h w"]:
        """Refuse: logits are no features."""
        raise UsageError(f"score '{self.name}' takes features, not logits")

    def _distance(self, features: Float[Tensor, "d h w"]) -> Float[Tensor, "h w"]:
        if self._whitening is None:
            self._whitening = Whitening.of(self.state_dict(), self.ridge)
        depth, h, w = features.shape
        squared = [
            self._whitening.squared_distance(_double(block))
            for block in features.reshape(depth, -1).split(max(1, _BLOCK // depth), dim=1)
        ]
        return torch.cat(squared).sqrt().clamp_max(LARGEST).float().to(features.device).reshape(h, w)

    # ---- state

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return `count` (C,) int64, `mean` (C,D) and `scatter` (D,D) float64: Σ (f - μ_c)(f - μ_c)ᵀ."""
        return {"count": self._counts.copy(), "mean": self._means.copy(), "scatter": self._scatter.copy()}

    def _reset(self) -> None:
        self._counts, self._means, self._scatter = np.zeros(0, np.int64), np.zeros((0, 0)), np.zeros((0, 0))
        self._whitening = None

    def _add(self, state: Mapping[str, np.ndarray]) -> None:
        self._whitening = None
        if not len(self._counts):
            self._counts = state["count"].astype(np.int64)
            self._means, self._scatter = state["mean"].copy(), state["scatter"].copy()
            return
        self._check_depth(state["mean"].shape[1])
        both = joined(self.state_dict(), state)
        self._counts, self._means, self._scatter = both["count"], both["mean"], both["scatter"]

    def _shapes(self, state: Mapping[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
        classes, depth = state["count"].size, state["scatter"].shape[0] if state["scatter"].ndim else 0
        return {"count": (classes,), "mean": (classes, depth), "scatter": (depth, depth)}

    def _check_depth(self, depth: int) -> None:
        fitted = self._means.shape[1]
        if len(self._counts) and depth != fitted:
            raise UsageError(
                f"score '{self.name}' is fitted for {fitted} features; got {depth}; fit it with the network "
                "and the layer that it is for"
            )


def _checked_features(features: Any) -> Tensor:
    tensor = as_tensor(features, name="features")
    if tensor.ndim != 4 or not tensor.is_floating_point():
        raise UsageError(
            f"`features` must have shape (N,D,h,w), floating point; got {tuple(tensor.shape)}, {tensor.dtype}"
        )
    return tensor


def _double(values: Tensor) -> Tensor:
    return (values.cpu() if values.device.type == "mps" else values).detach().double()


def _nearest(have: int, want: int) -> Tensor:
    """Return for each of `want` cells the pixel, of `have`, that its centre lies in."""
    return ((torch.arange(want) * 2 + 1) * have).div(2 * want, rounding_mode="floor")
