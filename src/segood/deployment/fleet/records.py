"""A frame's record in a partition: that of `frames.jsonl` without times, and with its source.

In: a `FrameResult`, or records. Out: plain JSON values, their JSON Schema, their columns for Parquet, and
counts. Nothing here depends on when, where or how fast a frame was scored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from segood.deployment.frame_record import frame_record, frame_schema
from segood.deployment.streaming import StreamSummary

if TYPE_CHECKING:
    from segood.deployment.streaming import FrameResult

TIMES = ("latency", "seconds")
"""Fields of `frames.jsonl` that say how long it took: not the same twice."""


def part_record(result: FrameResult, source: str) -> dict[str, Any]:
    """Return the answer to a frame.

    Args:
        result: the answer; its index counts over all partitions.
        source: absolute path or URL it was read from.
    """
    record = frame_record(result)
    return {key: value for key, value in record.items() if key not in TIMES} | {"source": source}


def part_schema() -> dict[str, Any]:
    """Return the JSON Schema of a record.

    Example:
        >>> sorted(set(part_schema()["properties"]) ^ set(frame_schema()["properties"]))
        ['latency', 'seconds', 'source']
    """
    schema = frame_schema()
    properties = {key: value for key, value in schema["properties"].items() if key not in TIMES}
    properties["source"] = {"type": "string", "description": "absolute path or URL it was read from"}
    return schema | {
        "$id": "urn:segood:part:1",
        "title": "The answer to one frame of a partition",
        "properties": properties,
        "required": [*(key for key in schema["required"] if key not in TIMES), "source"],
    }


def count(records: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what a partition adds to the summary."""
    summary = StreamSummary()
    for record in records:
        summary.add_record({**record, "latency": 0.0})
    found = summary.to_dict()
    return {key: found[key] for key in COUNTED} | {"first_unreadable": found["first_unreadable"]}


COUNTED = ("frames", "verdicts", "no_verdicts", "objects", "frames_with_objects", "removed")
"""What is added up over partitions."""


def add_counts(all_counts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Add up the counts of partitions, in their order.

    Example:
        >>> frame = {"no_verdict": None, "objects": [1, 2], "removed": [3]}
        >>> add_counts([count([frame]), count([frame, frame])])["objects"]
        6
    """
    total: dict[str, Any] = count([])
    for counts in all_counts:
        for key in COUNTED:
            if key != "no_verdicts":
                total[key] += counts[key]
        for reason, number in counts["no_verdicts"].items():
            total["no_verdicts"][reason] = total["no_verdicts"].get(reason, 0) + number
        total["first_unreadable"] = total["first_unreadable"] or counts["first_unreadable"]
    total["no_verdicts"] = dict(sorted(total["no_verdicts"].items()))
    return total


def arrow_schema() -> Any:
    """Return the columns of a partition as Parquet; a row reads back as the JSON record."""
    import pyarrow as pa

    text, number, real = pa.string(), pa.int64(), pa.float64()
    reason = {"feature": text, "words": text, "value": real, "weight": real}
    mask = {"size": pa.list_(pa.int32()), "counts": pa.list_(pa.int32())}
    thing = {
        "id": number,
        "box": pa.list_(pa.int32()),
        "center": pa.list_(real),
        "area": number,
        "score": real,
        "probability": real,
        "reasons": pa.list_(pa.struct(reason)),
        "mask": pa.struct(mask),
        "track": number,
    }
    things = pa.list_(pa.struct(thing))
    return pa.schema(
        {
            "version": pa.int32(),
            "index": number,
            "name": text,
            "timestamp": real,
            "height": pa.int32(),
            "width": pa.int32(),
            "digest": text,
            "no_verdict": pa.struct({"reason": text, "message": text}),
            "objects": things,
            "pending": things,
            "removed": things,
            "flagged_share": real,
            "skipped": number,
            "overlay": text,
            "source": text,
        }
    )
