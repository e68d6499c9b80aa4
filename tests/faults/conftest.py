"""Fixtures of the fault tests: one small world, and what each verb leaves when nothing goes wrong."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from tests.faults.jobs import JOBS, build_input, undisturbed

Expected = Callable[[str], dict[str, str]]


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Compute with one thread: small frames are no faster with more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def small_data() -> Iterator[Path]:
    """The input of all jobs, for any user to read."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="faults") as folder:
        Path(folder).chmod(0o755)
        build_input(Path(folder))
        torch.set_num_threads(before)
        yield Path(folder)


@pytest.fixture(scope="session")
def expected(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Expected:
    """What a job leaves when nothing goes wrong, by its name."""
    known: dict[str, dict[str, str]] = {}

    def look(name: str) -> dict[str, str]:
        if name not in known:
            out = tmp_path_factory.mktemp(f"undisturbed_{name}")
            known[name] = undisturbed(JOBS[name], small_data, out)
            shutil.rmtree(out)
        return known[name]

    return look
