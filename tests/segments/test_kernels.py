"""Compiled kernels against the plain path, on frames that hypothesis makes up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch.nn import functional as F

from segood.compiled import kernels_enabled, set_num_threads
from segood.errors import UsageError
from segood.scores import Entropy, normalized_entropy
from segood.segments import Segments, extract_segments, label_components
from segood.segments.components import label_plainly

pytestmark = pytest.mark.skipif(not kernels_enabled(), reason="Numba is not installed or switched off")

# Two runs of the same logits may differ this much in entropy; a mask may differ only that near the threshold.
NEAR = 1e-5


def plainly(**arguments: Any) -> Segments:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEGOOD_KERNELS", "0")
        return extract_segments(**arguments)


def check_equal(**arguments: Any) -> Segments:
    """Extract both ways and compare everything."""
    fast, plain = extract_segments(**arguments), plainly(**arguments)
    np.testing.assert_allclose(fast.score_map, plain.score_map, rtol=0, atol=NEAR)
    np.testing.assert_array_equal(fast.classes, plain.classes)
    assert fast.classes.dtype == plain.classes.dtype
    moved = (fast.labels > 0) != (plain.labels > 0)
    assert (np.abs(plain.score_map[moved] - np.float32(arguments["threshold"])) <= NEAR).all()
    if not moved.any():
        np.testing.assert_array_equal(fast.labels, plain.labels)
        pd.testing.assert_frame_equal(fast.features, plain.features, rtol=1e-4, atol=1e-5)
    return fast


values = st.one_of(
    st.floats(-8, 8, width=32),
    st.sampled_from([-1e4, -100.0, 0.0, 0.5, 1e4]).map(np.float32),
)


@st.composite
def frames(draw: st.DrawFn) -> np.ndarray:
    classes = draw(st.sampled_from([2, 2, 3, 5, 19]))
    shape = (classes, draw(st.integers(1, 9)), draw(st.integers(1, 40)))
    return draw(arrays(np.float32, shape, elements=values, fill=st.just(np.float32(0.25))))


@given(frames(), st.sampled_from([0.0, 0.3, 0.7, 1.0]), st.integers(0, 2**32 - 1), st.booleans())
@settings(max_examples=200)
def test_kernels_equal_the_plain_path(
    logits: np.ndarray, threshold: float, seed: int, ignoring: bool
) -> None:
    ignore = np.random.default_rng(seed).random(logits.shape[1:]) < 0.2 if ignoring else None
    check_equal(logits=logits, threshold=threshold, ignore=ignore)


@given(frames(), st.floats(-9, 9, width=32))
@settings(max_examples=60)
def test_with_a_score_of_the_caller(logits: np.ndarray, threshold: float) -> None:
    check_equal(logits=logits, score_map=logits[0], threshold=threshold)


def smooth(classes: int = 19, height: int = 97, width: int = 201, seed: int = 0) -> torch.Tensor:
    coarse = torch.randn(1, classes, 12, 24, generator=torch.Generator().manual_seed(seed)) * 3
    return F.interpolate(coarse, size=(height, width), mode="bicubic")[0].contiguous()


@pytest.mark.parametrize("classes", [2, 19, 150, 300])
@pytest.mark.parametrize("threshold", [0.0, 0.4, 1.0])
def test_number_of_classes(classes: int, threshold: float) -> None:
    segments = check_equal(logits=smooth(classes), threshold=threshold)
    assert len(segments) > 0 or threshold == 1
    if threshold == 0:
        assert (segments.labels == 1).all()  # all of the frame is one segment


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("layout", ["contiguous", "channels last", "flipped", "cut"])
def test_precisions_and_layouts(dtype: torch.dtype, layout: str) -> None:
    logits = smooth().to(dtype)
    if layout == "channels last":
        logits = logits.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    elif layout == "flipped":
        logits = logits.transpose(1, 2)
    elif layout == "cut":
        logits = logits[:, 3:-5, 7:-1]
    check_equal(logits=logits, threshold=0.4)


@pytest.mark.parametrize("layout", ["read-only", "turned around", "foreign byte order"])
def test_arrays_that_torch_cannot_view(layout: str) -> None:
    logits = smooth().numpy()
    expected = extract_segments(logits=logits, threshold=0.4)
    if layout == "read-only":
        logits = logits.copy()
        logits.flags.writeable = False
    elif layout == "turned around":
        logits = np.ascontiguousarray(logits[:, ::-1])[:, ::-1]
    else:
        logits = logits.astype(logits.dtype.newbyteorder())
    found = extract_segments(logits=logits, threshold=0.4)
    np.testing.assert_array_equal(found.labels, expected.labels)
    pd.testing.assert_frame_equal(found.features, expected.features, rtol=1e-6, atol=1e-7)


def test_an_ignore_mask_of_any_layout() -> None:
    ignore = np.random.default_rng(0).random((201, 97)) < 0.1
    check_equal(logits=smooth(), threshold=0.4, ignore=ignore.T)
    check_equal(logits=smooth(), threshold=0.4, ignore=torch.from_numpy(ignore).T)


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("size", [(97, 201), (388, 801), (61, 90), (1, 7), (100, 1), (50, 500)])
def test_logits_at_the_stride_equal_those_upsampled_before(
    size: tuple[int, int], align_corners: bool
) -> None:
    logits = smooth()
    given = check_equal(logits=logits, size=size, align_corners=align_corners, threshold=0.4)
    before = F.interpolate(logits[None], size=size, mode="bilinear", align_corners=align_corners)[0]
    expected = extract_segments(logits=before, threshold=0.4)
    np.testing.assert_allclose(given.score_map, expected.score_map, rtol=0, atol=NEAR)
    moved = (given.labels > 0) != (expected.labels > 0)
    assert (np.abs(expected.score_map[moved] - 0.4) <= NEAR).all()
    if not moved.any():
        pd.testing.assert_frame_equal(given.features, expected.features, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_logits_of_other_precisions_at_the_stride(dtype: torch.dtype) -> None:
    check_equal(logits=smooth(5).to(dtype), size=(300, 400), threshold=0.5)


@pytest.mark.parametrize("offset", [1e4, -1e9, 1e30])
@pytest.mark.parametrize("size", [None, (150, 333)])
def test_differences_of_large_float64_logits_are_kept(offset: float, size: tuple[int, int] | None) -> None:
    logits = smooth(5).double() * (1.0 if abs(offset) < 1e20 else 1e25) + offset
    found = check_equal(logits=logits, size=size, threshold=0.4)
    if abs(offset) < 1e20:
        expected = extract_segments(logits=smooth(5).double(), size=size, threshold=0.4)
        np.testing.assert_allclose(found.score_map, expected.score_map, rtol=0, atol=NEAR)


def test_probs_at_the_stride_are_interpolated() -> None:
    probs = smooth(3).softmax(0)
    given = extract_segments(probs=probs, size=(150, 333), threshold=0.8)
    before = F.interpolate(probs[None], size=(150, 333), mode="bilinear")[0]
    expected = extract_segments(probs=before, threshold=0.8)
    np.testing.assert_allclose(given.score_map, expected.score_map, atol=NEAR)
    assert len(given) == len(expected) > 1


def test_a_size_without_pixels() -> None:
    with pytest.raises(UsageError, match=r"`size` must be \(H,W\), both at least 1; got \(0, 5\)"):
        extract_segments(logits=smooth(), size=(0, 5))


@pytest.mark.parametrize("size", [(4, 5, 6), 7, (1.5, 2), "ab"])
def test_a_size_that_is_none(size: Any) -> None:
    with pytest.raises(UsageError, match=r"`size` must be two whole numbers \(H,W\); got "):
        extract_segments(logits=smooth(), size=size)


def test_sums_keep_their_digits_in_a_run_of_a_million_equal_pixels() -> None:
    logits = np.zeros((3, 1, 10**6), np.float32)
    logits[0] = 1.0
    found = extract_segments(logits=logits, threshold=0.1).features.iloc[0]
    probs = np.exp([1.0, 0.0, 0.0]) / (np.e + 2)
    np.testing.assert_allclose(found[[f"class_probability_{c}" for c in range(3)]], probs, rtol=1e-6)


def test_small_variances_are_those_of_the_plain_path() -> None:
    logits = np.zeros((19, 60, 90), np.float32)
    logits[0] = 50  # sure but for a rectangle, in which the dispersion hardly varies
    noise = np.random.default_rng(0).normal(size=(40, 70)).astype(np.float32)
    logits[0, 10:50, 10:80], logits[1, 10:50, 10:80] = 0, 0.4 + 1e-3 * noise
    found, expected = (f(logits=logits, threshold=0.5).features for f in (extract_segments, plainly))
    variances = [name for name in found.columns if "variance" in name]
    assert expected[variances].to_numpy().max() < 1e-6
    pd.testing.assert_frame_equal(found[variances], expected[variances], rtol=1e-2, atol=1e-12)


@given(
    st.tuples(st.integers(1, 40), st.integers(1, 70)),
    st.sampled_from([0.0, 0.1, 0.4, 0.6, 0.9, 1.0]),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=150)
def test_components_equal_those_of_opencv(shape: tuple[int, int], density: float, seed: int) -> None:
    mask = np.random.default_rng(seed).random(shape) < density
    labels, count = label_components(mask)
    expected, expected_count = label_plainly(mask)
    np.testing.assert_array_equal(labels, expected)
    assert count == expected_count


@pytest.mark.parametrize("pattern", ["spiral", "comb", "checkerboard"])
def test_components_that_join_late(pattern: str) -> None:
    mask = np.zeros((129, 2049), bool)  # wide, so that it is several bands
    if pattern == "comb":
        mask[:, ::2] = True
        mask[-1] = True  # all teeth become one in the last row
    elif pattern == "checkerboard":
        mask[::2, ::2] = mask[1::2, 1::2] = True  # one segment, by corners alone
    else:
        for step in range(0, 60, 4):
            mask[step : 129 - step, [step, -1 - step]] = True
            mask[[step, 128 - step], step : 2049 - step] = True
            mask[step + 1, step] = False
            mask[step + 2, max(step - 2, 0) : step + 1] = True
    labels, count = label_components(mask)
    expected, expected_count = label_plainly(mask)
    np.testing.assert_array_equal(labels, expected)
    assert count == expected_count
    if pattern != "spiral":
        assert count == 1
    logits = np.where(mask, 0.0, np.array([9.0, -9.0])[:, None, None]).astype(np.float32)
    check_equal(logits=logits, threshold=0.5)


@pytest.mark.parametrize("size", [None, (300, 700)])
def test_results_do_not_depend_on_the_number_of_threads(size: tuple[int, int] | None) -> None:
    logits = smooth(7, 257, 1023)
    results = []
    for threads in (1, 2, 5):
        set_num_threads(threads)
        results.append(extract_segments(logits=logits, threshold=0.4, size=size))
    for other in results[1:]:
        np.testing.assert_array_equal(other.score_map, results[0].score_map)
        np.testing.assert_array_equal(other.labels, results[0].labels)
        pd.testing.assert_frame_equal(other.features, results[0].features, check_exact=True)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("position", [(0, 0, 0), (2, 5, 3), (1, 96, 200)])
def test_a_single_bad_logit_is_found(value: float, position: tuple[int, int, int]) -> None:
    logits = smooth(3).numpy()
    logits[position] = value
    for arguments in ({}, {"score_map": logits[0] * 0 + 1 if position[0] else np.ones((97, 201))}):
        with pytest.raises(UsageError, match=r"`logits` must be finite; 1 of 58491 values"):
            extract_segments(logits=logits, threshold=0.5, **arguments)
    with pytest.raises(UsageError, match="`logits` must be finite; 1 of 58491 values"):
        Entropy()(logits=logits[None])


def test_logits_that_float32_cannot_subtract_or_hold() -> None:
    logits = np.zeros((3, 2, 2), np.float32)
    logits[0], logits[1] = 3e38, -3e38
    assert not extract_segments(logits=logits).labels.any()
    assert not extract_segments(logits=logits.astype(np.float64) * 1e200).labels.any()
    np.testing.assert_array_equal(Entropy()(logits=logits[None]), np.zeros((1, 2, 2), np.float32))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_the_entropy_score_equals_its_formula(dtype: torch.dtype) -> None:
    logits = torch.stack([smooth(seed=0), smooth(seed=1)]).to(dtype)
    expected = normalized_entropy(logits=logits.double(), dim=1)
    torch.testing.assert_close(Entropy()(logits=logits).double(), expected, rtol=0, atol=1e-6)
    turned = logits.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    torch.testing.assert_close(Entropy()(logits=turned).double(), expected, rtol=0, atol=1e-6)


def test_the_entropy_score_keeps_its_gradient() -> None:
    logits = smooth()[None].requires_grad_()
    Entropy()(logits=logits).sum().backward()
    assert logits.grad is not None
    assert logits.grad.abs().sum() > 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("size", [None, (388, 801)])
def test_on_a_gpu(size: tuple[int, int] | None) -> None:
    logits = smooth()
    here, there = (extract_segments(logits=z, size=size, threshold=0.4) for z in (logits, logits.cuda()))
    np.testing.assert_allclose(there.score_map, here.score_map, rtol=0, atol=NEAR)
    moved = (there.labels > 0) != (here.labels > 0)
    assert (np.abs(here.score_map[moved] - 0.4) <= NEAR).all()
    if not moved.any():
        pd.testing.assert_frame_equal(there.features, here.features, rtol=1e-4, atol=1e-4)
