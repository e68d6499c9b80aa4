"""One call: image in, unknown objects out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

import segood
from segood.errors import DataError, UsageError
from segood.meta import MetaClassifier
from segood.segments import feature_names


class RedIsUnknown(nn.Module):
    """Sure of class 0 everywhere but on red pixels, where all classes are equally likely."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        red = (images[:, :1] > 1.5) & (images[:, 1:2] < 0)
        sure = torch.where(red, 0.0, 20.0)
        return torch.cat([sure, torch.zeros_like(sure), torch.zeros_like(sure)], dim=1)


def picture() -> np.ndarray:
    """Return a grey image with two red boxes: rows 2-5, cols 3-6, and rows 10-11, cols 20-29."""
    image = np.full((16, 32, 3), 120, np.uint8)
    image[2:6, 3:7] = (255, 0, 0)
    image[10:12, 20:30] = (255, 0, 0)
    return image


@pytest.fixture
def small_is_false_alarm() -> MetaClassifier:
    names = feature_names(3)
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(40, len(names))), columns=names)
    table["size"] = [16.0, 20.0] * 20
    return MetaClassifier().fit(table, [True, False] * 20)


def test_objects_by_hand() -> None:
    result = segood.Monitor(RedIsUnknown(), threshold=0.7)(picture())
    first, second = result.objects
    assert (first.id, first.box, first.center, first.area) == (1, (2, 3, 6, 7), (3.5, 4.5), 16)
    assert (second.id, second.box, second.area) == (2, (10, 20, 12, 30), 20)
    assert first.score == pytest.approx(1.0)
    assert first.probability is None
    assert result.removed == ()
    assert result.score.shape == result.classes.shape == (16, 32)
    assert result.classes.dtype == np.uint8
    assert (result.labels > 0).sum() == 36


@pytest.mark.parametrize(("min_area", "kept"), [(1, [16, 20]), (16, [16, 20]), (17, [20]), (21, [])])
def test_small_objects_are_not_reported(min_area: int, kept: list[int]) -> None:
    result = segood.Monitor(RedIsUnknown(), min_area=min_area)(picture())
    assert [o.area for o in result.objects] == kept
    assert [o.area for o in (*result.objects, *result.removed)].count(16) == 1
    assert (result.labels > 0).sum() == 36


def test_a_smallest_area_counts_pixels_of_the_image() -> None:
    monitor = segood.Monitor(RedIsUnknown(), frame_size=(16, 32), min_area=65)
    large = picture().repeat(2, 0).repeat(2, 1)  # areas of 64 and 80
    assert [o.area for o in monitor(large).objects] == [80]
    monitor.min_area = 1
    assert len(monitor(large).objects) == 2
    with pytest.raises(UsageError, match="`min_area` must be a number of pixels, at least 1; got 0"):
        monitor.min_area = 0


def test_array_image_and_path_agree(tmp_path: Path) -> None:
    Image.fromarray(picture()).save(tmp_path / "a.png")
    monitor = segood.Monitor(RedIsUnknown())
    expected = monitor(picture()).objects
    assert monitor(Image.fromarray(picture())).objects == expected
    assert monitor(tmp_path / "a.png").objects == expected
    assert monitor(str(tmp_path / "a.png")).objects == expected


def test_meta_classifier_removes_false_alarms(small_is_false_alarm: MetaClassifier, tmp_path: Path) -> None:
    small_is_false_alarm.save(tmp_path / "meta.json")
    result = segood.Monitor(RedIsUnknown(), meta=tmp_path / "meta.json")(picture())
    assert [o.area for o in result.objects + result.removed] == [20, 16]
    (kept,) = result.objects
    (removed,) = result.removed
    assert kept.probability is not None
    assert removed.probability is not None
    assert kept.probability > 0.5 >= removed.probability
    everything = segood.Monitor(RedIsUnknown(), meta=small_is_false_alarm, probability_threshold=1.0)
    assert len(everything(picture()).objects) == 2


def test_no_object(small_is_false_alarm: MetaClassifier) -> None:
    result = segood.Monitor(RedIsUnknown(), meta=small_is_false_alarm)(np.zeros((8, 8, 3), np.uint8))
    assert result.objects == ()
    assert result.features.shape == (0, 37 + 2 * 3)
    assert result.overlay().shape == (8, 8, 3)


def test_image_is_not_changed() -> None:
    image = picture()
    segood.Monitor(RedIsUnknown())(image).overlay()
    np.testing.assert_array_equal(image, picture())


def test_flipped_image_has_flipped_objects() -> None:
    monitor = segood.Monitor(RedIsUnknown())
    boxes = {o.box for o in monitor(np.ascontiguousarray(picture()[:, ::-1])).objects}
    assert boxes == {
        (r0, 32 - c1, r1, 32 - c0) for r0, c0, r1, c1 in (o.box for o in monitor(picture()).objects)
    }


def test_bad_input(small_is_false_alarm: MetaClassifier, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"`threshold` must lie in \[0, 1\]; got 1.2"):
        segood.Monitor(RedIsUnknown(), threshold=1.2)
    with pytest.raises(UsageError, match="did you mean 'entropy'"):
        segood.Monitor(RedIsUnknown(), score="entrpy")
    monitor = segood.Monitor(RedIsUnknown())
    with pytest.raises(
        UsageError, match=r"`image` must be a uint8 \(H,W,3\) RGB array.*got float64 \(4, 4, 3\)"
    ):
        monitor(np.zeros((4, 4, 3)))
    with pytest.raises(DataError, match=r"nothing\.png"):
        monitor(tmp_path / "nothing.png")
    with pytest.raises(
        UsageError, match="fitted on 43 features, of 3 classes; here there are 41, of 2 classes"
    ):
        segood.Monitor(nn.Conv2d(3, 2, 1), meta=small_is_false_alarm)
