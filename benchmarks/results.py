"""What a benchmark finds: one record per line of a table, kept as JSON until the page is written.

In: records. Out: `runs/benchmarks/SECTION.json`, so that an interrupted run need not start again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from segood.files import write_json

KEPT = Path("runs/benchmarks")


@dataclass(frozen=True)
class Requirement:
    """One line of what speed and memory must be.

    Attributes:
        what: the work, with its size.
        ours, peer: what was measured, in words: time or memory.
        measured: the number that is held against the limit.
        limit: what it must reach.
        unit: of both, appended to the number: "×", " MB", " s", " %", or nothing.
        at_least: more is better.
        aim: what it should reach beyond the limit.
        spread: quartiles of `measured` over the rounds.
        note: how it was measured, where that is not obvious.
    """

    what: str
    ours: str
    peer: str
    measured: float
    limit: float
    unit: str = ""
    at_least: bool = False
    aim: float | None = None
    spread: tuple[float, float] | None = None
    note: str = ""

    @property
    def met(self) -> bool:
        """Tell whether the limit is kept."""
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit

    @property
    def used(self) -> float:
        """Share of the limit that is used: at most 1 where it is kept, whatever the direction."""
        return self.limit / self.measured if self.at_least else self.measured / self.limit


@dataclass(frozen=True)
class Point:
    """One size on a curve of growing cost; seconds, bytes."""

    curve: str
    size: float
    label: str
    seconds: float
    peak_bytes: int
    floor_seconds: float
    floor_of: str


@dataclass(frozen=True)
class FirstCall:
    """Seconds of the first and of a later call of an engine in a fresh process."""

    engine: str
    kernels: str
    first_seconds: float
    later_seconds: float


@dataclass(frozen=True)
class ThreadUse:
    """Frames per second with some threads, and how many threads a process held."""

    setting: str
    frames_per_second: float
    os_threads: int
    added_threads: int


@dataclass(frozen=True)
class ForwardSetting:
    """A network's forward in one setting.

    Attributes:
        network: network, weights, size of the image, device if it is not the CPU.
        setting: memory format, precision, compiled or not.
        seconds: median; None where the setting is impossible here.
        ratio: to the seconds of plain float32.
        spread: quartiles of the rounds' ratios.
        largest, mean: difference of the normalised entropy to that of plain float32, over the pixels;
            None for plain float32 itself.
        note: what else is to be known; why it is impossible.
    """

    network: str
    setting: str
    seconds: float | None = None
    ratio: float | None = None
    spread: tuple[float, float] | None = None
    largest: float | None = None
    mean: float | None = None
    note: str = ""


@dataclass(frozen=True)
class DeploymentRun:
    """A network in one runtime and precision on one data set.

    Attributes:
        data: data set and number of frames.
        runtime: and precision.
        network_seconds: median per frame.
        graph_bytes: of the ONNX file; None for PyTorch.
        auroc, average_precision, fpr95: of the normalised entropy, all labelled pixels pooled.
    """

    data: str
    runtime: str
    network_seconds: float
    graph_bytes: int | None
    auroc: float | None
    average_precision: float | None
    fpr95: float | None


Record = Requirement | Point | FirstCall | ThreadUse | ForwardSetting | DeploymentRun


@dataclass(frozen=True)
class Section:
    """The records of one benchmark and how long it took."""

    name: str
    records: tuple[Record, ...]
    seconds: float


_KINDS = {
    kind.__name__: kind for kind in (Requirement, Point, FirstCall, ThreadUse, ForwardSetting, DeploymentRun)
}


def keep(section: Section, folder: Path = KEPT) -> None:
    """Write a section."""
    records = [{"kind": type(record).__name__, **asdict(record)} for record in section.records]
    write_json(
        folder / f"{section.name}.json",
        {"name": section.name, "seconds": section.seconds, "records": records},
    )


def kept(names: Sequence[str], folder: Path = KEPT) -> dict[str, Section]:
    """Return those of the sections that were kept, in the order of `names`."""
    sections = {}
    for path in (folder / f"{name}.json" for name in names):
        if path.exists():
            stored = json.loads(path.read_text(encoding="utf-8"))
            records = tuple(_record(**record) for record in stored["records"])
            sections[stored["name"]] = Section(stored["name"], records, stored["seconds"])
    return sections


def _record(kind: str, **values: object) -> Record:
    if isinstance(values.get("spread"), list):
        values["spread"] = tuple(values["spread"])  # type: ignore[arg-type]
    record: Record = _KINDS[kind](**values)  # type: ignore[arg-type]
    return record
