"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder with real data, weights and golden files; tests that need it are skipped elsewhere."""
    folder = os.environ.get("SEGOOD_SHARED")
    if not folder:
        pytest.skip("SEGOOD_SHARED is not set: no real data, weights or golden files here")
    return Path(folder)
