"""Score maps on disk, as the SegmentMeIfYouCan benchmark exchanges them.

In: a network and a data set. Out: `anomaly_p/{method}/{dataset}/{frame}.hdf5`, one float16 (H,W)
array named `value` each, at the size of the frame.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np

from segood.data.dataset import SegmentationDataset
from segood.errors import DataError
from segood.files import atomic_path
from segood.progress import Progress, no_progress
from segood.scores import get_score

if TYPE_CHECKING:
    from segood.models import SegmentationModel


def export_scores(
    model: SegmentationModel,
    dataset: SegmentationDataset,
    out: str | Path,
    *,
    score: str = "entropy",
    method: str | None = None,
    progress: Progress = no_progress,
) -> Path:
    """Write one score map per frame; those that exist already are kept.

    Args:
        model: the network.
        dataset: its frames; labels are not needed.
        out: folder that gets `anomaly_p/…`.
        score: name of the score.
        method: name of the method's folder; the score's name if not given.
        progress: see `segood.progress.Progress`.

    Returns:
        The folder of this method and data set.
    """
    compute = get_score(score)
    folder = Path(out) / "anomaly_p" / (method or score) / dataset.name
    tick = progress(f"{dataset.title}: {compute.title}", len(dataset))
    for index, record in enumerate(dataset.records):
        path = folder / f"{record.sample_id}.hdf5"
        if not path.exists():
            logits = model.predict_logits(dataset[index].image)
            write_score_map(path, compute(logits=logits[None])[0].cpu().numpy())
        tick()
    return folder


def write_score_map(path: str | Path, score: np.ndarray) -> None:
    """Write a (H,W) score map as float16 under the name `value`, atomically."""
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        file.create_dataset("value", data=score.astype(np.float16), compression="gzip", compression_opts=4)


def read_score_map(path: str | Path) -> np.ndarray:
    """Return the (H,W) float32 score map of a file that `write_score_map` or the benchmark wrote.

    Raises:
        DataError: the file is missing, no HDF5, or has no two-dimensional array `value`.
    """
    try:
        with h5py.File(path, "r") as file:
            score = np.asarray(file["value"], dtype=np.float32)
    except (OSError, KeyError) as error:
        raise DataError(f"{path}: not a score map (HDF5 with an array `value`): {error}") from error
    if score.ndim != 2:
        raise DataError(f"{path}: `value` must have shape (H,W); it has {score.shape}")
    return score
