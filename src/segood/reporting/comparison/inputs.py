"""What the folder of a comparison holds, read as far as it is there.

In: the folder that `segood compare` wrote, or one with the `results.json` of `segood evaluate --scores`.
Out: `ComparisonParts`, with one sentence per part that is not there.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from segood import runs
from segood.documents import read_yaml
from segood.errors import DataError
from segood.evaluation.comparison.results import ComparisonResults
from segood.reporting.comparison.figures import RESULTS

EXTERNAL = "external"
"""The network that `segood evaluate --scores` gives to score maps of others."""
_CONFIG_KEYS = {"models", "scores", "datasets"}
_FOLDERS = ("anomaly_p", "methods")


@dataclass(frozen=True)
class ComparisonParts:
    """A comparison; `gallery` has the stored frames per data set, `missing` a sentence per missing part."""

    folder: Path
    results: ComparisonResults
    gallery: dict[str, list[Path]]
    missing: tuple[str, ...]

    @property
    def external(self) -> bool:
        """Whether only score maps were measured, those of others."""
        return is_external(self.results)


def is_external(results: ComparisonResults) -> bool:
    """Tell whether the results are those of score maps that others wrote."""
    return bool(results.networks) and all(network.key == EXTERNAL for network in results.networks)


def is_comparison(folder: str | Path) -> bool:
    """Tell whether a folder is that of a comparison, finished or not, and not that of a run.

    Example:
        >>> is_comparison("nowhere")
        False
    """
    folder = Path(folder)
    if (folder / runs.METRICS).exists():
        return False
    return (folder / RESULTS).exists() or _interrupted(folder)


def read_comparison(folder: str | Path) -> ComparisonParts:
    """Read the parts of a comparison.

    Args:
        folder: with `results.json`, and `gallery/{dataset}/*.npz` where frames were kept.

    Raises:
        DataError: no such folder, a comparison that was interrupted, results of another format.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; give the folder that `segood compare` wrote")
    if not (folder / RESULTS).exists() and _interrupted(folder):
        raise DataError(
            f"{folder}: this comparison was interrupted before {RESULTS} was written: nothing to show yet; "
            "run the same `segood compare` again, it goes on where it stopped"
        )
    results = ComparisonResults.load(folder / RESULTS)
    gallery = _gallery(folder, results)
    return ComparisonParts(folder, results, gallery, tuple(_missing(results, gallery)))


def _interrupted(folder: Path) -> bool:
    """Tell a comparison without results by what it writes first."""
    if not (folder / runs.CONFIG).exists():
        return False
    if all((folder / name).is_dir() for name in _FOLDERS):
        return True
    try:
        config = read_yaml(folder / runs.CONFIG)
    except DataError:
        return False
    return isinstance(config, dict) and set(config) >= _CONFIG_KEYS


def _gallery(folder: Path, results: ComparisonResults) -> dict[str, list[Path]]:
    """Return the stored frames of the data sets compared; those of earlier configurations are left out."""
    root = folder / runs.GALLERY
    found = {one.info.key: sorted((root / one.info.key).glob("*.npz")) for one in results.datasets}
    return {key: paths for key, paths in found.items() if paths}


def _missing(results: ComparisonResults, gallery: dict[str, list[Path]]) -> list[str]:
    if is_external(results):
        return [
            "only score maps were given: no segments before and after meta classification, no times, "
            "no frames; `segood compare` measures those, too"
        ]
    lines = []
    if not results.rows:
        lines.append("no method was measured on any test set: the tables are empty")
    without = [one.info.title for one in results.datasets if one.info.key not in gallery]
    if without:
        lines.append(
            f"{runs.GALLERY}/ holds no frame of {', '.join(without)}: no pictures; run `segood compare` "
            "again with gallery_frames above 0"
        )
    return lines
