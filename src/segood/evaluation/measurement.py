"""An evaluation in pieces that processes share and an interruption keeps.

In: what to evaluate, a work folder. Out: one file per piece, some neighbouring frames of a data set, and at
the end the results of all of them. Which frames make a piece depends on the data set alone, so the results
are the same whoever measured which piece, and when. A work folder belongs to the very networks, data and
configuration.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from segood import runs
from segood.data.dataset import SegmentationDataset
from segood.errors import DataError
from segood.evaluation.config import EvaluationConfig
from segood.evaluation.describe import weights_hash
from segood.evaluation.frame_parts import ClosedSetPart, DatasetPart
from segood.evaluation.plain_state import load_state, save_state
from segood.evaluation.results import ClosedSetResult
from segood.evaluation.runner import Measured, closed_results, summed_up
from segood.progress import Progress
from segood.segments.region import Region

if TYPE_CHECKING:
    from segood.models import SegmentationModel

FORMAT = 1
"""Raised whenever the same input gives other pieces."""
MOST_FRAMES = 16
"""Frames of a piece: what a process loses when it is killed; small data sets have smaller pieces."""


class Piece(NamedTuple):
    """Frames start … stop - 1 of a data set; `is_closed` for one of the original task."""

    key: str
    is_closed: bool
    start: int
    stop: int


@dataclass(frozen=True)
class Measurement:
    """Everything opened, nothing measured yet.

    Attributes:
        config: what to evaluate.
        networks: by key.
        opened: OoD test sets by key.
        closed: data sets of the original task by key.
        region: see `segood.evaluation.runner.measure_dataset`.
    """

    config: EvaluationConfig
    networks: Mapping[str, SegmentationModel]
    opened: Mapping[str, SegmentationDataset]
    closed: Mapping[str, SegmentationDataset]
    region: Region | None

    def fingerprint(self) -> str:
        """Return what tells the pieces of this measurement from others, hexadecimal; hashes all data."""
        config = dataclasses.asdict(self.config)
        config.pop("meta")  # works on the pieces' sum
        stands_for: dict[str, Any] = {
            "format": FORMAT,
            "segood": runs.describe_environment()["packages"].get("segood"),
            "config": config,
            "region": None if self.region is None else self.region.to_dict(),
            "networks": {
                key: [weights_hash(m), m.preprocessing.to_dict(), m.inference.to_dict()]
                for key, m in self.networks.items()
            },
            "data": {
                key: [item.content_hash(), item.resolution, item.protocol]
                for key, item in {**self.opened, **self.closed}.items()
            },
        }
        text = json.dumps(runs.as_stored(stands_for), sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def pieces(self) -> list[Piece]:
        """Return all pieces, in the order of the results."""
        return [
            Piece(key, is_closed, start, min(start + size, len(dataset)))
            for is_closed, datasets in ((False, self.opened), (True, self.closed))
            for key, dataset in datasets.items()
            for size in (max(1, min(MOST_FRAMES, -(-len(dataset) // 32))),)
            for start in range(0, len(dataset), size)
        ]

    def measure(self, work: Path, rank: int, processes: int, ticks: Mapping[str, Callable[[], None]]) -> None:
        """Measure every `processes`-th piece that is not there yet.

        Args:
            work: folder of the pieces.
            rank: of this process.
            processes: how many there are.
            ticks: per data set, called after every frame of this process, and for those that are there.
        """
        for piece in self.pieces()[rank::processes]:
            tick = ticks[piece.key]
            frames = range(piece.start, piece.stop)
            if is_whole(path_of(work, piece)):
                for _ in frames:
                    tick()
                continue
            part = self._part(piece)
            if isinstance(part, ClosedSetPart):
                part.measure(self.closed[piece.key], frames, self.networks, tick)
            else:
                part.measure(self.opened[piece.key], frames, self.networks, work / runs.GALLERY, tick)
            save_state(path_of(work, piece), part.state())

    def results(self, work: Path, exploration: Path) -> tuple[list[Measured], list[ClosedSetResult]]:
        """Put all pieces together.

        Args:
            work: folder of the pieces.
            exploration: folder for the segment tables of other thresholds.

        Raises:
            DataError: a piece is missing or damaged.
        """
        wholes: dict[tuple[str, bool], DatasetPart | ClosedSetPart] = {}
        for piece in self.pieces():
            place = (piece.key, piece.is_closed)
            if place not in wholes:
                wholes[place] = self._part(piece)
            wholes[place].add_state(load_state(path_of(work, piece)))
        measured = [
            summed_up(part, self.opened[key], exploration)
            for (key, _), part in wholes.items()
            if isinstance(part, DatasetPart)
        ]
        closed = [
            result
            for (key, _), part in wholes.items()
            if isinstance(part, ClosedSetPart)
            for result in closed_results(part, self.closed[key], self.networks)
        ]
        return measured, closed

    def _part(self, piece: Piece) -> DatasetPart | ClosedSetPart:
        if piece.is_closed:
            return ClosedSetPart(piece.key, list(self.networks), self.config)
        return DatasetPart(piece.key, list(self.networks), self.config, self.region, explores=True)

    def bars(self, progress: Progress) -> Mapping[str, Callable[[], None]]:
        """Return a bar for each data set, which appears with its first frame."""
        both = {**self.opened, **self.closed}
        return {key: _late(progress, item.title, len(item)) for key, item in both.items()}


def path_of(work: Path, piece: Piece) -> Path:
    """Return where a piece is kept."""
    kind = "closed_set" if piece.is_closed else "datasets"
    return work / kind / piece.key / f"{piece.start:06d}-{piece.stop:06d}.npz"


def is_whole(path: Path) -> bool:
    """Return whether a piece is there and can be read."""
    with contextlib.suppress(DataError):
        load_state(path)
        return True
    return False


def _late(progress: Progress, title: str, count: int) -> Callable[[], None]:
    """Begin to tell progress with the first item."""
    begun: list[Callable[[], None]] = []

    def tick() -> None:
        if not begun:
            begun.append(progress(title, count))
        begun[0]()

    return tick
