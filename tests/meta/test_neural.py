"""The neural meta classifier: where it helps, what it must not leak, and through its file."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

from segood.errors import DataError, UndefinedMetricError, UsageError
from segood.meta import MetaClassifier, NeuralMetaClassifier, cross_validate
from segood.meta.neural import HIDDEN_UNITS, MAX_STEPS


def table(seed: int = 0, rows: int = 80) -> tuple[pd.DataFrame, np.ndarray]:
    """Features of very different sizes, one of them constant; the label goes by the first."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {"size": np.exp(rng.normal(5, 2, rows)), "entropy": rng.random(rows), "constant": np.full(rows, 0.1)}
    )
    return frame, (np.log(frame["size"]) + 0.3 * rng.normal(size=rows) < 4.5).to_numpy()


def quadrants(rows: int = 160, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """XOR: false positives where both features have the same sign. No plane does better than chance.

    x x | o o
    x x | o o
    ----+----
    o o | x x
    o o | x x
    """
    values = np.random.default_rng(seed).uniform(-1, 1, (rows, 2))
    return values, (values[:, 0] > 0) == (values[:, 1] > 0)


def test_a_separable_table_beats_the_majority() -> None:
    features, labels = table()
    result = cross_validate(features, labels, groups=np.arange(80) % 10, classifier="neural")
    assert result.classifier == "neural"
    assert (result.protocol, result.num_folds, result.num_segments) == ("group", 10, 80)
    assert result.accuracy > result.naive_accuracy + 0.2
    assert result.auroc > 0.95


def test_what_no_plane_separates_beats_the_linear_classifier() -> None:
    values, labels = quadrants()
    groups = np.arange(len(labels)) % 8
    linear = cross_validate(values, labels, groups=groups)
    neural = cross_validate(values, labels, groups=groups, classifier="neural")
    assert linear.accuracy < 0.65
    assert neural.accuracy > 0.9


def test_equals_scikit_learn_on_standardised_columns() -> None:
    features, labels = table()
    order = np.argsort(features["size"])  # the optimiser enlarges rounding: the same order of sums
    features, labels = features.iloc[order], labels[order]
    ours = NeuralMetaClassifier(seed=3).fit(features, labels)
    scaled = StandardScaler().fit_transform(features)
    theirs = MLPClassifier((HIDDEN_UNITS,), solver="lbfgs", alpha=1.0, max_iter=MAX_STEPS, random_state=3)
    theirs.fit(scaled, labels)
    np.testing.assert_allclose(ours.predict_proba(features), theirs.predict_proba(scaled)[:, 1], atol=1e-4)


def test_held_out_probabilities_are_those_of_a_fit_without_the_fold() -> None:
    # the scaler, too: row 0 alone has a size that would move the mean by many deviations
    features, labels = table(rows=30)
    features.loc[0, "size"] = 1e9
    groups = np.arange(30) // 3
    result = cross_validate(features, labels, groups=groups, classifier="neural", seed=5)
    for group in (0, 7):
        kept, held_out = features[groups != group], features[groups == group]
        alone = NeuralMetaClassifier(seed=5).fit(kept, labels[groups != group])
        np.testing.assert_array_equal(result.probabilities[groups == group], alone.predict_proba(held_out))


def test_the_seed_decides_and_nothing_else() -> None:
    features, labels = table()
    state = np.random.get_state()[1].tolist()  # noqa: NPY002 - the global generator must stay as it was
    first, again, other = (
        NeuralMetaClassifier(seed=seed).fit(features, labels).predict_proba(features) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0
    assert np.random.get_state()[1].tolist() == state  # noqa: NPY002


def test_rescaled_features_and_reordered_columns_change_nothing() -> None:
    features, labels = table()
    plain = NeuralMetaClassifier().fit(features, labels)
    expected = plain.predict_proba(features)
    rescaled = NeuralMetaClassifier().fit(1024 * features, labels)  # a power of two: no rounding
    np.testing.assert_array_equal(rescaled.predict_proba(1024 * features), expected)
    np.testing.assert_array_equal(plain.predict_proba(features[features.columns[::-1]]), expected)


def test_the_order_of_rows_changes_nothing() -> None:
    features, labels = table()
    order = np.random.default_rng(2).permutation(80)
    mixed = NeuralMetaClassifier().fit(features.iloc[order], labels[order])
    expected = NeuralMetaClassifier().fit(features, labels).predict_proba(features)
    np.testing.assert_array_equal(mixed.predict_proba(features), expected)


def test_a_constant_column_has_no_say() -> None:
    features, labels = table()
    classifier = NeuralMetaClassifier().fit(features, labels)
    assert (classifier.hidden_weights[2] == 0).all()
    moved = classifier.predict_proba(features.assign(constant=99.0))
    np.testing.assert_array_equal(moved, classifier.predict_proba(features))


def test_running_out_of_steps_is_no_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segood.meta.neural.MAX_STEPS", 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        NeuralMetaClassifier().fit(*table())


def test_threshold_inputs_and_counts() -> None:
    features, labels = table()
    copy = features.copy()
    classifier = NeuralMetaClassifier(0.3).fit(features, labels, provenance={"dataset": "made up"})
    removed = classifier.is_removed(features)
    np.testing.assert_array_equal(removed, classifier.predict_proba(features) >= 0.3)
    assert (classifier.num_segments, classifier.num_false_positives) == (80, labels.sum())
    assert classifier.predict_proba(features[:0]).shape == (0,)
    pd.testing.assert_frame_equal(features, copy)


def test_saving_and_loading_keeps_every_bit(tmp_path: Path) -> None:
    features, labels = table()
    fitted = NeuralMetaClassifier(0.4, seed=9).fit(features, labels, provenance={"dataset": "synthetic"})
    fitted.save(tmp_path / "neural.json")
    loaded = NeuralMetaClassifier.load(tmp_path / "neural.json")
    np.testing.assert_array_equal(loaded.predict_proba(features), fitted.predict_proba(features))
    assert (loaded.threshold, loaded.seed, loaded.provenance) == (0.4, 9, {"dataset": "synthetic"})
    loaded.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_text() == (tmp_path / "neural.json").read_text()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "segood-meta-classifier"}, "no format 'segood-neural-meta-classifier'"),
        ({"version": 2}, "format version 2, this segood reads 1"),
        ({"hidden_weights": [[0.0] * 32]}, "`hidden_weights` must be 3 lists of 32 finite numbers"),
        ({"hidden_weights": [[0.0] * 31] * 3}, "`hidden_weights` must be 3 lists of 32"),
        ({"hidden_offsets": [float("nan")] * 32}, "`hidden_offsets` must be a list of 32 finite numbers"),
        ({"output_weights": None}, "`output_weights` must be a list of 32"),
        ({"output_offset": True}, "`output_offset` must be a finite number"),
        ({"scale": [1.0, 0.0, 1.0]}, "`scale` must be a list of 3 finite numbers above 0"),
        ({"seed": -1}, "`seed` must be a count"),
    ],
)
def test_broken_files_are_named_with_the_field(tmp_path: Path, change: dict, message: str) -> None:
    path = tmp_path / "neural.json"
    NeuralMetaClassifier().fit(*table()).save(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DataError, match=f"neural.json: .*{message}.*NeuralMetaClassifier.save"):
        NeuralMetaClassifier.load(path)


