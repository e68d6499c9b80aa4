"""Pictures of what was found: segments, objects and misses drawn over a frame.

In: an RGB frame, segment labels, the removed ids, if at hand the evaluation target and a score map.
Out: a uint8 RGB picture. Patterns repeat what colours say: reported segments are filled, removed
ones are hatched, missed objects are framed.
"""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from segood.errors import UsageError
from segood.reporting import colors
from segood.types import IGNORE, OUT_OF_DISTRIBUTION


def draw_overlay(
    image: np.ndarray,
    labels: np.ndarray | None = None,
    removed: Iterable[int] = (),
    target: np.ndarray | None = None,
    score: np.ndarray | None = None,
    *,
    false_alarms: Iterable[int] | None = None,
) -> np.ndarray:
    """Draw segments kept and removed, the outlines of the objects, and marks on missed ones.

    Args:
        image: uint8 (H,W,3), RGB.
        labels: integer (H,W), 0 none, 1..K the segments; `None` draws no segment.
        removed: ids that the meta classifier removed; drawn hatched.
        target: uint8 (H,W), 0 in-distribution, 1 OoD, 255 ignore (dimmed). Without it no segment
            is called right or wrong.
        score: (H,W) in [0, 1]; tints the frame where it is high.
        false_alarms: ids that touch no object; read off `target` if `None`.

    Returns:
        uint8 (H,W,3), RGB; `image` itself is not changed.

    Raises:
        UsageError: an array has not the frame's size.

    Example:
        >>> frame = np.zeros((40, 60, 3), np.uint8)
        >>> labels = np.zeros((40, 60), np.int32)
        >>> labels[10:20, 10:30] = 1
        >>> picture = draw_overlay(frame, labels)
        >>> picture.shape, bool(picture[15, 20].any()), bool(picture[30, 50].any())
        ((40, 60, 3), True, False)
    """
    _check_sizes(image, labels=labels, target=target, score=score)
    canvas = image.copy()
    if target is not None:
        ignored = target == IGNORE
        canvas[ignored] = (canvas[ignored] * 0.6).astype(np.uint8)
    if score is not None:
        weight = np.clip(score / 255 if score.dtype == np.uint8 else score, 0, 1)[..., None] * 0.75
        canvas = (canvas * (1 - weight) + colors.colorize(score) * weight).astype(np.uint8)
    labels = np.zeros(image.shape[:2], np.int32) if labels is None else labels
    removed = set(removed)
    wrong = (
        None
        if target is None
        else set(_without_object(labels, target) if false_alarms is None else false_alarms)
    )
    _paint_segments(canvas, labels, removed, wrong)
    if target is not None:
        _outline(canvas, target == OUT_OF_DISTRIBUTION, colors.GROUND_TRUTH, casing=True)
        for box in missed_boxes(labels, removed, target):
            _mark_missed(canvas, box)
    return canvas


def missed_boxes(
    labels: np.ndarray, removed: Iterable[int], target: np.ndarray
) -> list[tuple[int, int, int, int]]:
    """Return the objects that no kept segment touches, as boxes `(row, col, height, width)`.

    An object is an 8-connected component of OoD pixels in `target`. Order: row-major by first pixel.
    """
    kept = (labels > 0) & ~np.isin(labels, list(removed))
    count, objects, stats, _ = cv2.connectedComponentsWithStats(
        (target == OUT_OF_DISTRIBUTION).astype(np.uint8), connectivity=8
    )
    touched = np.bincount(objects[kept], minlength=count) > 0
    return [
        (int(stats[k, cv2.CC_STAT_TOP]), int(stats[k, cv2.CC_STAT_LEFT]),
         int(stats[k, cv2.CC_STAT_HEIGHT]), int(stats[k, cv2.CC_STAT_WIDTH]))
        for k in range(1, count)
        if not touched[k]
    ]  # fmt: skip


