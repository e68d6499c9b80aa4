"""Kills a verb at any moment, goes on as its users are told to, and holds against a run that nobody killed.

In: a verb, an uninterrupted run of it, moments. Out: a list of kills; an `AssertionError` where a file is not
whole, finished work is lost or done again, or the end is not that of the uninterrupted run.
"""

from __future__ import annotations

import csv
import logging
import random
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.forks import Attempt, ForkServer
from tests.faults.kill_contents import content, lines_of
from tests.faults.kill_verbs import WHOLE, Verb

_LOG = logging.getLogger(__name__)
KILLS_PER_FOLDER = 4
"""Then the verb is brought to its end, and another folder begun."""


@dataclass
class Whole:
    """An uninterrupted run.

    Attributes:
        verb: the verb.
        seconds: how long it took.
        contents: of all files, by name.
        logged: the numbers in its logs.
    """

    verb: Verb
    seconds: float
    contents: dict[str, Any]
    logged: dict[tuple[str, ...], str]


@dataclass
class Kill:
    """One kill: after which share of an uninterrupted run's time, and how much finished work was there."""

    share: float
    done: int
    phase: str


@dataclass
class Trial:
    """A folder in which a verb is killed and gone on with."""

    server: ForkServer
    whole: Whole
    folder: Path
    kills: list[Kill] = field(default_factory=list)
    finished: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    lines: list[bytes] = field(default_factory=list)

    @classmethod
    def begin(cls, server: ForkServer, whole: Whole, folder: Path) -> Trial:
        """Make a folder, with earlier results where the verb wants some."""
        return cls(server, whole, new_folder(whole.verb, folder))

    @property
    def verb(self) -> Verb:
        """The verb."""
        return self.whole.verb

    def attempt(self, *, delay: float | None = None, fuse: str = "") -> bool:
        """Start or go on, kill after `delay` seconds or by the fuse; return whether it came to its end."""
        start = time.monotonic()
        attempt = self.server.start(self.verb.argv(self.folder), fuse)
        code = attempt.wait() if delay is None else attempt.wait(delay)
        if code is None:
            code = attempt.kill()
        if code >= 0:
            assert code == 0, f"{self.verb.name} in {self.folder}: {attempt.said()}"
            return True
        self._check(attempt)
        share = (time.monotonic() - start) / self.whole.seconds
        phase = "early" if share < 1 / 3 else "midway" if share < 2 / 3 else "late"
        self.kills.append(Kill(share, len(self.finished) + len(self.lines), phase))
        return False

    def killed_at(self, fuse: str) -> None:
        """Start or go on, to where the fuse ends it."""
        assert not self.attempt(fuse=fuse), f"{self.verb.name} never came to {fuse}"

    def end(self) -> None:
        """Go on to the end, and compare with the uninterrupted run."""
        assert self.attempt(), "killed without cause"
        self._check_kept()
        left = [str(p.relative_to(self.folder)) for p in self.folder.rglob("*") if p.name.startswith(".")]
        assert not left, f"left over: {left}"
        contents = read_all(self.verb, self.folder)
        assert sorted(contents) == sorted(self.whole.contents)
        for name, value in self.whole.contents.items():
            assert contents[name] == value, f"{name} differs from that of the uninterrupted run"
        numbers = logged(self.verb, self.folder).items() ^ self.whole.logged.items()
        assert not numbers, f"logged numbers are lost or others: {sorted(numbers)}"

    def _check(self, attempt: Attempt) -> None:
        try:
            read_all(self.verb, self.folder)
        except Exception as error:
            raise AssertionError(f"not whole after a kill: {error!r}; {attempt.said()}") from error
        self._check_kept()

    def _check_kept(self) -> None:
        """Hold finished work against what it was after the kill before."""
        now = self.verb.finished(self.folder)
        is_over = any(self.folder.glob(self.verb.last))  # pieces may go when all is put together
        for name, stat in self.finished.items():
            assert now.get(name) == stat or (is_over and name not in now), f"{name} is lost, or done again"
        self.finished = now
        if self.verb.lines is not None and (self.folder / self.verb.lines).exists():
            lines = lines_of(self.folder / self.verb.lines)
            assert lines[: len(self.lines)] == self.lines, "lines are lost or done again"
            self.lines = lines


