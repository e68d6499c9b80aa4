"""COCO proxies on a hand-made annotation file and on the real subset."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segood.data.coco import CocoProxies, coco_facts
from segood.errors import DataError, UsageError
from segood.types import IGNORE, OOD

PERSON, DOG, CUP = 1, 18, 47


def image_entry(identity: int, width: int, height: int) -> dict[str, Any]:
    return {
        "id": identity,
        "file_name": f"{identity:03d}.jpg",
        "height": height,
        "width": width,
        "license": 4,
    }


def object_entry(identity: int, image: int, category: int, segmentation: Any, **extra: Any) -> dict[str, Any]:
    return {
        "id": identity,
        "image_id": image,
        "category_id": category,
        "iscrowd": 0,
        "segmentation": segmentation,
        **extra,
    }


def square(left: float, top: float, side: float) -> list[float]:
    right, bottom = left + side, top + side
    return [left, top, right, top, right, bottom, left, bottom]


# Image 1 (8 wide, 6 high), one sign per pixel, P polygon, C crowd (uncompressed runs), R compressed runs:
#     . . . . . . . .      polygon: rows 1-2, columns 1-2
#     . P P . . . . C      crowd: column 7, rows 1-3      -> 43 background, 3 crowd, 2 background
#     . P P . . . . C      runs:  column 4, rows 4-5      -> 28 background, 2 object, 18 background
#     . . . . . . . C
#     . . . . R . . .
#     . . . . R . . .
EXPECTED = np.zeros((6, 8), bool)
EXPECTED[1:3, 1:3] = EXPECTED[1:4, 7] = EXPECTED[4:6, 4] = True

CONTENT: dict[str, Any] = {
    "info": {"description": "hand-made"},
    "licenses": [{"id": 4, "name": "Attribution License", "url": ""}],
    "images": [
        image_entry(1, width=8, height=6),
        image_entry(2, width=8, height=6),  # holds a person
        image_entry(3, width=8, height=5),  # too small
        image_entry(4, width=5, height=3),  # holds a person and is too small
        image_entry(5, width=6, height=6),  # holds nothing annotated
    ],
    "annotations": [
        object_entry(1, 1, CUP, [square(1, 1, 2)], area=4.0),
        object_entry(2, 1, DOG, {"size": [6, 8], "counts": [43, 3, 2]}, area=3, iscrowd=1),
        object_entry(3, 1, CUP, {"size": [6, 8], "counts": "l02b0"}),  # 28, 2, 18
        object_entry(4, 2, PERSON, {"size": [6, 8], "counts": [0, 48]}, iscrowd=1),
        object_entry(5, 2, CUP, [square(0, 0, 3)]),
        object_entry(6, 3, DOG, [square(0, 0, 3)]),
        object_entry(7, 4, PERSON, [square(0, 0, 3)]),
        object_entry(8, 99, CUP, [[0, 0, 1, 1]]),  # no such image; a polygon of two corners
    ],
    "categories": [{"id": PERSON, "name": "person"}, {"id": DOG, "name": "dog"}, {"id": CUP, "name": "cup"}],
}


def write_coco(root: Path, content: Any = CONTENT, split: str = "train") -> Path:
    frames = root / f"{split}2017"
    frames.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for entry in CONTENT["images"]:
        pixels = rng.integers(0, 256, (entry["height"], entry["width"], 3), np.uint8)
        Image.fromarray(pixels).save(frames / entry["file_name"], quality=95)
    (root / "annotations").mkdir()
    text = content if isinstance(content, str) else json.dumps(content)
    (root / "annotations" / f"instances_{split}2017.json").write_text(text)
    return root


def changed(path: list[Any], value: Any) -> dict[str, Any]:
    content = copy.deepcopy(CONTENT)
    place = content
    for key in path[:-1]:
        place = place[key]
    if value is KeyError:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return content


@pytest.mark.parametrize(("background", "value"), [("ignore", IGNORE), ("ood", OOD), ("class0", 0)])
def test_target_derived_by_hand(tmp_path: Path, background: str, value: int) -> None:
    dataset = CocoProxies(write_coco(tmp_path), min_side=6, background=background)
    assert [record.sample_id for record in dataset.records] == ["train2017/001", "train2017/005"]
    sample = dataset[0]
    assert sample.image.shape == (6, 8, 3)
    assert sample.target is not None
    assert sample.target.dtype == np.uint8
    np.testing.assert_array_equal(sample.target, np.where(EXPECTED, OOD, value))
    np.testing.assert_array_equal(dataset[1].target, np.full((6, 6), value))


def test_report_derived_by_hand(tmp_path: Path) -> None:
    report = CocoProxies(write_coco(tmp_path), min_side=6).filter_report
    assert (report.num_images, report.kept) == (5, 2)
    assert report.dropped == {"excluded class": 2, "too small": 1}
    assert report.dropped_by_category == {"person": 2}
    assert (report.num_instances, report.num_crowd_regions, report.num_without_objects) == (3, 1, 1)
    # image 1: cup 4 + 2 pixels, the latter counted from the runs since `area` is missing; dog 3
    assert report.object_pixels == 9
    assert list(report.pixel_share.items()) == [("cup", pytest.approx(6 / 9)), ("dog", pytest.approx(3 / 9))]
    assert report.image_pixels == 48 + 36
    assert "kept            2" in report.to_text()
    assert "2 excluded class (person 2), 1 too small" in report.to_text()


def test_attributes_of_the_data_set(tmp_path: Path) -> None:
    dataset = CocoProxies(write_coco(tmp_path), None, min_side=6, background="ood", resize=(12, 16))
    assert (dataset.name, dataset.role, dataset.split, dataset.label_space) == (
        "coco_proxies",
        "proxy",
        "train",
        None,
    )
    assert "preset" not in dataset.protocol
    assert "background OoD; excluded: cityscapes; both sides at least 6 px" in dataset.protocol
    assert dataset[0].image.shape == (12, 16, 3)
    assert dataset.resolution.startswith("16x12")
    again = pickle.loads(pickle.dumps(dataset))
    np.testing.assert_array_equal(again[0].target, dataset[0].target)


def test_presets_and_lists(tmp_path: Path) -> None:
    root = write_coco(tmp_path)
    count = {
        name: len(CocoProxies(root, min_side=1, excluded=value))
        for name, value in {
            "disjoint": "disjoint",
            "nothing": [],
            "cup": ["cup"],
            "cityscapes": "cityscapes",
        }.items()
    }
    # images 2 and 4 hold persons, 1 and 3 dogs, 1 and 2 cups
    assert count == {"disjoint": 1, "nothing": 5, "cup": 3, "cityscapes": 3}


def test_content_hash_follows_content_only(tmp_path: Path) -> None:
    one = CocoProxies(write_coco(tmp_path / "a"), min_side=6).content_hash()
    two = CocoProxies(write_coco(tmp_path / "b"), min_side=6).content_hash()
    other = CocoProxies(write_coco(tmp_path / "c", changed(["annotations", 0, "area"], 5)), min_side=6)
    assert one == two != other.content_hash()


def test_facts_derived_by_hand(tmp_path: Path) -> None:
    root = write_coco(tmp_path)
    (root / "train2017" / "003.jpg").unlink()
    (root / "train2017" / "004.jpg").write_bytes(b"no image")
    Image.new("RGB", (9, 9)).save(root / "train2017" / "005.jpg")
    Image.new("RGB", (9, 9)).save(root / "train2017" / "777.jpg")
    facts = coco_facts(root)
    assert facts["images"] == 5
    assert facts["annotations"] == 8
    assert facts["crowd_regions"] == 2
    assert facts["annotations_without_image_entry"] == 1
    assert facts["degenerate_polygons"] == 1
    assert facts["categories"] == {"cup": 3, "dog": 2, "person": 2}
    assert facts["sizes"] == {"8x6": 2, "8x5": 1, "5x3": 1, "6x6": 1}
    assert facts["images_missing_on_disk"] == ["003.jpg"]
    assert facts["unreadable_images"] == ["004.jpg"]
    assert facts["images_of_other_size"] == ["005.jpg"]
    assert facts["images_not_in_json"] == ["777.jpg"]
    assert facts["licenses"] == {"Attribution License": 5}
    assert facts["filter_report"]["dropped"] == {"excluded class": 2, "too small": 3}
    json.dumps(facts, allow_nan=False)


def test_wrong_places(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"root .*nowhere does not exist; pass the folder that holds annotations/inst"
    ):
        CocoProxies(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"layout not found; expected annotations/instances_train2017\.json"):
        CocoProxies(tmp_path)
    root = write_coco(tmp_path / "coco", split="val")
    with pytest.raises(UsageError, match="has no split 'train'; present: val"):
        CocoProxies(root)
    (root / "val2017").rename(root / "elsewhere")
    with pytest.raises(DataError, match=r"folder .*val2017 is missing"):
        CocoProxies(root, "val")


def test_arguments_outside_their_range(tmp_path: Path) -> None:
    root = write_coco(tmp_path)
    with pytest.raises(
        UsageError, match=r"`excluded` must be one of .* got 'cityscape' .did you mean 'cityscapes'"
    ):
        CocoProxies(root, excluded="cityscape")
    with pytest.raises(
        UsageError, match=r"`excluded` names 'cupp', which is no category here .did you mean 'cup'"
    ):
        CocoProxies(root, excluded=["cupp"])
    with pytest.raises(UsageError, match="`background` must be one of ignore, ood, class0"):
        CocoProxies(root, background="road")
    with pytest.raises(UsageError, match="`min_side` must be a whole number of pixels, at least 1; got 0"):
        CocoProxies(root, min_side=0)


def test_nothing_left_after_filtering(tmp_path: Path) -> None:
    message = (
        r"no image passes the proxy filter; of 5 images were dropped: "
        r"2 excluded class \(person 2\), 3 too small; lower `min_side` \(now 480\)"
    )
    with pytest.raises(DataError, match=message):
        CocoProxies(write_coco(tmp_path))


def test_images_missing_truncated_or_of_other_size(tmp_path: Path) -> None:
    root = write_coco(tmp_path)
    dataset = CocoProxies(root, min_side=6)
    Image.new("RGB", (9, 7)).save(root / "train2017" / "001.jpg")
    with pytest.raises(DataError, match=r"001\.jpg: image is 9x7 but its annotations are for 8x6"):
        dataset[0]
    whole = (root / "train2017" / "005.jpg").read_bytes()
    (root / "train2017" / "005.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"005\.jpg"):
        dataset[1]
    (root / "train2017" / "001.jpg").unlink()
    with pytest.raises(
        DataError, match=r"001\.jpg: image named by the annotations is missing \(1 of 2 are\)"
    ):
        CocoProxies(root, min_side=6)


ANNOTATION = ["annotations", 0]
HUGE = [[0.0, 0.0, 1e12, 0.0, 5.0, 1e12]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "must hold one JSON object"),
        (json.dumps(CONTENT)[:-30], "no valid JSON .* may be truncated"),
        (json.dumps(CONTENT) + "]", "no valid JSON .*extra data"),
        ('{"annotations": [' + "[" * 100_000, "nested too deeply"),
        ("[]", "must hold one JSON object"),
        (json.dumps({"images": []}), "`annotations` is missing"),
        (changed(["images"], KeyError), "`images` is missing"),
        (changed(["images"], {}), "`images` must be a list"),
        (changed(["annotations"], None), "`annotations` must be a list"),
        (changed(["images", 0], 7), r"images\[0\] must be an object; got 7"),
        (changed(["images", 0, "id"], True), r"images\[0\]: `id` must be a whole number; got True"),
        (changed(["images", 0, "id"], 2), "two entries of `images` share the id 2"),
        (changed(["images", 0, "height"], KeyError), "image with id 1: `height` is missing"),
        (changed(["images", 0, "width"], 10**9), "height and width must lie in 1..65535; got 6 x 1000000000"),
        (changed(["images", 0, "width"], 0), "height and width must lie in"),
        (changed(["images", 0, "file_name"], 3), "`file_name` must be a name below the image folder; got 3"),
        (changed(["images", 0, "file_name"], "../../x.jpg"), "`file_name` must stay below the image folder"),
        (
            changed(["images", 0, "file_name"], "002.png"),
            "002.png and 002.jpg differ in nothing but their suffix",
        ),
        (changed(["categories", 0, "name"], None), r"categories\[0\]: `name` must be a text"),
        (changed(["categories"], []), "category_id 1, which is not among `categories`"),
        (
            changed([*ANNOTATION, "image_id"], "1"),
            "annotation with id 1: `image_id` must be a whole number; got '1'",
        ),
        (changed([*ANNOTATION, "category_id"], KeyError), "`category_id` is missing"),
        (changed([*ANNOTATION, "iscrowd"], 2), "`iscrowd` must be 0 or 1; got 2"),
        (changed([*ANNOTATION, "area"], -1), "`area` must be a finite number of pixels"),
        (changed([*ANNOTATION, "area"], float("nan")), "holds NaN, which is no number"),
        (
            changed([*ANNOTATION, "segmentation"], KeyError),
            "`segmentation` must be a list of polygons or an RLE",
        ),
        (changed([*ANNOTATION, "segmentation"], [3]), "a polygon must be a list of numbers"),
        (
            changed([*ANNOTATION, "segmentation"], [[1, 2, "3", 4, 5, 6]]),
            "a polygon must be a list of numbers",
        ),
        (
            changed([*ANNOTATION, "segmentation"], [[1, 2, 3, 4, 5, 6, 7]]),
            "7 coordinates, an x without its y",
        ),
        (json.dumps(CONTENT).replace("[[1, 1, ", "[[1e999, 1, "), "a coordinate that is not finite"),
        (
            changed([*ANNOTATION, "segmentation"], {"size": [6], "counts": [1]}),
            r"`size` must be \[height, width\]",
        ),
        (
            changed([*ANNOTATION, "segmentation"], {"size": [6, 8], "counts": [1]}),
            "add up to height x width = 6 x 8",
        ),
        (changed([*ANNOTATION, "segmentation"], {"size": [6, 8], "counts": [-1, 49]}), "must be at least 0"),
        (
            changed([*ANNOTATION, "segmentation"], {"size": [6, 8], "counts": "l0 b"}),
            "COCO-compressed string",
        ),
        (changed([*ANNOTATION, "segmentation"], {"size": [6, 8], "counts": "l"}), "COCO-compressed string"),
        (changed([*ANNOTATION, "segmentation"], {"size": [6, 8], "counts": None}), "`counts` must be a list"),
    ],
)
def test_faulty_annotations(tmp_path: Path, content: Any, message: str) -> None:
    root = write_coco(tmp_path, content)
    with pytest.raises(DataError, match=rf"instances_train2017\.json: .*{message}"):
        CocoProxies(root, min_side=6)


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        (HUGE, r"001\.jpg: a polygon lies far outside the image of 6 x 8 pixels"),
        ({"size": [8, 6], "counts": [48]}, r"001\.jpg: RLE is for 8 x 6 pixels, the image has 6 x 8"),
    ],
)
def test_segmentations_that_do_not_fit_their_image(tmp_path: Path, segmentation: Any, message: str) -> None:
    root = write_coco(tmp_path, changed([*ANNOTATION, "segmentation"], segmentation))
    with pytest.raises(DataError, match=message):
        CocoProxies(root, min_side=6)[0]


def test_annotations_that_are_no_text(tmp_path: Path) -> None:
    root = write_coco(tmp_path)
    (root / "annotations" / "instances_train2017.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="cannot be read as UTF-8 text"):
        CocoProxies(root)


def test_works_without_torch() -> None:
    code = (
        "import sys, segood.data.coco, segood.data.coco_preparation; "
        "sys.exit('torch' in sys.modules or 'matplotlib' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_real_subset(shared: Path) -> None:
    root = shared / "data" / "coco_subset"
    facts = coco_facts(root)
    assert (facts["images"], facts["annotations"], facts["crowd_regions"]) == (418, 3821, 40)
    assert len(facts["categories"]) == 80
    assert (
        facts["images_missing_on_disk"] == facts["images_not_in_json"] == facts["images_of_other_size"] == []
    )
    assert sum(facts["licenses"].values()) == 418
    assert facts["filter_report"]["dropped"] == {"excluded class": 418 - 184, "too small": 184 - 77}
    dataset = CocoProxies(root)
    assert len(dataset) == dataset.filter_report.kept == 77
    assert len(CocoProxies(root, excluded="paper")) == 78
    assert len(CocoProxies(root, min_side=1)) == 184
    for index in range(0, 77, 8):
        image, target, _ = dataset[index]
        assert min(image.shape[:2]) >= 480
        assert set(np.unique(target)) == {OOD, IGNORE}


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # of pycocotools.mask.decode
def test_real_masks_equal_the_reference_implementation(shared: Path) -> None:
    coco = pytest.importorskip("pycocotools.mask")
    root = shared / "data" / "coco_subset"
    content = json.loads((root / "annotations" / "instances_train2017.json").read_text())
    sizes = {f"train2017/{Path(i['file_name']).stem}": i for i in content["images"]}
    dataset = CocoProxies(root, excluded=[], min_side=1)
    crowded = {a["image_id"] for a in content["annotations"] if a["iscrowd"]}
    chosen = [n for n, r in enumerate(dataset.records) if sizes[r.sample_id]["id"] in crowded or n % 20 == 0]
    assert len(chosen) > 40
    for index in chosen:
        entry = sizes[dataset.records[index].sample_id]
        expected = np.zeros((entry["height"], entry["width"]), bool)
        for annotation in content["annotations"]:
            if annotation["image_id"] == entry["id"]:
                runs = coco.frPyObjects(annotation["segmentation"], entry["height"], entry["width"])
                mask = coco.decode(runs)
                expected |= (mask.any(axis=2) if mask.ndim == 3 else mask).astype(bool)
        np.testing.assert_array_equal(dataset[index].target == OOD, expected)
