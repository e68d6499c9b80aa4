"""What the service answers: models for OpenAPI, and detections as plain data that fit them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from segood.deployment.detection import Detection, UnknownObject, finite_or_none
from segood.deployment.service.problems import ErrorBody


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class ReasonAnswer(_Answer):
    """A feature that speaks for an object being real (weight above 0), or against it."""

    feature: str
    words: str = Field(description="what it measures")
    value: float | None
    weight: float = Field(description="what it adds to the logit of being real")


class MaskAnswer(_Answer):
    """Pixels as COCO run lengths: outside, inside, outside …, down the columns."""

    size: list[int] = Field(min_length=2, max_length=2, description="rows, columns")
    counts: list[int]


class ObjectAnswer(_Answer):
    """One connected region that shows nothing the network knows."""

    id: int = Field(ge=1)
    box: list[int] = Field(min_length=4, max_length=4, description="row0, col0, row1, col1; half-open")
    center: list[float] = Field(min_length=2, max_length=2, description="row, col")
    area: int = Field(ge=1, description="pixels")
    score: float = Field(description="mean over the pixels")
    probability: float | None = Field(description="that it is real; null without a meta classifier")
    reasons: list[ReasonAnswer] = Field(
        description="three for, three against; empty without a meta classifier"
    )
    mask: MaskAnswer | None = Field(default=None, description="with `masks=true`")


class NoVerdictAnswer(_Answer):
    """Why nothing is said about the image: neither "free" nor "object"."""

    reason: str
    message: str


class PagePictures(_Answer):
    """Pictures as `data:` URIs, at most 1600 pixels wide and high."""

    image: str = Field(description="as the network saw it; WebP")
    overlay: str = Field(description="objects filled, removed segments hatched; WebP")
    score: str = Field(description="PNG with a palette; index = round(255 × score)")


class DetectionAnswer(_Answer):
    """What the monitor says about one image."""

    height: int = Field(ge=1)
    width: int = Field(ge=1)
    threshold: float = Field(description="a pixel is unknown where its score reaches this")
    probability_threshold: float = Field(
        description="a segment is removed where a false alarm is this likely"
    )
    objects: list[ObjectAnswer] = Field(description="in row-major order of their first pixel")
    removed: list[ObjectAnswer] = Field(
        description="segments that the meta classifier takes for false alarms"
    )
    flagged_share: float | None = Field(description="of the region's pixels; null without a verdict")
    no_verdict: NoVerdictAnswer | None = Field(
        description="if not null, no objects does not mean a free road"
    )
    seconds: dict[str, float] = Field(description="per stage: decode, queue, network, segments, meta, total")
    pictures: PagePictures | None = Field(default=None, description="with `detail=page`")


class BatchItem(_Answer):
    """One image of a batch: a result or an error, never both."""

    index: int = Field(ge=0, description="place in the request")
    name: str = Field(description="last part of the file name")
    result: DetectionAnswer | None
    error: ErrorBody | None


class BatchAnswer(_Answer):
    """One item per file, in the order of the request."""

    results: list[BatchItem]


class HealthAnswer(_Answer):
    """The process answers."""

    status: Literal["ok"]


class ReadyAnswer(_Answer):
    """The service takes images."""

    status: Literal["ready"]


class LimitsAnswer(_Answer):
    """The service's limits."""

    max_bytes: int
    max_pixels: int
    max_files: int
    max_queue: int
    max_batch: int
    timeout_s: float


class ModelAnswer(_Answer):
    """What is behind the service."""

    label: str
    threshold: float
    probability_threshold: float
    class_names: list[str]
    has_meta: bool = Field(description="whether segments get a probability")
    region: dict[str, Any] | None = Field(description="where objects may lie; null: everywhere")
    calibrated: bool = Field(description="whether drift is measured against a calibration set")
    card: dict[str, Any]
    limits: LimitsAnswer


def detection_data(
    detection: Detection,
    *,
    threshold: float,
    probability_threshold: float,
    seconds: Mapping[str, float],
    masks: bool = False,
) -> dict[str, Any]:
    """Return a detection as plain data, in the form of `DetectionAnswer`.

    Args:
        detection: of the monitor.
        threshold: it was made with.
        probability_threshold: likewise.
        seconds: per stage.
        masks: whether each segment gets its mask.
    """
    verdict, share = detection.no_verdict, detection.flagged_share

    def described(things: tuple[UnknownObject, ...]) -> list[dict[str, Any]]:
        return [thing.to_dict(detection.labels if masks else None) for thing in things]

    return {
        "height": int(detection.image.shape[0]),
        "width": int(detection.image.shape[1]),
        "threshold": threshold,
        "probability_threshold": probability_threshold,
        "objects": described(detection.objects),
        "removed": described(detection.removed),
        "flagged_share": finite_or_none(share),
        "no_verdict": None if verdict is None else {"reason": verdict.reason, "message": verdict.message},
        "seconds": {name: round(value, 6) for name, value in seconds.items()},
    }


def to_json(value: Any) -> bytes:
    """Return a value as JSON; what JSON has no word for is an error here, not at the reader's."""
    return json.dumps(value, allow_nan=False, separators=(",", ":"), ensure_ascii=False).encode()
