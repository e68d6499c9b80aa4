"""What a run directory holds, read as far as it is there.

In: the folder of a run. Out: `RunParts` with what could be read and one sentence per part that
could not, so that a report of a run that broke half-way says so.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from segood import runs
from segood.errors import DataError
from segood.evaluation.results import RunResults
from segood.evaluation.segment_tables import read_table


@dataclass(frozen=True)
class RunParts:
    """The parts of one run; `None` or empty where missing, with a sentence in `missing`."""

    folder: Path
    results: RunResults | None
    segments: pd.DataFrame | None
    gallery: dict[str, list[Path]]
    config: str | None
    environment: dict[str, Any] | None
    missing: tuple[str, ...]


def read_run(run_dir: str | Path) -> RunParts:
    """Read the parts of a run directory.

    Args:
        run_dir: folder as laid out in `segood.runs`.

    Raises:
        DataError: no such folder, or nothing of a run in it.
    """
    folder = Path(run_dir)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such run directory; give the folder that `segood evaluate` wrote")
    missing: list[str] = []
    results = _results(folder, missing)
    segments = _segments(folder, missing)
    gallery = _gallery(folder, missing)
    if results is not None and results.segment and not results.meta_models:
        missing.append("no fitted meta classifier in this run: its coefficients cannot be shown")
    config = _config(folder, missing)
    environment = _json(folder / runs.ENVIRONMENT, missing, "versions and machine are unknown")
    if results is None and segments is None and not gallery and config is None and environment is None:
        raise DataError(
            f"{folder}: not a run directory (no {runs.METRICS}, {runs.CONFIG} or {runs.GALLERY}/);"
            " give the folder that `segood evaluate` wrote"
        )
    return RunParts(folder, results, segments, gallery, config, environment, tuple(missing))


def _results(folder: Path, missing: list[str]) -> RunResults | None:
    if not (folder / runs.METRICS).exists():
        missing.append(f"{runs.METRICS} is missing: no numbers, tables and curves; run `segood evaluate`")
        return None
    try:
        return RunResults.load(folder / runs.METRICS)
    except DataError as error:
        missing.append(f"{runs.METRICS} cannot be read: no numbers, tables and curves ({error})")
        return None


def _segments(folder: Path, missing: list[str]) -> pd.DataFrame | None:
    path = folder / runs.SEGMENTS
    if not path.exists():
        missing.append(f"{runs.SEGMENTS} is missing: the gallery cannot say which segments were removed")
        return None
    try:
        table = read_table(path, "evaluate the run again")
    except DataError as error:
        missing.append(f"{runs.SEGMENTS} cannot be read ({_first_line(error)})")
        return None
    needed = {"model", "dataset", "sample_id", "segment", "is_false_positive", "removed"}
    if needed - set(table.columns):
        missing.append(f"{runs.SEGMENTS} lacks the columns {', '.join(sorted(needed - set(table.columns)))}")
        return None
    return table


def _gallery(folder: Path, missing: list[str]) -> dict[str, list[Path]]:
    root = folder / runs.GALLERY
    found = (
        {p.name: sorted(p.glob("*.npz")) for p in sorted(root.iterdir()) if p.is_dir()}
        if root.is_dir()
        else {}
    )
    found = {name: paths for name, paths in found.items() if paths}
    if not found:
        missing.append(f"{runs.GALLERY}/ holds no frame: no pictures")
    return found


def _json(path: Path, missing: list[str], consequence: str) -> dict[str, Any] | None:
    if not path.exists():
        missing.append(f"{path.name} is missing: {consequence}")
        return None
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        missing.append(f"{path.name} cannot be read ({_first_line(error)}): {consequence}")
        return None
    return value if isinstance(value, dict) else {"value": value}


def _config(folder: Path, missing: list[str]) -> str | None:
    path = folder / runs.CONFIG
    if not path.exists():
        missing.append(f"{runs.CONFIG} is missing: the configuration is unknown")
        return None
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        missing.append(f"{runs.CONFIG} cannot be read ({_first_line(error)})")
        return None


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
