"""Thresholds with few errors, by hand."""

from __future__ import annotations

import numpy as np

from segood.evaluation.comparison.thresholds import ErrorCurve, candidate_thresholds
from segood.evaluation.curves import OperatingPoints


def test_errors_are_counted_per_segment() -> None:
    #  score        target
    #  .9 .9 .0 .8   0 0 0 255     a street: one segment at .5, none at .95; the ignored pixel never counts
    #  .0 .0 .0 .8   0 0 0 255
    street = np.array([[0.9, 0.9, 0.0, 0.8], [0.0, 0.0, 0.0, 0.8]])
    ignored = np.array([[0, 0, 0, 255]] * 2, np.uint8)
    #  .6 .0 .0 .97  1 255 255 1   proxies: two objects, the rest unknown: no false alarm possible
    proxies, objects = np.array([[0.6, 0.7, 0.0, 0.97]]), np.array([[1, 255, 255, 1]], np.uint8)
    curve = ErrorCurve(np.array([0.98, 0.95, 0.5, 0.0]))
    curve.update(street, ignored)
    curve.update(proxies, objects)
    assert curve.errors.tolist() == [2, 1, 1, 1]
    assert curve.best() == 0.95  # of equally good ones the highest


def test_a_segment_with_one_ood_pixel_is_no_false_alarm() -> None:
    curve = ErrorCurve(np.array([0.5]))
    curve.update(np.array([[0.9, 0.9, 0.1, 0.9]]), np.array([[0, 1, 0, 0]], np.uint8))
    assert curve.errors.tolist() == [1]  # the pixel at the right alone


def test_candidates_occur_and_cover_both_kinds() -> None:
    rng = np.random.default_rng(0)
    num_in, num_ood = rng.integers(0, 50, 1000), rng.integers(0, 5, 1000)
    points = OperatingPoints.from_counts(np.linspace(0, 1, 1000), num_in, num_ood)
    found = candidate_thresholds(points, 33)
    assert len(found) <= 33
    assert (np.diff(found) < 0).all()
    assert set(found) <= set(points.thresholds.tolist())
    assert found[0] > 0.99
    assert found[-1] < 0.01


def test_candidates_flag_few_street_pixels() -> None:
    rng = np.random.default_rng(0)
    num_in, num_ood = rng.integers(0, 50, 1000), rng.integers(0, 5, 1000)
    points = OperatingPoints.from_counts(np.linspace(0, 1, 1000), num_in, num_ood)
    found = candidate_thresholds(points, 33, max_fpr=0.05)
    allowed = points.thresholds[points.fp <= 0.05 * points.num_in]
    assert set(found) <= set(allowed.tolist())
    assert found[-1] == allowed[-1]
    # not even the highest score is allowed: it is tried all the same, since something has to be
    assert candidate_thresholds(points, 33, max_fpr=0.0).tolist() == [1.0]
