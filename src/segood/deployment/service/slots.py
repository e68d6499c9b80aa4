"""Places for images: who has one is inside and will be answered, who gets none is told to come again.

Used from the event loop's thread alone. A place is given back when the request has its answer *and* nothing
still works for it: a decoder that cannot be interrupted keeps its place, so that the memory of all places
together is a bound that holds.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any


class Slots:
    """A number of places.

    Example:
        >>> slots = Slots(2)
        >>> first = slots.take(2)
        >>> slots.take(1) is None
        True
        >>> first.release()
        >>> slots.used
        0
    """

    def __init__(self, limit: int) -> None:
        self.limit, self.used = limit, 0

    def take(self, count: int = 1) -> Ticket | None:
        """Return `count` places, or None if there are not that many."""
        if self.used + count > self.limit:
            return None
        self.used += count
        return Ticket(self, count)


class Ticket:
    """Places that a request holds; released once its holder and all its futures are done."""

    def __init__(self, slots: Slots, count: int) -> None:
        self._slots, self._count, self._holders = slots, count, 1

    def extend(self, count: int) -> bool:
        """Take further places with the same ticket; tell whether there were any."""
        if self._slots.used + count > self._slots.limit:
            return False
        self._slots.used += count
        self._count += count
        return True

    def hold_until(self, future: asyncio.Future[Any]) -> None:
        """Keep the places until `future` is done as well; its exception counts as seen."""
        self._holders += 1
        future.add_done_callback(self._seen)

    def _seen(self, future: asyncio.Future[Any]) -> None:
        if not future.cancelled():
            future.exception()
        self.release()

    def release(self) -> None:
        """Say that one holder is done."""
        self._holders -= 1
        if self._holders == 0:
            self._slots.used -= self._count


@dataclass
class Admission:
    """A request that was let in.

    Attributes:
        ticket: its places.
        start: when it came, on the clock of `time.monotonic`.
        deadline: when it is too late to answer.
    """

    ticket: Ticket
    start: float
    deadline: float

    @property
    def left(self) -> float:
        """Seconds until the deadline, above 0."""
        return max(0.001, self.deadline - time.monotonic())
