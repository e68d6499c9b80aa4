"""labelIds -> labelTrainIds on disk: right values, no half-written files, repeatable."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segood.data import open_dataset, prepare_cityscapes
from segood.errors import DataError, OutputError

FRAME = "gtFine/{}/bonn/bonn_00000{}_gtFine_label"


@pytest.fixture
def cityscapes(tmp_path: Path, write_image, write_labels) -> Path:
    for split in ("train", "val"):
        for i in range(2):
            write_image(f"leftImg8bit/{split}/bonn/bonn_00000{i}_leftImg8bit.png", (1, 3))
            write_labels(FRAME.format(split, i) + "Ids.png", [[7, 33, 0]])
    return tmp_path


def test_writes_all_splits_and_the_loader_uses_them(cityscapes: Path) -> None:
    mapped = open_dataset("cityscapes", cityscapes, "val")[0].target
    ticks: list[int] = []
    report = prepare_cityscapes(cityscapes, progress=lambda what, total: lambda: ticks.append(total))
    assert (report.written, report.kept, ticks) == (4, 0, [4] * 4)
    assert str(report) == f"{cityscapes}: 4 labelTrainIds written, 0 kept"
    dataset = open_dataset("cityscapes", cityscapes, "val")
    assert dataset.variant == "labelTrainIds"
    assert dataset[0].target.tolist() == mapped.tolist() == [[0, 18, 255]]
    assert not list(cityscapes.rglob("*.part*"))


def test_second_run_keeps_valid_files_and_repairs_others(cityscapes: Path, write_labels) -> None:
    prepare_cityscapes(cityscapes)
    kept = cityscapes / (FRAME.format("train", 0) + "TrainIds.png")
    before = kept.stat().st_mtime_ns
    damaged = cityscapes / (FRAME.format("train", 1) + "TrainIds.png")
    damaged.write_bytes(damaged.read_bytes()[:50])
    write_labels(FRAME.format("val", 0) + "TrainIds.png", [[7, 33, 0]])  # label ids, not train ids
    write_labels(FRAME.format("val", 1) + "TrainIds.png", [[0]])  # of another size
    report = prepare_cityscapes(cityscapes)
    assert (report.written, report.kept) == (3, 1)
    assert kept.stat().st_mtime_ns == before
    assert np.asarray(Image.open(damaged)).tolist() == [[0, 18, 255]]


def test_unknown_id_stops_and_leaves_nothing_half_written(cityscapes: Path, write_labels) -> None:
    write_labels(FRAME.format("val", 1) + "Ids.png", [[7, 77, 0]])
    with pytest.raises(
        DataError, match=r"bonn_000001_gtFine_labelIds\.png: unknown label value 77 .* 0\.\.33"
    ):
        prepare_cityscapes(cityscapes)
    assert not (cityscapes / (FRAME.format("val", 1) + "TrainIds.png")).exists()
    assert not list(cityscapes.rglob("*.part*"))


def test_unwritable_place(cityscapes: Path) -> None:
    blocked = cityscapes / (FRAME.format("val", 0) + "TrainIds.png")
    blocked.mkdir()  # a folder in the way works for every user, unlike permissions
    with pytest.raises(OutputError, match=r"cannot write .*bonn_000000_gtFine_labelTrainIds"):
        prepare_cityscapes(cityscapes)
    assert not list(cityscapes.rglob("*.part*"))


def test_nothing_to_prepare(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no \*_gtFine_labelIds\.png below gtFine/"):
        prepare_cityscapes(tmp_path)
    with pytest.raises(DataError, match=r"root .*gone does not exist"):
        prepare_cityscapes(tmp_path / "gone")
