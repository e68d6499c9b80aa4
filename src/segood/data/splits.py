"""Choosing a split: one rule and one error for all layouts.

In: what the user asked for and what lies on disk. Out: the split's name.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from segood.errors import DataError, UsageError


def check_root(name: str, root: str | Path, expected: str) -> Path:
    """Return `root` as a path; raise `DataError` unless it is a folder.

    Args:
        name: data set, for the message.
        root: folder given by the user.
        expected: what the folder should hold, for the message.
    """
    path = Path(root).expanduser()
    if not path.is_dir():
        what = "is not a folder" if path.exists() else "does not exist"
        raise DataError(f"{name}: root {path} {what}; pass the folder that holds {expected}")
    return path


def choose_split(
    name: str,
    root: Path,
    split: str | None,
    present: Sequence[str],
    *,
    expected: str,
    default: str | None = None,
) -> str:
    """Return the split to read.

    Args:
        name: data set, for the message.
        root: its folder, for the message.
        split: what was asked for; `None` takes the only one present, or `default`.
        present: splits found on disk.
        expected: what the folder should hold, for the message when nothing is present.
        default: split taken where several are present and none was asked for.

    Raises:
        DataError: no split is present at all, so this is another layout or an empty folder.
        UsageError: the split is not there, or several are and none was asked for; names those present.

    Example:
        >>> choose_split("camvid", Path("data"), "vla", ["train", "val"], expected="train/ and trainannot/")
        Traceback (most recent call last):
        segood.errors.UsageError: camvid at data has no split 'vla'; present: train, val (did you mean 'val'?)
    """
    if not present:
        raise DataError(f"{name} at {root}: layout not found; expected {expected}")
    if split is None:
        if len(present) == 1:
            return present[0]
        if default in present:
            return str(default)
        raise UsageError(f"{name} at {root} has several splits; choose one of {', '.join(present)}")
    if split in present:
        return split
    near = get_close_matches(split, present, n=1)
    hint = f" (did you mean '{near[0]}'?)" if near else ""
    raise UsageError(f"{name} at {root} has no split {split!r}; present: {', '.join(present)}{hint}")
