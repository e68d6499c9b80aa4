"""Drift watch: does what a monitor sees still look like the frames it was calibrated on?

In: per frame the normalised entropy inside the region, the share of it that is flagged, the brightness of the
image. Out: `EntropyReference` of a calibration set; `DriftWatch`, which compares the last frames with it.
NumPy only. State is bounded: a window of frames, each kept as two dozen numbers.

Measure: the population stability index of two distributions over the same bins, PSI = Σ (q - p)·ln(q / p)
with p the share of a bin in the calibration set and q its share now. By convention (credit scoring) 0.1 is a
moderate and 0.25 a large change. Bins of the entropy hold about 5 % of the calibration set's pixels each:
most pixels of a sure network lie within a hair of 0, where equally wide bins would put all of them into one.
"""

from __future__ import annotations

import dataclasses
import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from segood.errors import DataError, UsageError
from segood.records import from_dict

if TYPE_CHECKING:
    from segood.deployment.detection import Detection
    from segood.segments.region import Region

ENTROPY_BINS = 20
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
"""Of the frames of a calibration set, kept for people."""
MODERATE, LARGE = 0.1, 0.25
FEWEST_FRAMES = 30
"""Below this many frames in the window no warning is given."""
_NOISE_FACTOR = 7.0  # of a quantity in four bins, chance reaches this about once in 10,000 windows
_LARGEST = 1e30  # of a stored number: sums of them, also as float32, stay finite
_LEAST_SHARE = 1e-4  # an empty bin counts as this, so that the index stays finite
_MOST_PIXELS = 2**16
_FINE = np.concatenate([[0.0], np.logspace(-8, 0, 801)[:-1]])  # lower edges: steps of 2.3 %


