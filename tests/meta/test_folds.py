"""Every fold at its own optimum: awkward tables against refits to the last digit, the certificate, memory."""

from __future__ import annotations

import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from segood import compiled
from segood.meta import fold_newton
from segood.meta.fold_scales import fold_rows, remaining_variances
from segood.meta.folds import held_out_probabilities
from segood.meta.table import standardize
from segood.segments import extract_segments


def newton_refit(values: np.ndarray, labels: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Scale and fit without `rows` by plain Newton, far beyond what any solver's tolerance asks for."""
    keep = np.setdiff1d(np.arange(len(values)), rows)
    train, y = values[keep], labels[keep].astype(float)
    constant = train.max(axis=0) == train.min(axis=0)
    mean, scale = train.mean(axis=0), np.where(constant, 1.0, train.std(axis=0))
    design = np.where(constant, 0.0, (train - mean) / scale)
    design = np.hstack([design, np.ones((len(keep), 1))])
    ridge = np.append(np.ones(values.shape[1]), 0.0)
    beta = np.zeros(len(ridge))
    beta[-1] = np.log(y.mean() / (1 - y.mean()))

    def objective(b: np.ndarray) -> float:
        return np.logaddexp(0, design @ b).sum() - y @ (design @ b) + 0.5 * ridge @ b**2

    for _ in range(100):
        p = expit(design @ beta)
        hessian = design.T @ ((p * (1 - p))[:, None] * design) + np.diag(ridge)
        step = np.linalg.solve(hessian, design.T @ (p - y) + ridge * beta)
        while objective(beta - step) > objective(beta) + 1e-9:
            step /= 2
        beta = beta - step
        if np.abs(step).max() < 1e-13:
            break
    held_out = np.where(constant, 0.0, (values[rows] - mean) / scale)
    return expit(held_out @ beta[:-1] + beta[-1])


def scikit_learn_refit(values: np.ndarray, labels: np.ndarray, rows: np.ndarray) -> np.ndarray:
    keep = np.setdiff1d(np.arange(len(values)), rows)
    scaler = StandardScaler().fit(values[keep])
    model = LogisticRegression(tol=1e-10, max_iter=10_000)
    with warnings.catch_warnings():
        # At this tolerance its line search may end at the rounding of the loss, depending on the processor.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(scaler.transform(values[keep]), labels[keep])
    return model.predict_proba(scaler.transform(values[rows]))[:, 1]


def normal(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    values = rng.normal(size=(300, 6))
    return values, values[:, 0] + rng.normal(size=300) > 0


def collinear(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """size = interior + boundary, an exact duplicate, and two that differ in the seventh digit."""
    values, labels = normal(rng)
    size = np.exp(values[:, 1])
    interior = np.floor(size * rng.random(300))
    near = values[:, 2] + 1e-7 * rng.normal(size=300)
    return np.column_stack([values, size, interior, size - interior, values[:, 0], near]), labels


def sparse(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Columns that are non-zero in 1, 1, 2, 3 and 10 rows, with the same and with mixed labels."""
    values, labels = normal(rng)
    columns = np.zeros((300, 5))
    for column, rows in enumerate(([5], [17], [5, 40], [1, 2, 3], range(90, 100))):
        columns[list(rows), column] = 0.1 + rng.random(len(rows))
    labels[90:100] = [True] * 5 + [False] * 5
    return np.hstack([values, columns]), labels


def constant(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    values, labels = normal(rng)
    return np.column_stack([values, np.full(300, 0.1), np.zeros(300)]), labels


def separable(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    values, _ = normal(rng)
    return values, values[:, 0] + values[:, 1] > 0.2


def imbalanced(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    values, _ = normal(rng)
    labels = np.zeros(300, bool)
    labels[[7, 150]] = True
    return values, labels


def heavy_tailed(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    values, labels = normal(rng)
    return np.hstack([values, np.exp(3 * rng.normal(size=(300, 4)))]), labels


def nearly_constant_without_one_row(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    values, labels = normal(rng)
    values[:, 3] *= 1e-4
    values[11, 3] = 50.0
    return values, labels


def everything(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    tables = [collinear(rng)[0], sparse(rng)[0], constant(rng)[0], heavy_tailed(rng)[0]]
    values = np.hstack(tables)
    return values, values[:, 0] - values[:, 12] + rng.normal(size=300) > 0.5


TABLES = [
    normal,
    collinear,
    sparse,
    constant,
    separable,
    imbalanced,
    heavy_tailed,
    nearly_constant_without_one_row,
    everything,
]
Table = Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]]


def single_rows(count: int) -> list[np.ndarray]:
    return list(np.arange(count)[:, None])


@pytest.mark.parametrize("table", TABLES)
def test_leave_one_out_is_exact(table: Table) -> None:
    values, labels = table(np.random.default_rng(3))
    result = held_out_probabilities(values, labels, single_rows(300))
    expected = np.concatenate([newton_refit(values, labels, rows) for rows in single_rows(300)])
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-8)


@pytest.mark.parametrize("table", TABLES)
def test_leave_one_out_equals_scikit_learn(table: Table) -> None:
    values, labels = table(np.random.default_rng(4))
    result = held_out_probabilities(values, labels, single_rows(300))
    for row in [*range(0, 300, 15), 1, 2, 3, 5, 11, 17, 40, 93, 150]:
        expected = scikit_learn_refit(values, labels, np.array([row]))
        np.testing.assert_allclose(result[row], expected[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("num_groups", [2, 3, 20, 120])
@pytest.mark.parametrize("table", [collinear, sparse, heavy_tailed, everything])
def test_groups_are_exact(table: Table, num_groups: int) -> None:
    rng = np.random.default_rng(5)
    values, labels = table(rng)
    groups = rng.integers(0, num_groups, 300)
    folds = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    result = held_out_probabilities(values, labels, folds)
    for rows in folds:
        np.testing.assert_allclose(result[rows], newton_refit(values, labels, rows), rtol=0, atol=1e-8)


def test_segments_of_frames_are_exact(shared: Path) -> None:
    tables, labels = [], []
    for name in "ac":
        golden = np.load(shared / "golden" / f"segments_{name}.npz")
        for threshold in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7):
            segments = extract_segments(logits=golden["logits"].astype(np.float32), threshold=threshold)
            objects = np.unique(segments.labels[golden["target"] == 254])
            tables.append(segments.features.to_numpy())
            labels.append(~np.isin(segments.features.index, objects))
    values, false_positive = np.vstack(tables), np.concatenate(labels)
    assert values.shape[1] == 75
    folds = single_rows(len(values))
    result = held_out_probabilities(values, false_positive, folds)
    for rows in folds[::5]:
        expected = newton_refit(values, false_positive, rows)
        np.testing.assert_allclose(result[rows], expected, rtol=0, atol=1e-8)
        theirs = scikit_learn_refit(values, false_positive, rows)
        np.testing.assert_allclose(result[rows], theirs, rtol=0, atol=1e-5)


def test_hardly_any_fold_needs_a_refit(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(6)
    values = np.hstack([rng.normal(size=(1000, 20)), np.zeros((1000, 2)), np.exp(rng.normal(size=(1000, 5)))])
    values[4, 20] = values[5, 21] = values[6, 21] = 1.0
    labels = values[:, 0] + rng.normal(size=1000) > 0
    certified = []
    solve = fold_newton.solve_folds

    def counting(*arguments):  # type: ignore[no-untyped-def]
        change, certain = solve(*arguments)
        certified.extend(certain)
        return change, certain

    monkeypatch.setattr("segood.meta.folds.solve_folds", counting)
    held_out_probabilities(values, labels, single_rows(1000))
    assert len(certified) == 1000
    assert np.mean(certified) > 0.995


@pytest.mark.parametrize("tolerance", [1e-2, 1e-3, 1e-4, 1e-6])
@pytest.mark.parametrize("table", [normal, sparse, heavy_tailed, everything])
def test_the_certificate_bounds_the_error(
    table: Table, tolerance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    # With a coarse tolerance folds are accepted early, so that there is an error to bound.
    monkeypatch.setattr(fold_newton, "PROBABILITY_TOLERANCE", tolerance)
    values, labels = table(np.random.default_rng(7))
    values, labels = values[:100], labels[:100]
    result = held_out_probabilities(values, labels, single_rows(100))
    expected = np.concatenate([newton_refit(values, labels, rows) for rows in single_rows(100)])
    assert np.abs(result - expected).max() <= tolerance


def test_the_tolerance_is_as_documented() -> None:
    assert fold_newton.PROBABILITY_TOLERANCE == 1e-9


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(8, 40), columns=st.integers(1, 12))
def test_small_tables_with_repeated_values_are_exact(seed: int, rows: int, columns: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 3, (rows, columns)) * rng.choice([1.0, 1e-3, 1e4], columns)
    labels = np.arange(rows) % 3 == 0
    rng.shuffle(labels)
    if labels.sum() < 2:
        labels[:2] = True
    folds = np.split(rng.permutation(rows), np.sort(rng.choice(np.arange(1, rows), 5, replace=False)))
    folds = [fold for fold in folds if 0 < labels.sum() - labels[fold].sum() < rows - len(fold)]
    result = held_out_probabilities(values, labels, folds)
    for fold in folds:
        np.testing.assert_allclose(result[fold], newton_refit(values, labels, fold), rtol=0, atol=1e-8)


def test_threads_and_kernels_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    values, labels = everything(np.random.default_rng(8))
    results = []
    for threads in (1, 2, 3):
        compiled.set_num_threads(threads)
        results.append(held_out_probabilities(values, labels, single_rows(300)))
    np.testing.assert_array_equal(results[1], results[0])
    np.testing.assert_array_equal(results[2], results[0])
    monkeypatch.setenv("SEGOOD_KERNELS", "0")
    plain = held_out_probabilities(values, labels, single_rows(300))
    np.testing.assert_allclose(plain, results[0], rtol=0, atol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_second_order_terms_keep_their_digits(dtype: type) -> None:
    kernels = pytest.importorskip("segood.meta.logistic_kernels")
    rng = np.random.default_rng(9)
    eta = rng.uniform(-4, 4, 500).astype(np.longdouble)
    shift = (rng.uniform(-1, 1, (3, 500)) * [[1], [1e-2], [1e-5]]).astype(dtype)
    t = shift.astype(np.longdouble)
    p = 1 / (1 + np.exp(-eta))
    grown = np.expm1(t)
    expected = p * (1 - p) * (grown - t - p * t * grown) / (1 + p * grown)
    largest = np.empty(3)
    probability = p.astype(np.float64)
    result = shift.copy()
    kernels.second_order(result, probability, largest)
    # Relative to the size of a second-order term, t²·p(1-p)/2: near p = ½ the term itself vanishes.
    error = np.abs(result - expected) / (t**2 * p * (1 - p) / 2)
    assert error[:2].max() < (1e-6 if dtype == np.float32 else 1e-13)
    np.testing.assert_array_equal(largest, np.abs(shift).max(axis=1).astype(np.float64))


def test_remaining_variances_by_hand() -> None:
    # column 0: 0 2 4 6, variance 5; without the last: 0 2 4, variance 8/3
    # column 1: 0 0 0 9: constant without the last, so 1; column 2 is constant: 1
    values = np.array([[0.0, 0, 7], [2, 0, 7], [4, 0, 7], [6, 9, 7]])
    ratio = remaining_variances(values, standardize(values), fold_rows([np.array([3])]))
    np.testing.assert_allclose(ratio, [[8 / 15, 1, 1]])


def test_memory_does_not_grow_with_the_square_of_the_rows() -> None:
    rng = np.random.default_rng(10)
    values = rng.normal(size=(12_000, 6))
    labels = values[:, 0] + rng.normal(size=12_000) > 0
    folds = single_rows(12_000)
    held_out_probabilities(values[:50], labels[:50], single_rows(50))  # imports and compilation
    tracemalloc.start()
    held_out_probabilities(values, labels, folds)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 150e6  # a (K, K) array of float64 takes 1152e6


def test_inputs_stay_as_they_were() -> None:
    values, labels = everything(np.random.default_rng(11))
    copies = values.copy(), labels.copy()
    held_out_probabilities(values, labels, single_rows(300))
    np.testing.assert_array_equal(values, copies[0])
    np.testing.assert_array_equal(labels, copies[1])
