"""Waiting for a state, as long as a busy machine may take to reach it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def eventually(read: Callable[[], Any], expected: Any, *, seconds: float = 120) -> None:
    """Assert that `read` comes to return `expected`; services and pages may take a moment to follow."""
    deadline = time.monotonic() + seconds
    while (found := read()) != expected and time.monotonic() < deadline:
        time.sleep(0.01)
    assert found == expected
