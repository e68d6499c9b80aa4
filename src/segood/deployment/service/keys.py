"""API keys: where they come from, and whether a request has one.

In: a file or an environment variable; the headers of a request. Keys are never on the command line, where
every user of the machine can read them. They are compared in constant time.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Mapping
from pathlib import Path

from segood.deployment.service.problems import ServiceError
from segood.errors import UsageError

VARIABLE = "SEGOOD_API_KEY"
"""Environment variable with one key."""


def load_keys(path: str | Path | None, environment: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Return the keys of a file, one a line, else the one of `SEGOOD_API_KEY`, else none.

    Args:
        path: of the file; empty lines and lines that begin with `#` are skipped.
        environment: that of the process if not given.

    Raises:
        UsageError: the file cannot be read or has no key, the variable is set to nothing, or a key has
            characters that a header cannot carry.

    Example:
        >>> load_keys(None, {"SEGOOD_API_KEY": "open-sesame"})
        ('open-sesame',)
    """
    environment = os.environ if environment is None else environment
    if path is None:
        if VARIABLE not in environment:
            return ()
        keys, source = [environment[VARIABLE].strip()], f"environment variable {VARIABLE}"
        if not keys[0]:
            raise UsageError(f"{source} is set but empty; give it a key or unset it")
    else:
        source = str(path)
        try:
            lines = [line.strip() for line in Path(path).read_text(encoding="utf-8").splitlines()]
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not UTF-8 text"
            raise UsageError(f"{source}: the API keys cannot be read ({reason})") from error
        keys = [line for line in lines if line and not line.startswith("#")]
        if not keys:
            raise UsageError(f"{source}: there is no API key in the file; write one a line")
    if not all(key.isascii() and key.isprintable() and " " not in key for key in keys):
        raise UsageError(f"{source}: an API key may have printable ASCII characters only, and no spaces")
    return tuple(keys)


class KeyCheck:
    """Let requests pass that carry one of some keys; all of them if there are no keys.

    Example:
        >>> KeyCheck(("a",))("a", None)
        >>> KeyCheck(())(None, None)
    """

    def __init__(self, keys: tuple[str, ...]) -> None:
        self._digests = [_digest(key) for key in keys]

    @property
    def needed(self) -> bool:
        """Whether a key is needed at all."""
        return bool(self._digests)

    def __call__(self, key: str | None, bearer: str | None) -> None:
        """Check the value of `X-API-Key`, else that of `Authorization: Bearer`.

        Raises:
            ServiceError: `key_missing` or `key_wrong`.
        """
        if not self._digests:
            return
        given = key if key is not None else bearer
        if given is None:
            raise ServiceError("key_missing", "send an API key as X-API-Key or as Authorization: Bearer")
        digest = _digest(given)
        # All are compared, whichever fits: the time tells nothing.
        if not sum([hmac.compare_digest(digest, known) for known in self._digests]):
            raise ServiceError("key_wrong", "this API key is not one of the service's")


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
