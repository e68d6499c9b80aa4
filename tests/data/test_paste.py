"""Pasted objects: place, size by row, label, blending, determinism, degenerate proxies."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from segood.data.coco import CocoProxies
from segood.data.label_spaces import CAMVID11, CITYSCAPES
from segood.data.paste import PasteOptions, paste_objects
from segood.data.sample import Sample
from segood.errors import UsageError
from segood.types import IGNORE, OOD

PLAIN = PasteOptions(color_matching=0.0, feather=0.0, height_jitter=0.0, flip=0.0)
ONE = replace(PLAIN, max_objects=1)


def make_street(height: int = 120, width: int = 200, seed: int = 0) -> Sample:
    """Sky (10) above, road (0) from the middle down, a strip of ignored pixels at the bottom."""
    target = np.full((height, width), 10, np.uint8)
    target[height // 2 :] = 0
    target[-10:] = IGNORE
    image = np.random.default_rng(seed).integers(60, 120, (height, width, 3)).astype(np.uint8)
    return Sample(image, target, "street")


def make_proxy(boxes: list[tuple[int, int, int, int]], size: tuple[int, int] = (100, 100)) -> Sample:
    """White objects on black; boxes are (top, left, height, width)."""
    target = np.full(size, IGNORE, np.uint8)
    for top, left, height, width in boxes:
        target[top : top + height, left : left + width] = OOD
    image = np.repeat(np.where(target == OOD, 255, 0).astype(np.uint8)[..., None], 3, axis=-1)
    return Sample(image, target, "proxy")


def test_pixels_and_labels_change_together() -> None:
    street, proxy = make_street(), make_proxy([(20, 20, 40, 30)])
    pasted = paste_objects(street, proxy, np.random.default_rng(0), options=PLAIN)
    is_object = pasted.target == OOD
    assert is_object.any()
    # hard edge and no colour matching: the object is white, all else is untouched
    assert (pasted.image[is_object] == 255).all()
    np.testing.assert_array_equal(pasted.image[~is_object], street.image[~is_object])
    np.testing.assert_array_equal(pasted.target[~is_object], street.target[~is_object])
    assert pasted.sample_id == "street"
    assert pasted.image.dtype == pasted.target.dtype == np.uint8


def test_objects_stand_on_the_ground_and_grow_with_the_row() -> None:
    street, proxy = make_street(), make_proxy([(20, 20, 40, 40)])
    bottoms, heights = [], []
    for seed in range(150):
        target = paste_objects(street, proxy, np.random.default_rng(seed), options=PLAIN).target
        rows = np.flatnonzero((target == OOD).any(axis=1))
        if len(rows):  # far objects may be too small
            bottoms.append(rows[-1])
            heights.append(len(rows))
            if rows[-1] > 70:
                # linear from 4 % at row 61 to 40 % at row 119 of 120 rows
                expected = 120 * (0.04 + 0.36 * (rows[-1] - 61) / (119 - 61))
                assert len(rows) == pytest.approx(expected, abs=1.5)
    assert len(bottoms) > 100
    assert min(bottoms) >= 60
    assert max(bottoms) < 110  # the ignored strip is no ground
    assert np.corrcoef(bottoms, heights)[0, 1] > 0.95


def test_whole_objects_come_before_cut_off_ones() -> None:
    street, proxy = make_street(), make_proxy([(0, 0, 30, 90), (50, 30, 25, 25)])
    proxy.image[50:75, 30:55] = (255, 0, 0)
    for seed in range(30):
        pasted = paste_objects(street, proxy, np.random.default_rng(seed), options=ONE)
        colors = np.unique(pasted.image[pasted.target == OOD], axis=0)
        assert colors.tolist() in ([], [[255, 0, 0]])


def test_number_of_objects_is_bounded_and_varies() -> None:
    street = make_street(240, 400)
    proxy = make_proxy([(r, c, 16, 16) for r in (5, 30, 55, 80) for c in (5, 30, 55, 80)])
    colors = np.arange(1, 17)
    for n, (row, column) in enumerate((r, c) for r in (5, 30, 55, 80) for c in (5, 30, 55, 80)):
        proxy.image[row : row + 16, column : column + 16] = 200 + colors[n]
    options = PasteOptions(color_matching=0, feather=0, height_range=(0.1, 0.1))
    counts = set()
    for seed in range(40):
        pasted = paste_objects(street, proxy, np.random.default_rng(seed), options=options)
        counts.add(len(np.unique(pasted.image[pasted.target == OOD][:, 0])))
    assert counts == {1, 2, 3}


def test_deterministic_and_never_in_place() -> None:
    street, proxy = make_street(), make_proxy([(20, 20, 40, 30), (70, 60, 20, 30)])
    before = [part.copy() for part in (street.image, street.target, proxy.image, proxy.target)]
    for part in (street.image, street.target, proxy.image, proxy.target):
        part.flags.writeable = False
    one = paste_objects(street, proxy, np.random.default_rng(3))
    two = paste_objects(street, proxy, np.random.default_rng(3))
    other = paste_objects(street, proxy, np.random.default_rng(4))
    np.testing.assert_array_equal(one.image, two.image)
    np.testing.assert_array_equal(one.target, two.target)
    assert not np.array_equal(one.target, other.target)
    for part, copy in zip((street.image, street.target, proxy.image, proxy.target), before, strict=True):
        np.testing.assert_array_equal(part, copy)


def test_feathered_edge_blends_without_the_proxys_background() -> None:
    street, proxy = make_street(), make_proxy([(10, 10, 80, 80)])
    options = PasteOptions(1, color_matching=0, feather=1.5, height_range=(0.4, 0.4), height_jitter=0)
    pasted = paste_objects(street, proxy, np.random.default_rng(1), options=options)
    inside, touched = pasted.target == OOD, (pasted.image != street.image).any(axis=-1)
    assert touched.sum() > inside.sum()  # some mixed pixels keep the street's label
    # object white, street at least 60, background of the proxy black: nothing gets darker than the street
    assert (pasted.image.astype(int) - street.image >= -1).all()
    assert (pasted.image[inside] > 150).all()


def test_color_matching_moves_towards_the_surroundings() -> None:
    street, proxy = make_street(), make_proxy([(20, 20, 50, 50)])
    means = []
    for strength in (0.0, 0.5, 1.0):
        options = PasteOptions(1, color_matching=strength, feather=0, height_range=(0.3, 0.3))
        pasted = paste_objects(street, proxy, np.random.default_rng(2), options=options)
        means.append(pasted.image[pasted.target == OOD].mean())
    assert means[0] == 255
    assert means[0] > means[1] + 30 > means[2] + 60
    assert means[2] == pytest.approx(street.image.mean(), abs=6)


@pytest.mark.parametrize(
    "boxes",
    [
        pytest.param([], id="no object"),
        pytest.param([(3, 3, 4, 60)], id="too thin"),
        pytest.param([(10, 10, 3, 3)], id="too small"),
        pytest.param([(0, 0, 100, 100)], id="the whole image, as with background `ood`"),
    ],
)
def test_nothing_to_paste_returns_the_street(boxes: list[tuple[int, int, int, int]]) -> None:
    street = make_street()
    assert paste_objects(street, make_proxy(boxes), np.random.default_rng(0)) is street


def test_frames_without_ground_take_any_place_below_the_horizon() -> None:
    street = make_street()._replace(target=np.full((120, 200), IGNORE, np.uint8))
    proxy = make_proxy([(20, 20, 40, 40)])
    bottoms = set()
    for seed in range(60):
        rows = np.flatnonzero(
            (paste_objects(street, proxy, np.random.default_rng(seed), options=PLAIN).target == OOD).any(
                axis=1
            )
        )
        bottoms |= set(rows[-1:].tolist())
    assert min(bottoms) >= 48
    assert max(bottoms) > 110


def test_ground_of_label_spaces() -> None:
    assert PasteOptions.for_label_space(CITYSCAPES).ground_ids == (0, 1)
    names = [CAMVID11.class_names[i].lower() for i in PasteOptions.for_label_space(CAMVID11).ground_ids]
    assert sorted(names) in (["pavement", "road"], ["road", "sidewalk"])


@pytest.mark.parametrize("size", [(1, 1), (9, 300), (300, 9)])
def test_odd_frames(size: tuple[int, int]) -> None:
    street = Sample(np.zeros((*size, 3), np.uint8), np.zeros(size, np.uint8), "odd")
    for seed in range(5):
        pasted = paste_objects(street, make_proxy([(10, 10, 60, 50)]), np.random.default_rng(seed))
        assert pasted.image.shape == street.image.shape


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"height_range": (0.4, 0.1)}, r"`height_range` must be \(far, near\).*got \(0.4, 0.1\)"),
        ({"feather": -1.0}, "`feather` at least 0"),
        ({"min_size": 0}, "`min_size` must be positive"),
        ({"color_matching": 1.1}, r"`color_matching` must lie in \[0, 1\]"),
    ],
)
def test_options_outside_their_range(options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        PasteOptions(**options)


def test_samples_without_fitting_target() -> None:
    street, proxy = make_street(), make_proxy([(20, 20, 40, 30)])
    rng = np.random.default_rng(0)
    with pytest.raises(UsageError, match=r"`street` \(street\) must have a target of shape"):
        paste_objects(street._replace(target=None), proxy, rng)
    with pytest.raises(UsageError, match=r"`proxy` \(proxy\) must have a target of shape .*got \(5, 5\)"):
        paste_objects(street, proxy._replace(target=np.zeros((5, 5), np.uint8)), rng)
    with pytest.raises(UsageError, match="`max_objects` must be at least 1; got 0"):
        PasteOptions(max_objects=0)


def test_works_without_torch() -> None:
    code = "import sys, segood.data.paste; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_real_proxies(shared: Path) -> None:
    proxies = CocoProxies(shared / "data" / "coco_subset")
    street = make_street(360, 480)
    shares = []
    for index in range(0, 77, 3):
        pasted = paste_objects(street, proxies[index], np.random.default_rng(index))
        shares.append(float((pasted.target == OOD).mean()))
    assert np.mean(np.array(shares) > 0) > 0.7
    assert max(shares) < 0.4
    assert np.mean(shares) > 0.01
