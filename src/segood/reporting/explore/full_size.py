"""Pictures beside the report, as large as they can be had.

In: the frames that a page shows. Out: `report_images/` in the run directory: the frame in its original size
where the data set is still at hand, score maps and segments as the gallery keeps them (at most 1024 columns).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from segood import runs
from segood.errors import DataError, SegoodError
from segood.evaluation.config import stored_evaluation
from segood.evaluation.gallery import GalleryFrame, load_gallery_frame
from segood.reporting.colors import colorize
from segood.reporting.explore.pictures import frame_decisions
from segood.reporting.overlays import draw_overlay
from segood.reporting.pictures import save_picture
from segood.types import IGNORE

FOLDER = "report_images"
QUALITY = 92


@dataclass(frozen=True)
class FullSize:
    """A picture beside the page: what it shows, its address relative to the page, its size in words."""

    title: str
    address: str
    size: str


def write_full_size(
    run: Path, paths: dict[str, list[Path]], segments: pd.DataFrame | None, titles: dict[str, str]
) -> dict[tuple[str, str], tuple[FullSize, ...]]:
    """Write the pictures of the frames into the run directory.

    Args:
        run: run directory.
        paths: `.npz` files per data set, those that the page shows.
        segments: rows of `segments.parquet`, or `None`.
        titles: model key -> title.

    Returns:
        (data set, sample id) -> its pictures; frames that cannot be read are left out.

    Raises:
        OutputError: a picture cannot be written.
    """
    written = {}
    for dataset, files in paths.items():
        original = _originals(run, dataset)
        for path in files:
            try:
                frame = load_gallery_frame(path)
            except DataError:
                continue  # the page says so where it draws the frame
            pictures = _pictures(dataset, frame, segments, titles, original(frame.sample_id))
            stem = f"{_plain(dataset)}/{_plain(path.stem)}"
            written[(dataset, frame.sample_id)] = tuple(
                _save(run, f"{stem}_{_plain(name)}.webp", title, picture) for name, title, picture in pictures
            )
    return written


def _pictures(
    dataset: str,
    frame: GalleryFrame,
    segments: pd.DataFrame | None,
    titles: dict[str, str],
    original: np.ndarray | None,
) -> list[tuple[str, str, np.ndarray]]:
    has_truth = bool((frame.target != IGNORE).any())
    found = [("frame", "frame", frame.image if original is None else original)]
    for key, values in frame.scores.items():
        found.append((f"score_{key}", f"score, {titles.get(key, key)}", colorize(values)))
    for key, labels in frame.labels.items():
        _, removed, wrong = frame_decisions(segments, dataset, frame, key, labels)
        target, false_alarms = (frame.target, wrong) if has_truth else (None, None)
        picture = draw_overlay(frame.image, labels, removed, target, false_alarms=false_alarms)
        found.append((f"segments_{key}", f"segments, {titles.get(key, key)}", picture))
    return found


def _originals(run: Path, dataset: str) -> Callable[[str], np.ndarray | None]:
    """Return a function that reads a frame from the data set; it finds none where that is not at hand."""
    try:
        name = runs.EVALUATION if (run / runs.EVALUATION).exists() else runs.CONFIG
        stored = runs.read_config(run, name)
        raw = stored if name == runs.EVALUATION else stored.get("evaluation", {})
        opened = (
            stored_evaluation({"evaluation": _known(raw)})
            .datasets[dataset]
            .open(stored.get("data_root", "."))
        )
        places = {record.sample_id: index for index, record in enumerate(opened.records)}
    except (SegoodError, KeyError, OSError, TypeError, ValueError):
        return lambda sample_id: None

    def read(sample_id: str) -> np.ndarray | None:
        try:
            return opened[places[sample_id]].image
        except (SegoodError, KeyError, OSError):
            return None

    return read


def _known(raw: dict) -> dict:
    """Leave out what `evaluation.yaml` says beside the evaluation."""
    return {key: value for key, value in raw.items() if key not in ("models", "data_root")}


def _save(run: Path, name: str, title: str, picture: np.ndarray) -> FullSize:
    save_picture(run / FOLDER / name, picture, quality=QUALITY)
    return FullSize(title, f"{FOLDER}/{name}", f"{picture.shape[1]} × {picture.shape[0]}")


def _plain(name: str) -> str:
    """Return a name that is the same in a path and in an address."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", name)
