"""Conformal risk control: by hand, and by simulation over 1,000 random splits for every target."""

from __future__ import annotations

import numpy as np
import pytest
from tests.deployment.calibration.synthetic_frames import frame, population

from segood.deployment.calibration.choosing import check_enough, choose, problem_of, refuse
from segood.deployment.calibration.grid import GRID
from segood.deployment.calibration.losses import false_alarms, missed_objects, pixel_fpr
from segood.deployment.calibration.problem import RiskProblem
from segood.deployment.calibration.request import CalibrationRequest
from segood.deployment.calibration.risk_control import control_risk, fewest_units, risk_bound
from segood.deployment.calibration.splits import check_splits
from segood.errors import DataError, UsageError

FRAMES = [
    frame("a", entropies=[0.1, 0.2, 0.3, 0.9], objects=[0.8], segments=[([0.2, 0.9], [0.1])]),
    frame("a", entropies=[0.1, 0.1], segments=[([0.5], [])]),
    frame("b", entropies=[0.5], objects=[0.4, 1.0], segments=[([], [2.0, 0.6])]),
    frame("c"),  # nothing in the region
]


def test_pixel_fpr_by_hand() -> None:
    # unit a: frames with 4 and 2 pixels weigh the same; at 0.2: (3/4 + 0/2)/2; unit b: 1/1 up to 0.5.
    measured = pixel_fpr(FRAMES)
    assert (measured.units, measured.num_frames) == (["a", "b"], 3)
    assert measured.left_out == "1 frames without in-distribution pixel in the region"
    at = [0, 100, 101, 200, 500, 501, 900, 901]
    assert measured.problem.losses[0, at].tolist() == [1, 1, 0.375, 0.375, 0.125, 0.125, 0.125, 0]
    assert measured.problem.losses[1, at].tolist() == [1, 1, 1, 1, 1, 0, 0, 0]
    assert GRID[200] == 0.2


def test_missed_objects_by_hand() -> None:
    # only frames with objects count; b has two, reaching 0.4 and 1.
    measured = missed_objects(FRAMES)
    assert (measured.units, measured.num_frames) == (["a", "b"], 2)
    at = [0, 400, 401, 800, 801, 1000]
    assert measured.problem.losses[0, at].tolist() == [0, 0, 0, 0, 1, 1]
    assert measured.problem.losses[1, at].tolist() == [0, 0, 0.5, 0.5, 0.5, 0.5]


def test_false_alarms_by_hand() -> None:
    # kept where the probability lies below the meta threshold: 0.2 keeps nothing of 0.2
    measured = false_alarms(FRAMES, 1.0, [0.7], [0.0, 0.2, 0.3, 0.6, 1.0])
    assert (measured.units, measured.num_frames) == (["a", "b"], 3)
    assert measured.problem.losses.tolist() == [[0, 0, 0.5, 1, 1], [0] * 5]  # 2 of them count as 1
    assert measured.problem.misses is not None
    # a: its object is on a segment of 0.1, the second frame has none; b: one is on none, one on 0.6
    assert measured.problem.misses.tolist() == [[0.5, 0, 0, 0, 0], [2, 2, 2, 2, 1]]
    unfiltered = false_alarms(FRAMES, 10, [0.7], None).problem
    assert unfiltered.losses.tolist() == [[1.5], [0]]
    assert unfiltered.misses is not None
    assert unfiltered.misses.tolist() == [[0], [1]]


def test_the_rule_by_hand() -> None:
    # 9 units, of which k lose 1 at step k: (k + 1)/10
    losses = np.tri(10, 9, -1).T[:, :]
    problem = RiskProblem(losses, 1.0, [np.arange(10)], np.linspace(1, 0.1, 10))
    for alpha, index in ((0.1, 0), (0.1999, 0), (0.2, 1), (0.5, 4), (0.999, 8)):
        choice = control_risk(problem, alpha)
        assert choice.index == index
        assert choice.bound == pytest.approx((index + 1) / 10)
        assert choice.certified.tolist() == [k <= index for k in range(10)]
    assert (fewest_units(0.1), fewest_units(2, 10), fewest_units(0.099)) == (9, 4, 10)
    assert risk_bound(0.5, 4, 10) == 2.4


