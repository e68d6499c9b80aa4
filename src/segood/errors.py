"""The errors segood raises on purpose: one line that names what, which rule, and the remedy.

Everything a user can cause ends in a `SegoodError`; the command line prints its text and
leaves with its `exit_code`. Any other exception is a bug in segood.
"""

import errno
import os
import re

LONGEST = 1000
"""Characters of the longest line; of longer ones the middle is left out."""


def one_line(error: BaseException, most: int = 160) -> str:
    """Return what another library's error says, as one line of at most `most` characters.

    Example:
        >>> one_line(ValueError("no such\\n  operator"))
        'no such operator'
    """
    return " ".join(str(error).split())[:most]


_GONE = {
    getattr(errno, name, None)
    for name in (
        *("EIO", "ESTALE", "ETIMEDOUT", "ENXIO", "ENODEV", "ENOTCONN", "EREMOTEIO", "ENOLINK"),
        *("EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN", "ENETUNREACH", "ECONNRESET", "ECONNABORTED"),
    )
} - {None}


def drive_is_gone(error: BaseException | None) -> bool:
    """Return whether the system says that a drive does not answer, rather than that a file is bad.

    Example:
        >>> drive_is_gone(OSError(errno.EIO, "")), drive_is_gone(FileNotFoundError(errno.ENOENT, ""))
        (True, False)
    """
    return isinstance(error, OSError) and error.errno in _GONE


def system_says(error: OSError, remedy: str = "") -> str:
    """Return what the system says of a file, with the remedy.

    Args:
        error: its error.
        remedy: where a drive is gone there is a better one.

    Example:
        >>> system_says(OSError(errno.EIO, "Input/output error"))
        'Input/output error; is its drive still there? then repeat the command'
    """
    error = _first_of_shutil(error)
    said = error.strerror or str(error)
    if drive_is_gone(error):
        remedy = "is its drive still there? then repeat the command"
    return f"{said}; {remedy}" if remedy else said


def _first_of_shutil(error: OSError) -> OSError:
    """Return what went wrong with the first file, where shutil has collected texts of several."""
    if not error.args or not isinstance(error.args[0], list):
        return error
    text = str(error.args[0][0][-1])
    number = re.match(r"\[Errno (\d+)\]", text)
    return OSError(int(number[1]), os.strerror(int(number[1]))) if number else OSError(text)


class SegoodError(Exception):
    """Base of all errors raised on purpose.

    Example:
        >>> str(SegoodError("a\\x1b[31m.png: no such file"))
        'a\\\\x1b[31m.png: no such file'
    """

    exit_code = 1

    def __str__(self) -> str:
        # names and values out of other people's files must neither steer a terminal nor fill it
        line = "".join(c if c.isprintable() else _escaped(c) for c in super().__str__())
        return line if len(line) <= LONGEST else f"{line[: LONGEST - 303]} … {line[-300:]}"


def _escaped(character: str) -> str:
    return " " if character.isspace() else character.encode("unicode_escape").decode("ascii")


class UsageError(SegoodError, ValueError):
    """An argument, option or configuration breaks its rule."""

    exit_code = 2


class DataError(SegoodError):
    """A file or data set on disk is not what it has to be."""


class CheckpointError(SegoodError):
    """A checkpoint cannot be read, is not safe to read, or does not fit the network."""


class FetchError(SegoodError):
    """A file could not be fetched, or is not the one that was asked for."""


class UndefinedMetricError(SegoodError):
    """A metric has no value for this input (for example no OoD pixel at all)."""


class OutputError(SegoodError):
    """A result could not be written; nothing half-written is left behind."""
