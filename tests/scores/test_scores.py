"""Scores against values derived by hand and against double precision; stability; bad input."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import gaussian_filter

from segood.errors import UsageError
from segood.evaluation.bins import DEFAULT_NUM_BINS
from segood.scores import Score, get_score, list_scores, normalized_entropy, score_class
from segood.scores.max_logit import LOGIT_RANGE

OF_LOGITS = list_scores(needs={"logits", "masks"})
"""Scores that logits are enough for; the others have tests of their own."""


def pixel(*logits: float) -> torch.Tensor:
    """One frame of one pixel."""
    return torch.tensor(logits).reshape(1, -1, 1, 1)


# softmax of (0, log 3) is (1/4, 3/4); entropy = (1/4 log 4 + 3/4 log 4/3) / log 2 = 2 - 3/4 log2(3)
@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("entropy", {}, 2 - 0.75 * np.log2(3)),
        ("msp", {}, 0.25),
        ("max_logit", {}, -np.log(3)),
        ("energy", {}, -np.log(4)),
        ("energy", {"temperature": 2.0}, -2 * np.log(1 + np.sqrt(3))),
    ],
)
def test_two_classes_by_hand(name: str, options: dict[str, float], expected: float) -> None:
    score = get_score(name, **options)(logits=pixel(0.0, float(np.log(3))))
    assert score.shape == (1, 1, 1)
    assert score.item() == pytest.approx(expected, rel=1e-6)


def reference(name: str, logits: np.ndarray) -> np.ndarray:
    """The textbook formula in double precision."""
    z = logits.astype(np.float64)
    top = z.max(1)
    total = np.exp(z - top[:, None]).sum(1)
    p = np.exp(z - top[:, None]) / total[:, None]
    if name.endswith("entropy"):
        entropy = -(p * np.log(np.where(p > 0, p, 1))).sum(1) / np.log(z.shape[1])
        return (
            entropy if name == "entropy" else gaussian_filter(entropy, (0, 4, 4), mode="nearest", radius=12)
        )
    if name == "rba":
        return -np.tanh(np.exp(np.minimum(z, 50))).sum(1)
    return {"msp": 1 - p.max(1), "max_logit": -top, "energy": -top - np.log(total)}[name]


@pytest.mark.parametrize("name", OF_LOGITS)
@pytest.mark.parametrize("classes", [2, 19, 150])
def test_equal_to_double_precision(name: str, classes: int) -> None:
    logits = np.random.default_rng(0).normal(0, 5, (2, classes, 7, 11)).astype(np.float32)
    np.testing.assert_allclose(get_score(name)(logits=logits), reference(name, logits), rtol=1e-5, atol=2e-7)


@pytest.mark.parametrize("name", OF_LOGITS)
@given(
    logits=arrays(
        np.float32, (1, 4, 2, 3), elements=st.sampled_from([-1e4, -1.0, 0.0, 1e-30, 3.0, 88.0, 1e4])
    )
)
@settings(max_examples=40)
def test_stable_on_extreme_logits(name: str, logits: np.ndarray) -> None:
    value = get_score(name)(logits=logits)
    np.testing.assert_allclose(value, reference(name, logits), rtol=1e-5, atol=2e-7)
    if name in ("entropy", "smoothed_entropy", "msp"):
        assert value.min() >= 0
        assert value.max() <= 1


@pytest.mark.parametrize("name", OF_LOGITS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_widened(name: str, dtype: torch.dtype) -> None:
    logits = torch.randn(1, 5, 3, 4, generator=torch.Generator().manual_seed(0)).to(dtype)
    score = get_score(name)(logits=logits)
    assert score.dtype == torch.float32
    assert torch.equal(score, get_score(name)(logits=logits.float()))


@pytest.mark.parametrize("name", OF_LOGITS)
def test_blocks_of_rows_change_nothing(name: str) -> None:
    # 600·600·5 values exceed one block
    logits = torch.randn(1, 5, 600, 600, generator=torch.Generator().manual_seed(0))
    whole = get_score(name)(logits=logits)
    # not bit by bit: vectorised exp and its scalar tail may differ in the last place
    # with twenty rows around, which a window may want
    torch.testing.assert_close(whole[:, 200:210], get_score(name)(logits=logits[:, :, 180:230])[:, 20:30])
    assert whole.shape == (1, 600, 600)


@pytest.mark.parametrize("name", OF_LOGITS)
def test_input_is_not_changed_and_kind_is_kept(name: str) -> None:
    logits = np.random.default_rng(0).normal(size=(1, 3, 4, 5)).astype(np.float32)
    before = logits.copy()
    logits.setflags(write=False)
    score = get_score(name)(logits=logits)
    assert isinstance(score, np.ndarray)
    np.testing.assert_array_equal(logits, before)
    np.testing.assert_allclose(get_score(name)(logits=logits[..., ::-1]), score[..., ::-1], rtol=1e-6)
    np.testing.assert_array_equal(get_score(name)(logits=torch.from_numpy(before)).numpy(), score)


@pytest.mark.parametrize("name", OF_LOGITS)
def test_gradients_flow(name: str) -> None:
    logits = torch.randn(1, 3, 2, 2, generator=torch.Generator().manual_seed(0), requires_grad=True)
    get_score(name)(logits=logits).sum().backward()
    assert logits.grad is not None
    assert bool(torch.isfinite(logits.grad).all())


def test_msp_separates_confident_pixels() -> None:
    score = get_score("msp")
    assert score(logits=pixel(0.0, 60.0)).item() < score(logits=pixel(0.0, 50.0)).item() < 1e-20
    assert score(logits=pixel(2.0, 2.0, 2.0)).item() == pytest.approx(2 / 3)


def test_smoothing_takes_lines_and_leaves_blobs() -> None:
    logits = torch.zeros(1, 19, 64, 64)
    logits[:, 0] = 20
    logits[:, 0, :, 10:12] = 0  # a border, two pixels wide
    logits[:, 0, 20:44, 30:54] = 0  # an object
    plain, smooth = (get_score(name)(logits=logits)[0] for name in ("entropy", "smoothed_entropy"))
    assert plain[32, 10] == plain[32, 42] == 1
    assert smooth[32, 10] < 0.25
    assert smooth[32, 42] > 0.95


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_smoothing_is_the_same_on_a_gpu() -> None:
    logits = 5 * torch.randn(2, 3, 40, 60, generator=torch.Generator().manual_seed(0))
    score = get_score("smoothed_entropy", sigma=2.5)
    torch.testing.assert_close(score(logits=logits.cuda()).cpu(), score(logits=logits), atol=1e-6, rtol=1e-5)


def test_a_frame_is_smoothed_as_if_it_were_alone() -> None:
    logits = 5 * torch.randn(3, 3, 40, 60, generator=torch.Generator().manual_seed(0))
    score = get_score("smoothed_entropy")
    alone = torch.cat([score(logits=frame[None]) for frame in logits])
    assert torch.equal(score(logits=logits), alone)


def test_smoothing_is_the_same_where_gradients_are_asked_for() -> None:
    logits = 5 * torch.randn(2, 3, 40, 60, generator=torch.Generator().manual_seed(0))
    score = get_score("smoothed_entropy", sigma=2.5)
    torch.testing.assert_close(
        score(logits=logits.clone().requires_grad_()).detach(), score(logits=logits), atol=1e-6, rtol=1e-5
    )


@pytest.mark.parametrize("sigma", [0, -1.0, float("nan"), float("inf")])
def test_a_window_has_a_width(sigma: float) -> None:
    with pytest.raises(UsageError, match="`sigma` must be a finite number of pixels above 0"):
        get_score("smoothed_entropy", sigma=sigma)


def test_energy_tends_to_max_logit() -> None:
    logits = torch.randn(1, 5, 4, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        get_score("energy", temperature=1e-4)(logits=logits), get_score("max_logit")(logits=logits)
    )


@pytest.mark.parametrize("name", list_scores())
def test_every_score_describes_itself(name: str) -> None:
    score = get_score(name)
    low, high = score.range
    assert isinstance(score, Score)
    assert type(score) is score_class(name)
    assert score.name == name
    assert score.title
    assert score.reference
    assert low < high
    assert score.spacing in ("linear", "log")
    assert score.needs & {"logits", "features", "dropout"}
    assert ("logits" in score.needs) or name not in OF_LOGITS
    assert score.is_fitted is ("fit" not in score.needs)
    assert score.unseen_classes == ()
    for option, values in score.search_space.items():
        assert {getattr(get_score(name, **{option: value}), option) for value in values} == set(values)
    if score.is_fitted:
        assert score.state_dict() == {}
        score.load_state_dict({})
        with pytest.raises(UsageError, match=f"score '{name}' needs no fitting"):
            score.fit([])
        with pytest.raises(UsageError, match=f"score '{name}' needs no fitting"):
            score.merge(score)
        with pytest.raises(UsageError, match=f"score '{name}' needs no fitting"):
            score.load_state_dict({"count": np.zeros(3)})


def test_scores_are_listed_by_what_they_need() -> None:
    assert OF_LOGITS == ["entropy", "smoothed_entropy", "msp", "max_logit", "energy", "rba"]
    assert list_scores(needs=()) == []
    assert list_scores(needs=["features", "fit"]) == ["mahalanobis"]
    everything = {"logits", "fit", "gradients", "features", "dropout", "masks"}
    assert list_scores(needs=everything) == list_scores()


@pytest.mark.parametrize("name", OF_LOGITS)
def test_extreme_logits_survive_float16(name: str) -> None:
    logits = pixel(-1e4, 1e4, 0.0)
    values = torch.cat([get_score(name)(logits=z) for z in (logits, -logits, 0 * logits, 0 * logits - 1e4)])
    assert bool(torch.isfinite(values.half()).all())


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("name", OF_LOGITS)
def test_non_finite_logits_are_an_error(name: str, bad: float) -> None:
    with pytest.raises(
        UsageError, match=f"score '{name}': `logits` must be finite; 1 of 3 values are NaN or infinite"
    ):
        get_score(name)(logits=pixel(0.0, bad, 1.0))


@pytest.mark.parametrize(
    ("logits", "message"),
    [
        (torch.zeros(3, 4, 5), r"`logits` must have shape \(N,C,H,W\); got \(3, 4, 5\)"),
        (torch.zeros(1, 1, 4, 5), "at least 2 classes"),
        (torch.zeros(1, 3, 4, 5, dtype=torch.int64), "must be floating point; got torch.int64"),
        (torch.zeros(1, 3, 0, 5), "must not be empty"),
        ([[1.0]], "must be a torch tensor or a NumPy array; got list"),
    ],
)
def test_bad_logits(logits: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        get_score("entropy")(logits=logits)  # type: ignore[type-var]


def test_unknown_names_are_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'entropy'"):
        get_score("entrpy")
    with pytest.raises(UsageError, match="did you mean 'temperature'"):
        get_score("energy", temprature=2.0)
    with pytest.raises(UsageError, match="score 'msp' takes no options; got 'temperature'"):
        get_score("msp", temperature=2.0)
    with pytest.raises(UsageError, match="`temperature` must be a finite number above 0; got 0"):
        get_score("energy", temperature=0)
    with pytest.raises(UsageError, match="`range` must be finite with low < high"):
        get_score("max_logit", range=(1, 1))
    with pytest.raises(UsageError, match="`range` must be two numbers"):
        get_score("max_logit", range=3)


def test_range_is_an_option_for_unbounded_scores() -> None:
    assert get_score("energy", range=(-1e4, 1e4)).range == (-1e4, 1e4)


def test_entropy_of_probs() -> None:
    assert normalized_entropy(probs=torch.tensor([1.0, 0.0])).item() == 0


def test_entropy_takes_one_kind_of_input_and_two_classes() -> None:
    values = torch.full((2, 1), 0.5)
    with pytest.raises(UsageError, match="exactly one of `logits` and `probs` must be given; got neither"):
        normalized_entropy()
    with pytest.raises(UsageError, match="exactly one of `logits` and `probs` must be given; got both"):
        normalized_entropy(logits=values, probs=values)
    with pytest.raises(UsageError, match="axis 1 must hold at least 2 classes"):
        normalized_entropy(probs=values, dim=1)


def test_bins_of_logits_are_as_wide_as_documented() -> None:
    assert (LOGIT_RANGE[1] - LOGIT_RANGE[0]) / DEFAULT_NUM_BINS == pytest.approx(4.9e-4, rel=0.01)