def run_whole(server: ForkServer, verb: Verb, folder: Path) -> Whole:
    """Run a verb without interruption."""
    trial = new_folder(verb, folder, WHOLE)
    start = time.monotonic()
    attempt = server.start(verb.argv(trial))
    assert attempt.wait() == 0, attempt.said()
    seconds = time.monotonic() - start
    return Whole(verb, seconds, read_all(verb, trial), logged(verb, trial))


def new_folder(verb: Verb, folder: Path, name: str = "") -> Path:
    """Make the folder of a trial, with the results that shall be there already."""
    (folder / verb.name).mkdir(exist_ok=True)
    trial = folder / verb.name / (name or f"{len(list((folder / verb.name).iterdir())):04d}")
    if verb.template is None:
        trial.mkdir()
    else:
        shutil.copytree(folder / verb.template, trial)
    return trial


def read_all(verb: Verb, folder: Path) -> dict[str, Any]:
    """Read every file that has its final name, by name; raise where one is not whole."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        unfinished = path.name.startswith(".") or ".evaluation.staged." in name
        if path.is_dir() or unfinished or (verb.logs is not None and name.startswith(verb.logs)):
            continue
        found[name] = content(path)
    return found


def logged(verb: Verb, folder: Path) -> dict[tuple[str, ...], str]:
    """Return all numbers of a training's CSV logs by name and step; a later process repeats some."""
    if verb.logs is None:
        return {}
    found = {}
    for path in sorted((folder / verb.logs).glob("csv*/*.csv"), key=lambda p: p.stat().st_mtime_ns):
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                for name in ("loss", "loss_in", "miou", "entropy_in", "entropy_ood"):
                    if row.get(name):
                        found[name, row["epoch"], row["step"]] = row[name]
    return found


def kill_at_random(server: ForkServer, whole: Whole, folder: Path, *, kills: int, seed: int) -> list[Kill]:
    """Kill so often, in as many folders as it takes, each brought to its end.

    Moments are drawn from equal parts of an uninterrupted run's time, so that all phases are hit.
    """
    draw = random.Random(f"{whole.verb.name} {seed}")
    moments = [(part + draw.random()) / kills for part in range(kills)]
    draw.shuffle(moments)
    seconds, done = whole.seconds, 0
    counts: list[Kill] = []
    while len(counts) < kills:
        trial = Trial.begin(server, whole, folder)
        while len(counts) + len(trial.kills) < kills and len(trial.kills) < KILLS_PER_FOLDER:
            start = time.monotonic()
            if trial.attempt(delay=seconds * moments[done % kills]):
                if not trial.kills:  # the machine is quicker than before
                    seconds = time.monotonic() - start
                break
            done += 1
        trial.end()
        counts += trial.kills
        for kill in trial.kills:
            _LOG.info("%s killed %s (%.2f), %d kept", whole.verb.name, kill.phase, kill.share, kill.done)
        done += not trial.kills
    return counts


def kill_at_every_step(
    server: ForkServer, whole: Whole, folder: Path, *, side: str, steps: list[int] | None = None
) -> int:
    """Kill at the n-th change of the file system, for every n or those of `steps`, each in a new folder.

    Returns:
        How many kills there were.
    """
    done = 0
    for step in steps if steps is not None else range(1, 10_000):
        trial = Trial.begin(server, whole, folder)
        if trial.attempt(fuse=f"{step} {side}"):
            assert step > 1, "nothing was changed"
            break
        trial.end()
        done += 1
    _LOG.info("%s killed %s each of %d changes of the file system", whole.verb.name, side, done)
    return done
