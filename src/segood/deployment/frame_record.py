"""The answer to a frame as plain JSON values: one line of `frames.jsonl`.

In: a `FrameResult`. Out: a dict as `schemas/frame.schema.json` says, and back from it what a later run needs,
where every value is of the type that the schema says.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np

from segood.deployment.detection import UnknownObject, finite_or_none
from segood.deployment.rle import MOST_PIXELS, decode_mask
from segood.errors import DataError
from segood.records import from_dict

if TYPE_CHECKING:
    from segood.deployment.streaming import FrameResult

VERSION = 1
"""Of the schema; it rises when a reader of the old one would misunderstand the new one."""


_LONGEST = 1e9  # seconds that a stored frame may have taken: 30 years


def frame_schema() -> dict[str, Any]:
    """Return the JSON Schema of a line of `frames.jsonl`.

    Example:
        >>> frame_schema()["properties"]["version"]
        {'const': 1}
    """
    file = resources.files("segood.deployment") / "schemas" / "frame.schema.json"
    schema: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return schema


def frame_record(result: FrameResult, *, overlay: str | None = None) -> dict[str, Any]:
    """Return the answer to a frame as plain JSON values.

    Args:
        result: the answer.
        overlay: path of its picture, relative to the folder of the records.
    """
    detection = result.detection
    height, width = detection.image.shape[:2]
    share = detection.flagged_share
    verdict = detection.no_verdict

    def described(things: tuple[UnknownObject, ...]) -> list[dict[str, Any]]:
        return [thing.to_dict(detection.labels) | {"track": thing.track} for thing in things]

    return {
        "version": VERSION,
        "index": result.index,
        "name": result.name,
        "timestamp": finite_or_none(result.timestamp),
        "height": height or None,
        "width": width or None,
        "digest": result.digest,
        "no_verdict": None if verdict is None else {"reason": verdict.reason, "message": verdict.message},
        "objects": described(detection.objects),
        "pending": described(result.pending),
        "removed": described(detection.removed),
        "flagged_share": finite_or_none(share),
        "latency": round(result.latency, 6),
        "seconds": {stage: round(spent, 6) for stage, spent in detection.seconds.items()},
        "skipped": result.skipped,
        "overlay": overlay,
    }


@dataclass(frozen=True)
class _Verdict:
    reason: str
    message: str


@dataclass(frozen=True)
class _Reason:
    feature: str
    words: str
    value: float | None
    weight: float


@dataclass(frozen=True)
class _Mask:
    size: tuple[int, int]
    counts: list[int]


@dataclass(frozen=True)
class _Thing:
    id: int
    box: tuple[int, int, int, int]
    center: tuple[float, float]
    area: int
    score: float
    probability: float | None
    reasons: list[_Reason]
    mask: _Mask
    track: int | None

    def __post_init__(self) -> None:
        if not (0 < self.id < 2**31 and 0 <= self.area <= MOST_PIXELS):
            raise ValueError("an object's `id` or `area` is out of range")
        row0, col0, row1, col1 = self.box
        if not (0 <= row0 < row1 <= MOST_PIXELS and 0 <= col0 < col1 <= MOST_PIXELS):
            raise ValueError("an object's `box` holds no pixel")


@dataclass(frozen=True)
class _Record:
    version: int
    index: int
    name: str
    timestamp: float | None
    height: int | None
    width: int | None
    digest: str | None
    no_verdict: _Verdict | None
    objects: list[_Thing]
    pending: list[_Thing]
    removed: list[_Thing]
    flagged_share: float | None
    latency: float
    seconds: dict[str, float]
    skipped: int
    overlay: str | None

    def __post_init__(self) -> None:
        if (self.height is None) != (self.width is None):
            raise ValueError("`height` and `width` must both be known, or none")
        if self.height is not None and not 0 < self.height * (self.width or 0) <= MOST_PIXELS:
            raise ValueError("`height` and `width` are out of range")
        if not all(0 <= spent <= _LONGEST for spent in (self.latency, *self.seconds.values())):
            raise ValueError("`latency` or `seconds` are out of range")


def check_record(record: dict[str, Any]) -> None:
    """Raise `TypeError` or `ValueError` unless a record, read from a file, is what `frame_record` returns."""
    from_dict(_Record, record)


def objects_of(record: Mapping[str, Any]) -> list[UnknownObject]:
    """Return the objects a frame's tracker was given, reported and pending, in their order in the frame."""
    found = [*record["objects"], *record["pending"]]
    return [
        UnknownObject(
            thing["id"],
            tuple(thing["box"]),
            tuple(thing["center"]),
            thing["area"],
            thing["score"],
            thing["probability"],
        )
        for thing in sorted(found, key=lambda thing: thing["id"])
    ]


def labels_of(record: Mapping[str, Any]) -> np.ndarray | None:
    """Return the label image (H,W) int32 that the masks of a record make up; `None` without a picture.

    Raises:
        DataError: a mask is damaged, or of another size than the picture.
    """
    if record["height"] is None:
        return None
    labels = np.zeros((record["height"], record["width"]), np.int32)
    for thing in (*record["objects"], *record["pending"], *record["removed"]):
        mask = decode_mask(thing["mask"])
        if mask.shape != labels.shape:
            raise DataError(
                f"frame {record['index']}: a mask has {mask.shape[0]}×{mask.shape[1]} pixels, the picture "
                f"{labels.shape[0]}×{labels.shape[1]}; predict again"
            )
        labels[mask] = thing["id"]
    return labels
