"""From one frame's logits (or probs) to its OoD segments and their features.

In: logits or probs (C,H,W), optionally another score map, a threshold, pixels to ignore.
Out: `Segments`: label image, one row of features per segment, the score map.
Source: Chan, Rottmann, Gottschalk, ICCV 2021: a pixel is OoD if its score ≥ threshold; segments are the
8-connected components of the OoD pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float32, Int32
from torch import Tensor

from segood.checks import check_logits, check_unit_interval
from segood.compiled import kernels_enabled
from segood.errors import UsageError
from segood.scores.arrays import as_tensor, check_finite, kernel_array, widen
from segood.scores.upsampling import Grid
from segood.segments.features import feature_table
from segood.segments.names import feature_names, published_names
from segood.segments.plain import PlainFrame


@dataclass(frozen=True)
class Segments:
    """The OoD segments of one frame.

    Attributes:
        labels: (H,W) int32, 0 = none, 1..K in row-major order of each segment's first pixel.
        features: K rows (index `segment`, 1..K), 37 + 2q float64 columns, see `segood.segments.names`.
        threshold: a pixel is OoD where score ≥ threshold.
    """

    labels: Int32[np.ndarray, "h w"]
    features: pd.DataFrame
    threshold: float
    _score: Tensor | np.ndarray = field(repr=False)
    _classes: Tensor | np.ndarray = field(repr=False)

    @cached_property
    def score_map(self) -> Float32[np.ndarray, "h w"]:
        """(H,W) float32 score that was thresholded; it leaves the GPU only when it is asked for."""
        return _on_cpu(self._score).astype(np.float32, copy=False)

    @cached_property
    def classes(self) -> np.ndarray:
        """(H,W) predicted class, uint8 (int32 beyond 256 classes); of equal logits the first."""
        return _on_cpu(self._classes)

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
    size: tuple[int, int] | None = None,
    align_corners: bool = False,
) -> Segments:
    """Find the OoD segments of a frame and compute their features.

    Logits in the CPU's memory are read once by compiled kernels, and no softmax is stored; on a GPU the
    maps and sums are computed there and the mask and its labels travel. Without Numba, and for `probs`,
    plain PyTorch gives the same up to rounding.

    Args:
        logits: (C,H,W) float of any precision, C ≥ 2, finite, or (C,h,w) with `size`; or
        probs: the same with softmax probabilities. Exactly one of both.
        score_map: (H,W) float, higher = more OoD; default: the normalised entropy, in [0,1].
        threshold: pixels with score ≥ threshold are OoD; in [0,1] for the default score.
        ignore: (H,W) bool, True where a pixel belongs to no segment.
        size: (H,W) of the image, for logits at the network's stride: they are upsampled (bilinear) row by
            row while they are read, and never stored at that size. Probabilities are interpolated likewise.
        align_corners: how the positions of both sizes match, as in PyTorch's `interpolate`.

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
    frame = _frame(values, name)
    grid = Grid.of((frame.shape[1], frame.shape[2]), size, align_corners)
    score = None
    if score_map is not None:
        score = _map(score_map, "score_map", grid.size)
        check_finite(score, name="score_map")
        if not math.isfinite(threshold):
            raise UsageError(f"`threshold` must be a finite number; got {threshold}")
    else:
        check_unit_interval("threshold", threshold)
    ignored = None
    if ignore is not None:
        ignored = _map(ignore, "ignore", grid.size)
        if ignored.dtype != torch.bool:
            raise UsageError(f"`ignore` must be boolean (True = ignored); got {ignored.dtype}")
    if name == "logits" and kernels_enabled() and _suits_kernels(frame):
        segments = _by_kernels(frame, grid, score, float(threshold), ignored)
        if segments is not None:
            return segments
    return _plainly(as_tensor(frame, name=name), name, grid, score, float(threshold), ignored)


def _by_kernels(
    logits: Tensor | np.ndarray, grid: Grid, score: Tensor | None, threshold: float, ignored: Tensor | None
) -> Segments | None:
    """Return the segments, or None where a logit is NaN, infinite, or too large for float32."""
    from segood.segments.compiled_frame import segment_frame

    given = None if score is None else np.ascontiguousarray(_on_cpu(score), np.float32)
    without = None if ignored is None else np.ascontiguousarray(_on_cpu(ignored))
    found = segment_frame(kernel_array(logits), grid, given, threshold, without)
    if found is None:
        return None
    return Segments(found.runs.labels, _as_frame(found.sums), threshold, found.score, found.classes)


def _plainly(
    values: Tensor, name: str, grid: Grid, score: Tensor | None, threshold: float, ignored: Tensor | None
) -> Segments:
    check_finite(values, name=name)
    if name == "probs":
        _check_probs(values)
    # Apple's GPU has no float64, which sums need.
    frame = PlainFrame(values.cpu() if values.device.type == "mps" else values, grid, name == "logits")
    entropy, classes = frame.maps(with_entropy=score is None)
    found = score if score is not None else entropy
    assert found is not None
    labels, count = frame.segment(found, threshold, ignored)
    return Segments(labels, _as_frame(frame.sums(labels, count, classes)), threshold, found, classes)


def _as_frame(sums: np.ndarray) -> pd.DataFrame:
    table = feature_table(sums)
    index = pd.RangeIndex(1, len(table) + 1, name="segment")
    return pd.DataFrame(table, index=index, columns=feature_names((table.shape[1] - 37) // 2))


def _frame(values: Any, name: str) -> Tensor | np.ndarray:
    # Arrays stay arrays: PyTorch would copy those that are read-only or turned around.
    frame = values if isinstance(values, np.ndarray) else as_tensor(values, name=name).detach()
    check_logits(frame, dims=3, name=name)
    if 0 in tuple(frame.shape):
        raise UsageError(f"`{name}` must not be empty; got shape {tuple(frame.shape)}")
    return frame


def _suits_kernels(frame: Tensor | np.ndarray) -> bool:
    if isinstance(frame, np.ndarray):
        return frame.dtype.isnative and frame.dtype.itemsize <= 8
    return frame.device.type == "cpu"


def _on_cpu(values: Tensor | np.ndarray) -> np.ndarray:
    if isinstance(values, np.ndarray):
        return values
    return widen(values).cpu().numpy()


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
