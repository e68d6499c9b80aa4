"""From one frame's logits (or probs) to its OoD segments and their features.

In: logits or probs (C,H,W), optionally another score map, a threshold, pixels to ignore.
Out: `Segments`: label image, one row of features per segment, the score map.
Source: Chan, Rottmann, Gottschalk, ICCV 2021: a pixel is OoD if its score ≥ threshold; segments are the
8-connected components of the OoD pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float32, Int32
from torch import Tensor

from segood.checks import check_logits, check_unit_interval
from segood.errors import UsageError
from segood.scores.arrays import as_tensor, check_finite, widen
from segood.scores.entropy import Entropy, normalized_entropy
from segood.segments.components import label_components
from segood.segments.features import segment_features
from segood.segments.names import published_names


@dataclass(frozen=True)
class Segments:
    """The OoD segments of one frame.

    Attributes:
        labels: (H,W) int32, 0 = none, 1..K in row-major order of each segment's first pixel.
        features: K rows (index `segment`, 1..K), 37 + 2q float64 columns, see `segood.segments.names`.
        score_map: (H,W) float32 score that was thresholded.
        threshold: a pixel is OoD where score ≥ threshold.
    """

    labels: Int32[np.ndarray, "h w"]
    features: pd.DataFrame
    score_map: Float32[np.ndarray, "h w"]
    threshold: float

    def __len__(self) -> int:
        """Count the segments."""
        return len(self.features)

    def published(self) -> pd.DataFrame:
        """Rename the features to their published names (`E_bd`, `mean_x`, `cprob0`, …).

        Returns:
            A new table of the same rows and columns, in the same order.

        Example:
            >>> extract_segments(logits=np.zeros((2, 1, 1), np.float32)).published().columns[0]
            'E'
        """
        classes = sum(name.startswith("class_probability_") for name in self.features.columns)
        return self.features.rename(columns=published_names(classes))


def extract_segments(
    *,
    logits: Tensor | np.ndarray | None = None,
    probs: Tensor | np.ndarray | None = None,
    score_map: Tensor | np.ndarray | None = None,
    threshold: float = 0.7,
    ignore: Tensor | np.ndarray | None = None,
) -> Segments:
    """Find the OoD segments of a frame and compute their features.

    Args:
        logits: (C,H,W) float of any precision, C ≥ 2, finite; or
        probs: (C,H,W) float, softmax probabilities. Exactly one of both.
        score_map: (H,W) float, higher = more OoD; default: the normalised entropy, in [0,1].
        threshold: pixels with score ≥ threshold are OoD; in [0,1] for the default score.
        ignore: (H,W) bool, True where a pixel belongs to no segment.

    Returns:
        `Segments`; without any OoD pixel its table has no rows and all columns.

    Raises:
        UsageError: both or none of `logits` and `probs`; a wrong shape, type or value.

    Reference:
        Chan, Rottmann, Gottschalk, ICCV 2021, arXiv 2012.06575, sections 3 and 4.

    Example:
        >>> logits = np.zeros((3, 2, 4), np.float32)   # undecided everywhere ...
        >>> logits[0, :, 2:] = 10                      # ... but for the right half
        >>> segments = extract_segments(logits=logits)
        >>> segments.labels
        array([[1, 1, 0, 0],
               [1, 1, 0, 0]], dtype=int32)
        >>> segments.features[["size", "size_boundary", "neighbor_share_0"]]
                 size  size_boundary  neighbor_share_0
        segment
        1         4.0            2.0               1.0
    """
    if (logits is None) == (probs is None):
        given = "neither" if logits is None else "both"
        raise UsageError(f"exactly one of `logits` and `probs` must be given; got {given}")
    name, values = ("logits", logits) if logits is not None else ("probs", probs)
    frame = as_tensor(values, name=name).detach()
    check_logits(frame, dims=3, name=name)
    check_finite(frame, name=name)
    shape = tuple(frame.shape[1:])
    if name == "probs":
        _check_probs(frame)
    if score_map is not None:
        score = _map(score_map, "score_map", shape)
        check_finite(score, name="score_map")
        if not math.isfinite(threshold):
            raise UsageError(f"`threshold` must be a finite number; got {threshold}")
    else:
        check_unit_interval("threshold", threshold)
        score = _entropy(frame, name)
    scores = score.float().cpu().numpy()
    mask = scores >= np.float32(threshold)  # a score of 0.7 reaches the threshold 0.7, in float32 as well
    if ignore is not None:
        ignored = _map(ignore, "ignore", shape)
        if ignored.dtype != torch.bool:
            raise UsageError(f"`ignore` must be boolean (True = ignored); got {ignored.dtype}")
        mask &= ~ignored.cpu().numpy()
    labels, count = label_components(mask)
    features = segment_features(labels, count, **{name: frame})
    return Segments(labels, features, scores, float(threshold))


def _entropy(frame: Tensor, name: str) -> Tensor:
    if name == "logits":
        return Entropy()(logits=frame[None])[0]
    rows = max(1, 2**20 // (frame.shape[0] * frame.shape[2]))
    return torch.cat([normalized_entropy(probs=widen(block)) for block in frame.split(rows, dim=1)])


def _check_probs(probs: Tensor) -> None:
    total = torch.aminmax(probs.sum(0, dtype=torch.float32))
    if float(probs.amin()) < 0 or abs(float(total.min) - 1) > 1e-2 or abs(float(total.max) - 1) > 1e-2:
        raise UsageError(
            "`probs` must be softmax probabilities, each at least 0 and summing to 1 over the classes; got"
            f" sums from {float(total.min):.4g} to {float(total.max):.4g} (before softmax they are `logits`)"
        )


def _map(values: Any, name: str, shape: tuple[int, ...]) -> Tensor:
    tensor = as_tensor(values, name=name).detach()
    if tuple(tensor.shape) != shape:
        raise UsageError(
            f"`{name}` must have shape (H,W)={shape} to match the frame; got {tuple(tensor.shape)}"
        )
    return tensor
