"""A partition of a score's range into bins, fixed before the first pixel is seen.

In: scores inside a range. Out: the index of each score's bin, and the bins' edges. The index never
falls when the score rises, so everything the ranking of the bins tells is true of the pixels too.

Two spacings, both pure arithmetic (no search):

- `linear`: equally wide bins.
- `log`: for scores that crowd near the lower end, such as the entropy of a confident network.
  y = (score - low) / (high - low) is cut at the powers of two, and with `num_bins` = 2^k each octave
  [2^-(n+1), 2^-n) gets 2^(k-2-n) bins for n < 4 (so they are equally wide, 2^(1-k)), 2^(k-6) for
  n < 25, 2^(k-9) down to 2^-126, the smallest normal float32. Anything smaller, 0 above all, has one
  bin of its own. The index is read from the float's exponent and its leading mantissa bits.

Which to choose, by the largest of the three error bounds (AUROC, AP, FPR95) on 20 million drawn pixels, 2 %
of them OoD, float32:

| score                                            | spacing | 2^18 | 2^20 | 2^21 | 2^22 |
|--------------------------------------------------|---------|------|------|------|------|
| bell-shaped, deviation 1/10 of the range         | linear  | 1e-5 | 3e-6 | 2e-6 | 9e-7 |
|                                                  | log     | 3e-5 | 7e-6 | 3e-6 | 2e-6 |
| entropy or 1 - p of a confident network, near 0  | linear  | 4e-5 | 1e-5 | 6e-6 | 3e-6 |
|                                                  | log     | 1e-5 | 3e-6 | 1e-6 | 1e-6 |
| logits, deviation 3, range (-512, 512)           | linear  | 5e-4 | 1e-4 | 6e-5 | 3e-5 |
| the same, range (-40, 20)                        | linear  | 3e-5 | 7e-6 | 3e-6 | 2e-6 |

So: log where scores crowd at the lower end, linear otherwise; a range that fits counts for more than bins,
and four times the bins quarter the bound. 2^21 bins keep all bounds below 1e-5 in a fitting range, 2^22
linear ones below 1e-6 for a bell.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from segood.checks import check_choice
from segood.errors import UsageError

DEFAULT_NUM_BINS = 2**21
"""A state of 17 MB and 4 MB per thread (see `evaluation/counts.py`)."""

TOLERANCE = 1e-6
"""Share of the range by which rounding may push a score outside; it counts to the bin at the end."""

_MANTISSA, _BIAS = 23, 127  # of float32


@dataclass(frozen=True)
class BinLayout:
    """The bins of one score; two layouts are equal when all three fields are.

    Args:
        range: lowest and highest possible score.
        spacing: "linear" or "log".
        num_bins: number of bins, at least 2; for "log" a power of two from 2^9 to 2^25.

    Raises:
        UsageError: a range that is empty or not finite, an unknown spacing, a number of bins that
            the spacing cannot have.

    Example:
        >>> layout = BinLayout((0.0, 1.0), "linear", 4)
        >>> layout.index(np.array([0.0, 0.3, 1.0]))
        array([0, 1, 3])
        >>> layout.lower_edges()
        array([0.  , 0.25, 0.5 , 0.75])
    """

    range: tuple[float, float] = (0.0, 1.0)
    spacing: str = "linear"
    num_bins: int = DEFAULT_NUM_BINS

    def __post_init__(self) -> None:
        check_choice("spacing", self.spacing, ["linear", "log"])
        try:
            low, high = (float(limit) for limit in self.range)
        except (TypeError, ValueError):
            raise UsageError(f"`range` must be two numbers (low, high); got {self.range!r}") from None
        if not (low < high and math.isfinite(high - low)):
            raise UsageError(f"`range` must be finite with low < high, its width too; got ({low}, {high})")
        object.__setattr__(self, "range", (low, high))
        n = self.num_bins
        if self.spacing == "linear" and not 2 <= n <= 2**26:
            raise UsageError(f"`num_bins` must lie in [2, 2**26]; got {n}")
        if self.spacing == "log" and (n & (n - 1) or not 2**9 <= n <= 2**25):
            raise UsageError(f"`num_bins` must be a power of two from 2**9 to 2**25 for log spacing; got {n}")

    def index(self, scores: np.ndarray) -> np.ndarray:
        """Return the bin of each score.

        Args:
            scores: any shape, floating point or integer, finite; what lies outside the range
                goes to the bin at the end (`TOLERANCE` is the caller's to check).

        Returns:
            int64, same shape, 0..num_bins-1; equal values of any dtype share a bin.
        """
        y = self._to_unit(scores)
        if self.spacing == "linear":
            y *= self.num_bins
            index = y.astype(np.int64)
        else:
            index = self._log_index(y)
        return np.clip(index, 0, self.num_bins - 1, out=index)

    def lower_edges(self, bins: np.ndarray | None = None) -> np.ndarray:
        """Return the lowest score of each bin, float64, rising; of the given bins or of all.

        The edges of `log` on the range (0, 1) are exact in float32; elsewhere rounding in the last
        place may leave a score that equals an edge on its other side.
        """
        bins = np.arange(self.num_bins) if bins is None else np.asarray(bins)
        low, high = self.range
        if self.spacing == "linear":
            return low + (high - low) * (bins / self.num_bins)
        first, shift = _octaves(self.num_bins)
        exponent = np.searchsorted(first[:-1], bins, side="right") - 1
        mantissa = (bins - first[exponent]) << shift[exponent]
        y = np.ldexp(1.0 + np.ldexp(mantissa, -_MANTISSA), exponent - _BIAS)
        # The last bins of the count stay empty (`_octaves`): their edge is the end of the range.
        return low + (high - low) * np.where(bins == 0, 0.0, np.minimum(y, 1.0))

    def first_bins(self, scores: np.ndarray) -> np.ndarray:
        """Return per score the first bin whose lower edge is not below it; `num_bins` if there is none."""
        bins = np.maximum(self.index(np.asarray(scores, np.float64)) - 1, 0)
        for _ in range(3):  # rounding may have moved the index by one
            inside = np.minimum(bins, self.num_bins - 1)
            bins = bins + ((bins < self.num_bins) & (self.lower_edges(inside) < scores))
        return bins

    def _to_unit(self, scores: np.ndarray) -> np.ndarray:
        """Map to [0, 1] (a new array): float32 where that is exact, else float64."""
        low, high = self.range
        short = (
            scores.dtype in (np.float16, np.float32) and self.spacing == "log" and (low, high) == (0.0, 1.0)
        )
        y: np.ndarray = scores.astype(np.float32 if short else np.float64)
        if (low, high) != (0.0, 1.0):
            y = np.divide(np.subtract(y, low), high - low)
        return np.clip(y, 0.0, 1.0, out=y)

    def _log_index(self, y: np.ndarray) -> np.ndarray:
        bits: np.ndarray
        if y.dtype == np.float32:
            bits = y.view(np.int32)
        else:  # the bits of y as float32, rounded down
            bits = (y.view(np.int64) >> (52 - _MANTISSA)) - ((1023 - _BIAS) << _MANTISSA)
        bits = np.maximum(bits, 0)  # -0.0, and what float32 cannot hold
        first, shift = _octaves(self.num_bins)
        exponent = bits >> _MANTISSA
        index: np.ndarray = first[exponent] + ((bits & (2**_MANTISSA - 1)) >> shift[exponent])
        return index


@lru_cache(maxsize=4)
def _octaves(num_bins: int) -> tuple[np.ndarray, np.ndarray]:
    """Return per float32 exponent 0..127 (y < 2^-126 … y = 1): first bin, mantissa bits to drop."""
    k = num_bins.bit_length() - 1
    octave = _BIAS - 1 - np.arange(_BIAS + 1)  # n of the header
    bins_log2 = np.where(octave < 4, k - 2 - octave, np.where(octave < 25, k - 6, k - 9))
    bins_log2[[0, -1]] = 0
    first = np.concatenate([[0], np.cumsum(2**bins_log2)[:-1]])
    # y = 1 belongs to the highest bin below it.
    first[-1] -= 1
    return first, (_MANTISSA - bins_log2).astype(np.int32)
