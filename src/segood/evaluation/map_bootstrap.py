"""AUROC, average precision and FPR95 on drawn images, all draws at once, in bounded memory.

In: counts per score pooled over the images, then each image's own, coarsened to about 2,000 levels. Out:
the three numbers of every draw. A level counts as one tie; since none holds more than about a thousandth of
either kind of pixel (but for a single score that does so itself), AUROC moves by at most 1/2000 and FPR95 by
1/1000 where every image is drawn once.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int64

from segood.evaluation.bootstrap import Bootstrap
from segood.evaluation.curves import METRICS

PARTS = 1000
_BLOCK = 256  # levels whose sums are in memory together


def coarse_levels(table: Int64[np.ndarray, "k 2"]) -> Int64[np.ndarray, " levels"]:
    """Choose levels so that none holds more than about 1/1000 of either kind of pixel.

    Args:
        table: (K, 2) in-distribution and OoD pixels by rising score, pooled over all images.

    Returns:
        First row of each level, rising, at most about 2,000; the first is 0.

    Example:
        >>> coarse_levels(np.array([[500, 0], [500, 1], [0, 1]])).tolist()
        [0, 1, 2]
    """
    starts = np.zeros(len(table), bool)
    starts[:1] = True
    for kind in range(2):
        counts = table[:, kind]
        total = int(counts.sum())
        if total:
            part = (np.cumsum(counts) - counts) * PARTS // total
            starts[1:] |= part[1:] != part[:-1]
            starts |= counts * PARTS >= total  # a tie of its own, without the scores below it
    return np.flatnonzero(starts)


def draw_numbers(bootstrap: Bootstrap, images: np.ndarray) -> dict[str, Float64[np.ndarray, " d"]]:
    """Return the three pixel metrics of each draw.

    Args:
        bootstrap: over the images.
        images: (N, L, 2) in-distribution and OoD pixels of each image per level, by rising score.

    Returns:
        `auroc`, `average_precision`, `fpr95`, each (num_draws,), NaN where a kind of pixel was not drawn.

    Example:
        >>> images = np.array([[[1, 0], [0, 1]], [[0, 1], [1, 0]]])  # one right, one wrong
        >>> found = draw_numbers(Bootstrap(2, num_draws=200, seed=0), images)["auroc"]
        >>> np.unique(found).tolist()
        [0.0, 0.5, 1.0]
    """
    totals = bootstrap.sums(images.sum(axis=1, dtype=np.float64))
    num_in, num_ood = totals[:, 0], totals[:, 1]
    tp, fp, won, precise = (np.zeros(len(totals)) for _ in range(4))
    at_95 = np.full(len(totals), np.nan)
    for stop in range(images.shape[1], 0, -_BLOCK):
        block = images[:, max(0, stop - _BLOCK) : stop][:, ::-1]
        sums = bootstrap.sums(block.reshape(len(images), -1)).reshape(len(totals), -1, 2)
        i, o = np.ascontiguousarray(sums[:, :, 0]), np.ascontiguousarray(sums[:, :, 1])
        hits, alarms = tp[:, None] + np.cumsum(o, axis=1), fp[:, None] + np.cumsum(i, axis=1)
        won += np.einsum("dl,dl->d", i, hits - 0.5 * o)
        # Where nothing lies above, `o` is 0, too.
        precise += np.einsum("dl,dl->d", o, hits / np.maximum(hits + alarms, 1.0))
        reached = 20 * hits >= 19 * num_ood[:, None]
        new = np.isnan(at_95) & reached[:, -1]
        at_95[new] = alarms[new, np.argmax(reached[new], axis=1)]
        tp, fp = hits[:, -1], alarms[:, -1]
    num_in, num_ood = (np.where((num_in > 0) & (num_ood > 0), count, np.nan) for count in totals.T)
    values = won / (num_in * num_ood), precise / num_ood, at_95 / np.where(np.isnan(num_ood), np.nan, num_in)
    return dict(zip(METRICS, values, strict=True))
