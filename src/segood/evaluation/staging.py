"""Results of an evaluation replace the older ones all together, or not at all.

In: a run directory and the names of the parts. Out: a folder to write into, whose parts take the
places of the run's own once everything has been written. A failure leaves the run as it was.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from segood.errors import OutputError, system_says
from segood.files import write_json
from segood.runs import LOCK

_PREFIX = ".evaluation."
_STAGED = f"{_PREFIX}staged."
_PIECES = f"{_PREFIX}pieces."
_JOURNAL = "journal.json"
"""Parts about to be replaced, last the one that vouches for all, and whether there was an older one."""


def work_folder(run: Path, fingerprint: str) -> Path:
    """Return where the pieces of an evaluation are kept."""
    return run / f"{_PIECES}{fingerprint}"


def tidy(run: Path, work: Path) -> None:
    """Finish or undo what interrupted evaluations have left, but for `work`; whoever calls holds the run."""
    recover(run)
    for left in run.glob(f"{_PREFIX}*"):
        if left != work and not left.name.startswith(_STAGED):  # what could not be undone
            shutil.rmtree(left, ignore_errors=True)


@contextlib.contextmanager
def staged(run: Path, parts: Sequence[str]) -> Iterator[Path]:
    """Yield an empty folder in `run`; on success move its parts to `run`, in the order given.

    Args:
        run: run directory; what interrupted evaluations left in it is removed. One that did not exist
            is gone again after a failure.
        parts: files and folders by name, last the file that vouches for all of them. One that was not
            written is removed from `run`, since it would belong to older results.

    Raises:
        OutputError: the operating system refuses; the run is as it was, or as soon as the drive is there
            again (see `recover`).
    """
    is_new = not run.exists()
    try:
        run.mkdir(parents=True, exist_ok=True)
        recover(run)
        folder = Path(tempfile.mkdtemp(prefix=_STAGED, dir=run))
    except OSError as error:
        raise OutputError(f"cannot write to {run}: {system_says(error, 'permission?')}") from error
    done = False
    try:
        write_json(folder / _JOURNAL, {part: (run / part).exists() for part in parts})
        try:
            yield folder
        except OSError as error:
            raise OutputError(
                f"cannot write to {run}: {system_says(error, 'free space or permission?')}"
            ) from error
        if parts:
            _replace_all(folder, run, parts)
        done = True
    finally:
        if done:
            shutil.rmtree(folder, ignore_errors=True)
        elif is_new:
            shutil.rmtree(run, ignore_errors=True)
        else:
            recover(run)


def holds_only_leftovers(run: Path) -> bool:
    """Return whether a folder is missing, or empty but for what an interrupted evaluation left."""
    ours = (_PREFIX, LOCK)
    return not run.exists() or (run.is_dir() and all(p.name.startswith(ours) for p in run.iterdir()))


def recover(run: Path) -> None:
    """Bring older results back that were cut off while they were replaced; whoever calls holds the run.

    As long as what vouches for the new results is not there, the older ones count. Where the drive is away,
    everything stays as it is for the next time.
    """
    for left in run.glob(f"{_STAGED}*"):
        try:
            had = _journal(left)
            if had and not (run / list(had)[-1]).exists():
                _roll_back(left, run, had)
        except OSError:
            continue
        shutil.rmtree(left, ignore_errors=True)


def _journal(folder: Path) -> dict[str, bool]:
    """Return which parts had an older one; nothing where the replacing cannot have begun."""
    try:
        had = json.loads((folder / _JOURNAL).read_text())
        return {part: bool(existed) for part, existed in had.items() if Path(part).name == part != ".."}
    except (FileNotFoundError, ValueError, AttributeError):
        return {}


def _roll_back(folder: Path, run: Path, had: dict[str, bool]) -> None:
    for part, existed in had.items():
        old = folder / f"old {part}"
        if (run / part).exists() and (old.exists() or not existed):
            (run / part).rename(folder / f"new {part}")
        if old.exists():
            old.rename(run / part)


def _replace_all(folder: Path, run: Path, parts: Sequence[str]) -> None:
    """Let what vouches for the others go first and come last.

    A process that is killed in between leaves a run that has not been evaluated, not one half of this
    evaluation and half of that; `recover` brings the older one back.
    """
    voucher, replaced = parts[-1], 0
    try:
        if (run / voucher).exists():
            (run / voucher).rename(folder / f"old {voucher}")
        for part in parts:
            _replace(folder, run, part)
            replaced += 1
    except OSError as error:
        said = system_says(error, "permission?")
        raise OutputError(f"cannot replace {run / parts[replaced]}: {said}") from error


def _replace(folder: Path, run: Path, part: str) -> None:
    """Move a part from `folder` to `run`; the older one goes to `folder`, which is removed later."""
    old = folder / f"old {part}"
    if (run / part).is_dir() or ((run / part).exists() and not (folder / part).exists()):
        (run / part).rename(old)
    if (folder / part).exists():
        try:
            (folder / part).replace(run / part)
        except OSError:
            if old.exists():
                old.rename(run / part)
            raise
