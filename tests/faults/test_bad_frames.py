"""A frame that goes bad between the look at its folder and its turn: one line that names the file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.faults.conftest import Expected
from tests.faults.injected import Drive, call, facts, leftovers
from tests.faults.jobs import JOBS, copy_input

pytestmark = pytest.mark.usefixtures("one_thread")

Damage = Callable[[Path], object]


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _overwrite(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 3 : len(content) // 2] = bytes(len(content) // 2 - len(content) // 3)
    path.write_bytes(content)


def _replace_by_smaller(path: Path) -> None:
    with Image.open(path) as image:
        picture = image.resize((image.width // 2, image.height // 2), Image.Resampling.NEAREST)
    picture.save(path)


DAMAGES: dict[str, Damage] = {
    "truncated": _truncate,
    "overwritten": _overwrite,
    "empty": lambda path: path.write_bytes(b""),
    "deleted": Path.unlink,
    "of another size": _replace_by_smaller,
    "a page of text": lambda path: path.write_text("<html>404</html>"),
}
IMAGE = {
    "train": "cityscapes/leftImg8bit/train/lindenhof/lindenhof_000000_000019_leftImg8bit.png",
    "others": "fishyscapes/images/0002.png",
}
LABEL = {
    "train": "cityscapes/gtFine/train/lindenhof/lindenhof_000000_000019_gtFine_labelTrainIds.png",
    "others": "fishyscapes/labels_masks/0002.png",
}


class Going(Drive):
    """Damage a file once it has been looked at so many times; nothing else fails."""

    def __init__(self, path: Path, after: int, damage: Damage) -> None:
        super().__init__(path, after, once=True)
        self.path, self.damage = path, damage

    def fail(self, path: str) -> None:
        self.damage(self.path)


@pytest.fixture
def place(tmp_path: Path, small_data: Path) -> Iterator[tuple[Path, Path]]:
    """Folders of input and output, the input a copy."""
    data, out = tmp_path / "data", tmp_path / "out"
    copy_input(small_data, data)
    out.mkdir()
    yield data, out
    shutil.rmtree(data)


QUICK = {
    ("train", ("--num_workers", "0"), "of another size"),
    ("train", ("--num_workers", "1"), "truncated"),
    ("evaluate", (), "truncated"),
    ("evaluate", (), "deleted"),
    ("score", (), "truncated"),
    ("compare", (), "truncated"),
}
"""Images; all labels, and the rest of the damages, are for the long form."""


def _cases() -> list[object]:
    verbs = (
        ("train", ("--num_workers", "0")),
        ("train", ("--num_workers", "1")),
        ("evaluate", ()),
        ("evaluate", ("--processes", "2")),
        ("score", ()),
        ("compare", ()),
    )
    return [
        pytest.param(
            *(verb, options, what, kind),
            marks=() if kind == "image" and (verb, options, what) in QUICK else pytest.mark.long,
        )
        for verb, options in verbs
        for what in DAMAGES
        for kind in ("image", "label")
    ]


@pytest.mark.parametrize(("verb", "options", "what", "kind"), _cases())
def test_a_frame_that_went_bad(
    verb: str,
    options: tuple[str, ...],
    what: str,
    kind: str,
    place: tuple[Path, Path],
    small_data: Path,
    expected: Expected,
) -> None:
    data, out = place
    job = JOBS[verb]
    names = IMAGE if kind == "image" else LABEL
    path = data / names.get(verb, names["others"])
    job.prepare(data, out)
    older = facts(out)
    if options == ("--processes", "2"):  # they look at all files themselves
        DAMAGES[what](path)
        said = call(*job.argv(data, out), *options)
    else:
        with Going(path, 2, DAMAGES[what]):
            said = call(*job.argv(data, out), *options)
    if said.code == 0:  # a score needs no label; an image of any size is some image
        assert verb == "score"
    else:
        said.error(path.stem.removesuffix("_leftImg8bit").removesuffix("_gtFine_labelTrainIds"))
        assert not leftovers(out)
        assert older.items() <= facts(out).items()
    shutil.copy2(small_data / path.relative_to(data), path)
    if said.code:
        again = call(*job.argv(data, out), *options, *job.again_if_begun(out))
        assert again.code == 0, again.stderr
        wanted = expected(verb) | {key: value for key, value in facts(out).items() if key.endswith(".yaml")}
        assert facts(out) == wanted  # the configuration tells `num_workers`


@pytest.mark.parametrize("what", DAMAGES)
def test_predict_tells_the_bad_frame_and_answers_the_others(what: str, place: tuple[Path, Path]) -> None:
    data, out = place
    path = data / IMAGE["others"]
    with Going(path, 1, DAMAGES[what]):
        said = call(*JOBS["predict"].argv(data, out))
    records = [json.loads(line) for line in (out / "found/frames.jsonl").read_text().splitlines()]
    bad = [record["name"] for record in records if record["no_verdict"] is not None]
    assert len(records) == 3
    if what == "of another size":
        assert (said.code, bad) == (0, [])
    else:
        said.error(path, "1 of 3 frames cannot be read")
        assert bad == [str(path)]
    assert not leftovers(out)


def test_labels_of_another_size_are_told(place: tuple[Path, Path]) -> None:
    data, out = place
    path = data / LABEL["others"]
    Image.fromarray(np.zeros((50, 60), np.uint8)).save(path)
    job = JOBS["evaluate"]
    job.prepare(data, out)
    said = call(*job.argv(data, out))
    said.error("0002", "50", "60")
