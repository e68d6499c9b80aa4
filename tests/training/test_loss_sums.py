"""Sums and gradients against the formula in float64, over shapes, types and layouts; memory."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from segood import compiled
from segood.errors import UsageError
from segood.training import EntropyMaximizationLoss, loss_terms
from segood.training.loss_sums import objective_sums
from segood.types import IGNORE, OOD


def formula(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Both sums as they are defined, pixel by pixel, with a one-hot tensor, in float64."""
    log_probs = logits.double().log_softmax(1)
    q = logits.shape[1]
    one_hot = torch.stack([target == c for c in range(q)], dim=1)
    return -log_probs[one_hot].sum(), -(log_probs.mean(1)[target == OOD]).sum()


def check(
    logits: Tensor, target: Tensor, weights: tuple[float, float] = (0.3, 0.7), tol: float = 2e-6
) -> None:
    ours = logits.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    reference = logits.detach().double().requires_grad_()
    terms = loss_terms(ours, target)
    expected = formula(reference, target)
    precise = torch.float64 if logits.dtype == torch.float64 else torch.float32
    assert terms.in_sum.dtype == terms.ood_sum.dtype == precise
    assert terms.in_count == ((target >= 0) & (target < logits.shape[1])).sum()
    assert terms.ood_count == (target == OOD).sum()
    torch.testing.assert_close(terms.in_sum.double(), expected[0], rtol=tol, atol=1e-6)
    torch.testing.assert_close(terms.ood_sum.double(), expected[1], rtol=tol, atol=1e-6)
    (weights[0] * terms.in_sum + weights[1] * terms.ood_sum).backward()
    (weights[0] * expected[0] + weights[1] * expected[1]).backward()
    assert ours.grad is not None
    assert reference.grad is not None
    assert ours.grad.dtype == logits.dtype
    rounding = max(tol, torch.finfo(logits.dtype).eps)
    torch.testing.assert_close(ours.grad.double(), reference.grad, rtol=rounding, atol=rounding / 4)


