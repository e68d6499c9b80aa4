"""The sums over a segment's pixels that its 37 + 2q features are made of.

In: labels (H,W), predicted classes, the logits or probs of the pixels in segments. Out: (K, 16 + 2q)
sums, and from them the table of features. `sum_segments` is plain PyTorch on whatever device the frame
lies, and the reference of the compiled kernels, which fill the same table.
Source: Chan, Rottmann, Gottschalk, ICCV 2021, section 4, and the implementation published with it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float64, Int32
from torch import Tensor

from segood.scores.entropy import normalized_entropy
from segood.segments.names import MAPS, feature_names

# Columns of the sums: size, boundary size, Σ row, Σ column, then per dispersion map Σ h, Σ h² over the
# segment, the same over its boundary, then Σ p per class, then neighbours outside the mask per class.
NUM_FIXED = 16

# Segments whose features are computed at a time: their columns stay in the cache.
_ROWS = 2**12

# Pixels held at a time, so that memory stays bounded when all of a frame is OoD.
_CHUNK = {"cpu": 2**15}
_CHUNK_OF_DEVICES = 2**19


def features_of(sums: Float64[np.ndarray, "k s"]) -> pd.DataFrame:
    """Turn sums into features.

    A segment without boundary fills the image: its boundary means, variances and neighbour shares are 0
    and the ratios divide by 1 instead of by its boundary size, so every feature is finite.

    Args:
        sums: (K, 16 + 2q).

    Returns:
        K rows indexed 1..K (index name `segment`), 37 + 2q float64 columns in the order of `feature_names`.
    """
    classes = (sums.shape[1] - NUM_FIXED) // 2
    table = np.empty((len(sums), 37 + 2 * classes))
    for start in range(0, len(sums), _ROWS):
        _fill_features(sums[start : start + _ROWS], classes, table[start : start + _ROWS])
    index = pd.RangeIndex(1, len(sums) + 1, name="segment")
    return pd.DataFrame(table, index=index, columns=feature_names(classes))


def _fill_features(sums: np.ndarray, classes: int, table: np.ndarray) -> None:
    size, size_bd = sums[:, 0], sums[:, 1]
    sizes = {"": size, "interior": size - size_bd, "boundary": size_bd}
    per_boundary = 1.0 / np.maximum(size_bd, 1.0)
    everywhere, at_rim = sums[:, 4:10], sums[:, 10:16]
    places = {"": everywhere, "interior": everywhere - at_rim, "boundary": at_rim}
    scale = {place: 1.0 / np.maximum(number, 1.0) for place, number in sizes.items()}
    columns: list[np.ndarray] = []
    for m in range(len(MAPS)):
        means, variances = {}, {}
        for place, values in places.items():
            means[place] = values[:, 2 * m] * scale[place]
            # Rounding can leave a hair below zero where all values agree.
            variances[place] = np.maximum(values[:, 2 * m + 1] * scale[place] - means[place] ** 2, 0.0)
        for by_place in (means, variances):
            columns += [by_place[""], by_place["interior"], by_place["boundary"]]
            columns += [by_place[place] * sizes[place] * per_boundary for place in ("", "interior")]
    columns += [*sizes.values(), size * per_boundary, sizes["interior"] * per_boundary]
    table[:, :35] = np.stack(columns, axis=1)
    table[:, 35 : 37 + classes] = sums[:, [2, 3, *range(NUM_FIXED, NUM_FIXED + classes)]] / size[:, None]
    neighbors = sums[:, NUM_FIXED + classes :]
    table[:, 37 + classes :] = neighbors / np.maximum(neighbors.sum(axis=1, keepdims=True), 1.0)


def sum_segments(
    labels: Int32[np.ndarray, "h w"],
    count: int,
    classes: Tensor,
    pixels: Callable[[Tensor, Tensor], Tensor],
    num_classes: int,
    *,
    is_logits: bool,
) -> Float64[np.ndarray, "k s"]:
    """Sum over the pixels of every segment, where the frame lies; only labels and sums travel.

    Args:
        labels: (H,W) int32, 0 none, 1..K; all segments together are the OoD mask.
        count: K.
        classes: (H,W) predicted class of every pixel, on the device of the frame.
        pixels: logits or probs (C,n) of pixels given by row and column (n,) int64.
        num_classes: C.
        is_logits: what `pixels` returns.

    Returns:
        (K, 16 + 2C), columns as listed above.
    """
    device = classes.device
    height, width = labels.shape
    where = np.flatnonzero(labels > 0)
    index = torch.from_numpy(where).to(device)
    segment = torch.from_numpy(labels.ravel()[where].astype(np.int64) - 1).to(device)
    # Outside the image there is no pixel: -1 there, 0 beside the mask.
    padded = torch.full((height + 2, width + 2), -1, dtype=torch.int32, device=device)
    padded[1:-1, 1:-1] = torch.from_numpy(labels).to(device)
    sums = torch.zeros(count, NUM_FIXED + 2 * num_classes, dtype=torch.float64, device=device)
    chunk = _CHUNK.get(device.type, _CHUNK_OF_DEVICES)
    for part in torch.arange(len(where), device=device).split(chunk):
        flat, of = index[part], segment[part]
        row, col = torch.div(flat, width, rounding_mode="floor"), flat % width
        around = [(row + down, col + right) for down in (0, 1, 2) for right in (0, 1, 2)]
        outside = torch.stack([padded[r, c] == 0 for r, c in around])
        at_rim = outside.any(0).double()
        here = pixels(row, col)
        probs = here.softmax(0) if is_logits else here
        entropy = normalized_entropy(logits=here) if is_logits else normalized_entropy(probs=here)
        first, second = probs.topk(2, dim=0).values
        dispersion = torch.stack([entropy, 1.0 - first + second, 1.0 - first]).double()
        moments = torch.stack([dispersion, dispersion**2], dim=1).flatten(0, 1)
        fixed = [torch.ones_like(at_rim), at_rim, row.double(), col.double()]
        columns = torch.cat([torch.stack(fixed), moments, moments * at_rim, probs.double()])
        sums[:, : len(columns)].index_add_(0, of, columns.T)
        for (r, c), beside in zip(around, outside, strict=True):
            met = classes[r[beside] - 1, c[beside] - 1].long()
            cell = of[beside] * sums.shape[1] + NUM_FIXED + num_classes + met
            sums.view(-1).index_add_(0, cell, torch.ones_like(cell, dtype=torch.float64))
    return sums.cpu().numpy()
