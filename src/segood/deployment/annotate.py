"""A frame as a picture for people: objects filled and numbered, the others hatched, no verdict said in red.

In: a frame and its record. Out: uint8 RGB, in milliseconds and without OpenCV, since a stream has no time for
the drawings of a report; colours and patterns mean the same as there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from segood.deployment.frame_record import labels_of

KEPT, REMOVED = (255, 158, 27), (214, 221, 230)  # as in segood.reporting.colors, which needs OpenCV
_WARNING = (190, 20, 20)
_BLANK = (360, 640)


def annotate(
    image: np.ndarray | None, record: Mapping[str, Any], labels: np.ndarray | None = None
) -> np.ndarray:
    """Draw what a record says about its frame.

    Args:
        image: uint8 (H,W,3), RGB; `None`, or one without pixels, draws a black picture.
        record: of the frame, see `frame_record`.
        labels: integer (H,W), the segments; read from the record's masks if not given.

    Returns:
        uint8 (H,W,3), RGB; `image` itself is not changed.
    """
    if image is None or not image.size:
        image = np.zeros((*_BLANK, 3), np.uint8)
    if record["no_verdict"] is None:
        image = _painted(image, record, labels_of(record) if labels is None else labels)
    picture = Image.fromarray(image)
    draw = ImageDraw.Draw(picture)
    size = max(9, round(picture.width / 58))
    font = ImageFont.load_default(size=size)
    for thing in record["objects"]:
        row, col = thing["box"][:2]
        _write(draw, (col, max(0, row - round(1.6 * size))), _tag(thing), font, (0, 0, 0))
    if record["no_verdict"] is not None:
        _write(draw, (0, 0), f"no verdict: {record['no_verdict']['reason']}", font, _WARNING)
    return np.asarray(picture)


def _painted(image: np.ndarray, record: Mapping[str, Any], labels: np.ndarray | None) -> np.ndarray:
    """Return the image with the objects filled, the removed and pending ones hatched, and all outlined."""
    if labels is None or labels.shape != image.shape[:2]:
        return image
    reported = [thing["id"] for thing in record["objects"]]
    faint = [thing["id"] for thing in (*record["removed"], *record["pending"])]
    kind = np.zeros(max([int(labels.max(initial=0)), *reported, *faint]) + 1, np.uint8)
    kind[reported], kind[faint] = 1, 2
    kinds = kind[labels]
    rows, cols = np.nonzero(kinds)
    if not len(rows):
        return image
    canvas, which = image.copy(), kinds[rows, cols]
    colors = np.array([(0, 0, 0), KEPT, REMOVED], np.uint8)
    line = max(1, round(image.shape[1] / 640))
    period = max(4, round(image.shape[1] / 110))
    full = _at_edge(labels, rows, cols, line) | ((which == 2) & ((rows + cols) % period < period / 3))
    tint = (which == 1) & ~full
    canvas[rows[full], cols[full]] = colors[which[full]]
    below = canvas[rows[tint], cols[tint]].astype(np.uint16)
    canvas[rows[tint], cols[tint]] = ((below * 3 + colors[which[tint]] * np.uint16(2)) // 5).astype(np.uint8)
    return canvas


def _at_edge(labels: np.ndarray, rows: np.ndarray, cols: np.ndarray, width: int) -> np.ndarray:
    """Tell which pixels have another label at most `width` pixels above, below, left or right of them."""
    height, columns = labels.shape
    own = labels[rows, cols]
    edge = np.zeros(len(rows), bool)
    for step in (-width, width):
        edge |= labels[np.clip(rows + step, 0, height - 1), cols] != own
        edge |= labels[rows, np.clip(cols + step, 0, columns - 1)] != own
    return edge


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