def drawn(
    shape: tuple[int, int, int, int], seed: int = 0, scale: float = 3.0, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    n, q, h, w = shape
    logits = (torch.randn(shape, generator=generator) * scale).to(dtype)
    target = torch.randint(0, q, (n, h, w), generator=generator)
    kind = torch.rand((n, h, w), generator=generator)
    target[kind < 0.3] = OOD
    target[kind > 0.8] = IGNORE
    return logits, target


@pytest.fixture(params=["kernels", "plain"])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways of computing."""
    if request.param == "plain":
        monkeypatch.setenv("SEGOOD_KERNELS", "0")
        monkeypatch.setattr("segood.training.loss_sums._SMALLEST_CHUNK", 300)  # several chunks
    return request.param


@settings(max_examples=60)
@given(
    shape=st.tuples(
        st.integers(1, 3), st.sampled_from([2, 3, 19, 150]), st.integers(1, 40), st.integers(1, 40)
    ),
    seed=st.integers(0, 2**31 - 1),
    scale=st.sampled_from([0.0, 1.0, 10.0, 80.0]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    labels=st.sampled_from([torch.uint8, torch.int16, torch.int32, torch.int64]),
)
def test_equals_the_formula(
    shape: tuple[int, int, int, int], seed: int, scale: float, dtype: torch.dtype, labels: torch.dtype
) -> None:
    logits, target = drawn(shape, seed, scale, dtype)
    check(logits, target.to(labels))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_both_paths_and_all_precisions_equal_the_formula(path: str, dtype: torch.dtype) -> None:
    check(*drawn((3, 19, 17, 33), dtype=dtype))


@pytest.mark.parametrize("pixels", [511, 512, 513, 2**14 - 1, 2**14, 2**14 + 1, 40_000])
def test_blocks_and_pieces_of_the_kernels_meet(pixels: int) -> None:
    check(*drawn((2, 3, 1, pixels)))


def test_layouts(path: str) -> None:
    logits, target = drawn((2, 5, 12, 14))
    check(logits.contiguous(memory_format=torch.channels_last), target)
    wide = torch.randn(2, 5, 12, 28)
    check(wide[..., ::2], target)
    check(logits.transpose(2, 3), target.transpose(1, 2))
    check(logits.flip(3), target.flip(2))
    check(logits.expand(2, 5, 12, 14), target[:1].expand(2, 12, 14))


def test_gradients_that_are_not_contiguous_reach_the_network(path: str) -> None:
    target = drawn((2, 5, 12, 14))[1]
    coarse = torch.randn(2, 5, 14, 12, requires_grad=True)
    EntropyMaximizationLoss()(coarse.transpose(2, 3) * 2, target).backward()
    ours = coarse.grad
    coarse.grad = None
    known, unknown = formula(coarse.transpose(2, 3) * 2, target)
    pixels = (target != IGNORE).sum()
    ((0.1 * known + 0.9 * unknown) / pixels).backward()
    torch.testing.assert_close(ours, coarse.grad, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("weights", [(0.0, 1.0), (1.0, 0.0), (0.0, 0.0), (-2.0, 5.0)])
def test_each_sum_has_its_own_gradient(path: str, weights: tuple[float, float]) -> None:
    check(*drawn((2, 7, 9, 11)), weights)


def test_one_sum_alone_may_be_used(path: str) -> None:
    logits, target = drawn((1, 4, 5, 6))
    logits.requires_grad_()
    (ours,) = torch.autograd.grad(loss_terms(logits, target).ood_sum, logits)
    (expected,) = torch.autograd.grad(formula(logits, target)[1], logits)
    torch.testing.assert_close(ours, expected.float(), rtol=1e-5, atol=1e-6)


def test_gradcheck() -> None:
    logits, target = drawn((2, 3, 2, 3), dtype=torch.float64)
    logits.requires_grad_()

    def sums(values: Tensor) -> tuple[Tensor, Tensor]:
        terms = loss_terms(values, target)
        return terms.in_sum, terms.ood_sum

    assert torch.autograd.gradcheck(sums, (logits,))


def test_large_logits_keep_the_digits_of_their_differences(path: str) -> None:
    # log_softmax subtracts the maximum before the logarithm is added; so does this: 1e4 + 1 against 1e4.
    logits = torch.tensor([1e4 + 1, 1e4, -1e4]).view(1, 3, 1, 1).repeat(1, 1, 1, 3).requires_grad_()
    target = torch.tensor([[[0, 1, OOD]]])
    terms = loss_terms(logits, target)
    known = 2 * torch.tensor(1.0).exp().add(1).log() - 1  # log(1 + e) - 1 and log(1 + e)
    torch.testing.assert_close(terms.in_sum, known, rtol=1e-6, atol=0)
    assert terms.ood_sum.item() == pytest.approx((1 + 20001) / 3 + torch.tensor(-1.0).exp().log1p().item())
    (terms.in_sum + terms.ood_sum).backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_excluded_classes_may_be_minus_infinity(path: str) -> None:
    logits, target = drawn((1, 4, 6, 6))
    logits[:, 3] = -torch.inf
    target[(target == 3) | (target == OOD)] = IGNORE
    logits.requires_grad_()
    terms = loss_terms(logits, target)
    torch.testing.assert_close(terms.in_sum.double(), formula(logits, target)[0])
    terms.in_sum.backward()
    assert logits.grad is not None
    assert (logits.grad[:, 3] == 0).all()


@pytest.mark.parametrize("label", [0, 1, OOD])
@pytest.mark.parametrize("channel", [0, 1, 2])
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_diverged_network_is_not_hidden(path: str, value: float, channel: int, label: int) -> None:
    logits = torch.zeros(1, 3, 1, 700)
    logits[0, channel, 0, 600] = value
    terms = loss_terms(logits, torch.full((1, 1, 700), label))
    assert not torch.isfinite(terms.ood_sum if label == OOD else terms.in_sum)


def test_all_ignored_and_empty_batches(path: str) -> None:
    logits = torch.randn(2, 3, 4, 5, requires_grad=True)
    terms = loss_terms(logits, torch.full((2, 4, 5), IGNORE))
    assert [t.item() for t in terms] == [0] * 6
    (terms.in_sum + terms.ood_sum).backward()
    assert logits.grad is not None
    assert (logits.grad == 0).all()
    empty = loss_terms(torch.zeros(0, 3, 4, 5), torch.zeros(0, 4, 5, dtype=torch.long))
    assert [t.item() for t in empty] == [0] * 6


def test_no_train_id_is_the_label_of_another_kind(path: str) -> None:
    target = torch.tensor([[[253, OOD]]])
    terms = loss_terms(torch.zeros(1, 254, 1, 2), target)
    assert (terms.in_count.item(), terms.ood_count.item()) == (1, 1)
    with pytest.raises(UsageError, match=r"`logits` must have at most 254 classes, .*; got 255$"):
        loss_terms(torch.zeros(1, 255, 1, 2), target)


@pytest.mark.parametrize("value", [3, 253, -1, 1000])
def test_unknown_labels_are_named(path: str, value: int) -> None:
    target = torch.zeros(2, 4, 4, dtype=torch.long)
    target[1, 3, 2] = value
    with pytest.raises(UsageError, match=rf"train ids 0\.\.2, 254 \(OoD\) and 255 \(ignore\); got {value}$"):
        loss_terms(torch.zeros(2, 3, 4, 4), target)


def test_threads_change_nothing() -> None:
    logits, target = drawn((3, 19, 150, 160))
    results = []
    for threads in (1, 2, 5):
        compiled.set_num_threads(threads)
        values = logits.clone().requires_grad_()
        loss = EntropyMaximizationLoss()(values, target)
        loss.backward()
        results.append((loss.detach(), values.grad))
    for loss, gradient in results[1:]:
        assert torch.equal(loss, results[0][0])
        assert torch.equal(gradient, results[0][1])


def test_autocast_computes_in_float32() -> None:
    logits, target = drawn((2, 5, 8, 9))
    weight = torch.eye(5).view(5, 5, 1, 1).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = torch.nn.functional.conv2d(logits, weight)
        assert out.dtype == torch.bfloat16
        terms = loss_terms(out, target)
    assert terms.in_sum.dtype == torch.float32
    torch.testing.assert_close(terms.in_sum.double(), formula(out.float(), target)[0], rtol=1e-6, atol=0)
    terms.in_sum.backward()
    assert weight.grad is not None


def test_second_derivatives() -> None:
    logits, target = drawn((1, 3, 2, 2), dtype=torch.float64)
    logits.requires_grad_()

    def sums(values: Tensor) -> tuple[Tensor, Tensor]:
        terms = loss_terms(values, target)
        return terms.in_sum, terms.ood_sum

    assert torch.autograd.gradgradcheck(sums, (logits,))
    penalized = logits.detach().float().requires_grad_()
    (gradient,) = torch.autograd.grad(
        EntropyMaximizationLoss()(penalized, target), penalized, create_graph=True
    )
    gradient.square().sum().backward()
    assert penalized.grad is not None
    assert penalized.grad.abs().max() > 0


def test_works_inside_a_compiled_function_and_functional_transforms() -> None:
    logits, target = drawn((1, 3, 6, 7))
    objective = EntropyMaximizationLoss()
    expected = objective(logits, target)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the compiler's own
        compiled_loss = torch.compile(lambda z: objective(z * 1, target), backend="eager")
        values = logits.clone().requires_grad_()
        loss = compiled_loss(values)
        loss.backward()
    torch.testing.assert_close(loss, expected)
    gradient = torch.func.grad(lambda z: objective(z, target))(logits)
    torch.testing.assert_close(values.grad, gradient)


def test_no_gradient_is_needed() -> None:
    logits, target = drawn((1, 3, 6, 7))
    with torch.no_grad():
        without = objective_sums(logits, target)
    with torch.inference_mode():
        inference = objective_sums(logits.clone(), target)
    assert not without[0].requires_grad
    assert torch.equal(without[0], inference[0])


MEASURE = """
import re, sys, torch
from pathlib import Path
from torch.nn.functional import cross_entropy
from segood.training import EntropyMaximizationLoss

objective = EntropyMaximizationLoss()
work = objective if sys.argv[1] == "ours" else cross_entropy
torch.set_num_threads(2)

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024

def run(logits, target):
    work(logits, target).backward()

target = torch.randint(0, 19, (8, 300, 400))
run(torch.randn(1, 19, 30, 40, requires_grad=True), target[:1, :30, :40])  # imports and compilation
logits = torch.randn(8, 19, 300, 400).requires_grad_()
before = peak()
run(logits, target)
print((peak() - before) / (logits.numel() * 4 / 2**20))
"""


def extra_memory(who: str, **environment: str) -> float:
    """Return the peak of forward and backward in a fresh process, in units of the logits' size."""
    run = subprocess.run(
        [sys.executable, "-c", MEASURE, who],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(run.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_peak_memory_is_below_that_of_cross_entropy() -> None:
    theirs = extra_memory("theirs")
    assert extra_memory("ours", SEGOOD_KERNELS="1") < min(1.2, theirs)  # the gradient, and little else
    assert extra_memory("ours", SEGOOD_KERNELS="0") < theirs


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_gpu_equals_the_formula_in_bounded_memory(dtype: torch.dtype) -> None:
    logits, target = drawn((4, 19, 120, 130), dtype=dtype)
    check(logits.cuda(), target.cuda())
    peaks = []
    for work in (EntropyMaximizationLoss(), torch.nn.functional.cross_entropy):
        values = torch.randn(8, 19, 480, 480, device="cuda", dtype=dtype).requires_grad_()
        labels = torch.randint(0, 19, (8, 480, 480), device="cuda")
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        work(values, labels).backward()
        peaks.append(torch.cuda.max_memory_allocated() - before)
    assert peaks[0] <= 1.3 * peaks[1]