def sampled(values: Any) -> np.ndarray:
    """Return at most about 65,000 of the values, evenly spread, flat and in order.

    Enough for shares of bins, and the monitor's time is not spent on counting. The step is odd, so that it
    does not always hit the same columns.
    """
    flat = np.ravel(values)
    step = -(-flat.size // _MOST_PIXELS)
    return flat[:: step | 1] if step > 1 else flat


def brightness_of(image: np.ndarray) -> float:
    """Return the mean of an image's channels in [0, 1]: uint8 (H,W,3).

    Example:
        >>> brightness_of(np.full((2, 2, 3), 51, np.uint8))
        0.2
    """
    return float(sampled(image).mean() / 255)


def population_stability_index(expected: Sequence[float], actual: Sequence[float]) -> float:
    """Return Σ (q - p)·ln(q / p) of two distributions over the same bins; 0 where they are equal.

    Args:
        expected, actual: shares that sum to 1; those below 1e-4 count as 1e-4.

    Example:
        >>> population_stability_index([0.5, 0.5], [0.5, 0.5])
        0.0
        >>> round(population_stability_index([0.5, 0.5], [0.25, 0.75]), 4)  # 0.25 ln 2 + 0.25 ln 1.5
        0.2747
    """
    p, q = (np.maximum(np.asarray(shares, float), _LEAST_SHARE) for shares in (expected, actual))
    return float(((q - p) * np.log(q / p)).sum())


@dataclass(frozen=True)
class BinnedShares:
    """The distribution of one quantity over a calibration set.

    Attributes:
        edges: rising; bin i holds values in [edges[i-1], edges[i]), the first and last are open.
        shares: one more than edges; they sum to 1.
        noise: Σ (variance of a bin's share from frame to frame) / share. Frames that have not drifted give
            an index of about `noise`·(1/n + 1/m), for n frames of the calibration set and m in the window.
        mean: over frames.
        quantiles: of frames, at `QUANTILES`.
    """

    edges: list[float]
    shares: list[float]
    noise: float
    mean: float
    quantiles: list[float]

    def shares_of(self, values: np.ndarray) -> np.ndarray:
        """Return the share of the values in each bin."""
        bins = np.searchsorted(np.asarray(self.edges, values.dtype), values, side="right")
        return np.bincount(bins, minlength=len(self.shares)) / max(len(values), 1)

    def check(self, name: str) -> None:
        """Raise `DataError` unless the numbers can be what they are said to be."""
        numbers = np.abs([*self.edges, *self.shares, self.noise, self.mean, *self.quantiles])
        finite = bool((numbers <= _LARGEST).all())  # also catches NaN
        rising = all(a < b for a, b in zip(self.edges, self.edges[1:], strict=False))
        sound = abs(sum(self.shares) - 1) < 1e-6 and min(self.shares, default=-1.0) >= 0 and self.noise >= 0
        fitting = len(self.shares) == len(self.edges) + 1 and len(self.quantiles) == len(QUANTILES)
        if not (finite and rising and sound and fitting):
            raise DataError(
                f"the drift reference is damaged: `{name}` holds no distribution; calibrate again"
            )


@dataclass(frozen=True)
class EntropyReference:
    """What a calibration set looks like, for comparison in the field.

    Attributes:
        num_frames: n.
        threshold: a pixel is flagged where its entropy reaches this.
        entropy: of all pixels in the region as they are seen in the field, unknown objects included.
        in_distribution: shares of the in-distribution pixels in the same bins, where labels tell them.
        flagged: share of the region that is flagged, per frame; its bins are quarters of the frames.
        brightness: of the whole image in [0, 1], per frame; bins likewise.
    """

    num_frames: int
    threshold: float
    entropy: BinnedShares
    in_distribution: list[float] | None
    flagged: BinnedShares
    brightness: BinnedShares

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, the inverse of `from_dict`."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> EntropyReference:
        """Build from the result of `to_dict`.

        Raises:
            DataError: something else.
        """
        try:
            reference = from_dict(cls, dict(raw))
            reference.check()
        except (TypeError, ValueError, AttributeError) as error:
            raise DataError(f"no drift reference ({error}); calibrate again") from error
        return reference

    def check(self) -> None:
        """Raise `DataError` unless the numbers can be what they are said to be."""
        if self.num_frames < 1 or not 0 <= self.threshold <= 1:
            raise DataError("the drift reference is damaged: no frames or no threshold; calibrate again")
        for name in ("entropy", "flagged", "brightness"):
            getattr(self, name).check(name)


def fine_histogram(entropy: np.ndarray) -> np.ndarray:
    """Count the entropies of a frame (a sample of them) in fine bins, for `make_reference`."""
    bins = np.searchsorted(_FINE.astype(np.float32), sampled(entropy), side="right") - 1
    return np.bincount(np.maximum(bins, 0), minlength=len(_FINE))


def make_reference(
    entropy: np.ndarray,
    flagged: np.ndarray,
    brightness: np.ndarray,
    threshold: float,
    in_distribution: np.ndarray | None = None,
) -> EntropyReference:
    """Make the reference of a calibration set.

    Args:
        entropy: (n, B) counts of `fine_histogram`, one row per frame; every frame weighs the same.
        flagged: (n,) share of the region that reaches the threshold.
        brightness: (n,) of `brightness_of`.
        threshold: of the entropy.
        in_distribution: (n, B) the same counts of in-distribution pixels; rows may be empty.

    Raises:
        UsageError: no frame, or one without pixels.
    """
    totals = entropy.sum(axis=1)
    if not len(entropy) or not totals.all():
        raise UsageError("a drift reference needs frames, each with pixels inside the region")
    frames = entropy / totals[:, None]
    pooled = frames.mean(axis=0).cumsum()
    inner = np.searchsorted(pooled, np.arange(1, ENTROPY_BINS) / ENTROPY_BINS) + 1
    # The last edge stays below 1: the last fine bin has no end to cut at.
    starts = np.unique(np.concatenate([[0], inner[inner < len(_FINE)]]))
    shares = np.add.reduceat(frames, starts, axis=1)
    within = None
    if in_distribution is not None and in_distribution.any():
        counted = in_distribution[in_distribution.any(axis=1)]
        known = (counted / counted.sum(axis=1, keepdims=True)).mean(axis=0)
        within = np.add.reduceat(known, starts).tolist()
    centers = np.sqrt(np.maximum(_FINE, 1e-8) * np.append(_FINE[1:], 1.0))
    means = frames @ centers
    return EntropyReference(
        num_frames=len(entropy),
        threshold=float(threshold),
        entropy=_described(_FINE[starts[1:]], shares, means),
        in_distribution=within,
        flagged=_quarters(flagged),
        brightness=_quarters(brightness),
    )


@dataclass(frozen=True)
class DriftReport:
    """How the last frames compare with the calibration set.

    Attributes:
        num_frames: in the window; all else is None without any.
        entropy_psi, flagged_psi, brightness_psi: population stability indices.
        entropy, flagged, brightness: means over the window.
        warning: names what moved and by how much; None where nothing did, or where there are too few frames.
    """

    num_frames: int
    entropy_psi: float | None = None
    flagged_psi: float | None = None
    brightness_psi: float | None = None
    entropy: float | None = None
    flagged: float | None = None
    brightness: float | None = None
    warning: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return dataclasses.asdict(self)


class DriftWatch:
    """Compare the last frames with the calibration set. Not for several threads at once.

    Args:
        reference: of the calibration set.
        window: how many frames are compared. Neighbouring frames of a video show nearly the same, so the
            window should span many scenes: give it one frame a second or so.

    Raises:
        UsageError: a window below `FEWEST_FRAMES`, in which there would never be a warning.

    Example:
        >>> entropy = np.linspace(0, 0.2, 1000, dtype=np.float32)
        >>> counts = np.stack([fine_histogram(entropy)] * 50)
        >>> share = np.linspace(0, 0.01, 50)
        >>> watch = DriftWatch(make_reference(counts, share, np.full(50, 0.4), 0.7))
        >>> for i in range(50):
        ...     watch.update(entropy + 0.3, flagged_share=share[i], brightness=0.4)
        >>> watch.report().warning.split("; ")[0]
        'the last 50 frames differ from the 50 of the calibration: entropy (PSI 8.80, mean 0.1 -> 0.4, large)'
    """

    def __init__(self, reference: EntropyReference, window: int = 300) -> None:
        if window < FEWEST_FRAMES:
            raise UsageError(f"`window` must be at least {FEWEST_FRAMES} frames; got {window}")
        self.reference = reference
        self.window = window
        self._frames: deque[tuple[np.ndarray, float, float, float]] = deque(maxlen=window)

    def update(self, score: np.ndarray, flagged_share: float, brightness: float) -> None:
        """Add a frame; the oldest one leaves a full window.

        Args:
            score: normalised entropy of the pixels inside the region, any shape; where there are none, the
                frame is passed over.
            flagged_share: share of these that reach the threshold, in [0, 1].
            brightness: of `brightness_of`.
        """
        values = sampled(score)
        if not values.size:
            return
        shares = self.reference.entropy.shares_of(values)
        self._frames.append((shares, float(values.mean()), float(flagged_share), float(brightness)))

    def see(self, detection: Detection, region: Region | None) -> None:
        """Add what a monitor says about a frame; one without verdict is passed over.

        Args:
            detection: at the monitor's own thresholds.
            region: the monitor's.
        """
        if detection.no_verdict is not None:
            return
        score = detection.score
        if region is not None:
            score = score[region.inside(score.shape, detection.classes)]  # type: ignore[arg-type]
        self.update(score, detection.flagged_share, brightness_of(detection.image))

    def report(self) -> DriftReport:
        """Compare the frames of the window with the reference."""
        count = len(self._frames)
        if not count:
            return DriftReport(0)
        known = self.reference
        shares = np.mean([frame[0] for frame in self._frames], axis=0)
        means, flagged, brightness = np.array([frame[1:] for frame in self._frames]).T
        found = {
            "entropy": (known.entropy, shares, float(means.mean())),
            "flagged": (known.flagged, known.flagged.shares_of(flagged), float(flagged.mean())),
            "brightness": (
                known.brightness,
                known.brightness.shares_of(brightness),
                float(brightness.mean()),
            ),
        }
        indices = {n: population_stability_index(old.shares, new) for n, (old, new, _) in found.items()}
        moved = []
        for name, (old, _, mean) in found.items():
            by_chance = _NOISE_FACTOR * old.noise * (1 / known.num_frames + 1 / count)
            if count >= FEWEST_FRAMES and indices[name] >= max(MODERATE, by_chance):
                size = "large" if indices[name] >= max(LARGE, by_chance) else "moderate"
                what = _WORDS[name]
                moved.append(f"{what} (PSI {indices[name]:.2f}, mean {old.mean:.3g} -> {mean:.3g}, {size})")
        warning = None
        if moved:
            warning = (
                f"the last {count} frames differ from the {known.num_frames} of the calibration: "
                f"{', '.join(moved)}; what was calibrated may no longer hold"
            )
        return DriftReport(
            num_frames=count,
            entropy_psi=indices["entropy"],
            flagged_psi=indices["flagged"],
            brightness_psi=indices["brightness"],
            entropy=found["entropy"][2],
            flagged=found["flagged"][2],
            brightness=found["brightness"][2],
            warning=warning,
        )


_WORDS = {"entropy": "entropy", "flagged": "flagged share", "brightness": "brightness"}


def _described(edges: np.ndarray, shares: np.ndarray, values: np.ndarray) -> BinnedShares:
    """Describe frames by their shares in bins (n, B) and their values (n,)."""
    mean = shares.mean(axis=0)
    spread = shares.var(axis=0, ddof=1) if len(shares) > 1 else np.zeros(len(mean))
    noise = float((spread / np.maximum(mean, _LEAST_SHARE)).sum())
    return _binned(edges, mean, noise, values)


def _quarters(values: np.ndarray) -> BinnedShares:
    """Describe one value per frame by bins that hold a quarter of the frames each, ties apart."""
    cuts = []
    for quarter in (0.25, 0.5, 0.75):
        at = float(np.quantile(values, quarter, method="lower"))
        above = values[values > at]
        # Halfway to the next larger value, so that equal frames fall on the same side tomorrow.
        cuts.append((at + float(above.min())) / 2 if len(above) else math.nextafter(at, math.inf))
    edges = np.unique(cuts)
    counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
    # Half a frame more in every bin: that none of 100 frames was there does not make it impossible. One value
    # per frame: a bin's variance is p(1 - p), and the sum of (1 - p) is the number of bins less one.
    return _binned(edges, counts + 0.5, float(len(edges)), values)


def _binned(edges: np.ndarray, weights: np.ndarray, noise: float, values: np.ndarray) -> BinnedShares:
    return BinnedShares(
        edges=edges.tolist(),
        shares=(weights / weights.sum()).tolist(),
        noise=noise,
        mean=float(values.mean()),
        quantiles=np.quantile(values, QUANTILES).tolist(),
    )
