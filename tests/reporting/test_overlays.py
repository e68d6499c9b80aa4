"""Overlays, colours and encoded pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segood.errors import OutputError, UsageError
from segood.reporting import colorize, colors, draw_overlay, encode_webp, save_picture
from segood.reporting.overlays import missed_boxes

SIZE = (120, 200)


@pytest.fixture
def frame() -> np.ndarray:
    return np.full((*SIZE, 3), 100, np.uint8)


@pytest.fixture
def labels() -> np.ndarray:
    """Segment 1 on the first object, segment 2 on nothing."""
    labels = np.zeros(SIZE, np.int32)
    labels[20:40, 20:60] = 1
    labels[80:100, 20:60] = 2
    return labels


@pytest.fixture
def target() -> np.ndarray:
    """Two objects: the first under segment 1, the second free; the last rows are ignored."""
    target = np.zeros(SIZE, np.uint8)
    target[22:38, 22:58] = 1
    target[70:80, 150:170] = 1
    target[110:] = 255
    return target


def blended(color: tuple[int, int, int], opacity: float = 0.5) -> list[int]:
    return [int(100 * (1 - opacity) + channel * opacity) for channel in color]


def test_states_have_their_colors(frame: np.ndarray, labels: np.ndarray, target: np.ndarray) -> None:
    picture = draw_overlay(frame, labels, target=target)
    assert picture[30, 40].tolist() == blended(colors.HIT)
    assert picture[90, 40].tolist() == blended(colors.FALSE_ALARM)
    assert picture[60, 100].tolist() == [100, 100, 100]
    assert picture[115, 100].tolist() == [60, 60, 60]  # not evaluated
    removed = draw_overlay(frame, labels, removed=[1, 2], target=target)
    inside = removed[82:98, 22:58].reshape(-1, 3)
    stripes = (inside == blended(colors.REMOVED_RIGHTLY, 0.75)).all(1)
    assert 0.2 < stripes.mean() < 0.6  # hatched, not filled
    assert blended(colors.REMOVED_WRONGLY, 0.75) in removed[24:36, 24:56].reshape(-1, 3).tolist()


def test_without_truth_nothing_is_judged(frame: np.ndarray, labels: np.ndarray) -> None:
    picture = draw_overlay(frame, labels, removed=[2])
    assert picture[30, 40].tolist() == blended(colors.KEPT)
    assert not (picture == colors.MISSED).all(2).any()


def test_missed_objects_are_marked(frame: np.ndarray, labels: np.ndarray, target: np.ndarray) -> None:
    assert missed_boxes(labels, (), target) == [(70, 150, 10, 20)]
    assert missed_boxes(labels, [1], target) == [(22, 22, 16, 36), (70, 150, 10, 20)]
    marks = (draw_overlay(frame, labels, target=target) == colors.MISSED).all(2)
    assert marks[50:95, 130:190].any()
    assert not marks[:50, :100].any()


def test_ids_of_false_alarms_can_be_given(frame: np.ndarray, labels: np.ndarray, target: np.ndarray) -> None:
    picture = draw_overlay(frame, labels, target=target, false_alarms=[1])
    assert picture[30, 40].tolist() == blended(colors.FALSE_ALARM)
    assert picture[90, 40].tolist() == blended(colors.HIT)


def test_score_tints_where_it_is_high(frame: np.ndarray) -> None:
    score = np.zeros(SIZE, np.float32)
    score[:, 100:] = 1
    picture = draw_overlay(frame, score=score)
    assert picture[5, 5].tolist() == [100, 100, 100]
    assert picture[5, 150].tolist() == [int(25 + 0.75 * c) for c in (252, 255, 164)]


def test_inputs_are_not_changed(frame: np.ndarray, labels: np.ndarray, target: np.ndarray) -> None:
    copies = frame.copy(), labels.copy(), target.copy()
    draw_overlay(frame, labels, [1], target)
    assert all((a == b).all() for a, b in zip(copies, (frame, labels, target), strict=True))


def test_objects_at_the_rim_and_over_the_whole_frame(frame: np.ndarray) -> None:
    for where in (np.s_[:4, :4], np.s_[-3:, -3:], np.s_[:, :]):
        target = np.zeros(SIZE, np.uint8)
        target[where] = 1
        assert draw_overlay(frame, target=target).shape == (*SIZE, 3)


def test_flipped_frame_gives_flipped_fills(frame: np.ndarray, labels: np.ndarray) -> None:
    picture = draw_overlay(frame, labels)
    flipped = draw_overlay(frame[:, ::-1], labels[:, ::-1])
    assert (picture[:, ::-1] == flipped).all()


def test_wrong_inputs(frame: np.ndarray, labels: np.ndarray) -> None:
    with pytest.raises(UsageError, match=r"`labels` must have shape \(H,W\)=\(120, 200\) to match `image`"):
        draw_overlay(frame, labels[:5])
    with pytest.raises(UsageError, match="`image` must be uint8"):
        draw_overlay(frame / 255, labels)
    with pytest.raises(UsageError, match="`score` must have shape"):
        colorize(frame)
    with pytest.raises(UsageError, match=r"must be one of \.png"):
        save_picture("a.tiff", frame)


def test_colormap_rises_in_lightness() -> None:
    lightness = colors.colormap_table().astype(float) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(np.convolve(lightness, np.ones(5) / 5, "valid")) > 0).all()
    assert (
        colorize(np.array([[np.nan, -1.0, 2.0]]))[0, [0, 1, 2]] == colors.colormap_table()[[0, 0, 255]]
    ).all()


def test_pictures_round_trip(tmp_path: Path, frame: np.ndarray) -> None:
    path = save_picture(tmp_path / "deep" / "a.png", frame)
    with Image.open(path) as stored:
        assert (np.asarray(stored) == frame).all()
    with Image.open(save_picture(tmp_path / "a.webp", frame)) as stored:
        assert stored.size == (200, 120)
    assert len(encode_webp(frame, max_width=50)) < len(encode_webp(frame)) + 100


def test_unwritable_place(tmp_path: Path, frame: np.ndarray) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        save_picture(tmp_path / "file" / "a.png", frame)


@pytest.mark.parametrize("image", [np.zeros((4, 4, 3)), np.zeros((4, 4, 4), np.uint8), np.zeros(4, np.uint8)])
def test_only_pictures_are_encoded(image: np.ndarray) -> None:
    with pytest.raises(UsageError, match="`image` must be uint8"):
        encode_webp(image)
