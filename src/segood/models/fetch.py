"""Fetching public weights: all of the file and nothing but the file, whatever the network does.

Enters: `PublicWeights` and a folder. Leaves: the file, checked, under its name there. A download that
breaks off is retried and continued; one that is killed is continued by the next call. A file is given
its name only after its size and SHA-256 (or, where nobody has published them, its fit to the network)
have been checked; what fails the check is removed. Several processes may fetch at once: one does,
the others wait for it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from segood.errors import CheckpointError, FetchError, OutputError, UsageError
from segood.files import atomic_path, file_hash
from segood.models.transfer import PartFile, Report, transfer
from segood.models.web import InterruptedTransferError, check_url
from segood.models.weights import PublicWeights, file_problem, weights_path

_PROGRESS = 1 << 20  # bytes after which a connection counts as one that works, and retries start anew
_LONGEST_PAUSE = 30.0


@dataclass(frozen=True)
class Patience:
    """How long a download waits for a network.

    Args:
        timeout: seconds without an answer, or with less than 1 KiB/s, that end an attempt.
        retries: further attempts after one that brought less than 1 MiB.
        pause: seconds before the first retry; twice as long before each further one, at most 30.
    """

    timeout: float = 30.0
    retries: int = 5
    pause: float = 1.0

    def __post_init__(self) -> None:
        for name, value, least in (("timeout", self.timeout, 1e-3), ("retries", self.retries, 0)):
            if not value >= least:
                raise UsageError(f"`{name}` must be at least {least:g}; got {value}")


@dataclass(frozen=True)
class FetchedWeights:
    """Where weights lie now.

    Attributes:
        path: the file.
        sha256: of the file, hexadecimal.
        verified: whether that is the published one; False where none is published and the file was
            checked by loading it into its network instead.
        was_there: whether nothing had to be fetched.
    """

    path: Path
    sha256: str
    verified: bool
    was_there: bool


def fetch_weights(
    weights: PublicWeights,
    *,
    folder: str | Path | None = None,
    local_file: str | Path | None = None,
    url: str | None = None,
    patience: Patience | None = None,
    report: Report = lambda done, total: None,
    tell: Callable[[str], None] = lambda text: None,
) -> FetchedWeights:
    """Bring public weights to where `load_model` finds them, unless they are there.

    Args:
        weights: which, see `segood.models.weights.get_weights`.
        folder: where to put the file; the user's cache (`weights_folder`) if not given.
        local_file: a copy that is here already; checked and copied, no network needed.
        url: another place of the same file (a mirror); checked just the same.
        patience: with the network.
        report: is told how many bytes have arrived.
        tell: is told in words what happens.

    Returns:
        Where the file is.

    Raises:
        FetchError: no direct link, not reachable, or not the file it should be.
        CheckpointError: a file without published hash cannot be read or does not fit its network.
        OutputError: the disk is full or not writable.
        UsageError: a link that is neither https nor on this machine.
    """
    target = weights_path(weights, folder)

    def check(path: Path) -> str | None:
        return file_problem(weights, path) or (None if weights.sha256 else misfit(weights, path))

    if local_file is not None:
        was_there = _copy(Path(local_file), target, check, weights)
    else:
        link = url or weights.url
        if link is None and not (target.is_file() and not check(target)):
            raise FetchError(
                f"{weights.name} has no direct link; open {weights.page} in a browser ({weights.licence}), "
                f"save {weights.file}, then run `segood models fetch {weights.name} --from FILE`"
            )
        was_there = link is None or download(
            link,
            target,
            check=check,
            size=weights.size,
            blind=weights.sha256 is not None,
            patience=patience or Patience(),
            report=report,
            tell=tell,
        )
    return FetchedWeights(target, file_hash(target), weights.sha256 is not None, was_there)


def download(
    url: str,
    target: Path,
    *,
    check: Callable[[Path], str | None],
    size: int | None = None,
    blind: bool = False,
    patience: Patience | None = None,
    report: Report = lambda done, total: None,
    tell: Callable[[str], None] = lambda text: None,
) -> bool:
    """Download a file, or find it there.

    Args:
        url: https, or http on this machine.
        target: the final file; its folder is created.
        check: says what is wrong with a complete file, None if nothing is.
        size, blind: as in `segood.models.transfer.transfer`.
        patience, report, tell: as in `fetch_weights`.

    Returns:
        Whether a good file was there already.

    Raises:
        FetchError, OutputError, UsageError: as in `fetch_weights`.
    """
    check_url(url)
    patience = patience or Patience()
    with _alone(target, tell):
        if target.is_file():
            problem = check(target)
            if problem is None:
                return True
            tell(f"{target} is not the file it should be ({problem}); fetching it anew")
        part = PartFile(target)
        pieces = _complete(url, part, size, blind, patience, report, tell)
        problem = check(part.path)
        if problem is not None and pieces > 1:
            # the pieces may be of different versions of the file; once, all from one
            tell(f"the pieces make no good file ({problem}); starting over")
            part.discard()
            _complete(url, part, size, blind, patience, report, tell)
            problem = check(part.path)
        if problem is not None:
            part.discard()
            raise FetchError(f"{url} is not the file it should be: {problem}; it was removed")
        _publish(part, target)
    return False


def misfit(weights: PublicWeights, path: Path) -> str | None:
    """Say why a checkpoint does not fit the network it is said to be for; None if it does."""
    from segood.models.registry import load_model

    try:
        model = load_model(weights.network, path)
    except CheckpointError as error:
        return str(error)
    if model.num_classes != weights.num_classes:
        return f"it has {model.num_classes} classes, {weights.name} has {weights.num_classes}"
    return None


def _complete(
    url: str,
    part: PartFile,
    size: int | None,
    blind: bool,
    patience: Patience,
    report: Report,
    tell: Callable[[str], None],
) -> int:
    """Make attempts until all has arrived; return of how many pieces the file is, at most."""
    pieces = 2 if part.size else 1
    if part.size:
        tell(f"{part.size} bytes are there from an earlier attempt")
    failures, best = 0, part.size
    while True:
        try:
            transfer(url, part, size=size, blind=blind, timeout=patience.timeout, report=report)
            return pieces
        except InterruptedTransferError as error:
            if part.size >= best + _PROGRESS:
                failures, best = 0, part.size
            failures += 1
            if failures > patience.retries:
                kept = f"{part.size} bytes are kept, fetch again to continue" if part.size else "nothing came"
                raise FetchError(f"{url}: {error}; gave up after {failures} attempts; {kept}") from error
            pause = min(patience.pause * 2 ** (failures - 1), _LONGEST_PAUSE)
            pause = pause if error.pause is None else error.pause
            tell(f"{error}; next attempt in {pause:g} s")
            time.sleep(pause)
            pieces += 1


def _publish(part: PartFile, target: Path) -> None:
    try:
        with part.path.open("rb") as file:
            os.fsync(file.fileno())
        part.path.replace(target)
        part.discard()
    except OSError as error:
        raise OutputError(f"cannot write {target}: {error.strerror or error}") from error


def _copy(source: Path, target: Path, check: Callable[[Path], str | None], weights: PublicWeights) -> bool:
    if not source.is_file():
        raise FetchError(f"{source} does not exist or is no file; give the file you have saved")
    problem = check(source)
    if problem is not None:
        raise FetchError(f"{source} is not {weights.name}: {problem}")
    if target.exists() and source.samefile(target):
        return True
    with atomic_path(target) as temporary:
        shutil.copyfile(source, temporary)
    return False


@contextlib.contextmanager
def _alone(target: Path, tell: Callable[[str], None]) -> Iterator[None]:
    """Let one process at a time work on a file; a killed one does not block the others."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(target.with_name(f".{target.name}.lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            tell(f"another process is fetching {target.name}, waiting for it")
            lock.acquire()
    except (OSError, NotImplementedError) as error:
        raise OutputError(
            f"cannot work in {target.parent}: {getattr(error, 'strerror', None) or error}; "
            "choose another folder"
        ) from error
    try:
        yield
    finally:
        lock.release()
