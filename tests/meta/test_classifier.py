"""The meta classifier against scikit-learn, by hand, and through its file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from segood.errors import DataError, OutputError, UndefinedMetricError, UsageError
from segood.meta import MetaClassifier
from segood.meta.logistic import fit_logistic, penalties, with_intercept


def table(seed: int = 0, rows: int = 80) -> tuple[pd.DataFrame, np.ndarray]:
    """Features as they are: skewed, collinear, sparse, constant, of very different sizes."""
    rng = np.random.default_rng(seed)
    size = np.exp(rng.normal(5, 2, rows))
    frame = pd.DataFrame(
        {
            "size": size,
            "size_boundary": np.sqrt(size) * 4,
            "size_twice": 2 * size,
            "entropy": rng.random(rows),
            "rare": np.where(np.arange(rows) % 37 == 3, 0.7, 0.0),
            "constant": np.full(rows, 0.1),
            "tiny": 1e-9 * rng.normal(size=rows),
        }
    )
    labels = rng.random(rows) < 1 / (1 + np.exp(np.log(size) - 5 + 2 * frame["entropy"]))
    return frame, labels.to_numpy()


def peer() -> object:
    return make_pipeline(StandardScaler(), LogisticRegression(tol=1e-10, max_iter=10_000))


@pytest.mark.parametrize("seed", range(4))
def test_equals_scikit_learn(seed: int) -> None:
    features, labels = table(seed)
    ours = MetaClassifier().fit(features, labels)
    theirs = peer().fit(features, labels)
    np.testing.assert_allclose(ours.predict_proba(features), theirs.predict_proba(features)[:, 1], atol=1e-6)
    np.testing.assert_allclose(ours.coefficients, theirs[-1].coef_[0], atol=1e-5)
    assert ours.coefficients[features.columns.get_loc("constant")] == 0.0


def test_the_gradient_vanishes_at_the_solution_even_where_a_plane_separates_the_labels() -> None:
    values = np.array([[-3.0, 1], [-2.0, 1], [40.0, -1], [50.0, -1]])
    labels = np.array([False, False, True, True])
    penalty, design = penalties(2, penalize_intercept=False), with_intercept(values)
    beta = fit_logistic(design, labels, penalty)
    p = 1 / (1 + np.exp(-design @ beta))
    assert np.abs(design.T @ (p - labels) + penalty * beta).max() < 1e-8


def test_two_points_by_hand() -> None:
    # z = -1, 1 with labels 0, 1: symmetric, so the intercept is 0 and w = 2 / (1 + exp(w)).
    classifier = MetaClassifier().fit(pd.DataFrame({"x": [3.0, 7.0]}), [False, True])
    w = classifier.coefficients[0]
    assert classifier.intercept == pytest.approx(0.0, abs=1e-12)
    assert w == pytest.approx(2 / (1 + np.exp(w)))
    assert (classifier.mean[0], classifier.scale[0]) == (5.0, 2.0)


def test_contributions_add_up_to_the_logit() -> None:
    features, labels = table()
    classifier = MetaClassifier().fit(features, labels)
    parts = classifier.explain(features)
    assert list(parts.columns) == list(features.columns)
    logit = parts.sum(axis=1) + classifier.intercept
    np.testing.assert_allclose(1 / (1 + np.exp(-logit)), classifier.predict_proba(features))


def test_rescaled_features_and_reordered_columns_change_nothing() -> None:
    features, labels = table()
    features = features.drop(columns="tiny")
    plain = MetaClassifier().fit(features, labels)
    rescaled = MetaClassifier().fit(1000 * features - 7, labels)
    expected = plain.predict_proba(features)
    np.testing.assert_allclose(rescaled.predict_proba(1000 * features - 7), expected, atol=1e-8)
    np.testing.assert_array_equal(plain.predict_proba(features[features.columns[::-1]]), expected)


def test_threshold_decides_inclusively() -> None:
    features, labels = table()
    classifier = MetaClassifier(threshold=0.3).fit(features, labels)
    np.testing.assert_array_equal(classifier.is_removed(features), classifier.predict_proba(features) >= 0.3)


def test_inputs_stay_as_they_were() -> None:
    features, labels = table()
    copy = features.copy()
    MetaClassifier().fit(features, labels).explain(features)
    pd.testing.assert_frame_equal(features, copy)


def test_no_segments_to_predict_is_fine() -> None:
    features, labels = table()
    classifier = MetaClassifier().fit(features, labels)
    assert classifier.predict_proba(features[:0]).shape == (0,)
    assert classifier.explain(features[:0]).shape == (0, 7)


def test_saving_and_loading_keeps_every_bit(tmp_path: Path) -> None:
    features, labels = table()
    fitted = MetaClassifier(0.4).fit(features, labels, provenance={"dataset": "synthetic", "seed": 1})
    fitted.save(tmp_path / "meta.json")
    loaded = MetaClassifier.load(tmp_path / "meta.json")
    np.testing.assert_array_equal(loaded.predict_proba(features), fitted.predict_proba(features))
    assert loaded.threshold == 0.4
    assert loaded.provenance == {"dataset": "synthetic", "seed": 1}
    assert (loaded.num_segments, loaded.num_false_positives) == (80, int(labels.sum()))
    loaded.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_text() == (tmp_path / "meta.json").read_text()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "pickle"}, "is not a meta classifier"),
        ({"version": 2}, "format version 2, this segood reads 1"),
        ({"feature_names": []}, "`feature_names` must be a list of names"),
        ({"feature_names": ["a", "a"]}, "`feature_names` must not repeat"),
        ({"coefficients": [1.0]}, "`coefficients` must be a list of 7 finite numbers"),
        ({"mean": [float("nan")] * 7}, "`mean` must be a list of 7 finite"),
        ({"scale": [0.0] * 7}, "`scale` must be a list of 7 finite numbers above 0"),
        ({"intercept": "0"}, "`intercept` must be a finite number"),
        ({"intercept": 10**400}, "`intercept` must be a finite number"),
        ({"threshold": 1.5}, r"`threshold` must be a number in \[0, 1\]"),
        ({"num_segments": -1}, "`num_segments` must be a count"),
        ({"provenance": None}, "`provenance` must be a JSON object"),
    ],
)
def test_broken_files_are_named_with_the_field(tmp_path: Path, change: dict, message: str) -> None:
    path = tmp_path / "meta.json"
    MetaClassifier().fit(*table()).save(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DataError, match=f"meta.json: .*{message}"):
        MetaClassifier.load(path)


def test_files_that_are_missing_or_no_json(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read the meta classifier"):
        MetaClassifier.load(tmp_path / "none.json")
    for content in (b"{", b"\x80\x04\x95pickle", b"[]"):
        (tmp_path / "bad.json").write_bytes(content)
        with pytest.raises(DataError, match=r"bad.json: is not"):
            MetaClassifier.load(tmp_path / "bad.json")


def test_unwritable_places_and_provenance(tmp_path: Path) -> None:
    features, labels = table()
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        MetaClassifier().fit(features, labels).save(tmp_path / "file" / "meta.json")
    with pytest.raises(UsageError, match="`provenance` must hold plain JSON values"):
        MetaClassifier().fit(features, labels, provenance={"a": object()}).save(tmp_path / "meta.json")
    assert not (tmp_path / "meta.json").exists()


def test_column_mismatch_names_both_sides() -> None:
    features, labels = table()
    classifier = MetaClassifier().fit(features, labels)
    with pytest.raises(UsageError, match="the 7 columns of the fit; missing: size, tiny; unexpected: area"):
        classifier.predict_proba(features.drop(columns=["size", "tiny"]).assign(area=1.0))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_not_finite_name_column_and_row(value: float) -> None:
    features, labels = table()
    features.index = range(1, 81)
    features.loc[17, "entropy"] = value
    with pytest.raises(UsageError, match=f"found {value} in column entropy, row 17"):
        MetaClassifier().fit(features, labels)


def test_other_bad_input() -> None:
    features, labels = table()
    with pytest.raises(UsageError, match=r"one entry per row of `features`, \(80,\); got shape \(79,\)"):
        MetaClassifier().fit(features, labels[1:])
    with pytest.raises(UsageError, match="must hold true and false only"):
        MetaClassifier().fit(features, np.arange(80))
    with pytest.raises(UsageError, match="must hold numbers; not so in column name"):
        MetaClassifier().fit(features.assign(name="a"), labels)
    with pytest.raises(UsageError, match="occurring twice: size"):
        MetaClassifier().fit(pd.concat([features, features[["size"]]], axis=1), labels)
    with pytest.raises(UsageError, match="at least one column"):
        MetaClassifier().fit(features[[]], labels)
    with pytest.raises(UsageError, match=r"a DataFrame or have shape \(K, m\)"):
        MetaClassifier().fit(labels, labels)
    with pytest.raises(UsageError, match="not fitted; call `fit` or `load`"):
        MetaClassifier().predict_proba(features)
    with pytest.raises(UsageError, match="not fitted; call `fit` before"):
        MetaClassifier().save("never.json")
    with pytest.raises(UsageError, match=r"`threshold` must lie in \[0, 1\]"):
        MetaClassifier(threshold=2)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([True] * 3, "all 3 segments are false positives"),
        ([False] * 3, "are objects"),
        ([], "there is no segment"),
    ],
)
def test_one_kind_of_segment_is_a_named_error(labels: list, message: str) -> None:
    with pytest.raises(UndefinedMetricError, match=message):
        MetaClassifier().fit(np.zeros((len(labels), 2)), np.array(labels, bool))
