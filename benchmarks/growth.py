"""How cost grows with the size of a frame, the number of its segments, and the number of streamed pixels.

Every point is measured in a fresh process; beside it the physical floor: the bytes that must move, at the
bandwidth measured on the same machine.
"""

from __future__ import annotations

from collections.abc import Callable

from benchmarks import pixel_metrics, segments
from benchmarks.inputs import logits_with_segments, pixel_scores, street_logits
from benchmarks.measure import as_bytes
from benchmarks.memory import Work, cost, floor_seconds
from benchmarks.results import Point, Record, Requirement
from segood.evaluation import PixelMetrics
from segood.segments import extract_segments

FRAMES = ((512, 1024), (1024, 2048), (2048, 4096))
SEGMENTS = (10, 100, 1000, 10_000)
PIXELS = (10**6, 10**7, 10**8, 10**9)
PER_UPDATE = 2 * 10**6
"""Pixels per update: about those of one frame."""


def measure(quick: bool = False) -> list[Record]:
    """Measure the curves; a stream is timed once, since it is long."""
    runs = 1 if quick else 7
    # Every kernel is compiled here, so that no measured process has to.
    frame((64, 128) if quick else FRAMES[0]).call()
    points: list[Point] = []
    for size in ((32, 64), (64, 128)) if quick else FRAMES:
        megapixels = size[0] * size[1] / 1e6
        label = f"{megapixels:.2g} megapixels ({size[0]}×{size[1]})"
        floor = segments.bytes_moved(size)
        points.append(_point("frame", megapixels, label, floor, frame, size, runs=runs, quick=quick))
    size = (64, 128) if quick else segments.SIZE
    for count in (4, 16) if quick else SEGMENTS:
        floor = segments.bytes_moved(size)
        label = f"{count:,} segments"
        points.append(
            _point("segments", count, label, floor, many_segments, size, count, runs=runs, quick=quick)
        )
    for pixels in (10**4, 10**5) if quick else PIXELS:
        label = f"{pixels:,} pixels"
        floor = 5 * pixels  # float32 score and uint8 target
        points.append(
            _point("pixels", pixels, label, floor, stream, pixels, runs=pixels < 10**8, quick=quick)
        )
    return [*points, _state_stays_small(points[-1])]


def _state_stays_small(longest: Point) -> Requirement:
    return Requirement(
        f"pixel metrics: peak extra memory, {longest.label} streamed",
        as_bytes(longest.peak_bytes),
        "",
        longest.peak_bytes / 1e6,
        pixel_metrics.LIMIT_MB,
        " MB",
        note="the final computation included",
    )


def _point(
    curve: str,
    size: float,
    label: str,
    floor_bytes: int,
    prepare: Callable[..., Work],
    *args: object,
    runs: int,
    quick: bool,
) -> Point:
    spent = cost(prepare, *args, runs=runs, reuse=quick)
    floor = floor_seconds(floor_bytes)
    return Point(curve, size, label, spent.seconds, spent.peak_bytes, floor, as_bytes(floor_bytes))


def frame(size: tuple[int, int]) -> Work:
    """Make a street-like frame."""
    logits, small = street_logits(*size), street_logits(32, 64)
    return Work(lambda: extract_segments(logits=logits), lambda: extract_segments(logits=small))


def many_segments(size: tuple[int, int], count: int) -> Work:
    """Make a frame of exactly `count` segments which cover the same share, whatever their number."""
    logits, small = logits_with_segments(*size, count), street_logits(32, 64)

    def call() -> None:
        found = len(extract_segments(logits=logits))
        if found != count:
            raise RuntimeError(f"the frame was made of {count} segments; found {found}")

    return Work(call, lambda: extract_segments(logits=small))


def stream(pixels: int) -> Work:
    """Make five frames, and stream them in turns until `pixels` are counted."""
    frames = [pixel_scores(min(pixels, PER_UPDATE), seed=seed) for seed in range(5)]

    def call(pixels: int = pixels) -> None:
        metrics = PixelMetrics()
        done = 0
        while done < pixels:
            score, target = frames[done // PER_UPDATE % len(frames)]
            count = min(len(score), pixels - done)
            metrics.update(score[:count], target[:count])
            done += count
        metrics.compute()

    return Work(call, lambda: call(1000))
