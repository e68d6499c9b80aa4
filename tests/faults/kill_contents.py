"""Files read back as plain data that can be compared: whole, or an error.

In: a file. Out: what it says, without what two runs of the same command may differ in: dates, command lines,
timings and the place of the folder, all of them listed here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
import pyarrow.parquet as pq
import torch
import yaml
from PIL import Image
from safetensors import safe_open

MAY_DIFFER = frozenset(
    {
        "created",  # dates
        "command",  # the folder's name, `--resume`
        "milliseconds", "latency", "latency_ms", "seconds", "this_call",  # timings
        "drift",  # of the frames that one call has seen
        "video", "dirpath", "best_model_path",  # where the folder lies
    }
)  # fmt: skip
"""Keys whose values are left out, at any depth."""


def content(path: Path) -> Any:
    """Return what a file says. Raises whatever its reader raises where it is not whole."""
    return _READERS[path.suffix](path)


def without_differences(value: Any) -> Any:
    """Leave out what may differ."""
    if isinstance(value, dict):
        return {k: without_differences(v) for k, v in value.items() if k not in MAY_DIFFER}
    return [without_differences(item) for item in value] if isinstance(value, list) else value


def lines_of(path: Path) -> list[bytes]:
    """Return the finished lines of a file that lines are appended to."""
    return path.read_bytes().splitlines(keepends=True)[: path.read_bytes().count(b"\n")]


def _json(path: Path) -> Any:
    return without_differences(json.loads(path.read_text(encoding="utf-8")))


def _json_lines(path: Path) -> Any:
    return [without_differences(json.loads(line)) for line in lines_of(path)]


def _yaml(path: Path) -> Any:
    return without_differences(yaml.safe_load(path.read_text(encoding="utf-8")))


def _safetensors(path: Path) -> Any:
    with safe_open(path, "pt") as file:
        return {name: _array(file.get_tensor(name).numpy()) for name in file.keys()}, file.metadata()  # noqa: SIM118


def _hdf5(path: Path) -> Any:
    with h5py.File(path, "r") as file:
        return {name: _array(file[name][()]) for name in file}, dict(file.attrs)


def _parquet(path: Path) -> Any:
    table = pq.read_table(path)
    facts = {key.decode(): value for key, value in (table.schema.metadata or {}).items()}
    return repr(table.to_pydict()), without_differences(facts)  # NaN equals NaN as text


def _picture(path: Path) -> Any:
    with Image.open(path) as image:
        image.load()
    return path.read_bytes()


def _arrays(path: Path) -> Any:
    with np.load(path, allow_pickle=False) as file:
        return {name: _array(file[name]) for name in file.files}


def _checkpoint(path: Path) -> Any:
    return repr(without_differences(_plain(torch.load(path, weights_only=True))))


def _plain(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return _array(value.numpy())
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _array(values: np.ndarray) -> tuple[str, tuple[int, ...], str]:
    digest = hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()
    return str(values.dtype), values.shape, digest


def _video(path: Path) -> Any:
    video, pictures = cv2.VideoCapture(str(path)), []
    while (found := video.read())[0]:
        pictures.append(_array(found[1]))
    assert pictures, f"{path} holds no picture"
    return pictures


def _ending(end: bytes, *, shows_timings: bool = False) -> Callable[[Path], Any]:
    """Read a text that ends in a known way; what shows timings is compared in the JSON it is made from."""

    def read(path: Path) -> Any:
        text = path.read_bytes()
        assert text.endswith(end), f"{path} is not whole"
        return None if shows_timings else text

    return read


def _table(path: Path) -> Any:
    lines = lines_of(path)
    assert b"".join(lines) == path.read_bytes(), f"{path} is not whole"
    return [line for line in lines if b",milliseconds," not in line]


_READERS: dict[str, Callable[[Path], Any]] = {
    ".json": _json, ".jsonl": _json_lines, ".yaml": _yaml, ".safetensors": _safetensors, ".hdf5": _hdf5,
    ".parquet": _parquet, ".png": _picture, ".jpg": _picture, ".npz": _arrays, ".ckpt": _checkpoint,
    ".mp4": _video, ".avi": _video, ".csv": _table, ".md": _ending(b"\n", shows_timings=True),
    ".tex": _ending(b"\n", shows_timings=True), ".html": _ending(b"</html>", shows_timings=True),
    ".svg": _ending(b"</svg>\n"), ".pdf": _ending(b"%%EOF\n"),
}  # fmt: skip
