"""Feed a parser many bad inputs, in a process of its own whose memory, time and output are bounded.

In: attacks. An attack prepares whole files in a folder and returns a function that makes one case from a
random generator and feeds it to the parser. Out: a `Report`: how many cases, how fast, and every fault. A
fault is anything but a `SegoodError` in one short printable line: another exception, a warning, a crash,
something on stdout or stderr, more than `CASE_SECONDS` of processor time or `CASE_MEMORY` for one case.

Every case has its own generator, made of seed and number, so that it can be repeated alone:

    python -m tests.hostile.fuzzing MODULE ATTACK --first NUMBER --cases 1 --seed SEED
"""

from __future__ import annotations

import argparse
import dataclasses
import faulthandler
import json
import mmap
import random
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from segood.errors import SegoodError

Case = Callable[[random.Random], object]
Attack = Callable[[Path], Case]

CASE_SECONDS = 10.0
CASE_MEMORY = 2**30
STUCK_SECONDS = 120.0
"""After so long without progress, in which not even a signal got through, the process ends itself."""
LONGEST_LINE = 1000
MOST_FAULTS = 25

FORMS = [300, pytest.param(100_000, marks=[pytest.mark.long, pytest.mark.timeout(3600)])]
"""How many cases: the quick form, and the long one for `make test-long`."""


class TooSlowError(BaseException):
    """A case has used up its processor time; no `except Exception` holds this back."""


class BadLineError(Exception):
    """A `SegoodError` says what is wrong in a way that nobody should have to read."""


@dataclass
class Report:
    """What became of the cases of one attack.

    Attributes:
        attack: its name.
        cases: how many.
        seconds: for all of them.
        processor: seconds of processor time, which other programs do not lengthen.
        accepted, refused: cases that the parser took, and those it refused with a `SegoodError`.
        faults: by place and kind: the number of the first such case and its traceback.
    """

    attack: str
    cases: int
    seconds: float = 0.0
    processor: float = 0.0
    accepted: int = 0
    refused: int = 0
    faults: dict[str, tuple[int, str]] = field(default_factory=dict)

    def __str__(self) -> str:
        rate = self.cases / max(self.processor, 1e-9)
        return (
            f"{self.attack}: {self.cases} cases in {self.seconds:.1f} s ({self.processor:.1f} s of the "
            f"processor, {rate:.0f}/s), {self.accepted} accepted, {self.refused} refused, "
            f"{len(self.faults)} faults"
        )


def survive(module: str, cases: int, folder: Path, *, seed: int = 1, slower: int = 1) -> None:
    """Run all attacks of a module in another process, and fail on any fault.

    Args:
        module: name of a module of this package, with a dict `ATTACKS` of attacks by name.
        cases: per attack; for attacks whose name ends in `(slow)` a share of it.
        folder: for files.
        seed: of all cases.
        slower: by what the number of cases of slow attacks is divided.
    """
    command = [
        sys.executable,
        "-m",
        "tests.hostile.fuzzing",
        module,
        "--cases",
        str(cases),
        "--seed",
        str(seed),
    ]
    command += ["--folder", str(folder), "--slower", str(slower)]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, errors="replace", check=False)
    found = [Report(**r) for r in json.loads((folder / "report.json").read_text())]
    for report in found:
        print(report)  # noqa: T201 - `pytest -s` shows how fast a parser was
    told = done.stdout + done.stderr
    if done.returncode != 0:
        at = struct.unpack("<q", (folder / "progress").read_bytes())[0]
        name = (folder / "attack").read_text()
        raise AssertionError(f"{module} {name} died with {done.returncode} in case {at}: {told[-8000:]}")
    assert told == "", f"{module} printed something: {told[:4000]}"
    for report in found:
        for place, (index, trace) in report.faults.items():
            told += f"\n{report.attack}, case {index} of seed {seed}: {place}\n{trace}"
        # neither everything nor nothing may pass, else the cases test little
        assert report.faults or (report.accepted and report.refused), str(report)
    assert told == "", f"{module}: {told}"


