"""What a request to `/v1/detect` may ask for, beside its body; and OpenAPI's words for the body.

Unknown parameters are refused: a typing error in `threshold` must not go unnoticed.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from segood.deployment.service.body import MULTIPART
from segood.deployment.service.decoding import FORMATS

BINARY = {"type": "string", "format": "binary"}
"""OpenAPI's schema of a file."""


class Thresholds(BaseModel):
    """Thresholds of one request; the monitor's own where not given."""

    model_config = ConfigDict(extra="forbid")
    threshold: Annotated[
        float | None,
        Field(ge=0, le=1, allow_inf_nan=False, description="a pixel is unknown where its score reaches this"),
    ] = None
    probability_threshold: Annotated[
        float | None,
        Field(
            ge=0,
            le=1,
            allow_inf_nan=False,
            description="a segment is removed where a false alarm is this likely",
        ),
    ] = None


class BatchQuery(Thresholds):
    """What both endpoints can be asked for."""

    masks: Annotated[bool, Field(description="with the masks of all segments, as COCO run lengths")] = False


class DetectQuery(BatchQuery):
    """What `/v1/detect` is asked for."""

    format: Annotated[Literal["json", "overlay"], Field(description="`overlay`: the image drawn over")] = (
        "json"
    )
    picture: Annotated[Literal["png", "webp"], Field(description="type of the overlay")] = "png"
    detail: Annotated[
        Literal["objects", "page"], Field(description="`page`: with pictures of image, overlay and score")
    ] = "objects"


def request_body(*, single: bool, max_files: int) -> dict[str, Any]:
    """Return OpenAPI's words for the body, which the framework cannot know: it is read by hand."""
    files: dict[str, Any] = {"type": "array", "items": BINARY, "minItems": 1, "maxItems": max_files}
    form = {
        "type": "object",
        "properties": {"file": BINARY} if single else {"files": files},
        "required": ["file" if single else "files"],
        "additionalProperties": False,
    }
    content: dict[str, Any] = {MULTIPART: {"schema": form}}
    if single:
        content |= {kind: {"schema": BINARY} for kind in FORMATS}
    return {"required": True, "content": content}
