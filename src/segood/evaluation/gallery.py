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
        scores: per model key uint8 (h,w): round(255 · score), the score clipped to [0, 1].
        labels: per model key int32 (h,w): segment ids of `segments.parquet`, 0 none.
    """

    sample_id: str
    height: int
    width: int
    image: np.ndarray
    target: np.ndarray
    scores: Mapping[str, np.ndarray] = field(default_factory=dict)
    labels: Mapping[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def start(cls, sample: Sample) -> GalleryFrame:
        """Begin with image and truth; networks are added with `with_model`."""
        assert sample.target is not None, "gallery frames have labels"
        height, width = sample.target.shape
        columns = min(width, MAX_COLUMNS)
        rows = round(height * columns / width)
        image = Image.fromarray(sample.image).resize((columns, rows), Image.Resampling.BILINEAR)
        frame = cls(sample.sample_id, height, width, np.asarray(image), np.empty((rows, columns), np.uint8))
        return dataclasses.replace(frame, target=frame._reduce(sample.target))

    def with_model(self, key: str, score_map: np.ndarray, labels: np.ndarray) -> GalleryFrame:
        """Return the frame with one more network's score map (H,W) and segment ids (H,W)."""
        score = np.round(255 * np.clip(score_map, 0, 1)).astype(np.uint8)
        return dataclasses.replace(
            self,
            scores={**self.scores, key: self._reduce(score)},
            labels={**self.labels, key: self._reduce(labels)},
        )

    def _reduce(self, full: np.ndarray) -> np.ndarray:
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
            )
    except (OSError, KeyError, ValueError) as error:
        raise DataError(f"{path}: not a gallery frame ({error}); run `segood evaluate` again") from error