def test_refusals() -> None:
    rising = RiskProblem(np.array([[0, 1]] * 8), 1.0, [np.arange(2)], np.array([0.9, 0.5]))
    with pytest.raises(UsageError, match=r"8 units are too few .* at least 9 are needed"):
        control_risk(rising, 0.1)
    with pytest.raises(UsageError, match="losses that never fall along the threshold; use testing"):
        control_risk(RiskProblem(rising.losses, 1.0, [np.array([1, 0])], rising.thresholds), 0.5)
    with pytest.raises(UsageError, match="works along one threshold"):
        control_risk(RiskProblem(rising.losses, 1.0, [np.arange(2)] * 2, rising.thresholds), 0.5)
    always = RiskProblem(np.full((20, 2), 0.3), 1.0, [np.arange(2)], rising.thresholds)
    assert control_risk(always, 0.2).index is None
    request = CalibrationRequest("pixel_fpr", 0.2).resolved(has_meta=False)
    with pytest.raises(UsageError, match=r"the safest one has 0\.3 on 20 units; more units do not help"):
        raise refuse(always, request)
    with pytest.raises(UsageError, match=r"`losses` must lie in \[0, 1\]; got \[0, 2\]"):
        RiskProblem(np.array([[0.0, 2.0]]), 1.0, [np.arange(2)], rising.thresholds)
    with pytest.raises(UsageError, match=r"must lie in \[0, 1\]; got \[nan, nan\]"):
        RiskProblem(np.array([[0.0, np.nan]]), 1.0, [np.arange(2)], rising.thresholds)
    with pytest.raises(UsageError, match=r"must have shape \(n,S\)"):
        RiskProblem(np.zeros((0, 2)), 1.0, [np.arange(2)], rising.thresholds)
    with pytest.raises(DataError, match="no frame of the calibration set has any object in the region"):
        missed_objects([frame(entropies=[0.2])])
    check_enough(CalibrationRequest("pixel_fpr", 0.05), 19)
    with pytest.raises(UsageError, match="calibrates on half of the units: 19 units are too few"):
        check_enough(CalibrationRequest("pixel_fpr", 0.045, check_splits=10), 38)


@pytest.mark.parametrize(
    ("target", "alpha"), [("pixel_fpr", 0.1), ("missed_objects", 0.3), ("false_alarms", 0.8)]
)
def test_the_mean_risk_over_random_splits_stays_below_the_target(target: str, alpha: float) -> None:
    request = CalibrationRequest(target, alpha, cap=5).resolved(has_meta=True)  # type: ignore[arg-type]
    frames = population(120, np.random.default_rng(7))
    problem = problem_of(frames, request, 0.7, 0.5).problem
    checked = check_splits(problem, lambda part: choose(part, request), alpha, 1000, np.random.default_rng(0))
    assert checked.without_setting == 0
    assert checked.mean_risk is not None
    assert checked.standard_error is not None
    assert checked.mean_risk <= alpha + 3 * checked.standard_error
    # not by being idle: the rule gives away B/(n+1) and one step of the grid
    assert checked.mean_risk >= alpha - 2.5 * request.bound / (checked.num_calibration + 1)
    assert checked.violations > 0.05  # it is the mean that is held


def test_splits_need_enough_units() -> None:
    problem = RiskProblem(np.zeros((10, 1)), 1.0, [np.arange(1)], np.array([0.5]))
    rng = np.random.default_rng(0)
    with pytest.raises(UsageError, match="calibrates on 5 units: 5 units are too few"):
        check_splits(problem, lambda part: control_risk(part, 0.1), 0.1, 5, rng)
    with pytest.raises(UsageError, match="at least one split and two units; got 0 and 10"):
        check_splits(problem, lambda part: control_risk(part, 0.5), 0.5, 0, rng)
