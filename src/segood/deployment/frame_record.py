"""The answer to a frame as plain JSON values: one line of `frames.jsonl`.

In: a `FrameResult`. Out: a dict as `schemas/frame.schema.json` says, and back from it what a later run needs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np

from segood.deployment.detection import UnknownObject, finite_or_none
from segood.deployment.rle import decode_mask

if TYPE_CHECKING:
    from segood.deployment.streaming import FrameResult

VERSION = 1
"""Of the schema; it rises when a reader of the old one would misunderstand the new one."""


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
    """Return the label image (H,W) int32 that the masks of a record make up; `None` without a picture."""
    if record["height"] is None:
        return None
    labels = np.zeros((record["height"], record["width"]), np.int32)
    for thing in (*record["objects"], *record["pending"], *record["removed"]):
        labels[decode_mask(thing["mask"])] = thing["id"]
    return labels
