"""One call: image in, unknown objects out; and the same over many images."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

import segood
from segood.deployment import find_images, predict_images
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
    with pytest.raises(UsageError, match="fitted on 43 features, of 3 classes; here there are 41, of 2 classes"):
        segood.Monitor(nn.Conv2d(3, 2, 1), meta=small_is_false_alarm)


def test_many_images(tmp_path: Path) -> None:
    for name in ("a/x.png", "b/x.png", "b/y.jpg"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture()).save(path, quality=100, subsampling=0)
    (tmp_path / "in" / "notes.txt").write_text("no image")
    images = find_images([tmp_path / "in"])
    assert [p.name for p in images] == ["x.png", "x.png", "y.jpg"]
    out = tmp_path / "out"
    predict_images(segood.Monitor(RedIsUnknown()), images, out)
    found = json.loads((out / "objects.json").read_text())
    assert found["threshold"] == 0.7
    assert [len(f["objects"]) for f in found["images"]] == [2, 2, 2]
    overlays = [f["overlay"] for f in found["images"]]
    assert len(set(overlays)) == 3
    for overlay in overlays:
        with Image.open(out / overlay) as image:
            assert image.size == (32, 16)


def test_bad_image_lists(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere does not exist"):
        find_images([tmp_path / "nowhere"])
    with pytest.raises(DataError, match="no image"):
        find_images([tmp_path])
    (tmp_path / "old.txt").touch()
    with pytest.raises(UsageError, match=r"is not empty \(it holds old.txt\); choose another --out"):
        predict_images(segood.Monitor(RedIsUnknown()), [], tmp_path)


def save_pictures(folder: Path, *names: str) -> list[Path]:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture()).save(folder / name)
    return [folder / name for name in names]


def test_every_image_has_its_own_overlay(tmp_path: Path) -> None:
    images = save_pictures(tmp_path, "a.png", "x/a.png", "x/a_2.png", "x/y/A.png")
    found = predict_images(segood.Monitor(RedIsUnknown()), images, tmp_path / "out")
    overlays = [f["overlay"] for f in found["images"]]
    assert overlays == [f"overlays/{name}.png" for name in ("a", "a_2", "a_2_2", "A_3")]
    assert len(list((tmp_path / "out" / "overlays").iterdir())) == 4


def test_a_damaged_image_stops_no_other_and_the_call_can_be_repeated(tmp_path: Path) -> None:
    images = save_pictures(tmp_path / "in", "a.png", "b.png", "c.png")
    whole = images[1].read_bytes()
    images[1].write_bytes(whole[:60])
    out, monitor = tmp_path / "out", segood.Monitor(RedIsUnknown())
    found = predict_images(monitor, images, out)
    assert found == json.loads((out / "objects.json").read_text())
    assert [Path(f["image"]).name for f in found["images"]] == ["a.png", "c.png"]
    (failed,) = found["failed"]
    assert failed["image"] == str(images[1])
    assert "b.png" in failed["reason"]
    assert not found["complete"]
    images[1].write_bytes(whole)
    assert predict_images(monitor, images[1:], out)["complete"]
    assert sorted(p.name for p in (out / "overlays").iterdir()) == ["b.png", "c.png"]
    with pytest.raises(UsageError, match=r"is not empty .*; choose another --out, or remove it$"):
        predict_images(monitor, images, out)


def test_an_interrupted_call_keeps_what_is_done_and_can_be_repeated(tmp_path: Path) -> None:
    images = save_pictures(tmp_path / "in", "a.png", "b.png")
    out, monitor = tmp_path / "out", segood.Monitor(RedIsUnknown())

    def interrupted(what: str, total: int) -> Callable[[], None]:
        def tick() -> None:
            raise KeyboardInterrupt

        return tick

    with pytest.raises(KeyboardInterrupt):
        predict_images(monitor, images, out, progress=interrupted)
    found = json.loads((out / "objects.json").read_text())
    assert len(found["images"]) == 1
    assert not found["complete"]
    assert len(predict_images(monitor, images, out)["images"]) == 2


def test_a_folder_of_another_tool_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "objects.json").write_text("[]")
    save_pictures(tmp_path, "overlays/mine.png")
    with pytest.raises(UsageError, match="is not empty"):
        predict_images(segood.Monitor(RedIsUnknown()), [], tmp_path)
    assert (tmp_path / "overlays" / "mine.png").exists()
