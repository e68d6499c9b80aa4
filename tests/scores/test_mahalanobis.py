"""Mahalanobis distance by hand and against NumPy and scikit-learn; streaming, merging, storing."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.covariance import EmpiricalCovariance

from segood.errors import UsageError
from segood.scores import Mahalanobis, get_score, mahalanobis

CLASSES, DEPTH = 4, 6


def frames(count: int, offset: float = 0.0) -> list[tuple[np.ndarray, np.ndarray]]:
    """Features around one mean per class, correlated; class 2 has no pixel."""
    rng = np.random.default_rng(0)
    means, mixing = rng.normal(0, 4, (CLASSES, DEPTH)), rng.normal(size=(DEPTH, DEPTH))
    found = []
    for _ in range(count):
        target = rng.choice([0, 1, 3, 254, 255], (2, 5, 7))
        values = means[target % CLASSES] + rng.normal(size=(2, 5, 7, DEPTH)) @ mixing + offset
        found.append((values.transpose(0, 3, 1, 2).astype(np.float32), target))
    return found


def pixels(of: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """All counted features (M,D) in double precision, and their classes."""
    values = np.concatenate([f.transpose(0, 2, 3, 1).reshape(-1, DEPTH) for f, _ in of]).astype(np.float64)
    labels = np.concatenate([t.ravel() for _, t in of])
    return values[labels < 254], labels[labels < 254]


def fit(of: list[tuple[np.ndarray, np.ndarray]], **options: float) -> Mahalanobis:
    score = Mahalanobis(**options)  # type: ignore[arg-type]
    for features, target in of:
        score.update_arrays(features=features, target=target, num_classes=CLASSES)
    return score


def reference(of: list[tuple[np.ndarray, np.ndarray]], features: np.ndarray) -> np.ndarray:
    """The distance by scikit-learn, class by class."""
    values, labels = pixels(of)
    means = {c: values[labels == c].mean(0) for c in np.unique(labels)}
    centred = values - np.stack([means[c] for c in labels])
    shared = EmpiricalCovariance(assume_centered=True).fit(centred)
    n, _, h, w = features.shape
    rows = features.transpose(0, 2, 3, 1).reshape(-1, DEPTH).astype(np.float64)
    squared = np.min([shared.mahalanobis(rows - mean) for mean in means.values()], axis=0)
    return np.sqrt(squared).reshape(n, h, w)


def test_two_features_by_hand() -> None:
    # class 0 at (0,0) and class 1 at (10,0), each pixel 2 from it along one axis: variances 2 and 2
    #     (±2,0), (0,±2) and (10±2,0), (10,±2): Σ = diag(4·2²/8) = diag(2, 2)
    corners = torch.tensor([[2.0, 0], [-2, 0], [0, 2], [0, -2]])
    train = torch.cat([corners, corners + torch.tensor([10.0, 0])]).T.reshape(1, 2, 1, 8)
    score = Mahalanobis(ridge=1e-15)
    score.update_arrays(features=train, target=np.repeat([0, 1], 4).reshape(1, 1, 8))
    np.testing.assert_allclose(score.means, [[0, 0], [10, 0]], atol=1e-15)
    np.testing.assert_allclose(score.covariance, [[2, 0], [0, 2]], atol=1e-15)
    at = torch.tensor([[0.0, 3.0], [4.0, 0.0], [7.0, 4.0], [10.0, 0.0]]).T.reshape(1, 2, 1, 4)
    expected = np.array([3, 4, 5, 0]) / np.sqrt(2)
    np.testing.assert_allclose(score(features=at)[0, 0], expected, rtol=1e-6, atol=1e-6)


def test_equal_to_scikit_learn_and_numpy() -> None:
    train = frames(4)
    score = fit(train, ridge=1e-14)
    values, labels = pixels(train)
    means = np.stack([values[labels == c].mean(0) if c != 2 else np.zeros(DEPTH) for c in range(CLASSES)])
    np.testing.assert_allclose(score.means, means, rtol=1e-12)
    centred = values - means[labels]
    np.testing.assert_allclose(score.covariance, centred.T @ centred / len(values), rtol=1e-11)
    features = np.random.default_rng(1).normal(0, 8, (2, DEPTH, 3, 4)).astype(np.float32)
    found = score(features=features)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, reference(train, features), rtol=1e-6)


def test_a_large_offset_costs_no_digits() -> None:
    plain, moved = fit(frames(3)), fit(frames(3, offset=2**17))  # sums of squares would keep 5 digits
    np.testing.assert_allclose(moved.covariance, plain.covariance, rtol=0.02)  # float32 features, 2⁻⁷ apart
    train = [(f.astype(np.float64) + 1e6, t) for f, t in frames(3)]
    np.testing.assert_allclose(fit(train).covariance, plain.covariance, rtol=1e-8)
    features = frames(4)[-1][0].astype(np.float64)
    np.testing.assert_allclose(
        fit(train)(features=features + 1e6), plain(features=features), rtol=1e-5, atol=1e-5
    )


def test_merging_in_any_order_equals_one_fit() -> None:
    train = frames(3)
    whole = fit(train)
    for order in permutations(train):
        merged = Mahalanobis()
        for part in order:
            assert merged.merge(fit([part])) is merged
        for key, value in whole.state_dict().items():
            np.testing.assert_allclose(merged.state_dict()[key], value, rtol=1e-10, atol=1e-10)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    train, whole = frames(2), fit(frames(2))
    features = train[0][0]
    expected = whole(features=features)
    monkeypatch.setattr(mahalanobis, "_BLOCK", 8 * DEPTH)
    blocks = fit(train)
    np.testing.assert_allclose(blocks.covariance, whole.covariance, rtol=1e-11)
    np.testing.assert_allclose(blocks(features=features), expected, rtol=1e-6)


def test_targets_are_brought_to_the_grid_by_the_nearest_pixel() -> None:
    # one cell per 3×2 pixels; only the pixel at its centre counts
    target = np.full((1, 6, 4), 255)
    target[0, [1, 1, 4, 4], [1, 3, 1, 3]] = [0, 1, 2, 0]
    score = Mahalanobis()
    score.update_arrays(features=torch.arange(4.0).reshape(1, 1, 2, 2), target=target)
    assert score.state_dict()["count"].tolist() == [2, 1, 1]
    np.testing.assert_allclose(score.means, [[1.5], [1], [2]])


def test_unseen_classes_are_left_out_and_reported() -> None:
    score = fit(frames(2), ridge=1e-12)
    assert score.unseen_classes == (2,)
    # the means of unseen classes are stored as 0, but nothing is near them
    at_zero = np.zeros((1, DEPTH, 1, 1), np.float32)
    np.testing.assert_allclose(score(features=at_zero), reference(frames(2), at_zero), rtol=1e-4)
    assert score(features=at_zero).item() > 0.5


def test_classes_grow_where_their_number_is_not_given() -> None:
    score = Mahalanobis()
    for train_id in (0, 3):
        score.update_arrays(features=torch.randn(1, 2, 2, 2), target=np.full((1, 2, 2), train_id, np.uint8))
    assert score.state_dict()["count"].tolist() == [4, 0, 0, 4]
    assert score.unseen_classes == (1, 2)
    score.update_arrays(features=torch.randn(1, 2, 2, 2), target=np.full((1, 2, 2), 255))
    assert score.state_dict()["count"].tolist() == [4, 0, 0, 4]


def test_maps_are_resized_bilinearly() -> None:
    score = fit(frames(1))
    features = torch.from_numpy(frames(1)[0][0])
    small = score(features=features)
    expected = F.interpolate(small[None], size=(13, 20), mode="bilinear", align_corners=False)[0]
    assert torch.equal(score(features=features, size=(13, 20)), expected)


def test_the_ridge_lets_constant_and_dependent_features_be() -> None:
    train = [(np.concatenate([f[:, :2], f[:, :1], 0 * f[:, :1]], 1), t) for f, t in frames(2)]
    score = Mahalanobis()
    for features, target in train:
        score.update_arrays(features=features, target=target)
    found = score(features=train[0][0])
    assert np.isfinite(found).all()
    assert np.median(found) == pytest.approx(np.sqrt(2), rel=0.5)  # two features are free
    constant = Mahalanobis()
    constant.update_arrays(features=torch.ones(1, 2, 2, 2), target=np.zeros((1, 2, 2), int))
    assert constant(features=torch.ones(1, 2, 1, 1)).item() == 0
    far = constant(features=torch.full((1, 2, 1, 1), 1e4))
    assert far.item() == 60000.0
    assert bool(torch.isfinite(far.half()).all())


def test_the_state_comes_back_bit_by_bit() -> None:
    score, again = fit(frames(2)), Mahalanobis()
    again.load_state_dict(score.state_dict())
    assert all(np.array_equal(again.state_dict()[k], v) for k, v in score.state_dict().items())
    features = frames(1)[0][0]
    np.testing.assert_array_equal(again(features=features), score(features=features))


def test_bad_input() -> None:
    features = frames(1)[0][0]
    with pytest.raises(UsageError, match="score 'mahalanobis' must be fitted before use"):
        get_score("mahalanobis")(features=features)  # type: ignore[call-arg]
    score = fit(frames(1))
    with pytest.raises(UsageError, match="is fitted for 6 features; got 5"):
        score(features=features[:, :5])
    with pytest.raises(UsageError, match="is fitted for 6 features; got 5"):
        score.update_arrays(features=features[:, :5], target=np.zeros((2, 5, 7), int))
    with pytest.raises(
        UsageError, match=r"`features` must have shape \(N,D,h,w\), floating point; got \(6, 5"
    ):
        score(features=features[0])
    with pytest.raises(UsageError, match=r"`target` must have shape \(N,H,W\) with N=2; got \(5, 7\)"):
        score.update_arrays(features=features, target=np.zeros((5, 7), int))
    with pytest.raises(UsageError, match=r"must hold train ids 0\.\.3, or 254 .*; got 4"):
        score.update_arrays(features=features, target=np.full((2, 5, 7), 4), num_classes=4)
    with pytest.raises(UsageError, match="score 'mahalanobis': `features` must be finite; 420 of 420"):
        score(features=features * np.nan)
    with pytest.raises(UsageError, match="score 'mahalanobis': `features` must be finite"):
        score.update_arrays(features=features * np.nan, target=np.zeros((2, 5, 7), int))
    with pytest.raises(UsageError, match="takes features, not logits"):
        score.compute(torch.zeros(1, 2, 3, 3))
    with pytest.raises(UsageError, match="`ridge` must be a finite number above 0; got 0"):
        Mahalanobis(ridge=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mean": np.zeros((4, 5))}, r"`mean` .* must have shape \(4, 6\); got \(4, 5\)"),
        ({"scatter": np.zeros((6, 5))}, r"`scatter` .* must have shape \(6, 6\); got \(6, 5\)"),
        ({"count": np.zeros((4, 1))}, r"`count` .* must have shape \(4,\); got \(4, 1\)"),
    ],
)
def test_bad_states(change: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Mahalanobis().load_state_dict({**fit(frames(1)).state_dict(), **change})
