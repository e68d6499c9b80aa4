"""Logits of one frame -> segments with 75 features, against NumPy's entropy of the ready softmax.

The peer does a small part of the work: it is given the softmax, and finds neither segments nor features.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.inputs import street_logits
from benchmarks.measure import Comparison, as_bytes, as_time, compare
from benchmarks.memory import Work, cost, floor_seconds
from benchmarks.results import Requirement
from segood.segments import Segments, extract_segments

PUBLISHED_FACTOR = 75
"""How many times as long as NumPy's entropy the published pipeline takes for the same frame."""

SIZE, QUICK_SIZE = (1024, 2048), (64, 128)
STRIDE = 4


def measure(quick: bool = False) -> list[Requirement]:
    """Measure from full logits (few and many pixels flagged) and from logits at the network's stride."""
    size = QUICK_SIZE if quick else SIZE
    rounds = 3 if quick else 15
    probs = street_logits(*size).softmax(0).numpy()

    def entropy() -> np.ndarray:
        return -(probs * np.log(probs)).sum(0)

    rows = []
    for stride, threshold in ((1, 0.7), (1, 0.5), (STRIDE, 0.7)):
        call = call_on(size, stride, threshold)
        found = call()
        flagged = f"{len(found)} segments, {100 * (found.labels > 0).mean():.0f} % of the pixels"
        what = f"logits 19×{size[0] // stride}×{size[1] // stride}"
        what += f" → segments + features at {size[0]}×{size[1]}, {flagged}"
        floor = floor_seconds(bytes_moved(size, stride))
        rows.append(_time(what, compare(call, entropy, rounds), floor))
        if threshold == 0.7:
            rows.append(_memory(what, size, stride, quick))
    return rows


def call_on(size: tuple[int, int], stride: int, threshold: float = 0.7) -> Callable[[], Segments]:
    """Make the frame and return the call on it."""
    logits = street_logits(*size, stride=stride)
    given: dict[str, Any] = {} if stride == 1 else {"size": size}
    return lambda: extract_segments(logits=logits, threshold=threshold, **given)


def prepare(size: tuple[int, int], stride: int) -> Work:
    """Make the call whose memory is measured."""
    return Work(call_on(size, stride), call_on(QUICK_SIZE, stride))


def prepare_peer(size: tuple[int, int]) -> Work:
    """Make the softmax and NumPy's entropy of it."""
    probs = street_logits(*size).softmax(0).numpy()
    return Work(lambda: -(probs * np.log(probs)).sum(0), lambda: -(probs[:1, :1] * 1).sum(0))


def bytes_moved(size: tuple[int, int], stride: int = 1, element: int = 4) -> int:
    """Return what must move: the logits read once, score map (float32) and labels (int32) written once."""
    pixels = size[0] * size[1]
    return 19 * element * pixels // stride**2 + 8 * pixels


def _time(what: str, times: Comparison, floor: float) -> Requirement:
    published = PUBLISHED_FACTOR / times.ratio
    return Requirement(
        what,
        as_time(times.our_median),
        f"NumPy entropy of the softmax: {as_time(times.peer_median)}",
        times.ratio,
        1.0,
        "×",
        aim=0.75,
        spread=times.spread,
        note=f"{published:.0f} × the speed of the published pipeline; physical floor {as_time(floor)}",
    )


def _memory(what: str, size: tuple[int, int], stride: int, quick: bool) -> Requirement:
    ours = cost(prepare, size, stride, runs=0, reuse=quick).peak_bytes
    peer = cost(prepare_peer, size, runs=0, reuse=quick).peak_bytes
    # Logits at a stride hold less than the label image alone: the size of the full frame is the measure.
    full = 19 * 4 * size[0] * size[1]
    return Requirement(
        what.split(" → ")[0] + f" → {size[0]}×{size[1]}: peak extra memory / size of the full logits",
        as_bytes(ours),
        f"NumPy entropy: {as_bytes(peer)}",
        ours / full,
        1.0,
        "×",
        note=f"full logits: {as_bytes(full)}",
    )
