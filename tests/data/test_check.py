"""Recognising layouts and listing facts and faults, on disks whose every number can be counted by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from segood.data import check_dataset, recognize
from segood.data.check_frame import ood_object_areas
from segood.errors import DataError, UsageError

PLACES = {
    "cityscapes": ("leftImg8bit/val/c/c_1_leftImg8bit.png", "gtFine/val/c/c_1_gtFine_labelIds.png", "val"),
    "lost_and_found": (
        "leftImg8bit/test/s/s_1_leftImg8bit.png",
        "gtCoarse/test/s/s_1_gtCoarse_labelIds.png",
        "test",
    ),
    "camvid": ("val/1.png", "valannot/1.png", "val"),
    "kitti": ("training/image_2/1.png", "training/semantic/1.png", "training"),
    "road_anomaly": ("frames/1.jpg", "frames/1.labels/labels_semantic.png", None),
    "fishyscapes_static": ("Static/1.jpg", "Static/1.png", None),
    "fishyscapes_lost_and_found": ("LostAndFound/images/1.jpg", "LostAndFound/labels_masks/1.png", None),
    "road_anomaly_21": ("images/validation0000.jpg", "labels_masks/validation0000_labels_semantic.png", None),
    "road_obstacle_21": ("images/validation_1.webp", "labels_masks/validation_1_labels_semantic.png", None),
    "folder": ("images/1.png", "labels/1.png", None),
}


@pytest.mark.parametrize("name", PLACES)
def test_every_layout_is_recognised_and_checked(tmp_path: Path, write_image, write_labels, name: str) -> None:
    image, label, split = PLACES[name]
    write_image(image, (1, 2))
    write_labels(label, [[0, 1]])
    assert [(found.name, found.split) for found in recognize(tmp_path)] == [(name, split)]
    (facts,) = check_dataset(tmp_path).datasets
    assert (facts.name, facts.split, facts.num_images, facts.num_labels, facts.ok) == (
        name,
        split,
        1,
        1,
        True,
    )
    assert check_dataset(tmp_path, name).datasets == (facts,)
    text = check_dataset(tmp_path, name, split).to_text()
    assert facts.protocol in text
    assert str(facts.content_hash) in text


def test_the_layout_of_a_split_names_its_folders(tmp_path: Path, write_image, write_labels) -> None:
    write_image("images/train/1.png", (1, 2))
    write_labels("labels/train/1.png", [[0, 1]])
    assert [facts.variant for facts in check_dataset(tmp_path, "folder", "train").datasets] == [
        "images/train/ + labels/train/"
    ]


@pytest.mark.parametrize(
    ("root", "name"),
    [
        ("fishyscapes_static", "fishyscapes_static"),
        ("FS-Static", "fishyscapes_static"),
        ("fishyscapes", "fishyscapes_static"),
        ("FS_LostFound_laf", "fishyscapes_lost_and_found"),
        ("dataset_AnomalyTrack", "road_anomaly_21"),
        ("dataset_ObstacleTrack", "road_obstacle_21"),
        ("my_data", "folder"),
    ],
)
def test_the_folders_name_decides_among_equal_layouts(
    tmp_path: Path, write_image, write_labels, root, name
) -> None:
    write_image(f"{root}/images/1.jpg", (1, 1))
    write_labels(f"{root}/labels_masks/1.png", [[1]])
    (found,) = recognize(tmp_path / root)
    assert found.name == name
    assert "images/ and labels_masks/" in found.reason


def test_official_fishyscapes_labels_tell_their_set(tmp_path: Path, write_labels) -> None:
    write_labels("a/0000_04_Maurener_Weg_8_000000_000030_labels.png", [[1]])
    write_labels("b/0000_frankfurt_000000_000294_labels.png", [[1]])
    assert [found.name for found in recognize(tmp_path / "a")] == ["fishyscapes_lost_and_found"]
    assert [found.name for found in recognize(tmp_path / "b")] == ["fishyscapes_static"]


def test_two_sets_under_one_root(tmp_path: Path, write_image, write_labels) -> None:
    for folder in ("Static", "LostAndFound"):
        write_image(f"{folder}/1.jpg", (1, 1))
        write_labels(f"{folder}/1.png", [[1]])
    report = check_dataset(tmp_path)
    assert [facts.name for facts in report.datasets] == ["fishyscapes_static", "fishyscapes_lost_and_found"]


def test_unknown_layouts(tmp_path: Path, write_image, write_labels) -> None:
    assert recognize(tmp_path) == []
    with pytest.raises(DataError, match=r"layout not recognised; pass a data set's own folder, or its name"):
        check_dataset(tmp_path)
    write_image("mine/val/1.png", (1, 1))
    write_labels("mine/valannot/1.png", [[1]])
    with pytest.raises(DataError, match=r"layout not recognised; below it lie mine \(camvid\); pass"):
        check_dataset(tmp_path)
    with pytest.raises(DataError, match=r"root .*gone does not exist"):
        check_dataset(tmp_path / "gone")
    with pytest.raises(UsageError, match="did you mean 'camvid'"):
        check_dataset(tmp_path / "mine", "camvd")
    with pytest.raises(UsageError, match="has no split 'test'; present: val"):
        check_dataset(tmp_path / "mine", split="test")


def test_facts_of_a_small_evaluation_set(tmp_path: Path, write_image, write_labels) -> None:
    """Three frames of 2×4 pixels; OoD objects are drawn with 1.

    a: 1 1 0 0   b: 0 0 0 0   c: 1 0 0 1     a holds one object of 2 px, c one of 2 px
       0 0 0 0      0 0 x x      0 1 0 0     (connected over a corner) and one of 1 px; x is ignored
    """
    ignored = 255
    for stem, rows in {
        "a": [[1, 1, 0, 0], [0, 0, 0, 0]],
        "b": [[0, 0, 0, 0], [0, 0, ignored, ignored]],
        "c": [[1, 0, 0, 1], [0, 1, 0, 0]],
    }.items():
        write_image(f"images/{stem}.png", (2, 4), fmt="JPEG" if stem == "c" else None)
        write_labels(f"labels_masks/{stem}.png", rows)
    seen: list[str] = []
    report = check_dataset(tmp_path, progress=lambda what, total: lambda: seen.append(f"{what} {total}"))
    (facts,) = report.datasets
    assert report.ok
    assert seen == [f"{tmp_path.name} 3"] * 3
    assert facts.num_ood_objects == 3  # areas 2; 2 and 1
    assert facts.median_ood_object_area == 2
    assert facts.median_ood_pixels_per_frame == 2  # of 2, 0, 3
    assert facts.frames_without_ood == ("b",)
    assert facts.sizes == {"4x2": 3}
    assert facts.misnamed == ("images/c.png holds JPEG",)
    assert [(item.value, item.pixels, item.meaning) for item in facts.label_values] == [
        (0, 17, "in-distribution"),
        (1, 5, "OoD"),
        (255, 2, "ignored"),
    ]
    assert sum(item.share for item in facts.label_values) == pytest.approx(1)
    plain = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert plain["datasets"][0]["num_ood_objects"] == 3
    text = report.to_text()
    for line in ("3 (8-connected), median area 2 px", "1: b", "1: images/c.png holds JPEG", "20.833 %  OoD"):
        assert line in text


def test_all_faults_are_listed_and_none_raised(tmp_path: Path, write_image, write_labels) -> None:
    for stem in "abcde":
        write_image(f"images/{stem}.png", (1, 2))
        write_labels(f"labels/{stem}.png", [[0, 1]])
    (tmp_path / "images/a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    write_labels("labels/b.png", [[0, 7]])
    write_image("images/c.png", (2, 2))
    (tmp_path / "images/d.png").unlink()
    (tmp_path / "labels/e.png").unlink()
    (facts,) = check_dataset(tmp_path).datasets
    assert not facts.ok
    assert facts.images_without_label == ("images/e.png",)
    assert facts.labels_without_image == ("labels/d.png",)
    assert [problem.split(": ")[0].removeprefix(f"{tmp_path}/") for problem in facts.problems] == [
        "images/a.png",
        "labels/b.png",
        "labels/c.png",
    ]
    assert "unknown label value 7" in facts.problems[1]
    assert facts.label_values[-1].meaning == "unknown"
    assert facts.content_hash is not None, "bytes are there even where pixels are not"
    assert "problems (3)" in check_dataset(tmp_path).to_text()
    assert not check_dataset(tmp_path).ok


def test_unpaired_files_alone_are_a_fault_too(tmp_path: Path, write_image, write_labels) -> None:
    write_image("images/a.png", (1, 1))
    write_image("images/b.png", (1, 1))
    write_labels("labels/a.png", [[1]])
    report = check_dataset(tmp_path)
    assert not report.ok
    assert "unpaired files, see above" in report.to_text()
    assert check_dataset(tmp_path, allow_unlabeled=True).ok
    assert check_dataset(tmp_path, "road_anomaly_21").ok


def test_images_alone_can_be_checked(tmp_path: Path, write_image) -> None:
    write_image("images/a.png", (1, 1))
    report = check_dataset(tmp_path)
    assert report.ok
    assert report.datasets[0].label_values == ()
    assert report.datasets[0].num_ood_objects is None


def test_frame_that_is_ignored_everywhere(tmp_path: Path, write_image, write_labels) -> None:
    write_image("images/a.png", (1, 2))
    write_labels("labels/a.png", [[255, 255]])
    (facts,) = check_dataset(tmp_path).datasets
    assert facts.frames_all_ignored == ("a",)
    assert facts.frames_without_ood == ("a",)
    assert facts.median_ood_object_area is None
    assert "frames all ignored" in facts.to_text()


def test_objects_connect_over_corners_and_flipping_changes_nothing() -> None:
    target = (np.random.default_rng(0).random((40, 60)) < 0.3).astype(np.uint8)
    areas = ood_object_areas(target)
    assert sum(areas) == target.sum()
    assert sorted(ood_object_areas(target[:, ::-1])) == sorted(areas)
    assert ood_object_areas(np.eye(5, dtype=np.uint8)) == (5,)


def test_several_splits_give_one_block_each(tmp_path: Path, write_image, write_labels) -> None:
    for split in ("test", "train"):
        write_image(f"{split}/1.png", (1, 1))
        write_labels(f"{split}annot/1.png", [[11]])
    assert [facts.split for facts in check_dataset(tmp_path).datasets] == ["train", "test"]
    assert [facts.split for facts in check_dataset(tmp_path, split="test").datasets] == ["test"]


def test_coco_folder_lists_missing_and_damaged_images(tmp_path: Path, write_image) -> None:
    images = [{"id": i, "file_name": f"{i}.jpg", "height": 2, "width": 3} for i in range(4)]
    box = {"image_id": 0, "category_id": 1, "area": 2, "bbox": [0, 0, 2, 1]}
    annotations = [
        {**box, "id": 1, "iscrowd": 0, "segmentation": [[0, 0, 2, 0, 2, 1, 0, 1]]},
        {**box, "id": 2, "iscrowd": 1, "segmentation": {"size": [2, 3], "counts": [0, 2, 4]}},
    ]
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "instances_val2017.json").write_text(
        json.dumps({"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "kite"}]})
    )
    write_image("val2017/0.jpg", (2, 3))
    write_image("val2017/1.jpg", (3, 3))
    write_image("val2017/2.jpg", (2, 3)).write_bytes(b"\xff\xd8\xff")
    write_image("val2017/9.jpg", (2, 3), fmt="PNG")
    assert [(found.name, found.split) for found in recognize(tmp_path)] == [("coco_proxies", "val")]
    (facts,) = check_dataset(tmp_path).datasets
    assert (facts.num_images, facts.num_labels, facts.ok) == (4, 2, False)
    assert facts.labels_without_image == ("3.jpg",)
    assert facts.images_without_label == ("9.jpg",)
    assert facts.misnamed == ("val2017/9.jpg holds PNG",)
    assert [problem.split(":")[0] for problem in facts.problems] == ["2.jpg", "1.jpg"]
    assert facts.coco is not None
    assert facts.coco["crowd_regions"] == 1
    json.dumps(facts.to_dict(), allow_nan=False)