def run_attack(name: str, attack: Attack, folder: Path, numbers: range, seed: int, at: mmap.mmap) -> Report:
    """Run cases in this process, within bounds."""
    report = Report(name, len(numbers))
    case = attack(folder)
    signal.signal(signal.SIGPROF, _too_slow)
    _allow_memory(CASE_MEMORY)
    start, used = time.perf_counter(), time.process_time()
    alive = start
    faulthandler.dump_traceback_later(STUCK_SECONDS, exit=True)
    for number in numbers:
        struct.pack_into("<q", at, 0, number)
        draw = random.Random(f"{seed}/{number}")
        try:
            signal.setitimer(signal.ITIMER_PROF, CASE_SECONDS)
            try:
                case(draw)
                report.accepted += 1
            except SegoodError as error:
                _check_line(error)
                report.refused += 1
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
        except (Exception, TooSlowError) as error:
            report.faults.setdefault(
                _place(error), (number, "".join(traceback.format_exception(error))[-4000:])
            )
            if len(report.faults) == MOST_FAULTS:
                break
        if time.perf_counter() - alive > 1:
            alive = time.perf_counter()
            faulthandler.dump_traceback_later(STUCK_SECONDS, exit=True)
    faulthandler.cancel_dump_traceback_later()
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    report.seconds, report.processor = time.perf_counter() - start, time.process_time() - used
    return report


def _too_slow(number: int, frame: FrameType | None) -> None:
    raise TooSlowError(f"more than {CASE_SECONDS:g} s of processor time")


def _allow_memory(more: int) -> None:
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + more, resource.RLIM_INFINITY))


def _check_line(error: SegoodError) -> None:
    line = str(error)
    if not (line and line.isprintable() and len(line) <= LONGEST_LINE):
        raise BadLineError(f"{type(error).__name__} is no short printable line: {line[:300]!r}") from error


def _place(error: BaseException) -> str:
    """Return what tells a fault from others: where within segood, and what."""
    looked_at: BaseException = (
        error.__cause__ if isinstance(error, BadLineError) and error.__cause__ else error
    )
    frames = traceback.extract_tb(looked_at.__traceback__)
    inner = [f for f in frames if "/segood/" in f.filename] or list(frames)
    kind = (
        f"{type(error).__name__}: {type(looked_at).__name__}"
        if looked_at is not error
        else type(error).__name__
    )
    return f"{Path(inner[-1].filename).name}:{inner[-1].lineno} {kind}"


def main() -> None:
    """Run the attacks of a module, as `survive` asks for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("module")
    parser.add_argument("attack", nargs="?")
    parser.add_argument("--cases", type=int, default=300)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--slower", type=int, default=1)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="hostile-"))
    warnings.simplefilter("error")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    (folder / "progress").write_bytes(struct.pack("<q", -1))
    reports: list[Any] = []
    (folder / "report.json").write_text("[]")
    attacks: dict[str, Attack] = import_module(f"tests.hostile.{given.module}").ATTACKS
    with (folder / "progress").open("r+b") as file, mmap.mmap(file.fileno(), 8) as at:
        for name, attack in attacks.items():
            if given.attack not in (None, name):
                continue
            (folder / "attack").write_text(name)
            place = folder / str(len(reports))
            place.mkdir(exist_ok=True)
            cases = given.cases // given.slower if name.endswith("(slow)") else given.cases
            numbers = range(given.first, given.first + cases)
            report = run_attack(name, attack, place, numbers, given.seed, at)
            reports.append(dataclasses.asdict(report))
            (folder / "report.json").write_text(json.dumps(reports))
            if given.folder is None:
                for fault, (number, trace) in report.faults.items():
                    print(f"case {number}: {fault}\n{trace}")  # noqa: T201
                print(report)  # noqa: T201


if __name__ == "__main__":
    main()
