"""Meta classification of one method's segments: counts by hand, sums, permutations, transfers."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from segood.errors import UsageError
from segood.evaluation.bootstrap import Bootstrap
from segood.evaluation.comparison.results import Number, RemovedBySize
from segood.evaluation.config import EvaluationConfig, MetaConfig
from segood.evaluation.false_alarms import filter_false_alarms
from segood.evaluation.meta_numbers import (
    errors_per_image,
    feature_path,
    meta_numbers,
    removed_by_size,
    transfer,
)
from segood.evaluation.results import SegmentResult
from segood.evaluation.segment import errors_of
from segood.meta import MetaClassifier, NeuralMetaClassifier, cross_validate, lars_path

# frame  objects  segments (size, objects touched)
# a      1, 2     5 -        40 {1}      90 {1, 2}
# b      -        7 -
# c      1        (nothing is predicted)
# d      1        300 {1}    9 -
HAND = pd.DataFrame(
    {
        "sample_id": ["a", "a", "a", "b", "d", "d"],
        "segment": [1, 2, 3, 1, 1, 2],
        "size": [5.0, 40, 90, 7, 300, 9],
        "ground_truth": [[], [1], [1, 2], [], [1], []],
    }
)
HAND["is_false_positive"] = [not ids for ids in HAND["ground_truth"]]
TRUTH = {"a": 2, "b": 0, "c": 1, "d": 1}


def table(seed: int = 0, frames: int = 12) -> tuple[pd.DataFrame, dict[str, int]]:
    """Segments of several frames, with features that tell most false positives from objects."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    truth = {}
    for frame in range(frames):
        name = f"city/frame_{frame}"
        truth[name] = int(rng.integers(0, 4))
        for segment in range(1, int(rng.integers(0, 8)) + 1):
            touched = [g for g in range(1, truth[name] + 1) if rng.random() < 0.3]
            size = np.exp(rng.normal(6 if touched else 4, 1.5)).round() + 1
            rows.append(
                {"model": "after", "dataset": "laf", "sample_id": name, "segment": segment}
                | {"size": size, "entropy_mean": rng.random(), "num_ood_pixels": len(touched), "iou": 0.0}
                | {"adjusted_iou": 0.0, "is_false_positive": not touched, "ground_truth": touched}
            )
    return pd.DataFrame(rows), truth


def test_errors_per_image_by_hand() -> None:
    assert errors_per_image(HAND, TRUTH).tolist() == [[1, 0], [1, 0], [0, 1], [1, 0]]
    # without segment 3 of a, object 2 is missed; without segment 2, segment 3 still finds object 1
    kept = HAND.drop(index=[0, 2])
    assert errors_per_image(kept, TRUTH).tolist() == [[0, 1], [1, 0], [0, 1], [1, 0]]
    assert errors_per_image(HAND.drop(index=[1]), TRUTH)[0].tolist() == [1, 0]
    assert errors_per_image(HAND[:0], TRUTH).tolist() == [[0, 2], [0, 0], [0, 1], [0, 1]]
    assert errors_per_image(HAND[:0], {}).shape == (0, 2)
    assert errors_per_image(HAND, dict(reversed(TRUTH.items())))[1].tolist() == [0, 1]  # c is second now


def test_removed_by_size_by_hand() -> None:
    removed = np.array([True, False, True, True, False, False])
    assert removed_by_size(HAND, removed) == [
        RemovedBySize(0, 100, 3, 2, 2, 1),  # 5, 7, 9 without, 40 and 90 with an object; 5, 7 and 90 go
        RemovedBySize(100, 1000, 0, 0, 1, 0),
        RemovedBySize(1000, 10_000, 0, 0, 0, 0),
        RemovedBySize(10_000, None, 0, 0, 0, 0),
    ]
    low, high = removed_by_size(HAND, removed, edges=(5, 9))  # 9 itself belongs to the upper range
    assert (low.num_false_positives, high.num_false_positives) == (2, 1)
    assert removed_by_size(HAND[:0], removed[:0], edges=[0]) == [RemovedBySize(0, None, 0, 0, 0, 0)]


