"""COCO annotations from anybody: wrong types, absurd numbers, bombs in polygons and run lengths."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.hostile.fuzzing import FORMS, Attack, Case, survive
from tests.hostile.mutations import hostile_json

from segood.data.coco import CocoProxies, coco_facts
from segood.data.coco_annotations import read_coco_annotations
from segood.data.coco_masks import object_mask, segmentation_area
from segood.errors import DataError

SIZE = (12, 16)
IMAGES = ("a.png", "b.png", "c.png")


def document() -> dict[str, Any]:
    """Return annotations of three images with every kind of segmentation."""
    runs = {"size": [12, 16], "counts": [20, 5, 7, 5, 7, 5, 143]}
    packed = {"size": [12, 16], "counts": "d057000X4"}
    shape = [[2.0, 2.0, 9.5, 2.0, 9.5, 8.0, 2.0, 8.0]]
    kinds = (shape, [*shape, [11.0, 1.0, 14.0, 1.0, 12.0, 4.0]], runs, packed, [[1, 1, 3, 1]])
    images = [
        {"id": n + 1, "file_name": name, "height": 12, "width": 16, "license": 1}
        for n, name in enumerate(IMAGES)
    ]
    annotations = [
        {
            "id": n,
            "image_id": n % 3 + 1,
            "category_id": 60 + n % 2,
            "iscrowd": n % 2,
            "area": 45.0,
            "segmentation": s,
        }
        for n, s in enumerate(kinds)
    ]
    return {
        "info": {"year": 2017},
        "licenses": [{"id": 1, "name": "CC", "url": "https://example.org"}],
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 60, "name": "donut"}, {"id": 61, "name": "cake"}],
    }


def folder_of(root: Path) -> Path:
    """Write the images of a COCO folder and return where its annotations have to lie."""
    (root / "annotations").mkdir(parents=True, exist_ok=True)
    (root / "train2017").mkdir(exist_ok=True)
    for name in IMAGES:
        Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(root / "train2017" / name)
    return root / "annotations" / "instances_train2017.json"


def read_all(root: Path) -> None:
    """Do with a COCO folder what training and `segood data check` do."""
    data = CocoProxies(root, "train", min_side=1)
    for index in range(min(len(data), 3)):
        assert data[index].target.shape == SIZE


def annotations(folder: Path) -> Case:
    """Attack the data set through its annotation file."""
    file, good = folder_of(folder), document()
    file.write_text(json.dumps(good))
    read_all(folder)

    def case(draw: random.Random) -> None:
        file.write_bytes(hostile_json(draw, good))
        read_all(folder)
        if draw.random() < 0.2:
            coco_facts(folder, "train")

    return case


def run_lengths(folder: Path) -> Case:
    """Attack the text form of run lengths, and polygons of random corners, in an otherwise good file."""
    file, good = folder_of(folder), document()
    extremes = (0, 1, -1, 5, 15.9, 16, 17, -16, 31, 32, 33, 1e3, -1e3, 1e9, 1e18, 1e300, -1e300, 2**63, 0.1)

    def case(draw: random.Random) -> None:
        if draw.random() < 0.5:
            letters = "".join(
                chr(48 + draw.randrange(64)) for _ in range(draw.choice((0, 1, 2, 5, 12, 13, 40)))
            )
            counts = (
                letters if draw.random() < 0.8 else good["annotations"][3]["segmentation"]["counts"] + letters
            )
            size = draw.choice(
                ([12, 16], [12, 16], [16, 12], [1, 1], [2**31, 2**31], [1, 192], [2**40, 2**40])
            )
            made: Any = {"size": size, "counts": counts}
        else:
            corners = draw.choice((6, 6, 8, 20, 21, 200))
            made = [
                [
                    draw.choice(extremes) if draw.random() < 0.3 else draw.uniform(-20, 40)
                    for _ in range(corners)
                ]
            ]
        entry = {**good["annotations"][0], "segmentation": made}
        file.write_text(json.dumps({**good, "annotations": [entry]}))
        found = read_coco_annotations(file)
        segmentations = [one.segmentation for one in found.instances[1]]
        assert segmentation_area(segmentations[0]) >= 0
        assert object_mask(segmentations, *SIZE).shape == SIZE

    return case


ATTACKS: dict[str, Attack] = {"COCO annotations": annotations, "COCO run lengths and polygons": run_lengths}


@pytest.mark.parametrize("cases", FORMS)
def test_whatever_the_annotations_hold(cases: int, tmp_path: Path) -> None:
    survive("test_coco", cases, tmp_path)


def with_part(**parts: Any) -> dict[str, Any]:
    """Return the good annotations with parts of the first one exchanged."""
    good = document()
    return {**good, "annotations": [{**good["annotations"][0], **parts}, *good["annotations"][1:]]}


def with_name(name: str) -> dict[str, Any]:
    good = document()
    return {**good, "images": [{**good["images"][0], "file_name": name}, *good["images"][1:]]}


ONCE_FAILED: dict[str, tuple[dict[str, Any], str]] = {
    # OverflowError: int too large to convert to float
    "area": (with_part(area=10**400), "`area` must be a finite number"),
    # RuntimeWarning: overflow encountered in dot
    "corners": (with_part(segmentation=[[0, 0, 1e300, 1, 2, 1e300]]), r"beyond 1e\+15"),
    # the line held all of the name, and what the name said to the terminal
    "long name": (with_name("y" * 20_000), r"y … y+.*image named by the annotations is missing"),
    "name that colours": (with_name("\x1b[31m"), r"\\x1b\[31m: image named by the annotations is missing"),
    "half a character": (with_name("\ud800"), r"\\ud800: image named by the annotations is missing"),
}


@pytest.mark.parametrize("name", list(ONCE_FAILED))
def test_cases_that_once_failed(name: str, tmp_path: Path) -> None:
    content, message = ONCE_FAILED[name]
    folder_of(tmp_path).write_text(json.dumps(content))
    with pytest.raises(DataError, match=message) as caught:
        read_all(tmp_path)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) <= 1000
