"""TrainTransform: joint geometry, determinism, smaller samples, speed-relevant shortcuts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional

from segood.data.sample import Sample
from segood.data.transforms import TrainTransform
from segood.errors import UsageError
from segood.types import IGNORE, OOD


def make_sample(height: int, width: int, seed: int = 0) -> Sample:
    """A frame whose red channel repeats its target, so that joint geometry can be checked."""
    blocks = np.random.default_rng(seed).choice(
        np.array([0, 7, 13, OOD, IGNORE], np.uint8), size=(-(-height // 10), -(-width // 10))
    )
    target = np.kron(blocks, np.ones((10, 10), np.uint8))[:height, :width]
    image = np.stack([target, np.full_like(target, 90), np.full_like(target, 200)], axis=-1)
    return Sample(image, target, "frame")


def test_crop_without_scaling_is_a_window_of_the_sample() -> None:
    rng = np.random.default_rng(0)
    sample = Sample(
        rng.integers(0, 256, (30, 40, 3), np.uint8), rng.integers(0, 19, (30, 40)).astype(np.uint8), "a"
    )
    image, target = TrainTransform(crop_size=(16, 20), flip=0.0)(sample, seed=3)
    windows = [
        (row, column)
        for row in range(30 - 16 + 1)
        for column in range(40 - 20 + 1)
        if np.array_equal(sample.target[row : row + 16, column : column + 20], target.numpy())
    ]
    assert len(windows) == 1
    row, column = windows[0]
    expected = sample.image[row : row + 16, column : column + 20]
    np.testing.assert_array_equal(image.permute(1, 2, 0).numpy(), expected)


def test_flip_mirrors_image_and_target() -> None:
    sample = make_sample(40, 60)
    plain = TrainTransform(crop_size=(20, 30), flip=0.0)(sample, seed=5)
    mirrored = TrainTransform(crop_size=(20, 30), flip=1.0)(sample, seed=5)
    for one, other in zip(plain, mirrored, strict=True):
        torch.testing.assert_close(one.flip(-1), other, rtol=0, atol=0)


@pytest.mark.parametrize("scale_range", [(1.0, 1.0), (1.3, 2.2), (0.5, 0.8), (3.0, 3.0)])
@pytest.mark.parametrize("size", [(360, 480), (64, 200), (700, 500)])
def test_image_and_target_move_together(size: tuple[int, int], scale_range: tuple[float, float]) -> None:
    sample = make_sample(*size)
    for seed in range(3):
        image, target = TrainTransform(crop_size=(96, 128), scale_range=scale_range)(sample, seed)
        assert tuple(image.shape) == (3, 96, 128)
        assert tuple(target.shape) == (96, 128)
        assert set(target.unique().tolist()) <= set(np.unique(sample.target).tolist())
        # away from the blocks' borders the red channel is the target itself
        agrees = (image[0].long() == target).float().mean().item()
        assert agrees > 0.6
        assert (image[1] == 90).all()


def test_samples_smaller_than_the_crop_are_scaled_up_without_padding() -> None:
    sample = make_sample(12, 50)
    image, target = TrainTransform(crop_size=(48, 48), flip=0.0)(sample, seed=1)
    assert tuple(target.shape) == (48, 48)
    # 48/12 = 4: the crop shows the full height and 12 of 50 columns, every pixel four times
    windows = np.stack([np.kron(sample.target[:, c : c + 12], np.ones((4, 4))) for c in range(39)])
    assert (windows == target.numpy()).all(axis=(1, 2)).any()
    assert (image[2] == 200).all()


def test_region_first_equals_scaling_the_whole_frame() -> None:
    sample = make_sample(60, 80)
    _, target = TrainTransform(crop_size=(64, 64), scale_range=(2.0, 2.0), flip=0.0)(sample, seed=9)
    whole = functional.resize(
        torch.from_numpy(sample.target)[None], [120, 160], functional.InterpolationMode.NEAREST_EXACT
    )[0]
    windows = whole.unfold(0, 64, 1).unfold(1, 64, 1)
    assert (windows == target).all(-1).all(-1).any()


def test_randomness_comes_from_the_seed_only() -> None:
    sample = make_sample(90, 120)
    transform = TrainTransform(crop_size=(40, 40), scale_range=(0.8, 1.5), brightness=0.3)
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first = transform(sample, seed=7)
    torch.manual_seed(123)
    second = transform(sample, seed=7)
    other = transform(sample, seed=8)
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])
    assert not torch.equal(first[1], other[1])
    torch.set_rng_state(torch_state)
    transform(sample, seed=7)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002


def test_every_position_and_both_flips_occur() -> None:
    target = np.arange(9, dtype=np.uint8).reshape(3, 3)
    sample = Sample(np.repeat(target[..., None], 3, -1), target, "a")
    transform = TrainTransform(crop_size=(2, 2))
    corners = [transform(sample, seed)[1].sort().values[0, 0].item() for seed in range(400)]
    values, counts = np.unique(corners, return_counts=True)
    assert values.tolist() == [0, 1, 3, 4]
    assert counts.min() > 60  # 100 expected each
    flipped = sum(bool(t[0, 0] > t[0, 1]) for t in (transform(sample, s)[1] for s in range(400)))
    assert 150 < flipped < 250


def test_brightness_scales_the_image_only() -> None:
    sample = Sample(np.full((20, 20, 3), 100, np.uint8), np.full((20, 20), 3, np.uint8), "a")
    levels = {
        int(TrainTransform(crop_size=(10, 10), brightness=0.2)(sample, seed)[0][0, 0, 0])
        for seed in range(100)
    }
    assert 80 <= min(levels) < 85
    assert 115 < max(levels) <= 120


def test_inputs_stay_as_they_were_and_share_no_memory() -> None:
    sample = make_sample(20, 20)
    sample.image.flags.writeable = False
    sample.target.flags.writeable = False
    before = sample.image.copy()
    image, target = TrainTransform(crop_size=(20, 20), flip=0.0)(sample, seed=0)
    image += 1
    target += 1
    np.testing.assert_array_equal(sample.image, before)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"crop_size": (0, 4)}, r"`crop_size` must be \(height, width\), each at least 1; got \(0, 4\)"),
        ({"scale_range": (2.0, 1.0)}, r"`scale_range` must be \(lowest, highest\).*got \(2.0, 1.0\)"),
        ({"scale_range": (0.0, 1.0)}, "`scale_range` must be .* both positive"),
        ({"flip": 1.5}, r"`flip` must lie in \[0, 1\]; got 1.5"),
        ({"brightness": -0.1}, r"`brightness` must lie in \[0, 1\]; got -0.1"),
    ],
)
def test_options_outside_their_range(options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        TrainTransform(**options)


def test_samples_without_fitting_target() -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    transform = TrainTransform(crop_size=(2, 2))
    with pytest.raises(UsageError, match="sample test/7 has no target"):
        transform(Sample(image, None, "test/7"), seed=0)
    with pytest.raises(UsageError, match=r"target of sample a must have shape \(H,W\)=\(4,4\)"):
        transform(Sample(image, np.zeros((4, 5), np.uint8), "a"), seed=0)
