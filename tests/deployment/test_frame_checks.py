"""Frames without a verdict: black, badly exposed, frozen, stale; by hand, and on real daylight frames."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from segood.data import read_image
from segood.deployment.detection import NoVerdict
from segood.deployment.frame_checks import FrameChecks, StreamGuard, picture_digest
from segood.errors import UsageError


def ramp(low: int = 40, high: int = 200, size: tuple[int, int] = (48, 64)) -> np.ndarray:
    """Return a grey frame whose brightness rises evenly from left to right."""
    row = np.linspace(low, high, size[1]).astype(np.uint8)
    return np.repeat(np.broadcast_to(row, size)[..., None], 3, axis=2)


def part(value: int, share: float) -> np.ndarray:
    """Return a ramp whose first rows, a share of all, have one brightness."""
    image = ramp(size=(100, 100))
    image[: round(share * 100)] = value
    return image


def reason(image: np.ndarray, checks: FrameChecks | None = None) -> str | None:
    found = (checks or FrameChecks()).check(image)
    return None if found is None else found.reason


def test_shares_by_hand() -> None:
    assert reason(ramp()) is None
    assert reason(np.zeros((5, 7, 3), np.uint8)) == "black"
    # dark up to level 16, 98 of 100 rows: black; from 46 on: underexposed
    assert [reason(part(16, s)) for s in (0.45, 0.46, 0.97, 0.98)] == [None, "exposure", "exposure", "black"]
    assert reason(part(17, 0.9)) is None
    # saturated from level 250 on, more than 60 of 100 rows
    assert [reason(part(250, s)) for s in (0.6, 0.61)] == [None, "exposure"]
    assert reason(part(249, 0.9)) is None
    assert reason(np.full((4, 4, 3), 255, np.uint8)) == "exposure"
    assert [reason(ramp(100, 100 + width)) for width in (39, 45)] == ["exposure", None]
    assert reason(np.full((4, 4, 3), 128, np.uint8)) == "exposure"


def test_messages_say_what_was_measured() -> None:
    checks = FrameChecks()
    assert checks.check(part(0, 0.7)) == NoVerdict(
        "exposure", "underexposed: 70 % of the pixels are nearly black"
    )
    assert checks.check(part(255, 0.7)) == NoVerdict(
        "exposure", "overexposed: 70 % of the pixels are saturated"
    )
    found = checks.check(ramp(90, 110))
    assert found is not None
    assert "brightness spans 90..110 of 255, less than the 40" in found.message


def test_brightness_weighs_the_colours() -> None:
    # luma of pure green, red, blue: 149, 76, 28; of which only the last is dark below 30
    frame = np.zeros((10, 30, 3), np.uint8)
    frame[:, :10, 1] = frame[:, 10:20, 0] = frame[:, 20:, 2] = 255
    assert reason(frame, FrameChecks(dark_level=30, dark_share=0.3)) == "exposure"
    assert reason(frame, FrameChecks(dark_level=27, dark_share=0.3)) is None


@pytest.mark.parametrize("size", [(1, 1), (1, 100_000), (100_000, 1), (2000, 3000)])
def test_every_size_has_an_answer(size: tuple[int, int]) -> None:
    assert reason(np.zeros((*size, 3), np.uint8)) == "black"


def test_checks_can_be_taken_off() -> None:
    nothing = FrameChecks(black_share=1.0, dark_share=1.0, bright_share=1.0, min_contrast=0)
    assert reason(np.full((4, 4, 3), 255, np.uint8), nothing) is None
    assert reason(np.full((4, 4, 3), 17, np.uint8), nothing) is None


def test_bad_options_and_frames() -> None:
    with pytest.raises(UsageError, match=r"`dark_share` must lie in \[0, 1\]; got 1.5"):
        FrameChecks(dark_share=1.5)
    with pytest.raises(UsageError, match=r"`bright_level` must be a whole number in 0..255; got 256"):
        FrameChecks(bright_level=256)
    with pytest.raises(UsageError, match=r"`dark_level` must be a whole number in 0..255; got 3.5"):
        FrameChecks(dark_level=3.5)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="`frozen_after` must be at least 2 frames"):
        FrameChecks(frozen_after=1)
    with pytest.raises(UsageError, match="`stale_after` must be a time above 0 s"):
        FrameChecks(stale_after=0.0)
    for frame in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8), None):
        with pytest.raises(UsageError, match=r"a frame must be a uint8 \(H,W,3\) RGB array with pixels"):
            FrameChecks().check(frame)  # type: ignore[arg-type]


def pictures(guard: StreamGuard, *frames: np.ndarray) -> list[str | None]:
    found = [guard.check_picture(frame, picture_digest(frame)) for frame in frames]
    return [None if f is None else f.reason for f in found]


def test_frozen_from_the_third_time_on_and_a_change_ends_it() -> None:
    a, b = ramp(), ramp()
    b[3, 3, 2] ^= 1  # one bit of one pixel
    guard = StreamGuard(FrameChecks(frozen_after=3))
    assert pictures(guard, a, a.copy(), a, a, b, a) == [None, None, "frozen", "frozen", None, None]
    assert pictures(StreamGuard(FrameChecks(frozen_after=None)), *[a] * 20) == [None] * 20


def test_a_buffer_that_is_filled_again_is_not_frozen() -> None:
    guard, buffer = StreamGuard(FrameChecks(frozen_after=2)), ramp()
    for shift in range(4):
        buffer[:] = ramp(40 + shift)
        assert pictures(guard, buffer) == [None]


def test_a_black_frame_is_black_before_it_is_frozen() -> None:
    black = np.zeros((4, 4, 3), np.uint8)
    assert pictures(StreamGuard(FrameChecks(frozen_after=2)), black, black) == ["black", "black"]


def times(guard: StreamGuard, *stamps: float | None) -> list[bool]:
    return [guard.check_time(stamp) is not None for stamp in stamps]


def test_times_have_to_rise() -> None:
    assert times(StreamGuard(), 1.0, 2.0, 2.0, 1.5, 2.5, 2.4) == [False, False, True, True, False, True]
    assert times(StreamGuard(), None, None, 1.0, None, 1.0) == [False] * 4 + [True]
    assert times(StreamGuard(), math.nan, 1.0, math.inf, 1.5) == [True, False, True, False]


def test_age_of_live_frames() -> None:
    guard = StreamGuard(FrameChecks(stale_after=0.5))
    assert guard.check_time(1.0, age=0.5) is None
    assert guard.check_time(2.0, age=0.75) == NoVerdict("stale", "750 ms old at its turn; 500 ms are allowed")
    assert StreamGuard(FrameChecks(stale_after=None)).check_time(1.0, age=1e6) is None


def test_what_an_earlier_run_saw_counts() -> None:
    guard, frame = StreamGuard(FrameChecks(frozen_after=3)), ramp()
    for _ in range(2):
        guard.saw(picture_digest(frame), 5.0)
    assert pictures(guard, frame) == ["frozen"]
    assert guard.check_time(4.0) is not None


def scaled(factor: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda image: (image * factor).astype(np.uint8)


def clipped(share: float) -> Callable[[np.ndarray], np.ndarray]:
    """Return an exposure at which this share of a frame is white."""

    def expose(image: np.ndarray) -> np.ndarray:
        white = max(1.0, float(np.quantile(image.mean(axis=2), 1 - share)))
        return np.clip(image * (256.0 / white), 0, 255).astype(np.uint8)

    return expose


DAMAGE = {
    "a seventh of the light": (scaled(0.15), "exposure"),
    "a tenth of the light": (scaled(0.1), "exposure"),
    "a fiftieth of the light": (scaled(0.02), "black"),
    "gamma 7": (lambda image: (255 * (image / 255.0) ** 7).astype(np.uint8), "exposure"),
    "four fifths white": (clipped(0.8), "exposure"),
    "fog": (lambda image: (110 + image * 0.15).astype(np.uint8), "exposure"),
}


def test_real_daylight_frames_pass_and_damaged_ones_do_not(shared: Path) -> None:
    folders = ("camvid/test", "fishyscapes_lost_and_found/images", "road_anomaly_21/images")
    files = [f for folder in folders for f in sorted((shared / "data" / folder).iterdir())[::25]]
    assert len(files) > 10
    for file in files:
        image = read_image(file)
        assert FrameChecks().check(image) is None, file
        for name, (damage, expected) in DAMAGE.items():
            assert reason(damage(image)) == expected, (file, name)
