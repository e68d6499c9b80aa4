"""The real data at hand gives the facts that its README states."""

from __future__ import annotations

from pathlib import Path

import pytest

from segood.data import check_dataset, open_dataset, recognize
from segood.data.cityscapes import LABEL_ID_LOOKUP
from segood.data.images import read_labels
from segood.errors import UsageError


@pytest.fixture(scope="module")
def data(shared: Path) -> Path:
    return shared / "data"


def test_every_folder_is_recognised(data: Path) -> None:
    found = {
        folder.name: [(r.name, r.split) for r in recognize(folder)]
        for folder in data.iterdir()
        if folder.is_dir()
    }
    assert found == {
        "camvid": [("camvid", "train"), ("camvid", "val"), ("camvid", "test")],
        "cityscapes_sample": [("cityscapes", "val")],
        "coco_subset": [("coco_proxies", "train")],
        "fishyscapes_lost_and_found": [("fishyscapes_lost_and_found", None)],
        "fishyscapes_static": [("fishyscapes_static", None)],
        "road_anomaly_21": [("road_anomaly_21", None)],
    }


def test_camvid(data: Path) -> None:
    report = check_dataset(data / "camvid")
    assert report.ok
    assert [(facts.split, facts.num_images) for facts in report.datasets] == [
        ("train", 367),
        ("val", 101),
        ("test", 233),
    ]
    for facts in report.datasets:
        assert facts.sizes == {"480x360": facts.num_images}
        assert [item.value for item in facts.label_values] == list(range(12))


def test_cityscapes_label_ids_lead_to_the_owners_train_ids(data: Path) -> None:
    dataset = open_dataset("cityscapes", data / "cityscapes_sample")
    train_ids = dataset.records[0].label
    assert train_ids is not None
    label_ids = train_ids.with_name(train_ids.name.replace("labelTrainIds", "labelIds"))
    # the two files were reduced from 2048x1024 one by one, so single pixels on edges differ
    agreement = LABEL_ID_LOOKUP(read_labels(label_ids), label_ids) == dataset[0].target
    assert agreement.mean() > 0.997


def test_fishyscapes_lost_and_found(data: Path) -> None:
    (facts,) = check_dataset(data / "fishyscapes_lost_and_found").datasets
    assert (facts.num_images, facts.num_labels, facts.sizes) == (100, 100, {"2048x1024": 100})
    assert facts.median_ood_pixels_per_frame == 1154
    assert facts.num_ood_objects == 188
    assert len(facts.frames_without_ood) == 1
    assert facts.ok


def test_fishyscapes_static(data: Path) -> None:
    (facts,) = check_dataset(data / "fishyscapes_static").datasets
    assert (facts.num_images, len(facts.frames_without_ood), facts.sizes) == (30, 10, {"2048x1024": 30})
    assert [item.value for item in facts.label_values] == [0, 1, 255]


def test_road_anomaly_21_holds_jpegs_named_png(data: Path) -> None:
    report = check_dataset(data / "road_anomaly_21")
    (facts,) = report.datasets
    assert (facts.num_images, facts.sizes, facts.frames_without_ood) == (10, {"1280x720": 10}, ())
    assert len(facts.misnamed) == 10
    assert "images/0.png holds JPEG" in report.to_text()
    assert open_dataset("road_anomaly_21", data / "road_anomaly_21")[0].image.shape == (720, 1280, 3)


def test_coco_subset(data: Path) -> None:
    report = check_dataset(data / "coco_subset")
    (facts,) = report.datasets
    assert report.ok
    assert (facts.num_images, facts.num_labels) == (418, 3821)
    assert facts.coco is not None
    assert facts.coco["crowd_regions"] == 40
    assert facts.coco["filter_report"]["kept"] == 77
    assert len(facts.coco["categories"]) == 80
    text = report.to_text()
    assert "crowd regions" in text
    assert facts.content_hash == check_dataset(data / "coco_subset", "coco_proxies").datasets[0].content_hash


def test_coco_proxies_open_by_name(data: Path) -> None:
    dataset = open_dataset("coco_proxies", data / "coco_subset", resize=(240, 320))
    assert (len(dataset), dataset.role, dataset.resolution) == (
        77,
        "proxy",
        "320x240 (frames and labels resized)",
    )
    with pytest.raises(UsageError, match=r"got 'exclude' \(did you mean 'excluded'"):
        open_dataset("coco_proxies", data / "coco_subset", exclude="paper")