def test_meta_numbers_are_those_of_the_parts() -> None:
    rows, truth = table()
    bootstrap = Bootstrap(len(truth), num_draws=200)
    outcome = meta_numbers(rows, ground_truth_per_image=truth, bootstrap=bootstrap)
    numbers, labels = outcome.numbers, rows["is_false_positive"].to_numpy(bool)
    expected = cross_validate(rows[["size", "entropy_mean"]], labels, groups=rows["sample_id"])
    np.testing.assert_array_equal(outcome.probabilities, expected.probabilities)
    np.testing.assert_array_equal(outcome.removed, expected.probabilities >= 0.5)
    errors = errors_of(rows[~outcome.removed], sum(truth.values()))
    assert outcome.errors_per_image is not None
    assert outcome.errors_per_image.sum(axis=0).tolist() == [errors.false_positives, errors.false_negatives]
    counted = [numbers.false_positives, numbers.false_negatives, numbers.errors]
    assert [n.value for n in counted if n] == [errors.false_positives, errors.false_negatives, errors.errors]
    draws = bootstrap.sums(outcome.errors_per_image)
    assert numbers.false_positives == bootstrap.number(errors.false_positives, draws[:, 0])
    assert numbers.errors == bootstrap.number(errors.errors, draws.sum(axis=1))
    assert numbers.errors is not None
    assert numbers.errors.low < numbers.errors.value < numbers.errors.high  # type: ignore[operator]
    assert (numbers.auroc, numbers.auprc) == (expected.auroc, expected.auprc)
    assert (numbers.accuracy, numbers.naive_accuracy) == (expected.accuracy, expected.naive_accuracy)
    assert numbers.random_auprc == labels.mean()
    assert (numbers.num_segments, numbers.num_false_positives) == (len(rows), labels.sum())
    assert (numbers.protocol, numbers.classifier, numbers.undefined) == ("group", "linear", None)
    sums = np.array([dataclasses.astuple(size)[2:] for size in numbers.by_size]).sum(axis=0)
    removed = outcome.removed
    assert sums.tolist() == [
        labels.sum(), (labels & removed).sum(), (~labels).sum(), (~labels & removed).sum()
    ]  # fmt: skip


def test_the_same_as_the_run_of_one_model() -> None:
    rows, truth = table()
    total = sum(truth.values())
    before = SegmentResult("after", "laf", "entropy", 0.7, total, errors_of(rows, total))
    for config in (
        MetaConfig(),
        MetaConfig("leave-one-out", "paper", 0.4),
        MetaConfig(classifier="neural"),
    ):
        filtered = filter_false_alarms(rows, [before], config)
        outcome = meta_numbers(rows, ground_truth_per_image=truth, **dataclasses.asdict(config))
        np.testing.assert_array_equal(filtered.segments["removed"], outcome.removed)
        meta = filtered.results[0].meta
        assert meta is not None
        assert meta.after is not None
        assert outcome.numbers.errors is not None
        assert meta.after.errors == outcome.numbers.errors.value
        assert (meta.auroc, meta.accuracy) == (outcome.numbers.auroc, outcome.numbers.accuracy)
        assert meta.classifier == outcome.numbers.classifier == config.classifier
        assert meta.protocol == outcome.numbers.protocol == config.protocol


@pytest.mark.parametrize("classifier", ["linear", "neural"])
def test_the_order_of_rows_changes_nothing(classifier: str) -> None:
    rows, truth = table()
    order = np.random.default_rng(1).permutation(len(rows))
    plain = meta_numbers(rows, ground_truth_per_image=truth, classifier=classifier)
    mixed = meta_numbers(rows.iloc[order], ground_truth_per_image=truth, classifier=classifier)
    assert plain.probabilities is not None
    np.testing.assert_allclose(mixed.probabilities, plain.probabilities[order], atol=2e-9)
    np.testing.assert_array_equal(mixed.removed, plain.removed[order])
    np.testing.assert_array_equal(mixed.errors_per_image, plain.errors_per_image)
    assert mixed.numbers.by_size == plain.numbers.by_size


