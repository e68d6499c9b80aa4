"""The 37 + 2q features of every segment, by counting sums per label: no loop over segments.

In: labels (H,W) and the frame's logits or probs (C,H,W). Out: one row per segment, columns as in
`names`. Only pixels in segments, and class predictions right beside them, are ever turned into
probabilities. This is the reference that faster kernels are tested against.
Source: Chan, Rottmann, Gottschalk, ICCV 2021, section 4, and the implementation published with it.
"""

from __future__ import annotations

import cv2
import numpy as np
import pandas as pd
import torch
from jaxtyping import Int32
from torch import Tensor

from segood.scores.arrays import widen
from segood.scores.entropy import normalized_entropy
from segood.segments.components import boundary_mask
from segood.segments.names import MAPS, feature_names

_NEIGHBORS = [(row, col) for row in (-1, 0, 1) for col in (-1, 0, 1) if (row, col) != (0, 0)]

# Pixels whose probabilities are held at a time, so that memory stays bounded when all of a frame is OoD.
_CHUNK = 2**17


def segment_features(
    labels: Int32[np.ndarray, "h w"], count: int, *, logits: Tensor | None = None, probs: Tensor | None = None
) -> pd.DataFrame:
    """Compute all features of labelled segments.

    A segment without boundary fills the image: its boundary means, variances and neighbour shares are 0
    and the ratios divide by 1 instead of by its boundary size, so every feature is finite.

    Args:
        labels: (H,W) int32, 0 none, 1..K; all segments together are the OoD mask.
        count: K.
        logits: (C,H,W) finite floats of any precision; or
        probs: (C,H,W) probabilities. Exactly one of both.

    Returns:
        K rows indexed 1..K (index name `segment`), 37 + 2C float64 columns in the order of `feature_names`.
    """
    values = logits if logits is not None else probs
    assert values is not None
    flat = values.reshape(values.shape[0], -1)  # a copy only if the memory is not contiguous
    mask = labels > 0
    boundary = boundary_mask(mask)
    pixels = np.flatnonzero(mask)
    segment = labels.ravel()[pixels].astype(np.int64) - 1
    rim = boundary.ravel()[pixels]

    size = np.bincount(segment, minlength=count).astype(np.float64)
    size_bd = np.bincount(segment[rim], minlength=count).astype(np.float64)
    maps, class_sum = _sums(flat, pixels, segment, rim, count, is_logits=logits is not None)
    sizes = {"": size, "interior": size - size_bd, "boundary": size_bd}
    per_boundary = 1.0 / np.maximum(size_bd, 1.0)

    columns: list[np.ndarray] = []
    for m in range(len(MAPS)):
        means, variances = {}, {}
        for place, number in sizes.items():
            total, squares = maps[place][:, m]
            means[place] = total / np.maximum(number, 1.0)
            # Rounding can leave a hair below zero where all values agree.
            variances[place] = np.maximum(squares / np.maximum(number, 1.0) - means[place] ** 2, 0.0)
        for by_place in (means, variances):
            columns += [by_place[""], by_place["interior"], by_place["boundary"]]
            columns += [by_place[place] * sizes[place] * per_boundary for place in ("", "interior")]
    columns += [*sizes.values(), size * per_boundary, sizes["interior"] * per_boundary]
    row, col = np.divmod(pixels, labels.shape[1])
    columns += [np.bincount(segment, axis, minlength=count) / size for axis in (row, col)]
    columns += [*(class_sum / size), *_neighbor_shares(flat, labels, boundary, count)]
    index = pd.RangeIndex(1, count + 1, name="segment")
    return pd.DataFrame(np.column_stack(columns), index=index, columns=feature_names(len(values)))


def _sums(
    flat: Tensor, pixels: np.ndarray, segment: np.ndarray, rim: np.ndarray, count: int, *, is_logits: bool
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Sum dispersion maps, their squares (by place: (2,3,K)) and class probabilities (C,K) per segment."""
    everywhere, at_rim = np.zeros((2, len(MAPS), count)), np.zeros((2, len(MAPS), count))
    classes = np.zeros((flat.shape[0], count))
    for start in range(0, len(pixels), _CHUNK):
        part = slice(start, start + _CHUNK)
        index = torch.from_numpy(pixels[part]).to(flat.device)
        here = widen(flat.index_select(1, index))
        probs = here.softmax(0) if is_logits else here
        entropy = normalized_entropy(logits=here) if is_logits else normalized_entropy(probs=here)
        first, second = probs.topk(2, dim=0).values
        dispersion = torch.stack([entropy, 1.0 - first + second, 1.0 - first]).cpu().double().numpy()
        of, edge = segment[part], rim[part]
        for m, value in enumerate(dispersion):
            for power, values in enumerate((value, value * value)):
                everywhere[power, m] += np.bincount(of, values, minlength=count)
                at_rim[power, m] += np.bincount(of[edge], values[edge], minlength=count)
        for c, value in enumerate(probs.cpu().numpy()):
            classes[c] += np.bincount(of, value, minlength=count)
    return {"": everywhere, "interior": everywhere - at_rim, "boundary": at_rim}, classes


def _neighbor_shares(flat: Tensor, labels: np.ndarray, boundary: np.ndarray, count: int) -> np.ndarray:
    """Share of each predicted class (C,K) among the pixels around a segment.

    A pixel outside the mask counts once for every boundary pixel it touches.
    """
    height, width = labels.shape
    near = cv2.dilate(boundary.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool) & (labels == 0)
    beside = np.flatnonzero(near)
    predicted = np.full(labels.size, -1, np.int64)
    for start in range(0, len(beside), _CHUNK):
        part = beside[start : start + _CHUNK]
        picked = widen(flat.index_select(1, torch.from_numpy(part).to(flat.device)))
        predicted[part] = picked.cpu().numpy().argmax(0)  # NumPy's promises the first of equal maxima

    row, col = np.nonzero(boundary)
    segment = labels[row, col].astype(np.int64) - 1
    classes = flat.shape[0]
    counts = np.zeros(classes * count, np.int64)
    for down, right in _NEIGHBORS:
        to_row, to_col = row + down, col + right
        inside = (to_row >= 0) & (to_row < height) & (to_col >= 0) & (to_col < width)
        label = predicted[to_row[inside] * width + to_col[inside]]
        outside_mask = label >= 0
        counts += np.bincount(
            label[outside_mask] * count + segment[inside][outside_mask], minlength=classes * count
        )
    table = counts.reshape(classes, count)
    return table / np.maximum(table.sum(0), 1)
