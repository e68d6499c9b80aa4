"""Scores by name. In: a name and options. Out: a `Score`."""

from __future__ import annotations

import inspect
from collections.abc import Collection
from typing import Any

from segood.checks import check_choice
from segood.errors import UsageError
from segood.scores.base import Need, Score
from segood.scores.energy import Energy
from segood.scores.entropy import Entropy
from segood.scores.mahalanobis import Mahalanobis
from segood.scores.max_logit import MaxLogit
from segood.scores.mc_dropout import MCDropout
from segood.scores.msp import MSP
from segood.scores.odin import ODIN
from segood.scores.rba import RbA
from segood.scores.standardized_max_logit import StandardizedMaxLogit

_SCORES: dict[str, type[Score]] = {
    score.name: score
    for score in (
        *(Entropy, MSP, MaxLogit, Energy),
        *(StandardizedMaxLogit, ODIN, Mahalanobis, MCDropout, RbA),
    )
}


def list_scores(*, needs: Collection[Need] | None = None) -> list[str]:
    """List the names that `get_score` knows.

    Args:
        needs: list only scores that need no more than this, as built without options; all where None.

    Returns:
        The names, in the order of the documentation.

    Example:
        >>> list_scores()
        ['entropy', 'msp', 'max_logit', 'energy', 'standardized_max_logit', 'odin', 'mahalanobis',
        'mc_dropout', 'rba']
        >>> list_scores(needs={"logits"})
        ['entropy', 'msp', 'max_logit', 'energy']
    """
    return [name for name, score in _SCORES.items() if needs is None or score.needs <= set(needs)]


def score_class(name: str) -> type[Score]:
    """Return the class of the score called `name`, for its title and reference.

    Raises:
        UsageError: unknown name; the message holds the nearest valid one.

    Example:
        >>> score_class("msp").title
        'Maximum softmax probability'
    """
    check_choice("score", name, _SCORES)
    return _SCORES[name]


def get_score(name: str, **options: Any) -> Score:
    """Make the score called `name`.

    Args:
        name: one of `list_scores()`.
        **options: keyword arguments of that score, for example `temperature=` for `energy`.

    Returns:
        The score, to be called as `score.of(observation)`, or those of logits as `score(logits=...)`.

    Raises:
        UsageError: unknown name or option; the message holds the nearest valid one.

    Example:
        >>> get_score("energy", temperature=2.0).title
        'Energy'
    """
    made = score_class(name)
    valid = [] if made.__init__ is object.__init__ else list(inspect.signature(made).parameters)
    for option in options:
        if not valid:
            raise UsageError(f"score '{name}' takes no options; got '{option}'")
        check_choice(f"option of score '{name}'", option, valid)
    return made(**options)
