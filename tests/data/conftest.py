"""A tiny disk: fixtures that write images and label maps of a few pixels in any layout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

WriteImage = Callable[..., Path]
WriteLabels = Callable[[str, Sequence[Sequence[int]]], Path]


@pytest.fixture
def write_image(tmp_path: Path) -> WriteImage:
    """Return `write(name, size=(h, w), value=...)`: an RGB image below `tmp_path`."""

    def write(name: str, size: tuple[int, int] = (2, 3), value: int = 100, fmt: str | None = None) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((*size, 3), value, np.uint8)).save(path, format=fmt)
        return path

    return write


@pytest.fixture
def write_labels(tmp_path: Path) -> WriteLabels:
    """Return `write(name, rows)`: an 8-bit grey PNG below `tmp_path`."""

    def write(name: str, rows: Sequence[Sequence[int]]) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.asarray(rows, np.uint8)).save(path)
        return path

    return write
