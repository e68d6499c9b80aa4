"""Tables for people: in the terminal while measuring, and as the page `docs/benchmarks.md`.

In: sections of records. Out: text.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence

import segood.compiled
from benchmarks.measure import as_bytes, as_time
from benchmarks.memory import read_bandwidth
from benchmarks.results import (
    DeploymentRun,
    FirstCall,
    ForwardSetting,
    Point,
    Record,
    Requirement,
    Section,
    ThreadUse,
)
from segood.runs import describe_environment

CURVES = {
    "frame": "Size of the frame (logits → segments + features, 2 % of the pixels flagged)",
    "segments": "Number of segments (1024×2048, always 2 % of the pixels)",
    "pixels": "Pixels streamed into `PixelMetrics`, two million per update",
}


def number(value: float) -> str:
    """Write a ratio or difference with three digits.

    Example:
        >>> number(0.75), number(234.5), number(1.2e-9), number(0)
        ('0.75', '234', '1.2e-09', '0')
    """
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}" if abs(value) >= 1e-3 else f"{value:.2g}"


def reached(row: Requirement) -> str:
    """Write what was measured, with its quartiles."""
    text = number(row.measured) + row.unit
    if row.spread is not None:
        text += f" ({number(row.spread[0])}–{number(row.spread[1])})"
    return text


def required(row: Requirement) -> str:
    """Write what must be reached."""
    text = f"{'≥' if row.at_least else '≤'} {number(row.limit)}{row.unit}"
    return text if row.aim is None else f"{text}, aim {number(row.aim)}"


def columns(record: Record) -> dict[str, str]:
    """Return a record as a row of its table."""
    if isinstance(record, Requirement):
        return {
            "what": record.what,
            "segood": record.ours,
            "peer": record.peer,
            "measured (quartiles)": reached(record),
            "must be": required(record),
            "met": "yes" if record.met else "**no**",
            "note": record.note,
        }
    if isinstance(record, Point):
        return {
            "size": record.label,
            "time": as_time(record.seconds),
            "floor": f"{as_time(record.floor_seconds)} ({record.floor_of})",
            "time / floor": number(record.seconds / record.floor_seconds),
            "peak extra memory": as_bytes(record.peak_bytes),
        }
    if isinstance(record, FirstCall):
        return {
            "engine": record.engine,
            "kernels": record.kernels,
            "first call": as_time(record.first_seconds),
            "later calls": as_time(record.later_seconds),
        }
    if isinstance(record, ForwardSetting):
        return _forward_columns(record)
    if isinstance(record, DeploymentRun):
        return _deployment_columns(record)
    return {
        "setting": record.setting,
        "frames per second": number(record.frames_per_second),
        "threads of the process": str(record.os_threads),
        "threads added by the calls": str(record.added_threads),
    }


def _forward_columns(record: ForwardSetting) -> dict[str, str]:
    row = {"network": record.network, "setting": record.setting}
    numbers = dict.fromkeys(("time", "time / float32 (quartiles)", "entropy: largest (mean) difference"), "–")
    if record.seconds is not None and record.ratio is not None and record.spread is not None:
        low, high = record.spread
        values = (as_time(record.seconds), f"{number(record.ratio)} ({number(low)}–{number(high)})")
        numbers = dict(zip(numbers, (*values, "–"), strict=True))
    if record.largest is not None and record.mean is not None:
        numbers["entropy: largest (mean) difference"] = f"{number(record.largest)} ({number(record.mean)})"
    return {**row, **numbers, "note": record.note}


def _deployment_columns(record: DeploymentRun) -> dict[str, str]:
    scores = {
        name: "–" if value is None else f"{value:.3f}"
        for name, value in (
            ("AUROC", record.auroc),
            ("AP", record.average_precision),
            ("FPR95", record.fpr95),
        )
    }
    return {
        "data set (frames)": record.data,
        "runtime": record.runtime,
        "network per frame": as_time(record.network_seconds),
        "file": "–" if record.graph_bytes is None else as_bytes(record.graph_bytes),
        **scores,
    }


def markdown_table(records: Sequence[Record]) -> str:
    """Return the records, all of one kind, as a table in Markdown."""
    rows = [columns(record) for record in records]
    lines = [list(rows[0]), ["---"] * len(rows[0]), *(list(row.values()) for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def text_lines(records: Iterable[Record]) -> Iterator[str]:
    """Yield one line per record for the terminal."""
    for record in records:
        if isinstance(record, Requirement):
            mark = "ok  " if record.met else "MISS"
            yield f"  {mark} {record.what}"
            yield f"         {reached(record)}   must be {required(record)}"
            yield f"         {record.ours} | {record.peer} | {record.note}".rstrip(" |")
        else:
            yield "  " + " | ".join(f"{name}: {text}" for name, text in columns(record).items())


def render(sections: Mapping[str, Section], picture: str) -> str:
    """Return the page."""
    records = [record for section in sections.values() for record in section.records]
    requirements = [record for record in records if isinstance(record, Requirement)]
    points = [record for record in records if isinstance(record, Point)]
    calls = [record for record in records if isinstance(record, FirstCall)]
    threads = [record for record in records if isinstance(record, ThreadUse)]
    forward = [record for record in records if isinstance(record, ForwardSetting)]
    deployed = [record for record in records if isinstance(record, DeploymentRun)]
    met = sum(row.met for row in requirements)
    parts = [
        "# Speed and memory\n",
        "Written by `make bench`; do not edit.\n",
        _machine(sum(section.seconds for section in sections.values())),
        f"![Share of each limit that is used; growth of cost]({picture})\n",
        f"## What must be reached: {met} of {len(requirements)} met\n",
        _HOW,
    ]
    if requirements:
        parts.append(markdown_table(requirements))
    parts.append("## How cost grows\n")
    parts.append(_FLOOR)
    for curve, title in CURVES.items():
        if of_curve := [point for point in points if point.curve == curve]:
            parts += [f"### {title}\n", markdown_table(of_curve)]
    if calls:
        parts += ["## The first call\n", _FIRST_CALL, markdown_table(calls)]
    if threads:
        parts += ["## Threads\n", _THREADS, markdown_table(threads)]
    if forward:
        parts += ["## Forward: precision and speed\n", _FORWARD, markdown_table(forward)]
    if deployed:
        parts += ["## A bundle against PyTorch: runtime and precision\n", _DEPLOYED, markdown_table(deployed)]
    parts += ["## GPU\n", "Nothing has been measured on a GPU yet.\n"]
    return "\n".join(parts)


def _machine(seconds: float) -> str:
    facts = describe_environment()
    packages = {**facts["packages"], **_numba_version()}
    versions = ", ".join(f"{name} {version}" for name, version in packages.items())
    kernel = ".".join(platform.release().split(".")[:2])
    return (
        f"- Date: {facts['created'][:10]}, in {as_time(seconds)}\n"
        f"- Machine: {facts['processor']}, {_memory()}{platform.system()} {kernel}\n"
        f"- Memory is read at {read_bandwidth() / 1e9:.1f} GB/s"
        " (PyTorch's sum of 512 MiB on all threads, best of 10)\n"
        f"- Threads: {segood.compiled.num_threads()};"
        f" kernels {'on' if segood.compiled.kernels_enabled() else 'off'}\n"
        f"- Versions: Python {facts['python']}, {versions}\n"
    )


def _numba_version() -> dict[str, str]:
    from importlib import metadata

    try:
        return {"numba": metadata.version("numba")}
    except metadata.PackageNotFoundError:
        return {}


def _memory() -> str:
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB, "
    except (ValueError, OSError, AttributeError):
        return ""


_HOW = """\
Ours and the peer run in turns in one process, after one call of each to warm up. Times are medians, a ratio
is that of the medians, in parentheses the quartiles of the ratios of the single rounds. Peak extra memory is
how far a fresh process grows beyond what it held right before the call, results and native allocations
included.
"""

_FLOOR = """\
Every point comes from a fresh process, after a small call to warm up. The floor is physics: the bytes that
must be moved (in parentheses) at the bandwidth above. For a frame these are the logits, read once, and score
map and labels, written once; for pixels a float32 score and a uint8 target.
"""

_FIRST_CALL = """\
Each in a fresh process, on a small input. Kernels are compiled at the first call and kept on disk; where no
folder can be written, they are compiled in every process, and nothing else changes. Importing Numba, about
half a second, is part of a first call with kernels.
"""

_FORWARD = """\
The options of `segood.models.Inference`, through `predict_logits`, against plain float32 on the same network
and frame. The normalised entropy lies in [0,1], and segments are where it reaches a threshold such as 0.7. A
first call compiles, with empty caches. What the options mean: [inference.md](inference.md).
"""

_DEPLOYED = """\
espnetv2 2.0 with its published weights, frames and labels resized to 1024×512, all labelled pixels pooled,
score normalised entropy, threads as above. 8-bit ranges come from training frames of CamVid; weights per
channel, convolutions only.
"""

_THREADS = """\
One setting: `segood.set_num_threads` or `SEGOOD_NUM_THREADS`; by default what PyTorch uses, and one in the
workers of a `DataLoader`. Measured on 1024×2048 frames.
"""
