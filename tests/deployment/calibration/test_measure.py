"""What a frame says, by hand on a drawn picture and against plain NumPy on real ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from segood.data import open_dataset
from segood.data.synthetic import WorldPaths
from segood.deployment.calibration.grid import GRID
from segood.deployment.calibration.measure import measure_frames, steps_of
from segood.deployment.drift import DriftWatch, brightness_of, make_reference
from segood.errors import DataError, UsageError
from segood.evaluation import match_segments
from segood.meta import MetaClassifier
from segood.models import load_model
from segood.scores import get_score
from segood.segments import extract_segments, feature_names
from segood.segments.region import Region


class RedIsUnknown(nn.Module):
    """Sure of class 0 everywhere but on red pixels, where all classes are equally likely."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        red = (images[:, :1] > 1.5) & (images[:, 1:2] < 0)
        sure = torch.where(red, 0.0, 20.0)
        return torch.cat([sure, torch.zeros_like(sure), torch.zeros_like(sure)], dim=1)


def small_is_false() -> MetaClassifier:
    """A classifier that looks at the size alone: below 20 pixels a false alarm."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({name: np.zeros(40) for name in feature_names(3)})
    table["size"] = rng.permutation(np.linspace(1, 40, 40))
    return MetaClassifier().fit(table, table["size"] < 20)


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    """One frame of 16×32: four red boxes on grey.

    An object (4×8, rows 1-4); a false alarm (2×2, rows 1-2); one on ignored pixels only (rows 7-8); a second
    object in the lower half (rows 12-13), which is not red.
    """
    image, labels = np.full((16, 32, 3), 120, np.uint8), np.zeros((16, 32), np.uint8)
    red = (255, 0, 0)
    image[1:5, 2:10] = red
    labels[1:5, 2:10] = 1
    image[1:3, 20:22] = red
    image[7:9, 2:8] = red
    labels[6:10, 0:12] = 255
    labels[12:14, 20:24] = 1
    image[12:14, 2:4] = red
    for folder, array in (("images", image), ("labels_masks", labels)):
        (tmp_path / folder).mkdir()
        Image.fromarray(array).save(tmp_path / folder / "0.png")
    return tmp_path


def test_a_drawn_frame_by_hand(drawn: Path) -> None:
    dataset = open_dataset("folder", drawn, mapping={0: 0, 1: 1, 255: 255}, role="ood")
    model = load_model(RedIsUnknown())
    meta = small_is_false()
    (seen,) = measure_frames(dataset, model, ["u"], thresholds=[0.5, 1.0], meta=meta)
    red, grey = 32 + 4 + 12 + 4, 512 - 52
    assert (seen.pixels[900:].sum(), seen.pixels[:100].sum()) == (red, grey)
    assert (seen.pixels_in[900:].sum(), seen.pixels_in.sum()) == (8, 512 - 32 - 48 - 8)
    assert seen.flagged_share(0.5) == red / 512
    assert (seen.objects > 900).tolist() == [True, False]
    low, _ = seen.segments
    assert low.num_unjudged == 1
    assert (low.alarms > 0.5).tolist() == [True, True]  # both of 4 pixels
    assert low.reached[0] < 0.5 < low.reached[1] == 2
    assert seen.is_judged
    assert seen.brightness == brightness_of(dataset[0].image)
    (plain,) = measure_frames(dataset, model, ["u"], thresholds=[0.5])
    assert plain.segments[0].alarms.tolist() == [0, 0]
    assert plain.segments[0].reached.tolist() == [0, 2]


def test_a_region_cuts_pixels_segments_and_objects(drawn: Path) -> None:
    dataset = open_dataset("folder", drawn, mapping={0: 0, 1: 1, 255: 255}, role="ood")
    lower = Region(polygon=((0.5, 0), (0.5, 1), (1, 1), (1, 0)))
    (seen,) = measure_frames(dataset, load_model(RedIsUnknown()), ["u"], region=lower, thresholds=[0.5])
    assert seen.pixels.sum() == 256
    assert len(seen.objects) == 1
    assert len(seen.segments[0].alarms) == 1
    assert seen.segments[0].num_unjudged == 1  # its lower row, cut by the region and not by the labels
    empty = Region(classes=(2,))
    (nothing,) = measure_frames(dataset, load_model(RedIsUnknown()), ["u"], region=empty, thresholds=[0.5])
    assert not nothing.pixels.any()
    assert not nothing.is_judged
    assert len(nothing.segments[0].alarms) == 0


def test_streets_of_the_original_task_hold_nothing_unknown(world: WorldPaths) -> None:
    dataset = open_dataset("cityscapes", world.cityscapes, "val")
    model = load_model("unet", width=8)
    frames = measure_frames(dataset, model, ["a", "b"], thresholds=[0.5])
    for seen, (_, target, _) in zip(frames, dataset, strict=True):
        assert target is not None
        assert seen.pixels_in.sum() == (target != 255).sum()
        assert not len(seen.objects)
    proxies = open_dataset("coco_proxies", world.coco, min_side=100)
    with pytest.raises(UsageError, match="is a proxy set; calibrate on street scenes"):
        measure_frames(proxies, model, [])


def test_frames_without_labels_are_named(drawn: Path) -> None:
    Image.new("RGB", (32, 16)).save(drawn / "images" / "1.png")
    dataset = open_dataset("folder", drawn, mapping={0: 0, 1: 1, 255: 255}, role="ood", allow_unlabeled=True)
    with pytest.raises(
        DataError, match=r"1 frames have no label, first 1; calibration needs labels for all \(0 every"
    ):
        measure_frames(dataset, load_model(RedIsUnknown()), ["u", "v"])


def test_steps_agree_with_comparisons_in_float32() -> None:
    limits = np.array(GRID, np.float32)
    scores = np.concatenate([limits, np.nextafter(limits, 0), np.nextafter(limits, 1)]).clip(0, 1)
    counted = (scores[:, None] >= limits).sum(axis=1) - 1
    assert steps_of(scores).tolist() == counted.tolist()


def test_real_frames_agree_with_the_evaluations_functions(shared: Path, tmp_path: Path) -> None:
    source = shared / "data" / "fishyscapes_static"
    for folder in ("images", "labels_masks"):
        (tmp_path / folder).mkdir()
        for path in sorted((source / folder).iterdir(), key=lambda p: (len(p.stem), p.stem))[:3]:
            (tmp_path / folder / path.name).symlink_to(path)
    dataset = open_dataset("fishyscapes_static", tmp_path, resize=(128, 256))
    weights = shared / "weights" / "espnetv2_s_0.5_city_1024x512.pth"
    model = load_model("espnetv2", scale=0.5, checkpoint=weights)
    region = Region(polygon=((0.3, 0), (0.3, 1), (1, 1), (1, 0)))
    frames = measure_frames(dataset, model, ["a"] * 3, region=region, thresholds=[0.4, 0.7])
    for seen, (image, target, _) in zip(frames, dataset, strict=True):
        assert target is not None
        logits = model.predict_logits(image, target.shape)
        score = get_score("entropy")(logits=logits[None])[0].numpy()
        inside = region.inside((128, 256))
        for k in (1, 100, 400, 700, 950):
            wanted = (score[inside & (target == 0)] >= np.float32(k / 1000)).sum()
            assert seen.pixels_in[k:].sum() == pytest.approx(wanted, abs=1)
        for threshold, at in zip((0.4, 0.7), seen.segments, strict=True):
            found = extract_segments(logits=logits, threshold=threshold, ignore=~inside)
            match = match_segments(found.labels, np.where(inside, target, 255).astype(np.uint8))
            assert len(at.alarms) == match.num_false_positives
            assert (at.reached < 2).sum() == len(match.ground_truth) - match.num_false_negatives
            assert at.num_unjudged == len(found) - match.num_predicted
    reference = make_reference(
        np.stack([f.fine for f in frames] * 10),
        np.array([f.flagged_share(0.7) for f in frames] * 10),
        np.array([f.brightness for f in frames] * 10),
        0.7,
    )
    same, dark = DriftWatch(reference), DriftWatch(reference)
    for seen, (image, _, _) in zip(frames, dataset, strict=True):
        score = get_score("entropy")(logits=model.predict_logits(image)[None])[0].numpy()
        for _ in range(10):
            same.update(score[region.inside((128, 256))], seen.flagged_share(0.7), brightness_of(image))
            dark.update(score[region.inside((128, 256))], seen.flagged_share(0.7), brightness_of(image // 3))
    assert same.report().warning is None
    assert "brightness" in str(dark.report().warning)
