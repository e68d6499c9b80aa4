"""`python -m benchmarks`: measure, print every line with its limit, write the page.

In: which benchmarks, how large. Out: lines on the terminal; from a full run `docs/benchmarks.md` with its
picture. What was measured is kept under `runs/benchmarks`, so that `--resume` goes on after an interruption.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import (
    command_line,
    data_loading,
    deployment,
    first_call,
    forward,
    growth,
    leave_one_out,
    loss,
    monitor,
    page,
    picture,
    pixel_metrics,
    segments,
    threads,
)
from benchmarks.results import KEPT, Record, Requirement, Section, keep, kept
from segood.files import write_text

SECTIONS: dict[str, Callable[[bool], Sequence[Record]]] = {
    "segments": segments.measure,
    "pixel_metrics": pixel_metrics.measure,
    "leave_one_out": leave_one_out.measure,
    "loss": loss.measure,
    "monitor": monitor.measure,
    "command_line": command_line.measure,
    "data_loading": data_loading.measure,
    "growth": growth.measure,
    "first_call": first_call.measure,
    "threads": threads.measure,
    "forward": forward.measure,
    "deployment": deployment.measure,
}
BUSY = 0.5
"""Load average from which other work disturbs: small parallel steps, as of a network, suffer ten-fold."""


def main(argv: list[str] | None = None) -> int:
    """Measure, print, write; return 0, whatever the numbers say: they depend on the machine."""
    options = _parser().parse_args(argv)
    chosen = options.only or list(SECTIONS)
    done = kept(chosen) if options.resume else {}
    if options.quick:
        _say("tiny inputs: this shows that everything runs, not how fast")
    elif (load := _load_average()) > BUSY:
        _say(f"the machine is busy (load average {load:.1f}): what follows is disturbed")
    for name in chosen:
        if name not in done:
            _say(name)
            start = time.perf_counter()
            records = tuple(SECTIONS[name](options.quick))
            done[name] = Section(name, records, time.perf_counter() - start)
            if not options.quick:
                keep(done[name])
        _say(*page.text_lines(done[name].records), f"  ({done[name].seconds:.0f} s)")
    rows = [record for part in done.values() for record in part.records if isinstance(record, Requirement)]
    _say(f"{sum(row.met for row in rows)} of {len(rows)} limits kept")
    if options.out or not (options.quick or options.only):
        out = options.out or Path("docs")
        sections = {name: done[name] for name in SECTIONS if name in done}
        picture.draw(sections, out / "images" / "benchmarks.svg")
        write_text(out / "benchmarks.md", page.render(sections, "images/benchmarks.svg"))
        _say(f"written: {out / 'benchmarks.md'}")
    return 0


def _load_average() -> float:
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


def _say(*lines: str) -> None:
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="+", choices=list(SECTIONS), metavar="NAME", help=", ".join(SECTIONS))
    parser.add_argument("--quick", action="store_true", help="tiny inputs: does it run, not how fast")
    parser.add_argument("--resume", action="store_true", help=f"keep what an interrupted run left in {KEPT}")
    parser.add_argument(
        "--out", type=Path, help="write the page into this folder; default of a full run: docs"
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
