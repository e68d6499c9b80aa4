"""Learn then test: p-values against SciPy, by hand, and by simulation where risk is not monotone."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from tests.deployment.calibration.synthetic_frames import frame, population

from segood.deployment.calibration.choosing import check_enough, choose, problem_of, refuse
from segood.deployment.calibration.losses import false_alarms
from segood.deployment.calibration.problem import RiskProblem
from segood.deployment.calibration.request import CalibrationRequest
from segood.deployment.calibration.splits import check_splits
from segood.deployment.calibration.testing import certify, hoeffding_bentkus, units_without_loss
from segood.errors import UsageError


def reference(risk: float, count: int, alpha: float) -> float:
    """By SciPy's own divergence and distribution."""
    low = min(risk, alpha)
    divergence = stats.entropy([low, 1 - low], [alpha, 1 - alpha])
    tail = stats.binom(count, alpha).cdf(math.ceil(round(count * risk, 9)))
    return min(math.exp(-count * divergence), math.e * float(tail), 1.0)


def test_p_values_equal_scipy() -> None:
    for count in (1, 7, 40, 1000):
        for alpha in (0.01, 0.1, 0.5, 0.9):
            risks = np.array([0, 1 / count, 0.03, 0.1, 0.5, 1.0])
            found = hoeffding_bentkus(risks, count, alpha)
            wanted = [reference(float(r), count, alpha) for r in risks]
            assert found == pytest.approx(wanted, rel=1e-10)
            assert (found[risks >= alpha] == 1).all()


def test_p_values_are_valid() -> None:
    # at the border of the hypothesis, p ≤ u happens with probability at most u, for any shape of loss
    rng = np.random.default_rng(0)
    for draw in (lambda s: rng.random(s) < 0.2, lambda s: rng.beta(0.5, 2, s), lambda s: np.full(s, 0.2)):
        p_values = hoeffding_bentkus(draw((20_000, 30)).mean(axis=1), 30, 0.2)
        for level in (0.05, 0.1, 0.5):
            assert (p_values <= level).mean() <= level


def test_units_without_loss_is_the_border() -> None:
    for alpha, level in ((0.1, 0.1), (0.05, 0.01), (0.5, 0.2)):
        count = units_without_loss(alpha, level)
        assert hoeffding_bentkus(np.zeros(1), count, alpha)[0] <= level
        assert hoeffding_bentkus(np.zeros(1), count - 1, alpha)[0] > level


def test_a_sequence_ends_at_the_first_setting_that_is_not_rejected() -> None:
    losses = np.zeros((100, 5))
    losses[:60, 2] = 1  # a bump: what lies behind it is not reached in this order
    problem = RiskProblem(losses, 1.0, [np.arange(5)], np.linspace(1, 0.6, 5))
    choice = certify(problem, 0.2, 0.1)
    assert choice.certified.tolist() == [True, True, False, False, False]
    assert choice.index == 1
    assert choice.bound == 0.2
    assert choice.p_value == pytest.approx(reference(0, 100, 0.2))


def test_among_certified_settings_the_fewest_misses_then_the_lower_threshold_then_more_kept() -> None:
    # settings: entropy 0.8 and 0.9, each with meta 0.5 and 1; all certified
    thresholds, kept = np.array([0.8, 0.8, 0.9, 0.9]), np.array([0.5, 1.0, 0.5, 1.0])
    sequences = [np.array([2, 0]), np.array([3, 1])]
    for misses, index in (([3, 2, 1, 2], 2), ([1, 2, 1, 1], 0), ([1, 1, 1, 1], 1), ([2, 2, 2, 1], 3)):
        problem = RiskProblem(np.zeros((50, 4)), 1.0, sequences, thresholds, kept, np.array([misses] * 50))
        assert certify(problem, 0.2, 0.1).index == index


def test_the_level_is_shared_by_the_sequences() -> None:
    count = units_without_loss(0.2, 0.1)  # enough for one sequence, too few for two
    problem = RiskProblem(np.zeros((count, 2)), 1.0, [np.arange(2)], np.array([0.9, 0.8]))
    assert certify(problem, 0.2, 0.1).index == 1
    two = RiskProblem(problem.losses, 1.0, [np.array([0]), np.array([1])], problem.thresholds)
    assert certify(two, 0.2, 0.1).index is None


def test_a_risk_that_rises_and_falls_fools_the_naive_choice_and_not_the_test() -> None:
    # The true risk lies just above the target at many settings: by luck one of them looks fine.
    risk = np.concatenate([np.linspace(0.01, 0.06, 6), np.tile([0.13, 0.12], 12)])
    alpha, delta, count = 0.1, 0.1, 80
    rng = np.random.default_rng(1)
    naive = tested = found = 0
    for _ in range(1000):
        losses = (rng.random((count, len(risk))) < risk).astype(float)
        problem = RiskProblem(losses, 1.0, [np.arange(len(risk))], np.linspace(1, 0.3, len(risk)))
        luckiest = int(np.flatnonzero(losses.mean(axis=0) <= alpha)[-1])
        naive += risk[luckiest] > alpha
        index = certify(problem, alpha, delta).index
        if index is not None:
            found += 1
            tested += risk[index] > alpha
    assert naive / 1000 > 0.5
    assert tested / 1000 <= delta
    assert found / 1000 > 0.9


