"""Every frame through every network once: score maps and segments of all methods.

In: methods made ready, a test set. Out: files in the `Store`s. A forward pass is shared by all scores that
can share it; frames that are there already are not computed again.
What is stored is what is evaluated: segments come from the float16 map.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from segood.errors import OutputError, SegoodError
from segood.evaluation.comparison.methods import Method
from segood.evaluation.comparison.sources import Frames
from segood.evaluation.comparison.store import FrameSegments, Store
from segood.evaluation.comparison.tuning import half
from segood.evaluation.gallery import GalleryFrame, load_gallery_frame, save_gallery_frame
from segood.evaluation.segment import match_segments
from segood.progress import Progress
from segood.segments import extract_segments
from segood.types import IGNORE

if TYPE_CHECKING:
    from segood.models import SegmentationModel


@dataclass
class Job:
    """A method on a data set.

    Attributes:
        method: made ready.
        store: its files.
        thresholds: that segments are extracted at, none where the method has none.
        undefined: why it stopped on this data set; else None.
    """

    method: Method
    store: Store
    thresholds: tuple[float, ...]
    undefined: str | None = None


def score_frames(
    network: str,
    model: SegmentationModel,
    frames: Frames,
    jobs: Sequence[Job],
    progress: Progress,
    pictures: Path,
) -> None:
    """Compute what is missing of one network's methods on one data set.

    A method that fails on a frame (`SegoodError`) keeps the reason in `undefined` and is left out from then
    on; the others go on.

    Args:
        network: its key.
        model: the network.
        frames: the data set.
        jobs: methods of this network that can be used.
        progress: see `segood.progress.Progress`.
        pictures: folder of the data set's pictures, which is removed before anything is computed: they would
            show what was made in another way, also where this process ends before it renews them.
    """
    has_begun = False
    tick = progress(f"{network} on {frames.dataset.title}", len(frames))
    for position, sample_id in enumerate(frames.sample_ids):
        missing = [j for j in jobs if j.undefined is None and not j.store.has(sample_id)]
        if missing:
            if not has_begun:
                shutil.rmtree(pictures, ignore_errors=True)
                has_begun = True
            try:
                _score_frame(model, frames, position, missing)
            except OutputError:
                raise
            except SegoodError as error:  # the frame itself: unreadable, sizes that differ
                for job in missing:
                    job.undefined = str(error)
        tick()


def _score_frame(model: SegmentationModel, frames: Frames, position: int, jobs: Sequence[Job]) -> None:
    sample = frames[position]
    target = frames.target(position)
    scores = [j.method.score for j in jobs if j.method.score is not None]
    observation = frames.observe(model, sample.image, target.shape, scores)
    for job in jobs:
        try:
            found, milliseconds = _timed_score(job.method, observation)
            segments = _segments(job, observation, found, target, sample.sample_id)
            table = pd.concat(segments, ignore_index=True) if segments else pd.DataFrame()
            ground_truth = match_segments(np.zeros(target.shape, np.int32), target).num_ground_truth
            job.store.save(sample.sample_id, found, FrameSegments(table, ground_truth, milliseconds))
        except OutputError:
            raise
        except SegoodError as error:
            job.undefined = f"frame {sample.sample_id}: {error}"


def _timed_score(method: Method, observation: Any) -> tuple[np.ndarray, float]:
    """Return the map as stored, and how long it took, with the shared forward where it is needed."""
    assert method.score is not None
    shared = 0.0
    if "dropout" not in method.score.needs:
        observation.logits()
        shared = observation.forward_seconds or 0.0
    start = time.perf_counter()
    found = half(method.score.of(observation))
    return found, 1000 * (shared + time.perf_counter() - start)


def _segments(
    job: Job, observation: Any, score: np.ndarray, target: np.ndarray, sample_id: str
) -> list[pd.DataFrame]:
    tables = []
    for threshold in job.thresholds:
        found = extract_segments(
            logits=observation.logits(),
            score_map=score.astype(np.float32),
            threshold=threshold,
            ignore=target == IGNORE,
        )
        match = match_segments(found.labels, target)
        rows = pd.concat([found.features, match.segments], axis=1)
        rows["ground_truth"] = match.touched
        rows.insert(0, "segment", rows.index.to_numpy())
        rows.insert(0, "sample_id", sample_id)
        rows.insert(0, "threshold", float(threshold))
        tables.append(rows)
    return tables


def keep_pictures(
    folder: Path,
    frames: Frames,
    positions: Sequence[int],
    main: Callable[[str], Method | None],
    models: dict[str, SegmentationModel],
) -> None:
    """Keep some frames for the figures: image, truth, and the main score and segments of each network.

    Args:
        folder: `gallery/` of the comparison.
        frames: the data set.
        positions: of the frames.
        main: the main method of a network by the network's key, or None.
        models: networks by key.
    """
    for position in positions:
        path = folder / frames.key / f"{frames.indices[position]:04d}.npz"
        if _has_picture(path, frames.sample_ids[position]):
            continue
        sample = frames[position]
        assert sample.target is not None, "test sets have labels"
        maps, labels, limits = {}, {}, (0.0, 1.0)
        for key, model in models.items():
            method = main(key)
            if method is None or method.score is None or method.threshold is None:
                continue
            observation = frames.observe(model, sample.image, sample.target.shape, [method.score])
            maps[key] = half(method.score.of(observation)).astype(np.float32)
            limits = method.score.range
            labels[key] = extract_segments(
                logits=observation.logits(), score_map=maps[key], threshold=method.threshold
            ).labels
        if maps:
            save_gallery_frame(path, GalleryFrame.start(sample).with_models(maps, labels, limits))


def _has_picture(path: Path, sample_id: str) -> bool:
    try:
        return load_gallery_frame(path).sample_id == sample_id
    except SegoodError:
        return False
