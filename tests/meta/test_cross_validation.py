"""Held-out probabilities against one scikit-learn refit per fold, however awkward the columns."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from segood.errors import UndefinedMetricError, UsageError
from segood.meta import cross_validate
from segood.meta.folds import held_out_probabilities


def segments(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Columns: plain, collinear, sums, non-zero in 1, 2 and 3 rows, heavy-tailed, constant."""
    rng = np.random.default_rng(seed)
    plain = rng.normal(size=(rows, 5))
    sparse = np.zeros((rows, 3))
    for column in range(3):
        sparse[rng.choice(rows, column + 1, replace=False), column] = rng.random(column + 1)
    parts = [
        plain,
        3 * plain[:, :1] - 1,
        plain[:, :1] + plain[:, 1:2],
        sparse,
        np.exp(3 * rng.normal(size=(rows, 2))),
        np.full((rows, 1), 0.3),
    ]
    labels = plain[:, 0] - plain[:, 1] + rng.normal(size=rows) > 0.3
    return np.hstack(parts), labels


def refit(values: np.ndarray, labels: np.ndarray, folds: list[np.ndarray]) -> np.ndarray:
    result = np.empty(len(values))
    for rows in folds:
        keep = np.setdiff1d(np.arange(len(values)), rows)
        scaler = StandardScaler().fit(values[keep])
        constant = values[keep].max(axis=0) == values[keep].min(axis=0)
        train, test = scaler.transform(values[keep]), scaler.transform(values[rows])
        train[:, constant] = test[:, constant] = 0.0
        model = LogisticRegression(tol=1e-10, max_iter=10_000).fit(train, labels[keep])
        result[rows] = model.predict_proba(test)[:, 1]
    return result


@pytest.mark.parametrize("rows", [12, 40, 250])
def test_leave_one_out_equals_full_refits(rows: int) -> None:
    values, labels = segments(rows)
    result = cross_validate(pd.DataFrame(values), labels, protocol="leave-one-out")
    expected = refit(values, labels, [np.array([i]) for i in range(rows)])
    np.testing.assert_allclose(result.probabilities, expected, atol=1e-6)
    assert result.auroc == roc_auc_score(labels, result.probabilities)
    assert result.auprc == average_precision_score(labels, result.probabilities)
    assert result.accuracy == np.mean((result.probabilities >= 0.5) == labels)
    assert result.naive_accuracy == max(labels.mean(), 1 - labels.mean())
    assert (result.protocol, result.num_folds) == ("leave-one-out", rows)
    assert (result.num_segments, result.num_false_positives) == (rows, labels.sum())


@pytest.mark.parametrize("num_groups", [2, 5, 40])
def test_group_folds_equal_full_refits(num_groups: int) -> None:
    values, labels = segments(200)
    groups = np.random.default_rng(1).integers(0, num_groups, 200)
    result = cross_validate(values, labels, groups=[f"frame {g}" for g in groups])
    expected = refit(values, labels, [np.flatnonzero(groups == g) for g in np.unique(groups)])
    np.testing.assert_allclose(result.probabilities, expected, atol=1e-6)
    assert result.protocol == "group"
    assert result.num_folds == len(np.unique(groups))


@pytest.mark.parametrize("protocol", ["leave-one-out", "group"])
def test_paper_preset_equals_liblinear_on_globally_scaled_columns(protocol: str) -> None:
    values, labels = segments(60)
    groups = np.arange(60) if protocol == "leave-one-out" else np.arange(60) % 7
    result = cross_validate(values, labels, groups=groups, protocol=protocol, preset="paper")
    scaled = StandardScaler().fit_transform(values)
    for group in np.unique(groups):
        rows = np.flatnonzero(groups == group)
        keep = np.flatnonzero(groups != group)
        model = LogisticRegression(solver="liblinear", tol=1e-10, max_iter=100_000)
        model.fit(scaled[keep], labels[keep])
        np.testing.assert_allclose(
            result.probabilities[rows], model.predict_proba(scaled[rows])[:, 1], atol=1e-6
        )
    assert result.preset == "paper"


def test_the_two_presets_differ() -> None:
    values, labels = segments(60)
    plain = cross_validate(values, labels, protocol="leave-one-out")
    paper = cross_validate(values, labels, protocol="leave-one-out", preset="paper")
    assert np.abs(plain.probabilities - paper.probabilities).max() > 1e-4


def test_one_value_holding_nearly_all_variance_is_refitted_exactly() -> None:
    values, labels = segments(50)
    values[7, 2] = 1e9
    result = held_out_probabilities(values, labels, [np.array([i]) for i in range(50)])
    expected = refit(values, labels, [np.array([i]) for i in range(50)])
    np.testing.assert_allclose(result, expected, atol=1e-5)


def test_rows_in_another_order_and_groups_with_other_names_change_nothing() -> None:
    values, labels = segments(80)
    groups = np.arange(80) % 9
    order = np.random.default_rng(0).permutation(80)
    plain = cross_validate(values, labels, groups=groups).probabilities
    moved = cross_validate(values[order], labels[order], groups=-groups[order]).probabilities
    np.testing.assert_allclose(moved, plain[order], atol=1e-8)


def test_two_uneven_folds_agree_with_a_pipeline_of_scikit_learn() -> None:
    values, labels = segments(90)
    values = values[:, :7]
    model = make_pipeline(StandardScaler(), LogisticRegression(tol=1e-10, max_iter=10_000))
    model.fit(values[10:], labels[10:])
    result = held_out_probabilities(values, labels, [np.arange(10), np.arange(10, 90)])
    np.testing.assert_allclose(result[:10], model.predict_proba(values[:10])[:, 1], atol=1e-6)


def test_protocol_must_be_told() -> None:
    values, labels = segments(20)
    with pytest.raises(UsageError, match=r'pass `groups=` .*or `protocol="leave-one-out"`'):
        cross_validate(values, labels)
    with pytest.raises(UsageError, match='`protocol="group"` needs `groups=`'):
        cross_validate(values, labels, protocol="group")
    with pytest.raises(UsageError, match=r"`protocol` must be one of leave-one-out, group.*did you mean"):
        cross_validate(values, labels, protocol="leave-one-ou")
    with pytest.raises(UsageError, match="`preset` must be one of paper"):
        cross_validate(values, labels, protocol="leave-one-out", preset="papers")
    with pytest.raises(UsageError, match=r"`groups` must have one entry per row of `features`, \(20,\)"):
        cross_validate(values, labels, groups=[1, 2])


def test_folds_with_one_kind_of_segment_are_named() -> None:
    values, _ = segments(6)
    labels = np.array([False, False, True, False, False, False])
    frame = pd.DataFrame(values, index=[f"s{i}" for i in range(6)])
    with pytest.raises(UndefinedMetricError, match=r"without segment s2 .*no false positive among 5 others"):
        cross_validate(frame, labels, protocol="leave-one-out")
    with pytest.raises(UndefinedMetricError, match=r"without group a .*all 1 others are false positives"):
        cross_validate(values, labels, groups=list("aabaaa"))
    with pytest.raises(UndefinedMetricError, match="without group x"):
        cross_validate(values, labels, groups=list("xxxxxx"))
    with pytest.raises(UndefinedMetricError, match="there is no predicted segment"):
        cross_validate(values[:0], labels[:0], protocol="leave-one-out")
