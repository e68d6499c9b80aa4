"""What people look at: the overlay, and the score map as a picture whose palette indices are the score.

In: a detection. Out: encoded pictures. Overlays and the colours need OpenCV; it is imported here, when asked.
"""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from segood.deployment.annotate import annotate
from segood.deployment.detection import Detection
from segood.deployment.service.problems import ServiceError

MAX_SHOWN = 1600
"""Columns or rows of a picture for the page; larger ones are scaled down."""


def encode_overlay(detection: Detection, image_format: str) -> bytes:
    """Return the overlay, in the image's size, as `PNG` or `WEBP`.

    Raises:
        ServiceError: `overlay_unavailable`.
    """
    return _encode(Image.fromarray(_overlay(detection)), image_format)


def page_pictures(detection: Detection) -> dict[str, str]:
    """Return image, overlay and score map as `data:` URIs, none larger than `MAX_SHOWN`."""
    return {
        "image": _uri(_shown(Image.fromarray(detection.image)), "WEBP"),
        "overlay": _uri(_shown(Image.fromarray(_overlay(detection))), "WEBP"),
        "score": _uri(_shown(score_picture(detection.score)), "PNG"),
    }


def score_picture(score: np.ndarray) -> Image.Image:
    """Return a score map (H,W) in [0, 1] as a palette image; index = round(255 × score), NaN is 0.

    Example:
        >>> np.asarray(score_picture(np.array([[0.0, 0.5, 1.0]]))).tolist()
        [[0, 128, 255]]
    """
    indices = np.rint(np.clip(np.nan_to_num(score, nan=0.0), 0, 1) * 255).astype(np.uint8)
    picture = Image.fromarray(indices)
    picture.putpalette(_palette())
    return picture


def _palette() -> bytes:
    try:
        from segood.reporting.colors import colormap_table
    except ImportError:
        return bytes(np.repeat(np.arange(256, dtype=np.uint8), 3))
    return colormap_table().tobytes()


def _overlay(detection: Detection) -> np.ndarray:
    if detection.no_verdict is not None:  # written on the picture, which must not look like a free road
        said = {"no_verdict": {"reason": detection.no_verdict.reason}, "objects": []}
        return annotate(detection.image, said)
    try:
        return detection.overlay()
    except ImportError as error:
        raise ServiceError("overlay_unavailable", f"overlays need {error.name or 'OpenCV'}") from error


def _shown(picture: Image.Image) -> Image.Image:
    largest = max(picture.size)
    if largest <= MAX_SHOWN:
        return picture
    size = (
        max(1, round(picture.width * MAX_SHOWN / largest)),
        max(1, round(picture.height * MAX_SHOWN / largest)),
    )
    nearest = picture.mode == "P"  # indices between two others mean nothing in between
    return picture.resize(size, Image.Resampling.NEAREST if nearest else Image.Resampling.BOX)


def _encode(picture: Image.Image, image_format: str) -> bytes:
    buffer = io.BytesIO()
    options = {"quality": 85, "method": 2} if image_format == "WEBP" else {"compress_level": 3}
    picture.save(buffer, format=image_format, **options)
    return buffer.getvalue()


def _uri(picture: Image.Image, image_format: str) -> str:
    encoded = base64.b64encode(_encode(picture, image_format)).decode("ascii")
    return f"data:image/{image_format.lower()};base64,{encoded}"
