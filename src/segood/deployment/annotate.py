"""A frame as a picture for people: objects filled and numbered, removed segments hatched, no verdict said.

In: a frame and its record. Out: uint8 RGB. Needs OpenCV.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from segood.deployment.frame_record import labels_of
from segood.deployment.sources import import_opencv

_WARNING = (190, 20, 20)
_BLANK = (360, 640)


def annotate(image: np.ndarray | None, record: Mapping[str, Any]) -> np.ndarray:
    """Draw what a record says about its frame.

    Args:
        image: uint8 (H,W,3), RGB; `None` draws a black picture.
        record: of the frame, see `frame_record`.

    Returns:
        uint8 (H,W,3), RGB.

    Raises:
        UsageError: OpenCV is not installed.
    """
    import_opencv("a picture of the objects")
    from segood.reporting.overlays import draw_overlay

    if image is None or not image.size:
        image = np.zeros((*_BLANK, 3), np.uint8)
    if record["no_verdict"] is None:
        faint = [thing["id"] for thing in (*record["removed"], *record["pending"])]
        image = draw_overlay(image, labels_of(record), removed=faint)
    picture = Image.fromarray(image)
    draw = ImageDraw.Draw(picture)
    size = max(9, round(picture.width / 58))
    font = ImageFont.load_default(size=size)
    for thing in record["objects"]:
        row, col = thing["box"][:2]
        _write(draw, (col, max(0, row - round(1.6 * size))), _tag(thing), font, (0, 0, 0))
    if record["no_verdict"] is not None:
        what = record["no_verdict"]
        _write(draw, (0, 0), f"no verdict: {what['reason']}", font, _WARNING)
    return np.asarray(picture)


def _tag(thing: Mapping[str, Any]) -> str:
    """Return a few words on an object: its track, and how likely it is to be real.

    Example:
        >>> _tag({"track": 3, "probability": 0.871, "score": 0.9})
        '#3 87 %'
    """
    number = "" if thing["track"] is None else f"#{thing['track']} "
    sure = thing["probability"]
    return number + (f"{thing['score']:.2f}" if sure is None else f"{sure * 100:.0f} %")


def _write(
    draw: ImageDraw.ImageDraw, at: tuple[int, int], text: str, font: Any, background: tuple[int, int, int]
) -> None:
    left, top, right, bottom = draw.textbbox(at, text, font=font)
    draw.rectangle((left - 2, top - 2, right + 2, bottom + 2), fill=background)
    draw.text(at, text, fill=(255, 255, 255), font=font)
