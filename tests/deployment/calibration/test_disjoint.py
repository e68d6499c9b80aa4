"""A calibration set that training or meta classifier have seen is refused; what cannot be told is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from segood.data import open_dataset
from segood.deployment.calibration.disjoint import check_disjoint, check_same_region, region_of
from segood.errors import DataError, UsageError
from segood.evaluation.provenance import image_hashes
from segood.meta import MetaClassifier
from segood.segments.region import Region

SPLITS = {"train": ["0001TP_1", "0006R0_1"], "test": ["0001TP_2", "Seq05VD_1", "Seq05VD_2"]}


@pytest.fixture
def camvid(tmp_path: Path) -> Path:
    """CamVid with two splits, of which one recording is in both; all pictures differ, not in size."""
    for split, names in SPLITS.items():
        (tmp_path / split).mkdir()
        (tmp_path / f"{split}annot").mkdir()
        for name in names:
            grey = np.full((4, 8, 3), sum(map(ord, name + split)) % 251, np.uint8)
            Image.fromarray(grey).save(tmp_path / split / f"{name}.png")
            Image.fromarray(np.zeros((4, 8), np.uint8)).save(tmp_path / f"{split}annot" / f"{name}.png")
    return tmp_path


def stored(root: Path, **sets: Any) -> dict[str, Any]:
    return {"data_root": str(root), **sets}


def classifier(**provenance: Any) -> MetaClassifier:
    table = pd.DataFrame({"size": [1.0, 2, 3, 4]})
    return MetaClassifier().fit(table, [True, True, False, False], provenance)


STREET = {"name": "camvid", "root": "", "split": "train"}


def test_scenes_of_the_training_are_pointed_out(camvid: Path) -> None:
    dataset = open_dataset("camvid", camvid, "test")
    (line,) = check_disjoint(dataset, camvid, stored(camvid, street=STREET), None)
    assert line.startswith("1 of its 2 scenes have frames in the training, too (street; first 0001TP)")


def test_images_of_the_training_are_refused(camvid: Path) -> None:
    dataset = open_dataset("camvid", camvid, "test")
    copied = camvid / "test" / "Seq05VD_2.png"
    copied.write_bytes((camvid / "train" / "0006R0_1.png").read_bytes())
    for key in ("street", "validation"):
        with pytest.raises(UsageError, match=rf"1 of 3 images of CamVid .*\({key}\); first test/Seq05VD_2"):
            check_disjoint(dataset, camvid, stored(camvid, **{key: STREET}), None)
    with pytest.raises(UsageError, match=r"the training used them \(proxies\)"):
        check_disjoint(dataset, camvid, stored(camvid, proxies={"dataset": STREET}), None)


def test_images_of_the_meta_classifier_are_refused_by_their_hashes(camvid: Path) -> None:
    dataset, other = (open_dataset("camvid", camvid, split) for split in ("test", "train"))
    training = stored(camvid, street={**STREET, "split": "train"})
    hashes = {"old": image_hashes(other), "mine": image_hashes(dataset)[1:2]}
    with pytest.raises(UsageError, match=r"1 of 3 .* fitted on them \(mine\); first test/Seq05VD_1"):
        check_disjoint(dataset, camvid, training, classifier(images=hashes))
    hashes["mine"] = []
    assert len(check_disjoint(dataset, camvid, training, classifier(images=hashes))) == 1


def test_what_cannot_be_told_is_said(camvid: Path) -> None:
    dataset = open_dataset("camvid", camvid, "test")
    lines = check_disjoint(dataset, camvid, stored(camvid), classifier())
    assert lines == [
        "what the meta classifier was fitted on is not written down in meta.json",
        "what the network was trained on is not written down in the run",
    ]
    for street, reason in (
        ({"name": "camvid", "root": "gone"}, "camvid: not compared, it cannot be opened here"),
        ({"name": "camvid", "place": "x"}, "camvid: not compared"),
        ("camvid", "camvid: not compared"),
    ):
        (line,) = check_disjoint(dataset, camvid, stored(camvid, street=street), None)
        assert line.startswith(reason)


def test_regions_have_to_agree() -> None:
    road, roads = Region(classes=(0,)), Region(classes=(0, 1))
    check_same_region(road, None)
    check_same_region(None, classifier())  # older ones know the whole image only
    check_same_region(None, classifier(region=None))
    check_same_region(road, classifier(region=road.to_dict()))
    with pytest.raises(UsageError, match=r"is hull of predicted classes 0, .* \(whole image\)"):
        check_same_region(road, classifier())
    with pytest.raises(UsageError, match=r"is whole image, .* \(hull of predicted classes 0, 1\)"):
        check_same_region(None, classifier(region=roads.to_dict()))
    with pytest.raises(DataError, match="its `provenance` tells no region"):
        region_of(classifier(region={"circle": 1}))