def test_both_thresholds_together_violate_no_more_often_than_promised() -> None:
    # The true risk of a setting is known: the mean over a population from which units are drawn.
    rng = np.random.default_rng(2)
    thresholds, kept = [0.3, 0.5, 0.7, 0.9], [0.3, 0.6, 0.9]
    whole = false_alarms(population(3000, rng, len(thresholds)), 4, thresholds, kept).problem
    risk = whole.losses.mean(axis=0)
    order = [np.diff(risk[s]) for s in whole.sequences]
    assert any((d < 0).any() and (d > 0).any() for d in order), "not monotone"
    alpha, delta = 0.6, 0.1
    assert (risk > alpha).any()
    violations = found = 0
    for _ in range(1000):
        index = certify(whole.of_units(rng.integers(0, 3000, 150)), alpha, delta).index
        found += index is not None
        violations += index is not None and bool(risk[index] > alpha)
    assert found > 900
    assert violations / 1000 <= delta


@pytest.mark.parametrize(
    ("target", "alpha"), [("pixel_fpr", 0.1), ("missed_objects", 0.35), ("false_alarms", 1.0)]
)
def test_random_splits_of_every_target(target: str, alpha: float) -> None:
    rng = np.random.default_rng(4)
    search = "meta" if target == "false_alarms" else None
    request = CalibrationRequest(target, alpha, method="ltt", cap=4, search=search)  # type: ignore[arg-type]
    request = request.resolved(has_meta=True)
    problem = problem_of(population(400, rng), request, 0.7, 0.5).problem
    checked = check_splits(problem, lambda part: choose(part, request), alpha, 1000, rng)
    # halves of the same units err in opposite directions, which doubles the variance; testing has room for it
    assert checked.violations <= request.delta
    assert checked.without_setting <= 0.05
    assert checked.mean_risk is not None
    assert checked.mean_risk < alpha


def test_refusals_say_what_would_be_needed() -> None:
    problem = RiskProblem(np.zeros((10, 2)), 1.0, [np.arange(2)], np.array([0.9, 0.8]))
    for alpha in (0.0, 1.0):
        with pytest.raises(UsageError, match=r"`alpha` must lie in \(0, 1\)"):
            certify(problem, alpha, 0.1)
    with pytest.raises(UsageError, match=r"`delta` must lie in \(0, 1\); got 1"):
        certify(problem, 0.1, 1.0)
    request = CalibrationRequest("pixel_fpr", 0.1, method="ltt").resolved(has_meta=False)
    with pytest.raises(UsageError, match=r"10 units are too few .* at least 22 are needed"):
        check_enough(request, 10)
    losing = RiskProblem(np.full((25, 2), 0.05), 1.0, [np.arange(2)], problem.thresholds)
    assert certify(losing, 0.1, 0.1).index is None
    with pytest.raises(UsageError, match=r"about \d+ units like these would be needed") as raised:
        raise refuse(losing, request)
    needed = int(str(raised.value).split("about ")[1].split()[0])
    assert hoeffding_bentkus(np.array([0.05]), needed, 0.1)[0] <= 0.1
    assert hoeffding_bentkus(np.array([0.05]), needed // 2, 0.1)[0] > 0.1


def test_wishes_that_do_not_go_together() -> None:
    alarms = {"target": "false_alarms", "alpha": 1.0}
    for given, has_meta, message in (
        ({"target": "pixel_fpr", "alpha": 1.5}, True, r"`alpha` must lie in \(0, 1\) for pixel_fpr; got 1.5"),
        ({"target": "pixel_fpr", "alpha": float("nan")}, True, "`alpha` must lie in"),
        ({"target": "pixel_fpr", "alpha": 0.1, "search": "meta"}, True, "leave out `search`"),
        ({**alarms, "cap": 0.0}, True, "`cap` must be a number of false alarms above 0"),
        ({**alarms, "delta": 0.0}, True, r"`delta` must lie in \(0, 1\)"),
        ({**alarms, "search": "both"}, True, "risk control cannot search it"),
        (alarms, False, "needs a meta classifier, and the run has no meta.json"),
        ({**alarms, "method": "ltt", "threshold": 0.7}, True, "`threshold` is what this"),
        ({**alarms, "threshold": 0.7005}, True, "must be a multiple of 0.001"),
        ({**alarms, "threshold": 1.2}, True, r"`threshold` must lie in \[0, 1\]"),
        ({**alarms, "probability_threshold": 0.5}, True, "`probability_threshold` is what this"),
        ({**alarms, "check_splits": -1}, True, "`check_splits` must not be negative"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=message):
            CalibrationRequest(**given).resolved(has_meta)  # type: ignore[arg-type]
    ltt = CalibrationRequest("false_alarms", 1.0, method="ltt")
    assert ltt.resolved(has_meta=True).num_tested == 710
    assert ltt.resolved(has_meta=False).num_tested == 71
    assert CalibrationRequest("missed_objects", 0.1).resolved(has_meta=True).search == "entropy"


def test_entropy_search_without_meta_keeps_all_segments() -> None:
    frames = [frame("a", [0.1], [0.9], [([0, 0], [0]), ([0], [2.0])])]
    problem = false_alarms(frames, 10, [0.5, 0.9], None).problem
    assert problem.losses.tolist() == [[2, 1]]
    assert problem.misses is not None
    assert problem.misses.tolist() == [[0, 1]]
    assert [s.tolist() for s in problem.sequences] == [[1, 0]]  # from the highest threshold down
    assert problem.probability_thresholds is None
