"""Scores by name. In: a name and options. Out: a `Score`."""

from __future__ import annotations

import inspect
from typing import Any

from segood.checks import check_choice
from segood.errors import UsageError
from segood.scores.base import Score
from segood.scores.energy import Energy
from segood.scores.entropy import Entropy
from segood.scores.max_logit import MaxLogit
from segood.scores.msp import MSP
from segood.scores.rba import RbA

_SCORES: dict[str, type[Score]] = {score.name: score for score in (Entropy, MSP, MaxLogit, Energy, RbA)}


def list_scores() -> list[str]:
    """List the names that `get_score` knows.

    Returns:
        The names, in the order of the documentation.

    Example:
        >>> list_scores()
        ['entropy', 'msp', 'max_logit', 'energy', 'rba']
    """
    return list(_SCORES)


def get_score(name: str, **options: Any) -> Score:
    """Make the score called `name`.

    Args:
        name: one of `list_scores()`.
        **options: keyword arguments of that score, for example `temperature=` for `energy`.

    Returns:
        The score, to be called as `score(logits=...)`.

    Raises:
        UsageError: unknown name or option; the message holds the nearest valid one.

    Example:
        >>> get_score("energy", temperature=2.0).title
        'Energy'
    """
    check_choice("score", name, _SCORES)
    made = _SCORES[name]
    valid = [] if made.__init__ is object.__init__ else list(inspect.signature(made).parameters)
    for option in options:
        if not valid:
            raise UsageError(f"score '{name}' takes no options; got '{option}'")
        check_choice(f"option of score '{name}'", option, valid)
    return made(**options)
