"""One attempt to get a file, or the rest of it, into an unfinished file beside the final one.

Enters: a link, a `PartFile`. Leaves: the part file with more bytes in it than before, and either
nothing (all has arrived), `InterruptedTransferError` (worth another attempt), or a named error.

Source: RFC 9110, sections 8.8 (validators), 13.1.5 (If-Range) and 14 (range requests).
"""

from __future__ import annotations

import http.client
import json
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from email.message import Message
from pathlib import Path

from segood.errors import FetchError, OutputError
from segood.files import write_text
from segood.models.web import InterruptedTransferError, RangeRefusedError, number, open_url, reason

Report = Callable[[int, "int | None"], None]
"""`report(bytes here, bytes in all or None)`; the first falls when a transfer starts over."""

_BLOCK = 1 << 16
_SLOWEST = 1024  # bytes per second, over a whole time-out; below it a connection has stalled


@dataclass(frozen=True)
class Origin:
    """Where the bytes of a part file come from, and how to ask for the rest of the very same file."""

    url: str
    etag: str | None = None
    modified: str | None = None

    @property
    def validator(self) -> str | None:
        """What `If-Range` takes: a strong ETag, else a date."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.modified


class PartFile:
    """An unfinished file, `NAME.part`, with a note of its origin in `NAME.part.json`.

    Args:
        target: the final file.
    """

    def __init__(self, target: Path) -> None:
        self.path = target.with_name(f"{target.name}.part")
        self.note = target.with_name(f"{target.name}.part.json")

    @property
    def size(self) -> int:
        """Bytes that have arrived."""
        return self.path.stat().st_size if self.path.exists() else 0

    def origin(self) -> Origin | None:
        """Return the origin noted, None if there is none that can be read."""
        try:
            return Origin(**json.loads(self.note.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def start(self, origin: Origin) -> None:
        """Empty the file and note where the new bytes come from."""
        try:
            self.path.write_bytes(b"")  # first: bytes and note must never be of different files
        except OSError as error:
            raise OutputError(f"cannot write {self.path}: {error.strerror or error}") from error
        write_text(self.note, json.dumps(asdict(origin)))

    def discard(self) -> None:
        """Remove file and note."""
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)


def transfer(
    url: str, part: PartFile, *, size: int | None, blind: bool, timeout: float, report: Report
) -> None:
    """Make one attempt.

    Args:
        url: checked link.
        part: continued where it comes from this link and the server still has the same file;
            started over otherwise.
        size: bytes the file must have; None if not known.
        blind: continue even where the server gives nothing to recognise the file by, since the
            whole will be checked against a hash.
        timeout: seconds without an answer, or with less than 1 KiB/s, after which it has stalled.
        report: is told how far it is.

    Raises:
        InterruptedTransferError: not all has arrived; what has is in the part file.
        FetchError: another attempt would not help.
        OutputError: the disk is full or not writable.
    """
    before, have, headers = part.origin(), part.size, {}
    if have and before and before.url == url and (before.validator or blind):
        headers["Range"] = f"bytes={have}-"
        if before.validator:
            headers["If-Range"] = before.validator
    try:
        answer = open_url(url, headers, timeout)
    except RangeRefusedError as refused:
        if headers and refused.size == have and size in (None, have):
            return  # all of it had arrived already
        part.discard()
        raise InterruptedTransferError("the file there is another one now", pause=0.0) from None
    with answer:
        origin = Origin(url, answer.headers.get("ETag"), answer.headers.get("Last-Modified"))
        if answer.status == 206:
            total = _size_in_range(answer.headers, have, before, origin, part)
        else:  # the whole file: another one by now, or the server does not know ranges
            have, total = 0, number(answer.headers.get("Content-Length"))
        if size is not None and total not in (None, size):
            part.discard()
            raise FetchError(f"{url} is a file of {total} bytes, not the one of {size} that was asked for")
        total = size if total is None else total
        _check_space(part, (total or 0) - have)
        if have == 0:
            part.start(origin)
        _receive(answer, part, have, total, timeout, report)


def _receive(
    answer: http.client.HTTPResponse,
    part: PartFile,
    have: int,
    total: int | None,
    timeout: float,
    report: Report,
) -> None:
    report(have, total)
    began, arrived = time.monotonic(), 0
    with part.path.open("ab", buffering=0) as file:  # unbuffered: what is reported survives this process
        while block := _read(answer, timeout):
            try:
                file.write(block)
            except OSError as error:
                raise OutputError(
                    f"cannot write {part.path}: {error.strerror or error}; what has arrived is kept, "
                    "make room and fetch again to continue"
                ) from error
            have, arrived = have + len(block), arrived + len(block)
            report(have, total)
            elapsed = time.monotonic() - began
            if elapsed > timeout:
                if arrived < _SLOWEST * elapsed:
                    raise InterruptedTransferError(f"stalled: only {arrived} bytes came in {elapsed:.0f} s")
                began, arrived = time.monotonic(), 0
    if total is not None and have < total:
        raise InterruptedTransferError(f"truncated: the connection ended after {have} of {total} bytes")
    if total is not None and have > total:
        part.discard()
        raise FetchError(f"{answer.url} sends more than the {total} bytes of the file; nothing is kept")


def _read(answer: http.client.HTTPResponse, timeout: float) -> bytes:
    try:
        return answer.read1(_BLOCK)
    except TimeoutError:
        raise InterruptedTransferError(f"stalled: nothing came for {timeout:g} s") from None
    except (OSError, ValueError, http.client.HTTPException) as error:  # ValueError: a chunk without a size
        raise InterruptedTransferError(f"the connection broke: {reason(error)}") from error


def _size_in_range(
    headers: Message, have: int, before: Origin | None, origin: Origin, part: PartFile
) -> int | None:
    """Return the size of the whole file; start over where what is offered does not continue ours."""
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", headers.get("Content-Range", ""))
    same = before is not None and (not before.etag or not origin.etag or before.etag == origin.etag)
    if found is None or int(found[1]) != have or not same:
        part.discard()
        raise InterruptedTransferError("the server does not continue the file that was begun", pause=0.0)
    return number(found[2])


def _check_space(part: PartFile, needed: int) -> None:
    free = shutil.disk_usage(part.path.parent).free
    if needed > free:
        raise OutputError(
            f"{part.path.parent} has {free} bytes free, {needed} are needed; "
            "make room, or choose another folder"
        )