def test_a_threshold_of_one_or_zero_removes_nothing_or_all() -> None:
    rows, truth = table()
    all_gone = meta_numbers(rows, ground_truth_per_image=truth, probability_threshold=0.0)
    assert all_gone.errors_per_image is not None
    assert all_gone.errors_per_image.tolist() == [[0, number] for number in truth.values()]
    kept = meta_numbers(rows, ground_truth_per_image=truth, probability_threshold=1.0)
    np.testing.assert_array_equal(kept.errors_per_image, errors_per_image(rows, truth))
    assert kept.numbers.errors == Number(int(errors_per_image(rows, truth).sum()), num_images=len(truth))


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (HAND[:0], "there is no predicted segment"),
        (HAND[3:4], "without group b .*no false positive among 0 others"),
    ],
)
def test_undefined_numbers_say_why(rows: pd.DataFrame, reason: str) -> None:
    outcome = meta_numbers(rows, ground_truth_per_image=TRUTH, bootstrap=Bootstrap(4))
    assert outcome.probabilities is None
    assert outcome.errors_per_image is None
    assert outcome.removed.tolist() == [False] * len(rows)
    assert outcome.numbers.errors is None
    assert outcome.numbers.num_segments == len(rows)
    assert re.search(reason, str(outcome.numbers.undefined))


def test_a_transfer_to_the_same_segments_is_a_fit_and_a_prediction() -> None:
    rows, truth = table()
    other, other_truth = table(seed=3, frames=9)
    labels = rows["is_false_positive"].to_numpy(bool)
    tables, truths = {"one": rows, "same": rows, "other": other}, {"one": truth, "same": truth}
    bootstraps = {"one": Bootstrap(12, num_draws=50), "same": Bootstrap(12, num_draws=50)}
    for name, classifier in (("linear", MetaClassifier()), ("neural", NeuralMetaClassifier(seed=0))):
        found = transfer(
            tables,
            {**truths, "other": sum(other_truth.values())},
            "net/entropy",
            classifier=name,
            bootstraps=bootstraps,
        )
        assert [(t.fitted_on, t.applied_to) for t in found] == [
            ("one", "same"), ("one", "other"), ("same", "one"), ("same", "other"),
            ("other", "one"), ("other", "same"),
        ]  # fmt: skip
        assert {t.method for t in found} == {"net/entropy"}
        classifier.fit(rows[["size", "entropy_mean"]], labels)
        for result, applied_to, total in ((found[0], rows, truth), (found[1], other, other_truth)):
            removed = classifier.is_removed(applied_to[["size", "entropy_mean"]])
            errors = errors_of(applied_to[~removed], sum(total.values()))
            assert result.meta.errors is not None
            assert result.meta.errors.value == errors.errors
            assert result.meta.protocol == "transfer from one"
            assert result.meta.classifier == name
            truly = applied_to["is_false_positive"].to_numpy(bool)
            probabilities = classifier.predict_proba(applied_to[["size", "entropy_mean"]])
            assert result.meta.auroc == roc_auc_score(truly, probabilities)
            assert result.meta.auprc == average_precision_score(truly, probabilities)
            assert result.meta.accuracy == np.mean(removed == truly)
        assert found[0].meta.errors.low is not None  # type: ignore[union-attr]
        assert found[1].meta.errors.low is None  # type: ignore[union-attr]


def test_transfers_with_too_little_on_either_side() -> None:
    rows, truth = table()
    objects = rows[~rows["is_false_positive"]]
    found = transfer(
        {"all": rows, "objects": objects, "none": rows[:0]},
        dict.fromkeys(["all", "objects", "none"], truth),
        "m",
    )
    by_pair = {(t.fitted_on, t.applied_to): t.meta for t in found}
    for source in ("objects", "none"):
        assert "needs segments of both kinds" in str(by_pair[source, "all"].undefined)
        assert by_pair[source, "all"].errors is None
    on_objects, on_none = by_pair["all", "objects"], by_pair["all", "none"]
    assert on_objects.auroc is on_objects.auprc is None  # one kind of segment only
    assert on_objects.accuracy is not None
    assert on_none.accuracy is on_none.naive_accuracy is on_none.random_auprc is None
    assert on_none.errors == Number(sum(truth.values()), num_images=len(truth))


