"""The gallery's frames as pictures and facts for the page.

In: `.npz` frames, the table of segments, if there is one the exploration. Out: `GalleryItem`s with WebP data
URIs, in file order, as many and as large as the size budget allows. Where the exploration knows a frame,
segments lie over the picture as shapes that can be moved and selected; else they are drawn into a picture.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from segood.errors import DataError
from segood.evaluation.exploration import Exploration, ShownFrame
from segood.evaluation.gallery import GalleryFrame, load_gallery_frame
from segood.reporting.colors import colorize
from segood.reporting.explore.overlay import FrameFacts, Overlay, draw_frame
from segood.reporting.explore.pictures import frame_decisions, frame_facts, truth_map
from segood.reporting.explore.sampling import MAX_FRAMES, sample_frames
from segood.reporting.overlays import draw_overlay
from segood.reporting.pictures import data_uri, encode_webp
from segood.types import IGNORE

SIZE_BUDGET = 14_000_000
"""Bytes of pictures before base64 (which adds a third); Plotly takes another 5 MB of the page's 25."""
LADDER = ((640, 76), (640, 60), (512, 60), (448, 50), (384, 45), (320, 40), (256, 35))
"""Widths and WebP qualities, tried in this order until the budget holds."""


@dataclass(frozen=True)
class Panel:
    """One picture of a frame: `kind` is image, score, segments or truth."""

    kind: str
    title: str
    alt: str
    uri: str
    width: int
    height: int


@dataclass(frozen=True)
class GalleryItem:
    """One frame of the page.

    Attributes:
        dataset, sample_id, size: which frame, and its labels' size in words.
        has_truth: some pixel is labelled; without, no segment is called right or wrong.
        facts: objects in the picture as stored, segments of the last model.
        score_range: the scores drawn darkest and brightest.
        panels: pictures in the order to show.
        overlay: shapes over the panel of the segments; None where they are drawn into it.
    """

    dataset: str
    sample_id: str
    size: str
    has_truth: bool
    facts: FrameFacts
    score_range: tuple[float, float]
    panels: tuple[Panel, ...]
    overlay: Overlay | None = None


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
    exploration: Exploration | None = None,
) -> Gallery:
    """Draw and encode the frames of a run.

    Args:
        paths: `.npz` files per data set.
        segments: rows of `segments.parquet`, or `None`.
        titles: model key -> title, in the order to show; only these are shown.
        score: what the score maps are called.
        max_frames: most frames shown; more are sampled evenly over each data set.
        budget: most bytes of encoded pictures; width and quality fall until it holds.
        exploration: segments as shapes.
    """
    available = sum(map(len, paths.values()))
    chosen = [(k, path) for k, files in sample_frames(paths, max_frames).items() for path in files]
    notes = (
        []
        if len(chosen) == available
        else [f"{len(chosen):,} of {available:,} frames are shown, sampled evenly."]
    )
    draw = _Drawing(segments, titles, score, exploration)
    share = budget / max(1, len(chosen))
    width, quality = LADDER[0]
    for width, quality in LADDER:
        encoded, broken, used = [], [], 0
        for dataset, path in chosen:
            try:
                item, size = draw.item(dataset, load_gallery_frame(path), width, quality)
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


@dataclass(frozen=True)
class _Drawing:
    """What all frames are drawn with."""

    segments: pd.DataFrame | None
    titles: dict[str, str]
    score: str
    exploration: Exploration | None

    def item(self, dataset: str, frame: GalleryFrame, width: int, quality: int) -> tuple[GalleryItem, int]:
        """Draw one frame; return it and the bytes of its pictures."""
        shown = self._shown(dataset, frame)
        keys = [k for k in self.titles if k in frame.scores or k in frame.labels] or sorted(frame.scores)
        last = next((k for k in reversed(keys) if k in (shown.segments if shown else frame.labels)), None)
        where = f"frame {frame.sample_id}"
        has_truth = bool((frame.target != IGNORE).any())
        pictures = [] if shown else [("image", "Frame", f"Camera image, {where}", frame.image)]
        for key in keys:
            if key in frame.scores:
                name = f"{self.score.capitalize()}: {self.titles.get(key, key)}"
                picture = colorize(frame.scores[key])
                pictures.append(("score", name, f"{name}, {where}; bright is high", picture))
        if shown:
            assert self.exploration is not None
            overlay: Overlay | None = draw_frame(self.exploration, shown, last, truth=has_truth)
            assert overlay is not None
            facts, picture = overlay.facts, frame.image
        else:
            overlay = None
            facts, picture = self._drawn(dataset, frame, last, has_truth)
        title = f"Segments: {self.titles.get(last, last)}" if last else "Objects"
        pictures.append(("segments", title, f"{title}, {where}: {facts_in_words(facts, has_truth)}", picture))
        if has_truth:
            words = f"Ground truth, {where}: {facts.objects} unknown objects"
            pictures.append(("truth", "Ground truth", words, truth_map(frame.target)))
        panels, used = [], 0
        for kind, name, alt, picture in pictures:
            webp = encode_webp(picture, max_width=width, quality=quality)
            used += len(webp)
            columns = min(width, picture.shape[1])
            rows = round(picture.shape[0] * columns / picture.shape[1])
            panels.append(Panel(kind, name, alt, data_uri(webp), columns, rows))
        item = GalleryItem(
            dataset, frame.sample_id, f"{frame.width} × {frame.height}", has_truth, facts,
            (frame.low, frame.high), tuple(panels), overlay,
        )  # fmt: skip
        return item, used

    def _shown(self, dataset: str, frame: GalleryFrame) -> ShownFrame | None:
        frames = self.exploration.frames if self.exploration else []
        return next((f for f in frames if (f.dataset, f.sample_id) == (dataset, frame.sample_id)), None)

    def _drawn(
        self, dataset: str, frame: GalleryFrame, model: str | None, has_truth: bool
    ) -> tuple[FrameFacts, np.ndarray]:
        labels = frame.labels[model] if model else np.zeros(frame.target.shape, np.int32)
        ids, removed, wrong = frame_decisions(self.segments, dataset, frame, model, labels)
        facts = frame_facts(labels, ids, removed, wrong if has_truth else set(), frame.target)
        if not has_truth:
            facts = replace(facts, removed_rightly=len(ids & removed), removed_wrongly=0)
        picture = draw_overlay(
            frame.image,
            labels if model else None,
            removed,
            frame.target if has_truth else None,
            false_alarms=wrong if has_truth else None,
        )
        return facts, picture


def facts_in_words(facts: FrameFacts, has_truth: bool) -> str:
    """Return what became of the segments and objects of a frame."""
    kept = facts.kept_rightly + facts.kept_wrongly
    removed = facts.removed_rightly + facts.removed_wrongly
    words = f"{kept} segments kept, {removed} removed"
    return f"{words}, {facts.missed} of {facts.objects} objects missed" if has_truth else words
