"""The answer to a frame as plain JSON values: one line of `frames.jsonl`.

In: a `FrameResult`. Out: a dict as `schemas/frame.schema.json` says, and back from it what a later run needs.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np

from segood.deployment.detection import UnknownObject
from segood.deployment.rle import decode_mask, encode_segment

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
        return [_described(thing, detection.labels) for thing in things]

    return {
        "version": VERSION,
        "index": result.index,
        "name": result.name,
        "timestamp": _finite(result.timestamp),
        "height": height or None,
        "width": width or None,
        "digest": result.digest,
        "no_verdict": None if verdict is None else {"reason": verdict.reason, "message": verdict.message},
        "objects": described(detection.objects),
        "pending": described(result.pending),
        "removed": described(detection.removed),
        "flagged_share": None if share is None else _finite(share),
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


def _described(thing: UnknownObject, labels: np.ndarray) -> dict[str, Any]:
    return {
        "id": thing.id,
        "track": thing.track,
        "box": list(thing.box),
        "center": [round(value, 2) for value in thing.center],
        "area": thing.area,
        "score": round(thing.score, 6),
        "probability": None if thing.probability is None else round(thing.probability, 6),
        "reasons": [
            {
                "feature": reason.feature,
                "words": reason.words,
                "value": _finite(reason.value),
                "weight": round(reason.weight, 4),
            }
            for reason in thing.reasons
        ],
        "mask": encode_segment(labels, thing.id, thing.box),
    }


def _finite(value: float | None) -> float | None:
    return round(value, 6) if value is not None and math.isfinite(value) else None
