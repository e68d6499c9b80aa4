"""Data sets from files outside of the package, and what can be wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from segood.data import DatasetConfig, check_dataset, open_dataset
from segood.data.synthetic import WorldPaths
from segood.errors import UsageError

CODE = """
import segood

def paired(root, split=None, resize=None, title="Mine", strict=True):
    return segood.data.open_dataset("folder", root, split, resize=resize, title=title)

def plain(root):
    return segood.data.open_dataset("folder", root)

def nothing(root):
    return [root]

def failing(root):
    raise KeyError("no key")

class Unpaired(segood.data.SegmentationDataset):
    def __init__(self, root):
        facts = {"name": "u", "title": "U", "role": "ood", "protocol": "", "split": None}
        super().__init__(**facts, root=root, records=plain(root).records)

    def load(self, record):
        raise NotImplementedError

number = 3
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "mine.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_function_of_a_file_opens_a_data_set(world: WorldPaths) -> None:
    dataset = open_dataset("mine.py:paired", world.fishyscapes, resize=(32, 64), title="Others")
    assert (len(dataset), dataset[0].image.shape, dataset.title) == (5, (32, 64, 3), "Others")
    config = DatasetConfig("mine.py:paired", str(world.fishyscapes), options={"title": "Others"})
    config.check()
    assert config.open().title == "Others"


def test_its_labels_are_checked(world: WorldPaths) -> None:
    (facts,) = check_dataset(world.fishyscapes, "mine.py:plain").datasets
    assert facts.num_images == 5
    with pytest.raises(UsageError, match=r"mine.py:Unpaired gives no segood.data.PairedDataset"):
        check_dataset(world.fishyscapes, "mine.py:Unpaired")


@pytest.mark.parametrize(
    ("name", "options", "match"),
    [
        ("other.py:paired", {}, "there is no file other.py"),
        ("mine.py:piared", {}, "did you mean 'paired'"),
        ("mine.py:number", {}, "mine.py:number must be a function or a class; it is int"),
        ("mine.py:nothing", {}, "must return a segood.data.SegmentationDataset; it returned list"),
        ("mine.py:failing", {}, r"mine.py:failing failed .* KeyError: 'no key' \(mine.py, line"),
        ("mine.py:plain", {"resize": (32, 64)}, "option of mine.py:plain` must be one of root; got 'resize'"),
        ("mine.py:plain", {"split": "val"}, "option of mine.py:plain` must be one of root; got 'split'"),
        ("no_such_module:paired", {}, "there is no module no_such_module for the data set"),
    ],
)
def test_what_is_wrong_is_said(name: str, options: dict[str, object], match: str, world: WorldPaths) -> None:
    with pytest.raises(UsageError, match=match):
        open_dataset(name, world.fishyscapes, **options)  # type: ignore[arg-type]
