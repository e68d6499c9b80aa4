"""Metrics of each frame alone: equal to scikit-learn frame by frame, nothing skipped in silence."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from segood import runs
from segood.errors import UsageError
from segood.evaluation.config import MetaConfig, stored_evaluation
from segood.evaluation.per_image import ImageMean
from segood.evaluation.pixel import PixelMetrics
from segood.evaluation.report import pixel_report
from segood.evaluation.run import PIXELS_PER_IMAGE, evaluate_run, filter_run

SMALL = 2**9


def frames(number: int = 5, ood: float = 0.2) -> list[tuple[np.ndarray, np.ndarray, str]]:
    rng = np.random.default_rng(0)
    result = []
    for index in range(number):
        target = rng.choice([0, 1, 255], (30, 40), p=[0.9 - ood, ood, 0.1]).astype(np.uint8)
        score = np.clip(rng.normal(0.4 + 0.1 * (target == 1), 0.1), 0, 1).astype(np.float32)
        result.append((score, target, f"frame {index}"))
    return result


def stream(items: list[tuple[np.ndarray, np.ndarray, str]], **options: object) -> PixelMetrics:
    metrics = PixelMetrics(num_bins=SMALL, per_image=True, **options)  # type: ignore[arg-type]
    for item in items:
        metrics.update(*item)
    return metrics


def check_numbers(found: object, score: np.ndarray, target: np.ndarray) -> None:
    score, target = score[target != 255].astype(np.float64), target[target != 255]
    fpr, tpr, _ = roc_curve(target, score, drop_intermediate=False)
    assert found.auroc == pytest.approx(roc_auc_score(target, score), abs=1e-12)  # type: ignore[attr-defined]
    assert found.average_precision == pytest.approx(  # type: ignore[attr-defined]
        average_precision_score(target, score), abs=1e-12
    )
    assert found.fpr95 == pytest.approx(fpr[np.argmax(tpr >= 0.95)])  # type: ignore[attr-defined]


def test_each_frame_equals_scikit_learn_though_the_bins_are_wide() -> None:
    items = frames()
    report = stream(items).compute()
    assert report.per_image is not None
    assert [image.name for image in report.per_image] == [name for _, _, name in items]
    for image, (score, target, _) in zip(report.per_image, items, strict=True):
        check_numbers(image, score, target)
        assert (image.num_in, image.num_ood) == ((target == 0).sum(), (target == 1).sum())
        assert image.undefined is None
    mean = report.per_image_mean
    assert mean is not None
    assert mean.auroc == pytest.approx(np.mean([image.auroc for image in report.per_image]))
    assert (mean.num_defined, mean.num_images) == (5, 5)


def test_the_pooled_numbers_are_those_without_frames() -> None:
    items = frames()
    plain = PixelMetrics(num_bins=SMALL)
    for item in items:
        plain.update(*item)
    with_frames, without = stream(items).compute(), plain.compute()
    assert (with_frames.auroc, with_frames.error_bound) == (without.auroc, without.error_bound)
    assert without.per_image is None
    assert without.per_image_mean is None


def test_frames_without_a_kind_of_pixel_are_listed_with_the_reason() -> None:
    score, target, _ = frames(1)[0]
    metrics = stream([(score, target, "both")])
    metrics.update(score, np.zeros_like(target), "street")
    metrics.update(score, np.ones_like(target), "object")
    metrics.update(score, np.full_like(target, 255), "ignored")
    metrics.update(np.zeros((0, 4)), np.zeros((0, 4), int))
    report = metrics.compute()
    assert report.per_image is not None
    assert [image.name for image in report.per_image] == ["both", "street", "object", "ignored", None]
    reasons = [image.undefined for image in report.per_image]
    assert reasons[0] is None
    for reason, missing in zip(reasons[1:], ("OoD", "in-distribution", "OoD", "OoD"), strict=True):
        assert f"no {missing} pixel" in str(reason)
    assert all(image.auroc is None for image in report.per_image[1:])
    assert report.per_image_mean is not None
    assert (report.per_image_mean.num_defined, report.per_image_mean.num_images) == (1, 5)
    assert report.per_image_mean.auroc == report.per_image[0].auroc


def test_no_frame_at_all() -> None:
    report = PixelMetrics(num_bins=SMALL, per_image=True).compute()
    assert report.per_image == ()
    assert report.per_image_mean == ImageMean(None, None, None, 0, 0)


def test_merge_lists_frames_in_its_order_and_wants_equal_modes() -> None:
    items = frames(4)
    first, second = stream(items[:1]), stream(items[1:])
    assert first.merge(second).compute() == stream(items).compute()
    assert len(second.compute().per_image or ()) == 3
    with pytest.raises(UsageError, match="only metrics with equal `per_image` merge"):
        first.merge(PixelMetrics(num_bins=SMALL))


def test_the_state_keeps_the_frames() -> None:
    metrics = stream(frames())
    other = PixelMetrics(num_bins=SMALL, per_image=True)
    other.load_state_dict(metrics.state_dict())
    assert other.compute() == metrics.compute()
    with pytest.raises(UsageError, match="`state` holds no frames; it was saved without `per_image=True`"):
        other.load_state_dict(PixelMetrics(num_bins=SMALL).state_dict())
    with pytest.raises(UsageError, match="frames of another version"):
        other.load_state_dict(metrics.state_dict() | {"images": [{"title": 1}]})


def test_a_bad_frame_is_not_listed() -> None:
    metrics = stream(frames(2))
    with pytest.raises(UsageError, match="frame bad: `score` holds NaN"):
        metrics.update(np.array([np.nan]), np.array([0]), "bad")
    assert len(metrics.compute().per_image or ()) == 2


def test_exact_and_per_image_go_together() -> None:
    items = frames()
    metrics = stream(items, exact=True)
    metrics.refine(items)
    report = metrics.compute()
    assert report.per_image == stream(items).compute().per_image
    check_numbers(report, np.stack([s for s, _, _ in items]), np.stack([t for _, t, _ in items]))


@settings(max_examples=200)
@given(st.data(), st.integers(2, 40), st.sampled_from([np.float16, np.float32, np.float64, np.int64]))
def test_exact_reports_equal_scikit_learn_with_ties(data: st.DataObject, size: int, dtype: type) -> None:
    score = np.array(data.draw(st.lists(st.integers(-4, 4), min_size=size, max_size=size))).astype(dtype)
    target = np.array(data.draw(st.lists(st.sampled_from([0, 1, 255]), min_size=size, max_size=size)))
    target[:2] = [0, 1]
    for kernels in ("0", "1"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SEGOOD_KERNELS", kernels)
            check_numbers(pixel_report(score, target), score, target)


def test_exact_reports_of_many_ood_pixels() -> None:
    rng = np.random.default_rng(3)
    target = rng.integers(0, 2, 50_000)
    score = rng.normal(target, 1.0).astype(np.float32)
    check_numbers(pixel_report(score, target), score, target)
    check_numbers(pixel_report(-score, 1 - target), -score, 1 - target)


def test_exact_reports_take_any_finite_score() -> None:
    assert pixel_report(np.array([-1e300, 1e300]), np.array([0, 1])).auroc == 1.0
    for value in (np.inf, -np.inf):
        with pytest.raises(UsageError, match=f"`score` must be finite at counted pixels; found {value}"):
            pixel_report(np.array([value, 1.0]), np.array([0, 1]))


def test_a_run_lists_every_frame_where_the_configuration_asks_for_it(run: Path, tmp_path: Path) -> None:
    assert not (run / PIXELS_PER_IMAGE).exists()
    copy = Path(shutil.copytree(run, tmp_path / "copy"))
    stored = stored_evaluation(runs.read_config(copy))
    results = evaluate_run(copy, dataclasses.replace(stored, per_image=True))
    table = pd.read_csv(copy / PIXELS_PER_IMAGE)
    names = ["model", "dataset", "sample_id", "num_in", "num_ood", "auroc", "average_precision", "fpr95"]
    assert list(table.columns) == [*names, "undefined"]
    assert len(table) == 2 * sum(d.num_images for d in results.datasets if d.key in stored.datasets)
    for pooled in results.pixel:
        rows = table[(table["model"] == pooled.model) & (table["dataset"] == pooled.dataset)]
        assert rows["sample_id"].is_unique
        assert (rows["num_in"].sum(), rows["num_ood"].sum()) == (pooled.num_in, pooled.num_ood)
        assert (rows["auroc"].isna() == (rows["num_ood"] == 0)).all()
        assert (rows["undefined"].notna() == rows["auroc"].isna()).all()
    assert table["auroc"].isna().any()  # a street without an object
    filter_run(copy, MetaConfig(probability_threshold=0.9))
    assert (copy / PIXELS_PER_IMAGE).exists()
    assert runs.read_config(copy, runs.EVALUATION)["per_image"] is True
    evaluate_run(copy, stored)
    assert not (copy / PIXELS_PER_IMAGE).exists()
