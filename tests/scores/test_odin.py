"""ODIN by hand: its form of the softmax, its range, its objective; the perturbation on tiny networks."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor, nn

from segood.errors import UsageError
from segood.models import Preprocessing, SegmentationModel, observe
from segood.scores import ODIN, get_score
from segood.scores.odin import LogMaxSoftmax

PLAIN = Preprocessing(mean=(0, 0, 0), std=(1, 1, 1))


def softmax_max(logits: np.ndarray, temperature: float) -> np.ndarray:
    """max_j softmax(z / T)_j in double precision."""
    z = logits.astype(np.float64) / temperature
    return 1 / np.exp(z - z.max(1, keepdims=True)).sum(1)


@pytest.mark.parametrize("temperature", [1, 10, 1000])
def test_equal_to_double_precision(temperature: float) -> None:
    logits = np.random.default_rng(0).normal(0, 5, (2, 19, 7, 11)).astype(np.float32)
    expected = -temperature * np.log(19 * softmax_max(logits, temperature))
    found = ODIN(temperature=temperature, epsilon=0)(logits=logits)
    np.testing.assert_allclose(found, expected, rtol=3e-6)


def test_orders_pixels_as_the_published_score_does() -> None:
    logits = np.random.default_rng(0).normal(0, 5, (1, 19, 40, 50)).astype(np.float32)
    published = 1 - softmax_max(logits, 1000)
    found = ODIN(temperature=1000, epsilon=0)(logits=logits)
    gaps = np.diff(published.ravel()[np.argsort(found.ravel())])
    assert gaps.min() > -1e-9  # 1e-4 of what the published score varies by
    # half precision cannot tell the published scores apart
    assert len(np.unique(published.astype(np.float16))) < 60 < 1000 < len(np.unique(found))
    assert len(np.unique(found.astype(np.float16))) > 1000


@given(
    logits=arrays(np.float32, (1, 4, 2, 3), elements=st.sampled_from([-1e4, -1.0, 0.0, 1e-30, 3.0, 1e4])),
    temperature=st.sampled_from([0.5, 1, 10, 1000]),
)
@settings(max_examples=40)
def test_stays_in_its_range_on_extreme_logits(logits: np.ndarray, temperature: float) -> None:
    found = ODIN(temperature=temperature, epsilon=0)(logits=logits)
    assert -temperature * math.log(4) * (1 + 1e-6) <= found.min()
    assert found.max() <= 0
    assert np.isfinite(found.astype(np.float16)).all()


def test_default_bins_hold_all_values_of_bounded_logits() -> None:
    assert ODIN(temperature=1).range == (-math.log(256), 0.0)
    assert ODIN(temperature=1000).range == (-1024.0, 0.0)
    assert ODIN(range=(-50, 1)).range == (-50.0, 1.0)


def test_the_objective_is_the_log_of_the_largest_softmax_and_finite_in_its_gradient() -> None:
    logits = torch.randn(2, 5, 3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    logits.requires_grad_()
    objective = LogMaxSoftmax(10.0)(logits)
    plain = 10 * ((logits / 10).softmax(1).amax(1) * 5).log().sum()
    torch.testing.assert_close(objective, plain)
    ours, theirs = torch.autograd.grad(objective, logits)[0], torch.autograd.grad(plain, logits)[0]
    torch.testing.assert_close(ours, theirs)
    extreme = torch.tensor([1e4, -1e4, 1e4]).reshape(1, 3, 1, 1).requires_grad_()
    assert bool(torch.isfinite(torch.autograd.grad(LogMaxSoftmax(1.0)(extreme), extreme)[0]).all())
    assert LogMaxSoftmax(10.0) == LogMaxSoftmax(10)


class Watched(nn.Module):
    """A tiny network that notes its inputs."""

    def __init__(self, stride: int = 1) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1, stride=stride), nn.Tanh(), nn.Conv2d(6, 4, 1)
        ).double()
        self.seen: list[Tensor] = []

    def forward(self, images: Tensor) -> Tensor:
        self.seen.append(images.detach())
        return self.net(images.double())


def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)


def test_the_image_moves_as_finite_differences_say() -> None:
    network = Watched(stride=2)
    model = SegmentationModel(network, num_classes=4, preprocessing=PLAIN).eval()
    score = ODIN(temperature=10, epsilon=0.01)
    seen = observe(model, image(), scores=[score])
    score.of(seen)
    plain, moved = network.seen
    step = (moved - plain).double()
    objective, base = LogMaxSoftmax(10.0), plain.double()
    h = 1e-4

    def at(images: Tensor) -> Tensor:
        with torch.no_grad():
            return objective(network.net(images))

    for index in range(0, base.numel(), 7):
        shift = torch.zeros(base.numel(), dtype=torch.float64)
        shift[index] = h
        rise = at(base + shift.view_as(base)) - at(base - shift.view_as(base))
        assert step.flatten()[index].item() == pytest.approx(0.01 * float(rise.sign()), abs=1e-6)
    # and the network is surer of the moved image
    assert at(moved.double()) > at(base)
    expected = score._checked_scores(seen.perturbed_logits(LogMaxSoftmax(10.0), 0.01)[None])
    assert torch.equal(score.of(seen), expected[0])


def test_epsilon_is_in_units_of_images_in_0_to_1_whatever_the_normalisation() -> None:
    network = Watched()
    preprocessing = Preprocessing(mean=(120, 110, 100), std=(50, 60, 70), value_range=(0, 255))
    model = SegmentationModel(network, num_classes=4, preprocessing=preprocessing)
    score = get_score("odin", epsilon=0.002)
    score.of(observe(model, image(), scores=[score]))
    step = (network.seen[1] - network.seen[0]).abs().amax((0, 2, 3))
    np.testing.assert_allclose(step, 0.002 * 255 / np.array([50, 60, 70]), rtol=1e-3)


def test_several_options_share_a_forward_and_a_backward() -> None:
    network = Watched()
    model = SegmentationModel(network, num_classes=4, preprocessing=PLAIN)
    scores = [ODIN(temperature=t, epsilon=e) for t in (1, 1000) for e in (0, 0.001, 0.004)]
    seen = observe(model, image(), scores=scores)
    maps = [score.of(seen) for score in scores]
    assert len(network.seen) == seen.num_forwards == 1 + 4  # one for all, and one per moved image
    for score, found in zip(scores, maps, strict=True):
        alone = score.of(observe(model, image(), scores=[score]))
        torch.testing.assert_close(alone, found, rtol=0, atol=0)
        unannounced = score.of(observe(model, image()))
        torch.testing.assert_close(unannounced, found, rtol=0, atol=0)


def test_without_epsilon_no_gradient_is_needed() -> None:
    score = ODIN(epsilon=0)
    assert score.needs == {"logits"}
    assert ODIN().needs == {"logits", "gradients"}

    class NoGradient(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            with torch.no_grad():
                return torch.cat([images, 2 * images], 1)

    model = SegmentationModel(NoGradient(), num_classes=6)
    expected = score(logits=model.predict_logits(image())[None])[0]
    assert torch.equal(score.of(observe(model, image(), scores=[score])), expected)
    with pytest.raises(UsageError, match=r"NoGradient gives no gradient of its logits .*epsilon=0"):
        ODIN().of(observe(model, image(), scores=[ODIN()]))


def test_bad_input() -> None:
    logits = torch.zeros(1, 3, 2, 2)
    with pytest.raises(UsageError, match=r"'odin' with epsilon=0.001 perturbs the image, .*observe\("):
        ODIN()(logits=logits)
    with pytest.raises(UsageError, match="`temperature` must be a finite number above 0; got 0"):
        ODIN(temperature=0)
    with pytest.raises(UsageError, match="`epsilon` must be a finite number, at least 0; got -1"):
        ODIN(epsilon=-1)
    with pytest.raises(UsageError, match="score 'odin': `logits` must be finite"):
        ODIN(epsilon=0)(logits=logits * math.nan)


def test_a_network_without_finite_logits_is_an_error() -> None:
    class Broken(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return torch.cat([images, images * torch.nan], 1)

    with pytest.raises(UsageError, match="score 'odin': `logits` must be finite"):
        ODIN().of(observe(SegmentationModel(Broken(), num_classes=6), image(), scores=[ODIN()]))
