"""Kill -9 at any moment: nothing is lost, doubled or half; in the end all is as if nobody had killed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faults.forks import ForkServer, fork_server
from tests.faults.harness import Trial, Whole, kill_at_every_step, kill_at_random, run_whole
from tests.faults.kill_contents import content
from tests.faults.kill_verbs import OUT, Verb, make_verbs

VERBS = ("train", "score", "evaluate", "compare", "predict", "prepare", "cityscapes")
AGAIN = ("evaluate_again", "compare_again")
"""Over results of another configuration."""
FUSES = {
    "train": ("1 before /config.yaml", "2 after /last.ckpt", "1 before /model.safetensors"),
    "score": ("1 before /0001.hdf5", "1 after /0002.hdf5"),
    "evaluate": ("1 before /000002-000003.npz", "2 before /metrics.json"),
    "compare": ("1 before /after__standardized_max_logit.json", "1 before /results.json"),
    "predict": ("1 before /summary.json", "1 before /found.mp4", "1 before /coco_results.json"),
    "prepare": ("1 before /index.json",),
    "cityscapes": ("2 before _gtFine_labelTrainIds.png",),
}
"""Moments that have done harm once, or could."""


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
    for name in (request.param.removesuffix("_again"), request.param):
        if name not in wholes:
            wholes[name] = run_whole(server, verbs[name], folder)
    return wholes[request.param]


def test_killed_now_and_then(server: ForkServer, whole: Whole, folder: Path) -> None:
    trial = Trial.begin(server, whole, folder)
    for fuse in FUSES[whole.verb.name]:
        trial.killed_at(fuse)
    trial.attempt(delay=whole.seconds / 3)
    trial.end()


@pytest.mark.parametrize("whole", ["predict"], indirect=True)
def test_a_prediction_without_its_video_is_not_complete(
    server: ForkServer, whole: Whole, folder: Path
) -> None:
    trial = Trial.begin(server, whole, folder)
    trial.killed_at("1 before /found.mp4")
    assert not content(trial.folder / OUT / "summary.json")["complete"]


@pytest.mark.long
@pytest.mark.parametrize("whole", ["compare_again"], indirect=True)
def test_older_pictures_do_not_stay(server: ForkServer, whole: Whole, folder: Path) -> None:
    trial = Trial.begin(server, whole, folder)
    trial.killed_at("1 before /gallery/static/0000.npz")
    trial.end()


@pytest.mark.long
@pytest.mark.parametrize("whole", ["compare_again"], indirect=True)
def test_a_method_has_its_own_statistics(
    server: ForkServer, wholes: dict[str, Whole], whole: Whole, folder: Path
) -> None:
    trial = Trial.begin(server, whole, folder)
    trial.killed_at("1 before /methods/after__standardized_max_logit.json")
    trial.whole = wholes["compare"]  # back to the configuration before
    trial.end()


@pytest.mark.long
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("whole", VERBS + AGAIN, indirect=True)
def test_killed_at_random_moments(server: ForkServer, whole: Whole, folder: Path) -> None:
    assert len(kill_at_random(server, whole, folder, kills=24, seed=2)) >= 24


@pytest.mark.long
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize("whole", ["train", "score", "predict", "prepare", "cityscapes"], indirect=True)
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
    server: ForkServer, verbs: dict[str, Verb], folder: Path, tmp_path: Path, name: str
) -> None:
    verb = verbs[name]
    held = {"score": "anomaly_p/entropy/fishyscapes_static", "cityscapes": "gtFine"}
    place = tmp_path / OUT / held.get(name, "")
    if name == "cityscapes":
        shutil.copytree(folder / "template", tmp_path, dirs_exist_ok=True)
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
    assert (tmp_path / OUT).exists() == (name == "cityscapes")
