"""Output that may not be written, input that may not be read: one line, nothing changed."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faults.conftest import Expected
from tests.faults.injected import another_user, call, facts, leftovers, remount, small_drive
from tests.faults.jobs import JOBS, copy_input

pytestmark = pytest.mark.usefixtures("one_thread")

# these have computed for a while before they write
SLOW = ("export", "compare", "figures")
VERBS = [pytest.param(name, marks=pytest.mark.long) if name in SLOW else name for name in JOBS]


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that any user may enter; those of pytest are for their owner."""
    with tempfile.TemporaryDirectory(prefix="faults") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.parametrize("name", VERBS)
def test_a_read_only_drive(name: str, small_data: Path, expected: Expected) -> None:
    job, wanted = JOBS[name], expected(name)
    with small_drive() as drive:
        job.prepare(small_data, drive)
        older = facts(drive)
        remount(drive, "ro")
        said = call(*job.argv(small_data, drive))
        line = said.error(drive, "Read-only file system; ")
        assert "permission?" in line
        assert facts(drive) == older
        remount(drive, "rw")
        assert call(*job.argv(small_data, drive)).code == 0
        assert facts(drive) == wanted


@pytest.mark.parametrize("name", VERBS)
def test_a_folder_of_somebody_else(name: str, small_data: Path, open_folder: Path) -> None:
    job, out = JOBS[name], open_folder / "out"
    out.mkdir()
    job.prepare(small_data, out)
    older = facts(out)
    for folder in (out, *(path for path in out.rglob("*") if path.is_dir())):
        folder.chmod(0o555)
    with another_user():
        said = call(*job.argv(small_data, out))
    said.error(out, "Permission denied; ", "permission?")
    assert facts(out) == older
    assert not leftovers(out)


@pytest.mark.parametrize(
    ("name", "hidden"),
    [
        ("train", "train.yaml"),
        ("train", "cityscapes"),
        ("train", "coco/annotations/instances_train2017.json"),
        ("train", "coco/train2017"),
        ("evaluate", "fishyscapes/images"),
        ("evaluate", "fishyscapes/labels_masks/0001.png"),
        ("score", "trained/checkpoints/model.safetensors"),
        ("score", "fishyscapes/images/0002.png"),
        ("compare", "compare.yaml"),
        ("predict", "fishyscapes/images/0001.png"),
        ("predict", "trained/checkpoints"),
        ("export", "evaluated/config.yaml"),
        ("coco", "coco/annotations/instances_train2017.json"),
    ],
)
def test_input_that_may_not_be_read(name: str, hidden: str, small_data: Path, open_folder: Path) -> None:
    data, out, job = open_folder / "data", open_folder / "out", JOBS[name]
    copy_input(small_data, data)
    out.mkdir()
    job.prepare(data, out)
    for path in (out, *out.rglob("*")):
        path.chmod(0o777)
    (data / hidden).chmod(0)
    with another_user():
        said = call(*job.argv(data, out))
    said.error(data / hidden, "Permission denied")
    (data / hidden).chmod(0o755)
    shutil.rmtree(out)


def test_a_video_that_may_not_be_written(small_data: Path, open_folder: Path) -> None:
    (open_folder / "out").mkdir()
    (open_folder / "out").chmod(0o777)
    (open_folder / "videos").mkdir()
    argv = JOBS["predict"].argv(small_data, open_folder / "out")
    words = [open_folder / "videos/found.avi" if str(word).endswith(".avi") else word for word in argv]
    with another_user():
        said = call(*words)
    said.error(open_folder / "videos/found.avi", "Permission denied")
