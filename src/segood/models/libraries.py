"""Networks of other libraries: imported when asked for, and their failures told in one line.

Enters: the name of a package, or a call that may go to a hub. Leaves: the module, or the call's result.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import warnings
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from importlib import import_module
from typing import Any

from segood.errors import CheckpointError, UsageError


def import_library(package: str, extra: str, purpose: str) -> Any:
    """Import an optional package.

    Args:
        package: name of the module.
        extra: the extra of segood that installs it.
        purpose: what needs it, for the error.

    Raises:
        UsageError: it is not installed, or cannot be imported.
    """
    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise UsageError(f"{package} cannot be imported ({error}); reinstall it") from error
        raise UsageError(
            f"{purpose} needs {package}, which is not installed; pip install 'segood[{extra}]'"
        ) from None
    except ImportError as error:  # installed, but not with the versions of what it needs itself
        raise UsageError(f"{package} cannot be imported ({_one_line(error)}); reinstall it") from error


@contextlib.contextmanager
def from_hub(what: str, remedy: str) -> Iterator[None]:
    """Name in one line why pretrained weights cannot be had; mute what libraries say on the way.

    Args:
        what: the weights, for the error.
        remedy: what to do instead.

    Raises:
        CheckpointError: whatever was raised inside.
    """
    logger = logging.getLogger("huggingface_hub")  # tells of every attempt
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):  # stdout is for results
            warnings.simplefilter("ignore")
            yield
    except Exception as error:  # each library wraps what its connection raises in another class
        raise CheckpointError(f"cannot get {what}: {_one_line(error)}; {remedy}") from error
    finally:
        logger.setLevel(level)


def check_known(what: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Raise `UsageError` for the first name that is not known; names the nearest one, if any is near.

    Example:
        >>> check_known("Unet", ["decoder_chanels"], ["decoder_channels", "activation"])
        Traceback (most recent call last):
        segood.errors.UsageError: Unet has no 'decoder_chanels' (did you mean 'decoder_channels'?)
    """
    known = list(known)
    for name in given:
        if name not in known:
            near = get_close_matches(name, known, n=3)
            hint = f" (did you mean {' or '.join(repr(n) for n in near)}?)" if near else ""
            raise UsageError(f"{what} has no {name!r}{hint}")


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 160 else f"{text[:160]}…"
