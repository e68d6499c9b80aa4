"""Which frames of a large gallery a page shows.

In: `.npz` files per data set. Out: as many as fit, evenly over all of them, so that no part of a data set is
missing; and what the files are called inside.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np

from segood.evaluation.results import RunResults
from segood.reporting.formats import count, join_words

MAX_FRAMES = 100


def sample_frames(paths: dict[str, list[Path]], limit: int = MAX_FRAMES) -> dict[str, list[Path]]:
    """Return at most `limit` of the files, evenly over all of them, per data set.

    Example:
        >>> sample_frames({"a": [Path("0"), Path("1"), Path("2")]}, 2)["a"] == [Path("0"), Path("2")]
        True
    """
    everything = [(dataset, path) for dataset, files in paths.items() for path in files]
    if len(everything) > limit:
        places = np.unique(np.linspace(0, len(everything) - 1, limit).round().astype(int))
        everything = [everything[i] for i in places]
    chosen: dict[str, list[Path]] = {}
    for dataset, path in everything:
        chosen.setdefault(dataset, []).append(path)
    return chosen


def kept_in_words(paths: dict[str, list[Path]], results: RunResults) -> tuple[str, ...]:
    """Return of how many of its frames a run keeps pictures, in a sentence; nothing where it keeps all.

    Args:
        paths: `.npz` files per data set.
        results: of the run; a data set that it does not know is left out.

    Example:
        >>> from segood.evaluation.results import DatasetInfo
        >>> street = DatasetInfo("a", "Streets", "", 40, 40, "label", "")
        >>> results = RunResults("run", "", "", None, "", [], [street])
        >>> kept_in_words({"a": [Path("0.npz"), Path("1.npz")]}, results)
        ('The run keeps pictures of 2 of 40 frames of Streets; numbers count all.',)
    """
    kept = [(dataset, len(paths.get(dataset.key, []))) for dataset in results.datasets]
    parts = [
        f"{count(number)} of {count(dataset.num_images)} frames of {dataset.title}"
        for dataset, number in kept
        if 0 < number < dataset.num_images
    ]
    return (f"The run keeps pictures of {join_words(parts)}; numbers count all.",) if parts else ()


def sample_ids(paths: dict[str, list[Path]]) -> list[tuple[str, str]]:
    """Return (data set, sample id) of the files that can be read."""
    found = []
    for dataset, files in paths.items():
        for path in files:
            with contextlib.suppress(OSError, KeyError, ValueError), np.load(path) as stored:
                found.append((dataset, str(stored["sample_id"])))
    return found
