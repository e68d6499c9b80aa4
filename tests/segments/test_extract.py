"""Features by hand, against a per-segment reference in double precision, and under symmetries."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from segood.errors import UsageError
from segood.segments import extract_segments, feature_names

frames = st.tuples(st.integers(2, 4), st.integers(1, 6), st.integers(1, 7)).flatmap(
    lambda shape: arrays(np.float32, shape, elements=st.sampled_from([-1e4, -2.0, 0.0, 0.5, 3.0, 1e4]))
)


def test_features_by_hand() -> None:
    # two classes; u = undecided (1/2, 1/2), m = (3/4, 1/4), a = surely class 0, b = surely class 1
    #
    #   u u m a          1 1 1 .
    #   u u u a    ->    1 1 1 .      threshold 0.5; H(m) = 2 - 3/4 log2(3) = 0.811
    #   a b b u          . . . 2      the last u touches the u above it at a corner: one segment
    #
    # so segment 1 = 7 pixels. Every pixel of it touches an outside pixel but the two at the top left.
    one, three = 0.0, float(np.log(3))
    first = np.array([[one, one, three, 50], [one, one, one, 50], [50, -50, -50, one]])
    segments = extract_segments(logits=np.stack([first, np.zeros_like(first)]), threshold=0.5)
    assert segments.labels.tolist() == [[1, 1, 1, 0], [1, 1, 1, 0], [0, 0, 0, 1]]
    assert len(segments) == 1
    row = segments.features.loc[1]
    low = 2 - 0.75 * np.log2(3)
    expected = {
        "size": 7,
        "size_interior": 2,
        "size_boundary": 5,
        "size_relative": 7 / 5,
        "size_relative_interior": 2 / 5,
        "center_row": (3 * 0 + 3 * 1 + 2) / 7,
        "center_col": (0 + 1 + 2 + 0 + 1 + 2 + 3) / 7,
        "entropy_mean": (6 + low) / 7,
        "entropy_mean_interior": 1,
        "entropy_mean_boundary": (4 + low) / 5,
        "entropy_mean_relative": (6 + low) / 5,
        "entropy_mean_relative_interior": 2 / 5,
        "entropy_variance": (6 + low**2) / 7 - ((6 + low) / 7) ** 2,
        "entropy_variance_interior": 0,
        "margin_mean": (6 * 1 + 0.5) / 7,  # m: 1 - 3/4 + 1/4
        "variation_ratio_mean": (6 * 0.5 + 0.25) / 7,
        "class_probability_0": (6 * 0.5 + 0.75) / 7,
        "class_probability_1": (6 * 0.5 + 0.25) / 7,
        # neighbours outside, counted once per boundary pixel (row, col) that touches them:
        # (0,2): a a | (1,0): a b | (1,1): a b b | (1,2): a a b b | (2,3): a b   -> 7 a, 6 b
        "neighbor_share_0": 7 / 13,
        "neighbor_share_1": 6 / 13,
    }
    assert row[list(expected)].to_dict() == pytest.approx(expected, rel=1e-6)


def slow_features(logits: np.ndarray, labels: np.ndarray) -> pd.DataFrame:
    """SPEC 4 read word by word: one segment, one pixel at a time."""
    z = logits.astype(np.float64)
    p = np.exp(z - z.max(0))
    p /= p.sum(0)
    ranked = np.sort(p, axis=0)[::-1]
    maps = [
        -(p * np.log(np.where(p > 0, p, 1))).sum(0) / np.log(len(p)),
        1 - ranked[0] + ranked[1],
        1 - ranked[0],
    ]
    rows = []
    for k in range(1, labels.max(initial=0) + 1):
        inner, rim, around = [], [], np.zeros(len(p))
        for r, c in np.argwhere(labels == k):
            window = [
                (i, j)
                for i in range(max(r - 1, 0), min(r + 2, labels.shape[0]))
                for j in range(max(c - 1, 0), min(c + 2, labels.shape[1]))
                if labels[i, j] == 0
            ]
            (rim if window else inner).append((r, c))
            for i, j in window:
                around[logits[:, i, j].argmax()] += 1
        places = [inner + rim, inner, rim]
        sizes = np.array([len(place) for place in places], float)
        scale = sizes[:2] / max(sizes[2], 1)
        row: list[float] = []
        for h in maps:
            values = [np.array([h[at] for at in place] or [0.0]) for place in places]
            for stats in ([v.mean() for v in values], [v.var() for v in values]):
                row += [*stats, stats[0] * scale[0], stats[1] * scale[1]]
        row += [*sizes, *scale, *np.mean(places[0], axis=0)]
        row += [*p[:, labels == k].mean(1), *(around / max(around.sum(), 1))]
        rows.append(row)
    return pd.DataFrame(rows, pd.RangeIndex(1, len(rows) + 1, name="segment"), feature_names(len(p)), float)


@given(frames, st.sampled_from([0.0, 0.3, 0.9, 1.0]), st.randoms(use_true_random=False))
@settings(max_examples=150)
def test_equal_to_the_slow_reference(logits: np.ndarray, threshold: float, random: object) -> None:
    ignore = np.array([random.random() < 0.2 for _ in logits[0].ravel()]).reshape(logits.shape[1:])  # type: ignore[attr-defined]
    segments = extract_segments(logits=logits, threshold=threshold, ignore=ignore)
    np.testing.assert_array_equal(segments.labels > 0, (segments.score_map >= threshold) & ~ignore)
    expected = slow_features(logits, segments.labels)
    pd.testing.assert_frame_equal(segments.features, expected, rtol=1e-5, atol=1e-6)
    assert np.isfinite(segments.features.to_numpy()).all()


@pytest.mark.parametrize("classes", [2, 19, 150])
def test_equal_to_the_slow_reference_on_a_larger_frame(classes: int) -> None:
    logits = np.random.default_rng(0).normal(0, 1.5, (classes, 30, 41)).astype(np.float32)
    segments = extract_segments(logits=logits, threshold=0.8)
    assert len(segments) > 1
    pd.testing.assert_frame_equal(
        segments.features, slow_features(logits, segments.labels), rtol=1e-5, atol=1e-6
    )


def random_logits() -> np.ndarray:
    return np.random.default_rng(3).normal(0, 1.5, (5, 20, 31)).astype(np.float32)


@pytest.mark.parametrize("axis", [1, 2])
def test_flipping_the_image_flips_its_segments(axis: int) -> None:
    logits = random_logits()
    segments = extract_segments(logits=logits)
    flipped = extract_segments(logits=np.flip(logits, axis))
    back = np.flip(flipped.labels, axis - 1)
    np.testing.assert_array_equal(back > 0, segments.labels > 0)
    assert len(flipped) == len(segments) > 3
    # the same segments, numbered from the other side
    number = [back[segments.labels == k][0] for k in segments.features.index]
    moved = flipped.features.loc[number].reset_index(drop=True)
    center = "center_row" if axis == 1 else "center_col"
    moved[center] = logits.shape[axis] - 1 - moved[center]
    pd.testing.assert_frame_equal(moved, segments.features.reset_index(drop=True), rtol=1e-5, atol=1e-6)


def test_permuting_the_classes_permutes_their_features() -> None:
    logits = random_logits()
    order = [3, 0, 4, 1, 2]
    before = extract_segments(logits=logits).features
    after = extract_segments(logits=logits[order]).features
    for new, old in enumerate(order):
        for name in ("class_probability", "neighbor_share"):
            np.testing.assert_allclose(after[f"{name}_{new}"], before[f"{name}_{old}"], rtol=1e-5)
    np.testing.assert_allclose(after.iloc[:, :37], before.iloc[:, :37], rtol=1e-5, atol=1e-6)


def test_probs_and_logits_agree() -> None:
    logits = random_logits()
    probs = torch.from_numpy(logits).softmax(0)
    from_logits, from_probs = extract_segments(logits=logits), extract_segments(probs=probs)
    np.testing.assert_array_equal(from_logits.labels, from_probs.labels)
    pd.testing.assert_frame_equal(from_logits.features, from_probs.features, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions(dtype: torch.dtype) -> None:
    logits = torch.from_numpy(random_logits()).to(dtype)
    segments = extract_segments(logits=logits)
    same = extract_segments(logits=logits.float())
    np.testing.assert_array_equal(segments.labels, same.labels)
    pd.testing.assert_frame_equal(segments.features, same.features, rtol=1e-5, atol=1e-6)


def test_input_may_be_strided_and_read_only_and_is_not_changed() -> None:
    logits = random_logits()
    before = logits.copy()
    logits.setflags(write=False)
    view = np.ascontiguousarray(logits.transpose(1, 2, 0)).transpose(2, 0, 1)
    assert not view.flags.c_contiguous
    frame = extract_segments(logits=view).features
    pd.testing.assert_frame_equal(frame, extract_segments(logits=logits).features, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(logits, before)


def test_no_segment_gives_all_columns() -> None:
    segments = extract_segments(logits=np.stack([np.full((4, 5), 30.0), np.zeros((4, 5))]))
    assert len(segments) == 0
    assert segments.features.shape == segments.published().shape == (0, 41)
    assert list(segments.features.columns) == feature_names(2)
    assert segments.features.index.name == "segment"
    assert set(segments.features.dtypes) == {np.dtype(np.float64)}
    assert segments.labels.dtype == np.int32
    assert not segments.labels.any()


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (6, 7)])
def test_a_segment_that_fills_the_image_is_finite(shape: tuple[int, int]) -> None:
    segments = extract_segments(logits=np.zeros((3, *shape), np.float32))
    size = float(np.prod(shape))
    row = segments.features.loc[1]
    assert np.isfinite(row).all()
    expected = {
        "size": size,
        "size_interior": size,
        "size_boundary": 0,
        "size_relative": size,
        "entropy_mean": 1,
        "entropy_mean_boundary": 0,
        "entropy_mean_relative": size,
        "neighbor_share_0": 0,
    }
    assert row[list(expected)].to_dict() == pytest.approx(expected, rel=1e-6)


def test_own_score_map_sets_the_segments_and_entropy_stays_a_feature() -> None:
    logits = random_logits()
    score = np.zeros((20, 31), np.float16)
    score[2:4, 5:8] = 7.5
    segments = extract_segments(logits=logits, score_map=score, threshold=7.5)
    assert (segments.labels > 0).sum() == segments.features.loc[1, "size"] == 6
    assert segments.score_map.dtype == np.float32
    entropy = extract_segments(logits=logits).score_map[2:4, 5:8]
    assert segments.features.loc[1, "entropy_mean"] == pytest.approx(entropy.mean(), rel=1e-5)


def test_a_score_equal_to_the_threshold_is_ood() -> None:
    score = np.array([[0.7, 0.69]], np.float32)
    assert extract_segments(logits=np.zeros((2, 1, 2)), score_map=score).labels.tolist() == [[1, 0]]


logits = np.zeros((2, 3, 4), np.float32)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "exactly one of `logits` and `probs` must be given; got neither"),
        ({"logits": logits, "probs": logits}, "must be given; got both"),
        ({"logits": logits[None]}, r"`logits` must have shape \(C,H,W\); got \(1, 2, 3, 4\)"),
        ({"logits": logits + np.nan}, "`logits` must be finite; 24 of 24 values"),
        ({"probs": logits + 0.7}, "`probs` must be softmax probabilities.*sums from 1.4 to 1.4"),
        ({"probs": np.stack([logits[0] - 1, logits[0] + 2])}, "each at least 0"),
        ({"logits": logits, "threshold": 1.5}, r"`threshold` must lie in \[0, 1\]; got 1.5"),
        (
            {"logits": logits, "score_map": logits[0], "threshold": np.inf},
            "`threshold` must be a finite number",
        ),
        ({"logits": logits, "score_map": logits}, r"`score_map` must have shape \(H,W\)=\(3, 4\)"),
        ({"logits": logits, "score_map": logits[0] + np.nan}, "`score_map` must be finite"),
        ({"logits": logits, "ignore": np.zeros((4, 3), bool)}, r"`ignore` must have shape \(H,W\)=\(3, 4\)"),
        ({"logits": logits, "ignore": np.zeros((3, 4), np.uint8)}, "`ignore` must be boolean"),
        ({"logits": logits.astype(int)}, "`logits` must be floating point"),
    ],
)
def test_bad_input(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        extract_segments(**arguments)  # type: ignore[arg-type]
