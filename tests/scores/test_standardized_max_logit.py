"""Standardised max-logit by hand; streaming, merging and storing its statistics."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch

from segood.errors import UsageError
from segood.scores import StandardizedMaxLogit, get_score
from segood.scores.standardized_max_logit import STD_FLOOR


def frame(*pixels: tuple[float, ...]) -> torch.Tensor:
    """Logits (1,C,1,W) of one row of pixels."""
    return torch.tensor(pixels, dtype=torch.float32).T[None, :, None]


def random_frames(count: int, classes: int = 4) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(0)
    return [
        (
            rng.normal(50, 3, (2, classes, 5, 7)).astype(np.float32),
            rng.choice([0, 1, 254, 255], (2, 5, 7)).astype(np.uint8),
        )
        for _ in range(count)
    ]


# predicted as 0: 2, 6 and (ignored) 99; predicted as 1: 3, 5, 10; class 2 never
TRAIN = frame((2, 0, 0), (6, 0, 0), (99, 0, 0), (0, 3, 0), (0, 5, 0), (0, 10, 0))
TARGET = np.array([[[0, 1, 255, 1, 0, 2]]], np.uint8)


def fitted() -> StandardizedMaxLogit:
    score = StandardizedMaxLogit()
    score.update_arrays(logits=TRAIN, target=TARGET)
    return score


def test_by_hand() -> None:
    score = fitted()
    np.testing.assert_allclose(score.mean, [4, 6, 0])
    # of 3, 5, 10: deviations -3, -1, 4
    np.testing.assert_allclose(score.std, [2, np.sqrt((9 + 1 + 16) / 3), STD_FLOOR])
    found = score(logits=frame((8, 1, 0), (1, 6, 0), (0, -1, -3)))
    # -(8 - 4) / 2, -(6 - 6) / ..., -(0 - 4) / 2
    assert found[0, 0].tolist() == pytest.approx([-2, 0, 2])


def test_unseen_classes_are_left_out_and_reported() -> None:
    score = fitted()
    assert score.unseen_classes == (2,)
    assert score.is_fitted
    # class 2 has the largest logit, but counts for nothing: the next is class 1 with 6
    assert score(logits=frame((2, 6, 50))).item() == pytest.approx(0)
    alone = score(logits=frame((2, 6, -50)))
    assert torch.equal(score(logits=frame((2, 6, 50))), alone)


def test_double_precision_and_arrays() -> None:
    score = fitted()
    logits = np.random.default_rng(0).normal(0, 5, (2, 3, 4, 5))
    found = score(logits=logits)
    assert found.dtype == np.float64
    z, c = logits[:, :2].max(1), logits[:, :2].argmax(1)
    np.testing.assert_allclose(found, -(z - score.mean[c]) / score.std[c])
    assert score(logits=torch.from_numpy(logits).half()).dtype == torch.float32


def test_equal_to_numpy_over_all_frames_at_once() -> None:
    frames, score = random_frames(5), StandardizedMaxLogit()
    for logits, target in frames:
        score.update_arrays(logits=logits, target=target)
    keep = np.concatenate([target < 254 for _, target in frames])
    z = np.concatenate([logits.max(1) for logits, _ in frames]).astype(np.float64)[keep]
    c = np.concatenate([logits.argmax(1) for logits, _ in frames])[keep]
    for k in range(4):
        assert score.mean[k] == pytest.approx(z[c == k].mean(), rel=1e-13)
        assert score.std[k] == pytest.approx(z[c == k].std(), rel=1e-11)


def test_merging_in_any_order_equals_one_fit() -> None:
    frames, whole, parts = random_frames(3), StandardizedMaxLogit(), []
    for logits, target in frames:
        whole.update_arrays(logits=logits, target=target)
        parts.append(StandardizedMaxLogit())
        parts[-1].update_arrays(logits=logits, target=target)
    for order in permutations(parts):
        merged = StandardizedMaxLogit()
        for part in order:
            assert merged.merge(part) is merged
        for key, value in whole.state_dict().items():
            np.testing.assert_allclose(merged.state_dict()[key], value, rtol=1e-12)
    before = whole.state_dict()
    whole.merge(StandardizedMaxLogit())
    assert all(np.array_equal(before[k], v) for k, v in whole.state_dict().items())


def test_the_state_comes_back_bit_by_bit() -> None:
    score, again = fitted(), StandardizedMaxLogit()
    again.load_state_dict(score.state_dict())
    assert all(np.array_equal(again.state_dict()[k], v) for k, v in score.state_dict().items())
    logits = frame((8, 1, 0), (1, 6, 0))
    assert torch.equal(again(logits=logits), score(logits=logits))
    again.update_arrays(logits=TRAIN, target=TARGET)  # a copy: the first score is not touched
    assert score.state_dict()["count"].tolist() == [2, 3, 0]


def test_values_end_where_float16_does() -> None:
    score = StandardizedMaxLogit()
    score.update_arrays(logits=frame((1, 0), (1, 0)), target=np.zeros((1, 1, 2), int))
    assert score.std[0] == STD_FLOOR
    found = score(logits=frame((1e4, 0), (-1e4, 0)))
    assert found.tolist() == [[[-60000.0, 60000.0]]]
    assert bool(torch.isfinite(found.half()).all())


def test_bad_input() -> None:
    with pytest.raises(UsageError, match=r"'standardized_max_logit' must be fitted .*use `segood compare`"):
        get_score("standardized_max_logit")(logits=TRAIN)
    score = fitted()
    with pytest.raises(UsageError, match="is fitted for 3 classes; got 2"):
        score(logits=frame((1, 2)))
    with pytest.raises(UsageError, match="is fitted for 3 classes; got 2"):
        score.update_arrays(logits=frame((1, 2)), target=np.zeros((1, 1, 1), int))
    with pytest.raises(UsageError, match=r"`target` must have shape \(N,H,W\)=\(1,1,6\) to match"):
        score.update_arrays(logits=TRAIN, target=np.zeros((1, 1, 5), int))
    with pytest.raises(UsageError, match=r"`target` must hold integers; got torch\.float64"):
        score.update_arrays(logits=TRAIN, target=np.zeros((1, 1, 6)))
    with pytest.raises(UsageError, match=r"must hold train ids 0\.\.2, or 254.*got -1"):
        score.update_arrays(logits=TRAIN, target=np.full((1, 1, 6), -1))
    for bad in (float("nan"), float("inf")):
        with pytest.raises(UsageError, match="score 'standardized_max_logit': `logits` must be finite"):
            score(logits=frame((1, bad, 0)))
        with pytest.raises(UsageError, match="score 'standardized_max_logit': `logits` must be finite"):
            score.update_arrays(logits=frame((1, bad, 0)), target=np.zeros((1, 1, 1), int))
    with pytest.raises(UsageError, match="there is not one labelled pixel"):
        score.fit([])
    assert not score.is_fitted  # fitting starts anew
    with pytest.raises(UsageError, match="can be merged with its like only"):
        score.merge(get_score("mahalanobis"))  # type: ignore[type-var]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mean": np.zeros(2)}, r"`mean` in the state of score .* must have shape \(3,\); got \(2,\)"),
        ({"squares": np.zeros((3, 1))}, r"`squares` .* must have shape \(3,\); got \(3, 1\)"),
        ({"mean": np.array([0, np.nan, 0])}, "`mean` in the state of score .* must be finite"),
        ({"mean": None}, "must hold `mean`; got count, squares"),
    ],
)
def test_bad_states(change: dict[str, np.ndarray | None], message: str) -> None:
    state = {k: v for k, v in {**fitted().state_dict(), **change}.items() if v is not None}
    with pytest.raises(UsageError, match=message):
        StandardizedMaxLogit().load_state_dict(state)
