"""Codes of scores that float16 cannot hold: levels between given cuts.

In: score maps (H,W) and cuts, learned in `evaluation/score_levels.py`. Out: codes and counts, as
`evaluation/score_codes.py` defines them. `np.searchsorted` is the reference of the kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, UInt16

from segood.compiled import kernels_enabled, num_threads, run_parallel
from segood.evaluation.score_codes import NUM_CODES, as_plain, count_codes, labels_known
from segood.types import IGNORE, OUT_OF_DISTRIBUTION


@dataclass(frozen=True, eq=False)
class LevelCodes:
    """Levels between cuts; code k holds the scores from `values[k]` on, up to the next.

    Attributes:
        cuts: (K-1,) rising, in the type of the scores; none of the counted scores lies below the first.
        exact: each counted score is a cut.
    """

    cuts: np.ndarray
    exact: bool

    @property
    def values(self) -> Float64[np.ndarray, " k"]:
        """See `ScoreCodes`; nothing has code 0."""
        return np.concatenate([[-np.inf], self.cuts.astype(np.float64)])

    @property
    def single(self) -> Bool[np.ndarray, " k"]:
        """See `ScoreCodes`: where the next cut is the next number."""
        following = np.nextafter(self.cuts[:-1], self.cuts.dtype.type(np.inf)) >= self.cuts[1:]
        return np.concatenate([[self.exact], following | self.exact, [self.exact]])

    @property
    def dtype(self) -> np.dtype:
        """Type of the scores."""
        return self.cuts.dtype

    def count(self, score: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """See `ScoreCodes.count`."""
        ignored = target == IGNORE
        if not (np.isfinite(score) | ignored).all() or not labels_known(target):
            return None
        numbered = self._find(score.astype(self.dtype, copy=False))
        numbered[ignored] = 0
        return numbered, count_codes(numbered, target == OUT_OF_DISTRIBUTION)

    def _find(self, score: np.ndarray) -> UInt16[np.ndarray, "h w"]:
        """Return the code of each score (H,W); a frame is a long list, so it is cut into pieces."""
        flat, codes = as_plain(score).reshape(-1), np.empty(score.shape, np.uint16)
        pieces = 4 * num_threads()
        bounds = np.linspace(0, flat.size, pieces + 1).astype(int)
        find = self._finder()

        def work(piece: int) -> None:
            part = slice(bounds[piece], bounds[piece + 1])
            find(flat[part], codes.reshape(-1)[part])

        run_parallel(work, pieces)
        return codes

    def _finder(self) -> Callable[[np.ndarray, np.ndarray], None]:
        low, high = (float(self.cuts[end]) for end in (0, -1)) if len(self.cuts) else (0.0, 0.0)
        scale = NUM_CODES / (high - low) if high > low else np.inf
        if not kernels_enabled() or not np.isfinite(scale) or self.dtype.itemsize not in (4, 8):

            def plainly(scores: np.ndarray, codes: np.ndarray) -> None:
                codes[:] = np.searchsorted(self.cuts, scores, side="right")

            return plainly
        from segood.evaluation import score_count_kernels as kernels

        edges = low + np.arange(NUM_CODES + 1) / scale
        first = np.searchsorted(self.cuts, edges).astype(np.int64)

        def fast(scores: np.ndarray, codes: np.ndarray) -> None:
            kernels.find_levels(scores, self.cuts, first, low, scale, codes)

        return fast
