"""Score maps on disk, as the SegmentMeIfYouCan benchmark exchanges them.

In: a network and a data set. Out: `anomaly_p/{method}/{dataset}/{frame}.hdf5`, one float16 (H,W)
array named `value` each, at the size of the frame, or at the size that the data set resizes frames to.
The file's attributes say what made it (see `export_scores`); readers of the benchmark ignore them.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np

from segood import runs
from segood.data.dataset import SegmentationDataset
from segood.errors import DataError, UsageError, one_line
from segood.evaluation.describe import weights_hash
from segood.evaluation.map_values import read_value
from segood.evaluation.processes import ALONE, Team, wait_for
from segood.files import write_bytes
from segood.models.observation import observe
from segood.progress import Progress, no_progress
from segood.scores import get_score, score_class
from segood.scores.registry import score_identity

if TYPE_CHECKING:
    from segood.models import SegmentationModel


def export_scores(
    model: SegmentationModel,
    dataset: SegmentationDataset,
    out: str | Path,
    *,
    score: str = "entropy",
    method: str | None = None,
    team: Team = ALONE,
    progress: Progress = no_progress,
) -> Path:
    """Write one score map per frame; those that exist already and were made the same way are kept.

    The attributes of a file: `weights_sha256` (see `weights_hash`), `preprocessing` of the network,
    `score`, and `resolution`: `frame`, or the size frames were resized to.

    Args:
        model: the network.
        dataset: its frames; labels are not needed. With `resize`, maps have that size; the benchmark
            wants the frames' own.
        out: folder that gets `anomaly_p/…`.
        score: name of the score, or the import path of yours, see `segood.scores.get_score`.
        method: name of the method's folder; the score's name if not given.
        team: where several processes call this alike, this one's place: each writes its share of the files.
        progress: see `segood.progress.Progress`.

    Returns:
        The folder of this method and data set.

    Raises:
        UsageError: a file that exists was made by another network, score or size, or does not say by
            which; none is written then. Or the score cannot be had of the network, or needs fitting, or
            another process writes there.
        DataError: a file that exists is no score map.
    """
    folder = score_folder(dataset, out, score, method)
    tick = progress(
        f"{dataset.title}: {get_score(score).title}", len(dataset.records[team.rank :: team.processes])
    )
    with runs.locked(folder) if team.rank == 0 else contextlib.nullcontext():
        write_share(model, dataset, folder, score, team, tick)
        if team.rank == 0:
            wait_for([folder / f"{record.sample_id}.hdf5" for record in dataset.records])
    return folder


def score_folder(
    dataset: SegmentationDataset, out: str | Path, score: str = "entropy", method: str | None = None
) -> Path:
    """Return where the score maps of a data set lie."""
    return Path(out) / "anomaly_p" / (method or score_class(score).name) / dataset.name


def write_share(
    model: SegmentationModel,
    dataset: SegmentationDataset,
    folder: Path,
    score: str,
    team: Team,
    tick: Callable[[], None],
) -> None:
    """Write the score maps of every `team.processes`-th frame that are not there; see `export_scores`."""
    compute = get_score(score)
    compute.check_fitted()
    made_by = {
        "weights_sha256": weights_hash(model),
        "preprocessing": json.dumps(model.preprocessing.to_dict(), sort_keys=True),
        "score": score_identity(score),
        "resolution": "frame" if dataset.resize is None else dataset.resolution,
    }
    paths = [folder / f"{record.sample_id}.hdf5" for record in dataset.records]
    for path in paths:
        _check_same_maker(path, made_by)
    for index in range(team.rank, len(paths), team.processes):
        if not paths[index].exists():
            seen = observe(model, dataset[index].image, scores=[compute])
            write_score_map(paths[index], compute.of(seen).cpu().numpy(), made_by)
        tick()


def _check_same_maker(path: Path, made_by: Mapping[str, str]) -> None:
    if not path.exists():
        return
    try:
        with h5py.File(path, "r") as file:
            found = {name: file.attrs.get(name) for name in made_by}
    except Exception as error:  # h5py raises whatever the damaged byte leads to
        raise DataError(f"{path}: not a score map ({one_line(error)}); remove it") from error
    other = [name for name, value in made_by.items() if found[name] != value]
    if other:
        how = "does not say what made it" if None in found.values() else f"was made with another {other[0]}"
        raise UsageError(f"{path} {how}; give another --method or --out, or remove the folder {path.parent}")


def write_score_map(path: str | Path, score: np.ndarray, made_by: Mapping[str, str] | None = None) -> None:
    """Write a (H,W) score map as float16 under the name `value`, atomically.

    Args:
        path: the file.
        score: (H,W), any floating point.
        made_by: attributes of the file.
    """
    content = io.BytesIO()  # on a full disk HDF5 itself prints tracebacks
    with h5py.File(content, "w") as file:
        file.create_dataset("value", data=score.astype(np.float16), compression="gzip", compression_opts=4)
        file.attrs.update(made_by or {})
    write_bytes(path, content.getvalue())


def read_score_map(path: str | Path) -> np.ndarray:
    """Return the (H,W) float32 score map of a file that `write_score_map` or the benchmark wrote.

    Raises:
        DataError: the file is missing, no HDF5, or has no two-dimensional array `value`.
    """
    with np.errstate(over="ignore"):  # what float32 cannot hold is infinite
        return read_value(path, "write it anew").astype(np.float32)
