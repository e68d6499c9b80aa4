"""Frames kept for the report: image, truth, and each network's scores and segments, reduced.

In: full-size arrays of one frame. Out: one `.npz` file per frame, at most `MAX_COLUMNS` wide.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from segood.data import Sample
from segood.errors import DataError
from segood.files import atomic_path

MAX_COLUMNS = 1024


@dataclass(frozen=True)
class GalleryFrame:
    """One frame as the report shows it.

    Attributes:
        sample_id: of the data set.
        height, width: size of the original labels.
        image: uint8 (h,w,3).
        target: uint8 (h,w): 0, 1, 255.
        scores: per model key uint8 (h,w): the score, clipped to [low, high], mapped to 0..255.
        labels: per model key int32 (h,w): segment ids of `segments.parquet`, 0 none.
        low, high: scores shown as 0 and as 255, the same for all models of the frame.
    """

    sample_id: str
    height: int
    width: int
    image: np.ndarray
    target: np.ndarray
    scores: Mapping[str, np.ndarray] = field(default_factory=dict)
    labels: Mapping[str, np.ndarray] = field(default_factory=dict)
    low: float = 0.0
    high: float = 1.0

    @classmethod
    def start(cls, sample: Sample) -> GalleryFrame:
        """Begin with image and truth; networks are added with `with_models`."""
        assert sample.target is not None, "gallery frames have labels"
        height, width = sample.target.shape
        columns = min(width, MAX_COLUMNS)
        rows = round(height * columns / width)
        image = Image.fromarray(sample.image).resize((columns, rows), Image.Resampling.BILINEAR)
        frame = cls(sample.sample_id, height, width, np.asarray(image), np.empty((rows, columns), np.uint8))
        return dataclasses.replace(frame, target=frame.reduce(sample.target))

    def with_models(
        self,
        score_maps: Mapping[str, np.ndarray],
        labels: Mapping[str, np.ndarray],
        score_range: tuple[float, float] = (0.0, 1.0),
    ) -> GalleryFrame:
        """Return the frame with what the networks say.

        Args:
            score_maps: per model key float (H,W).
            labels: per model key int32 (H,W), segment ids.
            score_range: of the score; where it is not [0, 1], the picture's limits are the 1 % and 99 %
                quantiles over this frame and all its models: such scores use little of their range.
        """
        low, high = 0.0, 1.0
        if tuple(score_range) != (0.0, 1.0):
            low, high = (float(v) for v in np.quantile(np.stack(list(score_maps.values())), (0.01, 0.99)))
            high = high if high > low else low + 1.0
        scores = {
            key: np.round(255 * np.clip((self.reduce(full) - low) / (high - low), 0, 1)).astype(np.uint8)
            for key, full in score_maps.items()
        }
        reduced = {key: self.reduce(full) for key, full in labels.items()}
        return dataclasses.replace(self, scores=scores, labels=reduced, low=low, high=high)

    def reduce(self, full: np.ndarray) -> np.ndarray:
        """Return a map of the labels' size (H,W) at the picture's (h,w): every pixel is one of the map's."""
        rows, columns = self.target.shape
        r = (np.arange(rows) * full.shape[0]) // rows
        c = (np.arange(columns) * full.shape[1]) // columns
        return full[np.ix_(r, c)]


def save_gallery_frame(path: str | Path, frame: GalleryFrame) -> None:
    """Write one frame as a compressed `.npz`, atomically."""
    arrays = {f"score_{key}": value for key, value in frame.scores.items()}
    arrays |= {f"labels_{key}": value for key, value in frame.labels.items()}
    with atomic_path(path) as temporary:
        np.savez_compressed(
            temporary,
            allow_pickle=False,
            image=frame.image,
            target=frame.target,
            sample_id=np.asarray(frame.sample_id),
            height=np.asarray(frame.height),
            width=np.asarray(frame.width),
            low=np.asarray(frame.low),
            high=np.asarray(frame.high),
            **arrays,
        )


def load_gallery_frame(path: str | Path) -> GalleryFrame:
    """Read what `save_gallery_frame` wrote.

    Raises:
        DataError: the file is missing or not a gallery frame.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            return GalleryFrame(
                str(stored["sample_id"]),
                int(stored["height"]),
                int(stored["width"]),
                stored["image"],
                stored["target"],
                {name[6:]: stored[name] for name in stored.files if name.startswith("score_")},
                {name[7:]: stored[name] for name in stored.files if name.startswith("labels_")},
                float(stored["low"]) if "low" in stored.files else 0.0,
                float(stored["high"]) if "high" in stored.files else 1.0,
            )
    except (OSError, KeyError, ValueError) as error:
        raise DataError(f"{path}: not a gallery frame ({error}); run `segood evaluate` again") from error
