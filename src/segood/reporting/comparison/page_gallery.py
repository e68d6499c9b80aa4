"""Stored frames of a comparison: what every network makes of the same frame, to blink and to split.

In: frames of `gallery/` (main score, segments at its threshold before meta classification). Out:
`ComparedFrame`s with WebP pictures and the outlines of objects as SVG paths, as large as the budget allows.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from segood.errors import DataError
from segood.evaluation.gallery import GalleryFrame, load_gallery_frame
from segood.reporting.colors import colorize
from segood.reporting.comparison.blocks import dataset_title, network_title
from segood.reporting.comparison.inputs import ComparisonParts
from segood.reporting.formats import count
from segood.reporting.overlays import draw_overlay, missed_boxes
from segood.reporting.pictures import data_uri, encode_webp
from segood.types import OUT_OF_DISTRIBUTION

MAX_FRAMES = 60
SIZE_BUDGET = 13_000_000
"""Bytes of pictures before base64 (which adds a third); Plotly takes another 5 MB of the page's 25."""
LADDER = ((1024, 80), (800, 75), (640, 70), (640, 55), (480, 50), (384, 45))
"""Widths and WebP qualities, tried in this order until the budget holds."""


@dataclass(frozen=True)
class NetworkPictures:
    """What one network says about a frame, as pictures and in words."""

    network: str
    title: str
    score: str
    segments: str
    words: str


@dataclass(frozen=True)
class ComparedFrame:
    """One frame; `outlines` is an SVG path in pixels of `width` × `height`."""

    dataset: str
    title: str
    sample_id: str
    size: str
    width: int
    height: int
    truth: str
    outlines: str
    num_objects: int
    score_range: tuple[float, float]
    networks: tuple[NetworkPictures, ...]


@dataclass(frozen=True)
class ComparedGallery:
    """All frames of the page, the networks to choose from, and what was left out."""

    frames: tuple[ComparedFrame, ...] = ()
    networks: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()


def compared_gallery(
    parts: ComparisonParts, *, max_frames: int = MAX_FRAMES, budget: int = SIZE_BUDGET
) -> ComparedGallery:
    """Draw and encode the stored frames of a comparison.

    Args:
        parts: of `read_comparison`.
        max_frames: most frames shown; more are sampled evenly, which a note says.
        budget: most bytes of encoded pictures; width and quality fall until it holds.
    """
    stored = [(key, path) for key, paths in parts.gallery.items() for path in paths]
    chosen = stored
    notes = []
    if len(stored) > max_frames:
        places = np.unique(np.linspace(0, len(stored) - 1, max_frames).round().astype(int))
        chosen = [stored[i] for i in places]
        notes.append(f"{count(len(chosen))} of {count(len(stored))} frames are shown, sampled evenly.")
    loaded = []
    for key, path in chosen:
        try:
            loaded.append((key, load_gallery_frame(path)))
        except DataError as error:
            notes.append(f"A frame is left out: {error}")
    frames: list[ComparedFrame] = []
    for width, quality in LADDER:
        frames, used = [], 0
        for at, (key, frame) in enumerate(loaded, start=1):
            shown, size = _frame(parts, key, frame, width, quality)
            frames.append(shown)
            used += size
            if used > budget or (at >= 5 and used > 1.3 * budget * at / len(loaded)):
                break  # clearly too large: no need to encode the rest first
        else:
            break
    networks = dict.fromkeys((one.network, one.title) for frame in frames for one in frame.networks)
    return ComparedGallery(tuple(frames), tuple(networks), tuple(notes))


def _frame(
    parts: ComparisonParts, key: str, frame: GalleryFrame, max_width: int, quality: int
) -> tuple[ComparedFrame, int]:
    described = [n.key for n in parts.results.networks if n.key in frame.scores]
    width = min(max_width, frame.target.shape[1])
    height = max(1, round(frame.target.shape[0] * width / frame.target.shape[1]))
    used = 0

    def encode(picture: np.ndarray) -> str:
        nonlocal used
        webp = encode_webp(picture, max_width=max_width, quality=quality)
        used += len(webp)
        return data_uri(webp)

    ood = frame.target == OUT_OF_DISTRIBUTION
    num_objects = len(missed_boxes(np.zeros(frame.target.shape, np.int32), (), frame.target))
    pictures = []
    for network in described or sorted(frame.scores):
        labels = frame.labels.get(network, np.zeros(frame.target.shape, np.int32))
        overlay = draw_overlay(frame.image, labels, (), frame.target)
        pictures.append(
            NetworkPictures(
                network,
                network_title(parts.results, network),
                encode(colorize(frame.scores[network])),
                encode(overlay),
                _words(labels, frame.target, num_objects),
            )
        )
    truth = draw_overlay(frame.image, target=np.where(ood, 0, frame.target).astype(np.uint8))
    shown = ComparedFrame(
        dataset=key,
        title=dataset_title(parts.results, key),
        sample_id=frame.sample_id,
        size=f"{frame.width} × {frame.height}",
        width=width,
        height=height,
        truth=encode(truth),
        outlines=outline_path(ood, width, height),
        num_objects=num_objects,
        score_range=(frame.low, frame.high),
        networks=tuple(pictures),
    )
    return shown, used


def outline_path(mask: np.ndarray, width: int, height: int) -> str:
    """Return the outlines of a mask as an SVG path, scaled to `width` × `height`.

    Example:
        >>> outline_path(np.array([[0, 1, 1], [0, 1, 1]], bool), 3, 2)
        'M1.5 0.5L1.5 1.5L2.5 1.5L2.5 0.5z'
    """
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    scale = np.array([width, height]) / np.array(mask.shape[::-1])
    parts = []
    for contour in contours:
        simple = cv2.approxPolyDP(contour, 0.8, True)
        points = ((simple if len(simple) > 3 else contour)[:, 0] + 0.5) * scale  # a small one would collapse
        parts.append("M" + "L".join(f"{x:.4g} {y:.4g}" for x, y in points.tolist()) + "z")
    return "".join(parts)


def _words(labels: np.ndarray, target: np.ndarray, num_objects: int) -> str:
    ids = set(np.unique(labels[labels > 0]).tolist())
    on_objects = set(np.unique(labels[target == OUT_OF_DISTRIBUTION]).tolist()) - {0}
    missed = len(missed_boxes(labels, (), target))
    found = f"{missed} of {num_objects} objects missed" if num_objects else "no object in this frame"
    return f"{found}, {len(ids - on_objects)} false alarms"