def test_feature_paths_are_the_start_of_the_ranking() -> None:
    rows, _ = table()
    full = lars_path(rows[["size", "entropy_mean"]], rows["is_false_positive"])
    path = feature_path(rows, "net/entropy", "laf")
    assert path is not None
    assert path.order == list(full.order)
    np.testing.assert_array_equal(path.alphas, full.alphas)
    np.testing.assert_array_equal(path.coefficients, full.coefficients.loc[path.order])
    assert (path.num_segments, path.num_false_positives) == (full.num_segments, full.num_false_positives)
    short = feature_path(rows, "net/entropy", "laf", limit=1)
    assert short is not None
    assert short.order == path.order[:1]
    assert short.alphas == path.alphas[:2]
    assert short.coefficients == [path.coefficients[0][:2]]
    assert feature_path(rows[rows["is_false_positive"]], "m", "d") is None
    with pytest.raises(UsageError, match="`limit` must be at least 1; got 0"):
        feature_path(rows, "m", "d", limit=0)


def test_inputs_stay_as_they_were() -> None:
    rows, truth = table()
    copy = rows.copy(deep=True)
    meta_numbers(rows, ground_truth_per_image=truth)
    transfer({"a": rows, "b": rows}, {"a": truth, "b": truth}, "m")
    pd.testing.assert_frame_equal(rows, copy)


def test_bad_input() -> None:
    rows, truth = table()
    missing = {name: number for name, number in truth.items() if name != rows["sample_id"].iloc[0]}
    with pytest.raises(UsageError, match=r"must name every frame.*'city/frame_\d' is missing \(1 in all\)"):
        meta_numbers(rows, ground_truth_per_image=missing)
    with pytest.raises(UsageError, match="frame a: the rows touch 1 more OoD segments than the ground truth"):
        errors_per_image(HAND, {**TRUTH, "a": 1})
    with pytest.raises(UsageError, match="data set: the rows touch 1 more OoD segments"):
        transfer({"a": HAND, "b": HAND}, {"a": 3, "b": 2}, "m", probability_threshold=1.0)
    with pytest.raises(UsageError, match="`per_image` must have one row for each of 3 images"):
        meta_numbers(rows, ground_truth_per_image=truth, bootstrap=Bootstrap(3))
    with pytest.raises(UsageError, match="`bootstrap` needs the ground truth per frame"):
        transfer({"a": HAND, "b": HAND}, {"a": 3, "b": 3}, "m", bootstraps={"b": Bootstrap(4)})
    with pytest.raises(UsageError, match="`classifier` must be one of linear, neural"):
        transfer({}, {}, "m", classifier="forest")
    with pytest.raises(UsageError, match=r"`probability_threshold` must lie in \[0, 1\]"):
        transfer({}, {}, "m", probability_threshold=2.0)
    with pytest.raises(UsageError, match="the same features; b and a differ in 1, first margin_mean"):
        transfer({"a": HAND, "b": HAND.assign(margin_mean=1.0)}, {"a": 3, "b": 3}, "m")
    for removed in ([True], np.zeros(6)):
        with pytest.raises(UsageError, match="`removed` must hold one boolean for each of the 6 rows"):
            removed_by_size(HAND, np.asarray(removed))
    for edges in ((), (0, 10, 10)):
        with pytest.raises(UsageError, match="`edges` must hold rising sizes"):
            removed_by_size(HAND, np.zeros(6, bool), edges=edges)
    with pytest.raises(UsageError, match="at or below the smallest segment, 5; got 6"):
        removed_by_size(HAND, np.zeros(6, bool), edges=(6, 9))


def test_an_evaluation_refuses_at_once_what_would_fail_after_hours() -> None:
    with pytest.raises(UsageError, match=r"`meta.preset` is made for the linear classifier"):
        EvaluationConfig(meta=MetaConfig(preset="paper", classifier="neural")).check()
    with pytest.raises(UsageError, match=r"`meta.protocol` group, or `segood meta RUN` afterwards"):
        EvaluationConfig(meta=MetaConfig("leave-one-out", classifier="neural")).check()
    EvaluationConfig(meta=MetaConfig(classifier="neural")).check()


def test_feature_paths_stop_before_they_fit_every_segment() -> None:
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(rng.normal(size=(10, 30)), columns=[f"class_probability_{c}" for c in range(30)])
    rows = rows.assign(is_false_positive=np.arange(10) % 2 == 0)
    path = feature_path(rows, "m", "d")
    assert path is not None
    assert len(path.order) == 5
    assert np.abs(path.coefficients).max() < 1
