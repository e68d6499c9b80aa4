"""Score maps written by several processes of this machine.

In: network and data set as configuration. Out: what `export_scores` writes, the same files.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from segood import runs
from segood.data.config import DatasetConfig
from segood.evaluation.processes import Team, work_in_processes
from segood.evaluation.score_maps import score_folder, write_share
from segood.models.config import ModelConfig
from segood.progress import Progress, no_progress
from segood.scores import get_score


class ScoreRequest(NamedTuple):
    """What `segood score` is asked for; another process can be told."""

    model: ModelConfig
    dataset: DatasetConfig
    out: str
    score: str = "entropy"
    method: str | None = None


def export_in_processes(request: ScoreRequest, processes: int, *, progress: Progress = no_progress) -> Path:
    """Write the score maps; see `segood.evaluation.score_maps.export_scores`."""
    dataset = request.dataset.open()
    folder = score_folder(dataset, request.out, request.score, request.method)
    with runs.locked(folder):
        tick = progress(f"{dataset.title}: {get_score(request.score).title}", len(dataset))
        work_in_processes(partial(_work, request, folder), processes, {"frames": tick})
    return folder


def _work(
    request: ScoreRequest, folder: Path, rank: int, processes: int, tick: Callable[[str], None]
) -> None:
    model, dataset = request.model.load_trained(), request.dataset.open()
    write_share(model, dataset, folder, request.score, Team(rank, processes), partial(tick, "frames"))