def _check_sizes(image: np.ndarray, **maps: np.ndarray | None) -> None:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise UsageError(f"`image` must be uint8 of shape (H,W,3); got {image.dtype} {image.shape}")
    for name, array in maps.items():
        if array is not None and array.shape != image.shape[:2]:
            raise UsageError(
                f"`{name}` must have shape (H,W)={image.shape[:2]} to match `image`; got {array.shape}"
            )


def _without_object(labels: np.ndarray, target: np.ndarray) -> set[int]:
    ids = set(np.unique(labels[labels > 0]).tolist())
    return ids - set(np.unique(labels[target == OUT_OF_DISTRIBUTION]).tolist())


def _paint_segments(
    canvas: np.ndarray, labels: np.ndarray, removed: set[int], wrong: set[int] | None
) -> None:
    for is_removed in (True, False):
        for is_wrong in (False, True) if wrong is not None else (None,):
            chosen = [
                k
                for k in np.unique(labels[labels > 0]).tolist()
                if (k in removed) == is_removed and (wrong is None or (k in wrong) == is_wrong)
            ]
            if not chosen:
                continue
            mask = np.isin(labels, chosen)
            color = _segment_color(is_removed, is_wrong)
            fill = mask & _stripes(mask.shape) if is_removed else mask
            opacity = 0.75 if is_removed else 0.5
            canvas[fill] = (canvas[fill] * (1 - opacity) + np.array(color) * opacity).astype(np.uint8)
            _outline(canvas, mask, color, casing=False)


def _segment_color(is_removed: bool, is_wrong: bool | None) -> colors.RGB:
    if is_wrong is None:
        return colors.REMOVED if is_removed else colors.KEPT
    if is_removed:
        return colors.REMOVED_RIGHTLY if is_wrong else colors.REMOVED_WRONGLY
    return colors.FALSE_ALARM if is_wrong else colors.HIT


def _line_width(canvas: np.ndarray) -> int:
    return max(1, round(canvas.shape[1] / 640))


def _stripes(shape: tuple[int, ...]) -> np.ndarray:
    """Return diagonal stripes, a third of each period set, at a period that suits the frame's width."""
    period = max(4, round(shape[1] / 110))
    stripes: np.ndarray = (np.add.outer(np.arange(shape[0]), np.arange(shape[1])) % period) < period / 3
    return stripes


def _outline(canvas: np.ndarray, mask: np.ndarray, color: colors.RGB, *, casing: bool) -> None:
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    width = _line_width(canvas)
    if casing:  # a dark rim keeps a white line visible on a bright road
        cv2.drawContours(canvas, contours, -1, (0, 0, 0), width + 2)
    cv2.drawContours(canvas, contours, -1, color, width)


def _mark_missed(canvas: np.ndarray, box: tuple[int, int, int, int]) -> None:
    """Frame a missed object and write the word over it, in place."""
    row, col, height, width = box
    line = _line_width(canvas) + 1
    margin = 4 * line
    top, left = max(row - margin, line), max(col - margin, line)
    bottom = min(row + height + margin, canvas.shape[0] - line - 1)
    right = min(col + width + margin, canvas.shape[1] - line - 1)
    cv2.rectangle(canvas, (left, top), (right, bottom), (0, 0, 0), line + 2)
    cv2.rectangle(canvas, (left, top), (right, bottom), colors.MISSED, line)
    picture = Image.fromarray(canvas)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size=max(9, round(canvas.shape[1] / 58)))
    x0, y0, x1, y1 = draw.textbbox((0, 0), "missed", font=font)
    tag_w, tag_h = x1 - x0 + 4 * line, y1 - y0 + 4 * line
    tag_top = top - tag_h if top >= tag_h else min(bottom, canvas.shape[0] - tag_h)
    tag_left = min(left, canvas.shape[1] - tag_w)
    draw.rectangle((tag_left, tag_top, tag_left + tag_w, tag_top + tag_h), fill=colors.MISSED)
    draw.text((tag_left + 2 * line - x0, tag_top + 2 * line - y0), "missed", fill=(0, 0, 0), font=font)
    canvas[:] = np.asarray(picture)
