"""From the sums over a segment's pixels to its 37 + 2q features.

In: (K, 16 + 2q) sums. Out: (K, 37 + 2q) features, in the order of `names.feature_names`.
Source: Chan, Rottmann, Gottschalk, ICCV 2021, section 4, and the implementation published with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from segood.segments.names import MAPS

if TYPE_CHECKING:
    from jaxtyping import Float64

# Columns of the sums: size, boundary size, Σ row, Σ column, then per dispersion map Σ h, Σ h² over the
# segment, the same over its boundary, then Σ p per class, then neighbours outside the mask per class.
NUM_FIXED = 16

# Segments whose features are computed at a time: their columns stay in the cache.
_ROWS = 2**12


def feature_table(sums: Float64[np.ndarray, "k s"]) -> Float64[np.ndarray, "k m"]:
    """Turn sums into features.

    A segment without boundary fills the image: its boundary means, variances and neighbour shares are 0
    and the ratios divide by 1 instead of by its boundary size, so every feature is finite.

    Args:
        sums: (K, 16 + 2q).

    Returns:
        (K, 37 + 2q), columns in the order of `feature_names`.
    """
    classes = (sums.shape[1] - NUM_FIXED) // 2
    table = np.empty((len(sums), 37 + 2 * classes))
    for start in range(0, len(sums), _ROWS):
        _fill_features(sums[start : start + _ROWS], classes, table[start : start + _ROWS])
    return table


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
