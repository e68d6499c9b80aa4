"""Scores by name, or by where the user's code is. In: a name and options. Out: a `Score`."""

from __future__ import annotations

import inspect
from collections.abc import Collection
from typing import Any

from segood.checks import check_choice
from segood.errors import UsageError
from segood.files import file_hash
from segood.scores.base import Need, Score
from segood.scores.energy import Energy
from segood.scores.entropy import Entropy
from segood.scores.mahalanobis import Mahalanobis
from segood.scores.max_logit import MaxLogit
from segood.scores.mc_dropout import MCDropout
from segood.scores.msp import MSP
from segood.scores.odin import ODIN
from segood.scores.rba import RbA
from segood.scores.smoothed_entropy import SmoothedEntropy
from segood.scores.standardized_max_logit import StandardizedMaxLogit
from segood.user_code import call_user_code, check_arguments, imported, is_import_path

_SCORES: dict[str, type[Score]] = {
    score.name: score
    for score in (
        *(Entropy, SmoothedEntropy, MSP, MaxLogit, Energy),
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
        ['entropy', 'smoothed_entropy', 'msp', 'max_logit', 'energy', 'standardized_max_logit', 'odin',
        'mahalanobis', 'mc_dropout', 'rba']
        >>> list_scores(needs={"logits"})
        ['entropy', 'smoothed_entropy', 'msp', 'max_logit', 'energy']
    """
    return [name for name, score in _SCORES.items() if needs is None or score.needs <= set(needs)]


def score_class(name: str) -> type[Score]:
    """Return the class of the score called `name`, for its title and reference.

    Args:
        name: one of `list_scores()`, or the import path of a class of yours, see `get_score`.

    Raises:
        UsageError: unknown name; the message holds the nearest valid one. Or the import path names no
            complete subclass of `Score`.

    Example:
        >>> score_class("msp").title
        'Maximum softmax probability'
    """
    if is_import_path(name):
        return _own_class(name)
    check_choice("score", name, _SCORES)
    return _SCORES[name]


def score_identity(name: str) -> str:
    """Return what tells whether stored score maps are still those of `name`.

    Args:
        name: as for `get_score`.

    Returns:
        The name; behind an import path also the SHA-256 of the file that holds the class.

    Example:
        >>> score_identity("energy")
        'energy'
    """
    if not is_import_path(name):
        return name
    file = inspect.getsourcefile(score_class(name))
    return f"{name} {file_hash(file)}" if file else name


def _own_class(import_path: str) -> type[Score]:
    with imported(import_path, "score") as found:
        if not (inspect.isclass(found) and issubclass(found, Score)):
            raise UsageError(f"{import_path} must be a class derived from segood.scores.Score")
    lacking = [key for key in ("name", "title", "reference") if not hasattr(found, key)]
    lacking += sorted(found.__abstractmethods__)
    if lacking:
        raise UsageError(f"{import_path} lacks {', '.join(lacking)}; see segood.scores.Score")
    if found.name in _SCORES or not found.name.isidentifier():
        raise UsageError(
            f"{import_path} must have a `name` of letters, digits and underscores that is no score of "
            f"segood's; got {found.name!r}"
        )
    return found


def get_score(name: str, **options: Any) -> Score:
    """Make the score called `name`.

    Args:
        name: one of `list_scores()`; or the import path of a subclass of `Score` of yours, which is
            imported: `path/to/my_score.py:MyScore` or `my_pkg.my_module:MyScore`.
        **options: keyword arguments of that score, for example `temperature=` for `energy`.

    Returns:
        The score, to be called as `score.of(observation)`, or those of logits as `score(logits=...)`.

    Raises:
        UsageError: unknown name or option; the message holds the nearest valid one. Or code of yours that
            cannot be used.

    Example:
        >>> get_score("energy", temperature=2.0).title
        'Energy'
    """
    made = score_class(name)
    if is_import_path(name):
        arguments = check_arguments(made, name, options, {}, "the score's `options`")
        score: Score = call_user_code(name, made, arguments)
        if not hasattr(score, "range"):
            raise UsageError(f"{name} lacks `range`, its lowest and highest value; see segood.scores.Score")
        return score
    valid = [] if made.__init__ is object.__init__ else list(inspect.signature(made).parameters)
    for option in options:
        if not valid:
            raise UsageError(f"score '{name}' takes no options; got '{option}'")
        check_choice(f"option of score '{name}'", option, valid)
    return made(**options)
