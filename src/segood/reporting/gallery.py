"""The gallery's frames as pictures and facts for the page.

In: `.npz` frames and the table of segments. Out: `GalleryItem`s with WebP data URIs, in file order, as
many and as large as the size budget allows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from segood.errors import DataError
from segood.evaluation.gallery import GalleryFrame, load_gallery_frame
from segood.reporting.colors import colorize
from segood.reporting.overlays import draw_overlay, missed_boxes
from segood.reporting.pictures import data_uri, encode_webp
from segood.types import OUT_OF_DISTRIBUTION

MAX_FRAMES = 100
SIZE_BUDGET = 14_000_000
"""Bytes of pictures before base64 (which adds a third); Plotly takes another 5 MB of the page's 25."""
LADDER = ((640, 76), (640, 60), (512, 60), (448, 50), (384, 45))
"""Widths and WebP qualities, tried in this order until the budget holds."""


@dataclass(frozen=True)
class Panel:
    """One picture of a frame: `kind` is image, score or segments."""

    kind: str
    title: str
    alt: str
    uri: str
    width: int
    height: int


@dataclass(frozen=True)
class FrameFacts:
    """Counts of one frame: objects in the picture as stored, segments of the last model from the table."""

    objects: int
    missed: int
    kept_rightly: int
    kept_wrongly: int
    removed_rightly: int
    removed_wrongly: int


@dataclass(frozen=True)
class GalleryItem:
    """One frame of the page; `score_range` holds the scores drawn darkest and brightest."""

    dataset: str
    sample_id: str
    size: str
    facts: FrameFacts
    score_range: tuple[float, float]
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Gallery:
    """All frames of the page, and what was left out for which reason."""

    items: tuple[GalleryItem, ...] = ()
    width: int = 0
    num_available: int = 0
    notes: tuple[str, ...] = field(default=())

    @property
    def score_range(self) -> tuple[float, float] | None:
        """Scores drawn darkest and brightest, where they are the same in all frames."""
        ranges = {item.score_range for item in self.items}
        return ranges.pop() if len(ranges) == 1 else None


def build_gallery(
    paths: dict[str, list[Path]],
    segments: pd.DataFrame | None,
    titles: dict[str, str],
    *,
    score: str = "entropy",
    max_frames: int = MAX_FRAMES,
    budget: int = SIZE_BUDGET,
) -> Gallery:
    """Draw and encode the frames of a run.

    Args:
        paths: `.npz` files per data set.
        segments: rows of `segments.parquet`, or `None`.
        titles: model key -> title, in the order to show; only these are shown.
        score: what the score maps are called.
        max_frames: most frames shown; more are sampled evenly over each data set.
        budget: most bytes of encoded pictures; width and quality fall until it holds.
    """
    available = sum(map(len, paths.values()))
    chosen = _sample(paths, max_frames)
    notes = (
        []
        if len(chosen) == available
        else [f"{len(chosen)} of {available} frames are shown, sampled evenly."]
    )
    share = budget / max(1, len(chosen))
    width, quality = LADDER[0]
    for width, quality in LADDER:
        encoded, broken, used = [], [], 0
        for dataset, path in chosen:
            try:
                frame = load_gallery_frame(path)
                item, size = _item(dataset, frame, segments, titles, score, width, quality)
            except DataError as error:
                broken.append(f"A frame is left out: {error}")
                continue
            encoded.append(item)
            used += size
            if len(encoded) >= 5 and used > 1.25 * share * len(encoded):
                break  # clearly too large: no need to encode the rest first
        else:
            if used <= budget:
                break
    return Gallery(tuple(encoded), width, available, tuple(notes + broken))


def _sample(paths: dict[str, list[Path]], limit: int) -> list[tuple[str, Path]]:
    everything = [(dataset, path) for dataset, files in paths.items() for path in files]
    if len(everything) <= limit:
        return everything
    return [everything[i] for i in np.unique(np.linspace(0, len(everything) - 1, limit).round().astype(int))]


def _item(
    dataset: str,
    frame: GalleryFrame,
    segments: pd.DataFrame | None,
    titles: dict[str, str],
    score: str,
    width: int,
    quality: int,
) -> tuple[GalleryItem, int]:
    keys = [key for key in titles if key in frame.scores or key in frame.labels] or sorted(frame.scores)
    last = next((key for key in reversed(keys) if key in frame.labels), None)
    where = f"frame {frame.sample_id}"
    pictures = [("image", "Image", f"Camera image, {where}", frame.image)]
    for key in keys:
        if key in frame.scores:
            name = f"{score.capitalize()}: {titles.get(key, key)}"
            pictures.append(("score", name, f"{name}, {where}; bright is high", colorize(frame.scores[key])))
    labels = frame.labels[last] if last else np.zeros(frame.target.shape, np.int32)
    ids, removed, wrong = _decisions(segments, dataset, frame, last, labels)
    facts = _facts(labels, ids, removed, wrong, frame.target)
    title = f"Segments: {titles.get(last, last)}" if last else "Ground truth"
    alt = (
        f"{title}, {where}: {facts.kept_rightly + facts.kept_wrongly} segments kept,"
        f" {facts.removed_rightly + facts.removed_wrongly} removed,"
        f" {facts.missed} of {facts.objects} objects missed"
    )
    overlay = draw_overlay(frame.image, labels if last else None, removed, frame.target, false_alarms=wrong)
    pictures.append(("segments", title, alt, overlay))
    panels, used = [], 0
    for kind, name, alt, picture in pictures:
        webp = encode_webp(picture, max_width=width, quality=quality)
        used += len(webp)
        shown = min(width, picture.shape[1])
        panels.append(
            Panel(kind, name, alt, data_uri(webp), shown, round(picture.shape[0] * shown / picture.shape[1]))
        )
    size = f"{frame.width} × {frame.height}"
    return GalleryItem(dataset, frame.sample_id, size, facts, (frame.low, frame.high), tuple(panels)), used


def _decisions(
    segments: pd.DataFrame | None, dataset: str, frame: GalleryFrame, model: str | None, labels: np.ndarray
) -> tuple[set[int], set[int], set[int]]:
    """Return all ids, those removed, those without object: from the table if it knows, else the picture."""
    ids = set(np.unique(labels[labels > 0]).tolist())
    wrong = ids - set(np.unique(labels[frame.target == OUT_OF_DISTRIBUTION]).tolist())
    if segments is None or model is None:
        return ids, set(), wrong
    here = (segments["model"] == model) & (segments["dataset"] == dataset)
    rows = segments[here & (segments["sample_id"] == frame.sample_id)]
    if len(rows) == 0:
        return ids, set(), wrong
    removed = rows.loc[rows["removed"].fillna(False).astype(bool), "segment"]
    false_alarms = rows.loc[rows["is_false_positive"].astype(bool), "segment"]
    return set(rows["segment"].tolist()), set(removed.tolist()), set(false_alarms.tolist())


def _facts(
    labels: np.ndarray, ids: set[int], removed: set[int], wrong: set[int], target: np.ndarray
) -> FrameFacts:
    return FrameFacts(
        objects=len(missed_boxes(np.zeros_like(labels), (), target)),
        missed=len(missed_boxes(labels, removed, target)),
        kept_rightly=len(ids - removed - wrong),
        kept_wrongly=len((ids - removed) & wrong),
        removed_rightly=len(ids & removed & wrong),
        removed_wrongly=len((ids & removed) - wrong),
    )
