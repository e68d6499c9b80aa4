"""Score maps of any method on disk, in the folders of the SegmentMeIfYouCan benchmark.

In: a folder, the ids of a data set's frames. Out: the methods found, the file of each frame, the maps.
Accepted are `anomaly_p/METHOD/DATASET/FRAME.hdf5`, `METHOD/DATASET/FRAME.hdf5`, `DATASET/FRAME.hdf5` and the
frames' files alone; FRAME is a sample id or its last part, DATASET segood's name of the data set or the only
folder with maps of these frames. Each file holds one array (H,W) named `value`, of any floating-point type.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segood.data.registry import DATASETS
from segood.errors import DataError, UsageError
from segood.evaluation.map_values import read_value

SUFFIX = ".hdf5"
BENCHMARK = "anomaly_p"


@dataclass(frozen=True)
class MapFolder:
    """The files of one method for one data set.

    Attributes:
        method: name of the method.
        paths: file of each frame, by sample id; frames without one are missing.
        extra: files that belong to no frame.
    """

    method: str
    paths: dict[str, Path]
    extra: tuple[Path, ...] = ()

    def check_complete(self, sample_ids: Sequence[str]) -> None:
        """Raise `DataError` where a frame has no map; the first one is named."""
        missing = [sample_id for sample_id in sample_ids if sample_id not in self.paths]
        if missing:
            raise DataError(
                f"no score map for {len(missing)} of {len(sample_ids)} frames (first: {missing[0]}); "
                f"write {_file_name(missing[0])}, or evaluate a split whose maps are there"
            )


def find_methods(
    directory: str | Path, dataset_name: str, sample_ids: Sequence[str]
) -> dict[str, MapFolder | DataError]:
    """Find the methods below a folder that have maps for a data set.

    Args:
        directory: see the module's header.
        dataset_name: name of the data set in the registry.
        sample_ids: of its frames.

    Returns:
        By method, sorted: its files, or the error that says why they cannot be told.

    Raises:
        UsageError: the folder does not exist.
        DataError: it holds no score map of these frames.
    """
    root = Path(directory)
    if not root.is_dir():
        raise UsageError(f"score folder {root} does not exist; give the folder that holds {BENCHMARK}/")
    names = _names(sample_ids)
    whole = root.resolve()
    if _holds_maps(root, names):
        method = whole.parent.name if whole.name == dataset_name else whole.name
        return {method: _pair(method, root, names)}
    top = root / BENCHMARK if (root / BENCHMARK).is_dir() else root
    if _holds_maps(top / dataset_name, names):
        return {whole.name: _pair(whole.name, top / dataset_name, names)}
    found: dict[str, MapFolder | DataError] = {}
    for folder in [*_folders(top), whole]:
        if folder == whole and found:
            break  # only where it holds no methods is it taken for one
        try:
            chosen = _choose(folder, dataset_name, names)
        except DataError as error:
            found[folder.name] = error
            continue
        if chosen is not None:
            found[folder.name] = chosen
    if not found:
        raise DataError(
            f"{root}: no score map of {dataset_name} found; expected {BENCHMARK}/METHOD/{dataset_name}/"
            f"{_file_name(sample_ids[0])}"
        )
    return dict(sorted(found.items()))


def read_map(path: str | Path) -> np.ndarray:
    """Return the (H,W) score map of a file in its own floating-point type.

    Raises:
        DataError: the file is missing, no HDF5, or has no two-dimensional floating-point array `value`.
    """
    score = read_value(path, "write it anew")
    if score.dtype.kind != "f":
        raise DataError(
            f"{path}: `value` must be floating point of shape (H,W); it is {score.dtype} {score.shape}"
        )
    return score.astype(score.dtype.newbyteorder("="), copy=False)


def _names(sample_ids: Sequence[str]) -> dict[str, str]:
    """Return by the name a file may have the sample id it stands for: the id, or its last part if unique."""
    short = Counter(sample_id.rsplit("/", 1)[-1] for sample_id in sample_ids)
    names = {s.rsplit("/", 1)[-1]: s for s in sample_ids if short[s.rsplit("/", 1)[-1]] == 1}
    return {**names, **{sample_id: sample_id for sample_id in sample_ids}}


def _pair(method: str, folder: Path, names: dict[str, str]) -> MapFolder:
    paths: dict[str, Path] = {}
    extra = []
    for file in sorted(folder.rglob(f"*{SUFFIX}")):
        sample_id = names.get(file.relative_to(folder).as_posix().removesuffix(SUFFIX))
        if sample_id is None or sample_id in paths:
            extra.append(file)
        else:
            paths[sample_id] = file
    return MapFolder(method, paths, tuple(extra))


def _holds_maps(folder: Path, names: dict[str, str]) -> bool:
    return any((folder / f"{name}{SUFFIX}").is_file() for name in names)


def _choose(folder: Path, dataset_name: str, names: dict[str, str]) -> MapFolder | None:
    """Return the files of one method: those in the folder of the data set; None where there are none."""
    named = folder / dataset_name
    others = [f for f in _folders(folder) if f.name not in DATASETS]  # maps of those are of other frames
    holding = [named] if named.is_dir() else [f for f in others if _holds_maps(f, names)]
    if len(holding) > 1:
        raise DataError(
            f"{folder.name}: the folders {', '.join(f.name for f in holding)} all hold maps of "
            f"{dataset_name}; rename one to {dataset_name}, or give the folder itself"
        )
    return _pair(folder.name, holding[0], names) if holding else None


def _folders(folder: Path) -> list[Path]:
    return sorted(f for f in folder.iterdir() if f.is_dir() and not f.name.startswith("."))


def _file_name(sample_id: str) -> str:
    return sample_id.rsplit("/", 1)[-1] + SUFFIX
