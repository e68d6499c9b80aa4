"""Kill -9 at any moment: nothing is lost, doubled or half; in the end all is as if nobody had killed."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faults.forks import ForkServer, fork_server
from tests.faults.harness import Whole, kill_at_every_step, kill_at_random, run_whole
from tests.faults.kill_verbs import OUT, Verb, make_verbs

VERBS = ("train", "score", "evaluate", "compare", "predict", "prepare")
AGAIN = ("evaluate_again", "compare_again")
"""Over results of another configuration."""
LUCKY = {"train": 12, "score": 5, "evaluate": 40, "compare": 9, "predict": 7, "prepare": 10}
"""A change of the file system in the middle of each verb, which the short form kills at."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kills")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[ForkServer]:
    with fork_server(folder) as server:
        yield server


@pytest.fixture(scope="module")
def verbs(folder: Path) -> dict[str, Verb]:
    return make_verbs(folder)


@pytest.fixture(scope="module")
def wholes() -> dict[str, Whole]:
    """What is filled by and by: a verb is run without interruption when the first test asks for it."""
    return {}


@pytest.fixture(params=VERBS)
def whole(
    request: pytest.FixtureRequest,
    server: ForkServer,
    verbs: dict[str, Verb],
    wholes: dict[str, Whole],
    folder: Path,
) -> Whole:
    for name in (verbs[request.param].after, request.param):
        if name is not None and name not in wholes:
            wholes[name] = run_whole(server, verbs[name], folder)
    return wholes[request.param]


def test_killed_once_or_twice(server: ForkServer, whole: Whole, folder: Path) -> None:
    kills = kill_at_random(server, whole, folder, kills=2, seed=1)
    assert len(kills) >= 2


def test_killed_between_two_changes(server: ForkServer, whole: Whole, folder: Path) -> None:
    step = LUCKY[whole.verb.name]
    assert kill_at_every_step(server, whole, folder, side="after", steps=[step]) == 1


@pytest.mark.long
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("whole", VERBS + AGAIN, indirect=True)
def test_killed_at_random_moments(server: ForkServer, whole: Whole, folder: Path) -> None:
    kills = kill_at_random(server, whole, folder, kills=24, seed=2)
    assert len(kills) >= 24
    assert len(Counter(kill.phase for kill in kills)) > 1, "all kills fell into one phase"


@pytest.mark.long
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize("whole", ["train", "score", "predict", "prepare"], indirect=True)
def test_killed_at_every_change(server: ForkServer, whole: Whole, folder: Path, side: str) -> None:
    assert kill_at_every_step(server, whole, folder, side=side) > 5


HOLD = """
import sys
from pathlib import Path
from segood.runs import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("name", VERBS)
def test_another_process_is_told(
    server: ForkServer, verbs: dict[str, Verb], tmp_path: Path, name: str
) -> None:
    verb = verbs[name]
    place = tmp_path / OUT / ("anomaly_p/entropy/fishyscapes_static" if name == "score" else "")
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(place)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        attempt = server.start(verb.command(tmp_path))
        assert attempt.wait() == 2
        assert f"another process is writing to {place}; wait until it has ended" in attempt.said()
    finally:
        holder.communicate()
    assert not (tmp_path / OUT).exists()