def test_files_of_the_two_kinds_are_told_apart(tmp_path: Path) -> None:
    NeuralMetaClassifier().fit(*table()).save(tmp_path / "neural.json")
    MetaClassifier().fit(*table()).save(tmp_path / "linear.json")
    with pytest.raises(DataError, match=r"neural.json: is not a meta classifier .*segood meta"):
        MetaClassifier.load(tmp_path / "neural.json")
    with pytest.raises(DataError, match=r"linear.json: is not a meta classifier"):
        NeuralMetaClassifier.load(tmp_path / "linear.json")


def test_bad_input(tmp_path: Path) -> None:
    features, labels = table()
    with pytest.raises(UsageError, match=r"`threshold` must lie in \[0, 1\]"):
        NeuralMetaClassifier(1.5)
    with pytest.raises(UsageError, match="`seed` must not be negative; got -1"):
        NeuralMetaClassifier(seed=-1)
    with pytest.raises(UsageError, match="not fitted; call `fit` or `load`"):
        NeuralMetaClassifier().predict_proba(features)
    with pytest.raises(UsageError, match="not fitted; call `fit` before"):
        NeuralMetaClassifier().save(tmp_path / "never.json")
    broken = features.copy()
    broken.loc[4, "size"] = np.nan
    with pytest.raises(UsageError, match="found nan in column size, row 4"):
        NeuralMetaClassifier().fit(broken, labels)
    with pytest.raises(UsageError, match="missing: size"):
        NeuralMetaClassifier().fit(features, labels).predict_proba(features.drop(columns="size"))
    with pytest.raises(UndefinedMetricError, match="all 80 segments are objects"):
        NeuralMetaClassifier().fit(features, np.zeros(80, bool))


def test_cross_validation_says_what_it_does_not_offer() -> None:
    features, labels = table()
    groups = np.arange(80) % 4
    with pytest.raises(
        UsageError, match=r"`classifier` must be one of linear, neural.*did you mean 'neural'"
    ):
        cross_validate(features, labels, groups=groups, classifier="neuronal")
    with pytest.raises(UsageError, match='`preset="paper"` is made for the linear classifier'):
        cross_validate(features, labels, groups=groups, preset="paper", classifier="neural")
    many, kinds = table(rows=301)
    with pytest.raises(UsageError, match=r'each of 301 segments .*use `protocol="group"`'):
        cross_validate(many, kinds, protocol="leave-one-out", classifier="neural")
    with pytest.raises(UndefinedMetricError, match="there is no predicted segment"):
        cross_validate(features[:0], labels[:0], protocol="leave-one-out", classifier="neural")
    few = cross_validate(features[:20], labels[:20], protocol="leave-one-out", classifier="neural")
    assert (few.num_folds, few.protocol) == (20, "leave-one-out")
