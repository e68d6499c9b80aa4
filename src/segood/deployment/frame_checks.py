"""Frames that no verdict can be given on: black, badly exposed, frozen, stale.

In: uint8 (H,W,3) RGB frames, for frozen and stale ones in their order with their times. Out: `NoVerdict` with
the reason, or `None` where nothing speaks against asking the network.

The defaults were chosen on 841 daylight frames of four public data sets; docs/monitor.md has the numbers.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from segood.checks import check_unit_interval
from segood.deployment.detection import NoVerdict
from segood.errors import UsageError

if TYPE_CHECKING:
    from jaxtyping import UInt8

_LUMA = np.array([77, 150, 29], np.uint16)  # Rec. 601 weights in 256ths
_SAMPLES = 16384


@dataclass(frozen=True)
class FrameChecks:
    """What a frame has to be before the network is asked. Brightness is luma, in 0..255.

    Args:
        dark_level: pixels up to this brightness count as dark.
        black_share: a frame is black where at least this share of its pixels is dark; in [0, 1].
        dark_share: a frame is underexposed where more than this share is dark; in [0, 1].
        bright_level: pixels from this brightness on count as saturated.
        bright_share: a frame is overexposed where more than this share is saturated; in [0, 1].
        min_contrast: least difference between the 99th and the 1st percentile of brightness.
        frozen_after: the same picture, bit by bit, this many times in a row is frozen; at least 2, or `None`
            to allow it.
        stale_after: seconds after which a live frame is too old when its turn comes; `None` for any age.

    Raises:
        UsageError: a value breaks its rule.

    Example:
        >>> FrameChecks().check(np.zeros((8, 8, 3), np.uint8)).reason
        'black'
    """

    dark_level: int = 16
    black_share: float = 0.98
    dark_share: float = 0.45
    bright_level: int = 250
    bright_share: float = 0.6
    min_contrast: int = 40
    frozen_after: int | None = 5
    stale_after: float | None = 1.0

    def __post_init__(self) -> None:
        for name in ("black_share", "dark_share", "bright_share"):
            check_unit_interval(name, getattr(self, name))
        for name in ("dark_level", "bright_level", "min_contrast"):
            value = getattr(self, name)
            if not (isinstance(value, int) and 0 <= value <= 255):
                raise UsageError(f"`{name}` must be a whole number in 0..255; got {value}")
        if self.frozen_after is not None and not (
            isinstance(self.frozen_after, int) and self.frozen_after >= 2
        ):
            raise UsageError(f"`frozen_after` must be at least 2 frames, or none; got {self.frozen_after}")
        if self.stale_after is not None and not self.stale_after > 0:
            raise UsageError(f"`stale_after` must be a time above 0 s, or none; got {self.stale_after}")

    def check(self, image: UInt8[np.ndarray, "h w 3"]) -> NoVerdict | None:
        """Say why there can be no verdict on a picture, by itself; `None` where there can.

        Args:
            image: uint8 (H,W,3), RGB. At most about 16,000 of its pixels, on a grid, are looked at.

        Returns:
            `black` or `exposure` with the measured values in the message, or `None`.

        Raises:
            UsageError: an array of another shape or type, or without pixels.
        """
        check_frame(image)
        counts = np.bincount(_brightness(image).ravel(), minlength=256)
        shares = np.cumsum(counts) / counts.sum()
        dark = float(shares[self.dark_level])
        bright = 1 - float(shares[self.bright_level - 1]) if self.bright_level else 1.0
        low, high = (int(np.searchsorted(shares, quantile)) for quantile in (0.01, 0.99))
        if dark >= self.black_share:
            return NoVerdict("black", f"{_percent(dark)} of the pixels are black; is the lens covered?")
        if dark > self.dark_share:
            return NoVerdict("exposure", f"underexposed: {_percent(dark)} of the pixels are nearly black")
        if bright > self.bright_share:
            return NoVerdict("exposure", f"overexposed: {_percent(bright)} of the pixels are saturated")
        if high - low < self.min_contrast:
            return NoVerdict(
                "exposure",
                f"hardly any contrast: brightness spans {low}..{high} of 255, "
                f"less than the {self.min_contrast} that are required",
            )
        return None


class StreamGuard:
    """`FrameChecks` in a stream: also frozen pictures and frames that come too late. State: a few numbers.

    Args:
        checks: what is required.

    Example:
        >>> guard = StreamGuard(FrameChecks(frozen_after=2))
        >>> frame = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)
        >>> [guard.check_picture(frame, picture_digest(frame)) for _ in range(2)]
        [None, NoVerdict(reason='frozen', message='the same picture for 2 frames')]
    """

    def __init__(self, checks: FrameChecks | None = None) -> None:
        self.checks = FrameChecks() if checks is None else checks
        self._digest: str | None = None
        self._repeats = 0
        self._timestamp: float | None = None

    def check_time(self, timestamp: float | None, age: float | None = None) -> NoVerdict | None:
        """Say whether a frame comes too late; call it once per frame, in order.

        Args:
            timestamp: seconds; of this and earlier frames they have to rise. `None` tells nothing.
            age: seconds since the frame was taken, for live sources.
        """
        if timestamp is not None and not math.isfinite(timestamp):
            return NoVerdict("stale", f"the frame's time is {timestamp}")
        limit = self.checks.stale_after
        before = self._timestamp
        if timestamp is not None:
            self._timestamp = timestamp if before is None else max(timestamp, before)
            if before is not None and timestamp <= before:
                return NoVerdict(
                    "stale", f"its time, {timestamp:.3f} s, is not after an earlier frame's, {before:.3f} s"
                )
        if age is not None and limit is not None and age > limit:
            return NoVerdict(
                "stale", f"{age * 1000:.0f} ms old at its turn; {limit * 1000:.0f} ms are allowed"
            )
        return None

    def check_picture(self, image: UInt8[np.ndarray, "h w 3"], digest: str) -> NoVerdict | None:
        """Say why there can be no verdict on a picture; call it once per frame, in order.

        Args:
            image: uint8 (H,W,3), RGB.
            digest: its `picture_digest`.
        """
        self.saw(digest)
        alone = self.checks.check(image)
        if alone is not None:
            return alone
        limit = self.checks.frozen_after
        if limit is not None and self._repeats >= limit:
            return NoVerdict("frozen", f"the same picture for {self._repeats} frames")
        return None

    def saw(self, digest: str | None, timestamp: float | None = None) -> None:
        """Take over what an earlier run saw, or count one more frame. A frame without picture ends a row."""
        self._repeats = self._repeats + 1 if digest is not None and digest == self._digest else 1
        self._digest = digest
        if timestamp is not None and math.isfinite(timestamp):
            self._timestamp = timestamp if self._timestamp is None else max(timestamp, self._timestamp)


def picture_digest(image: UInt8[np.ndarray, "h w 3"]) -> str:
    """Return what tells this picture from others: 16 hexadecimal digits of a SHA-256 over size and pixels.

    Example:
        >>> picture_digest(np.zeros((1, 2, 3), np.uint8)) == picture_digest(np.zeros((2, 1, 3), np.uint8))
        False
    """
    digest = hashlib.sha256(f"{image.shape[0]}x{image.shape[1]} ".encode())
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()[:16]


def check_frame(image: object) -> None:
    """Raise `UsageError` unless `image` is a uint8 (H,W,3) array with pixels."""
    if (
        isinstance(image, np.ndarray)
        and image.dtype == np.uint8
        and image.ndim == 3
        and image.shape[2] == 3
        and image.size
    ):
        return
    given = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
    raise UsageError(f"a frame must be a uint8 (H,W,3) RGB array with pixels; got {given}")


def _brightness(image: np.ndarray) -> np.ndarray:
    """Return the luma of a grid of pixels, uint8."""
    step = max(1, math.isqrt(image.shape[0] * image.shape[1] // _SAMPLES))
    sample = image[step // 2 :: step, step // 2 :: step]
    if not sample.size:  # narrower than a step
        sample = image[::step, ::step]
    luma: np.ndarray = (sample.astype(np.uint16) @ _LUMA) >> 8
    return luma


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %"
