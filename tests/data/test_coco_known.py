"""COCO images that show what a street holds, on a hand-made annotation file and on the real subset."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segood.data import check_dataset, open_dataset
from segood.data.coco_annotations import read_coco_annotations
from segood.errors import DataError, UsageError

SHOWN = {
    1: ["traffic light"],
    2: ["car"],
    10: ["car", "bus"],
    4: ["dog"],
    5: ["car", "car"],
    6: ["fire hydrant", "dog"],
    7: [],
}


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    names = sorted({name for things in SHOWN.values() for name in things})
    annotations = [
        {"id": 10 * image + at, "image_id": image, "category_id": names.index(name), "iscrowd": 0,
         "segmentation": [[0, 0, 9, 0, 9, 9]]}
        for image, things in SHOWN.items()
        for at, name in enumerate(things)
    ]  # fmt: skip
    images = [{"id": i, "file_name": f"{i}.jpg", "height": 8, "width": 12} for i in SHOWN]
    images[4]["height"] = 7  # image 5
    for folder in ("annotations", "train2017"):
        (tmp_path / folder).mkdir()
    for image in images:
        size = image["width"], image["height"]
        Image.new("RGB", size).save(tmp_path / "train2017" / image["file_name"])  # type: ignore[arg-type]
    categories = [{"id": i, "name": name} for i, name in enumerate(names)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (tmp_path / "annotations" / "instances_train2017.json").write_text(json.dumps(content))
    return tmp_path


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"min_side": 8}, [1, 2, 10]),
        ({"min_side": 7}, [1, 2, 5, 10]),
        ({"min_side": 8, "shows": "street"}, [1, 10]),
        ({"min_side": 8, "shows": "street", "known": ["dog"]}, [6]),
        ({"min_side": 8, "known": ["dog"]}, [4, 6]),
    ],
)
def test_what_is_shown_decides(coco: Path, options: dict[str, object], expected: list[int]) -> None:
    dataset = open_dataset("coco_known", coco, **options)
    assert [record.sample_id for record in dataset.records] == [f"train2017/{i}" for i in expected]
    image, target, _ = dataset[0]
    assert (image.shape, target) == ((8, 12, 3), None)
    assert dataset.role == "closed_set"


@pytest.mark.parametrize("shows", ["any", "street"])
def test_no_image_is_known_and_a_proxy(shared: Path, shows: str) -> None:
    root = shared / "data" / "coco_subset"
    known = open_dataset("coco_known", root, min_side=1, shows=shows)
    proxies = open_dataset("coco_proxies", root, min_side=1)
    everything = read_coco_annotations(root / "annotations" / "instances_train2017.json").images
    ids = [{record.sample_id for record in dataset.records} for dataset in (known, proxies)]
    assert not ids[0] & ids[1]
    assert (len(ids[0]) + len(ids[1]) == len(everything)) == (shows == "any")
    assert np.asarray(known[0].image).ndim == 3


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"shows": "streets"}, UsageError, "did you mean 'street'"),
        ({"min_side": 0}, UsageError, "`min_side` must be a whole number of pixels"),
        ({"known": ["cart"]}, UsageError, "`known` names 'cart', .*did you mean"),
        ({"known": "citys"}, UsageError, "`known` must be one of .*did you mean 'cityscapes'"),
        ({"min_side": 9}, DataError, "none of its 7 images shows a known class .* 9 px; lower `min_side`"),
        ({"known": ["cow"]}, DataError, "name other classes as `known`"),
        ({"split": "val"}, UsageError, "coco_known"),
        ({"exclude": "cityscapes"}, UsageError, "known"),
    ],
)
def test_what_cannot_be(coco: Path, options: dict[str, object], error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        open_dataset("coco_known", coco, **options)


def test_a_missing_image_is_named(coco: Path) -> None:
    (coco / "train2017" / "2.jpg").unlink()
    with pytest.raises(DataError, match=r"2\.jpg: image named by the annotations is missing"):
        open_dataset("coco_known", coco, min_side=8)
    (facts,) = check_dataset(coco, "coco_known", min_side=8).datasets
    assert (facts.variant, facts.num_images, facts.num_labels) == ("train2017/, no labels", 3, 0)
    assert not facts.ok
    assert "2.jpg" in check_dataset(coco, "coco_known", min_side=8).to_text()
