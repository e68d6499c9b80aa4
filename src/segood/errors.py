"""The errors segood raises on purpose: one line that names what, which rule, and the remedy.

Everything a user can cause ends in a `SegoodError`; the command line prints its text and
leaves with its `exit_code`. Any other exception is a bug in segood.
"""

LONGEST = 1000
"""Characters of the longest line; of longer ones the middle is left out."""


def one_line(error: BaseException, most: int = 160) -> str:
    """Return what another library's error says, as one line of at most `most` characters.

    Example:
        >>> one_line(ValueError("no such\\n  operator"))
        'no such operator'
    """
    return " ".join(str(error).split())[:most]


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
