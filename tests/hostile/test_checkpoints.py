"""Checkpoints from anybody: pickles that would run code, sizes that lie, headers of wrong types."""

from __future__ import annotations

import io
import json
import random
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from tests.hostile.fuzzing import FORMS, Attack, Case, survive
from tests.hostile.mutations import altered, damaged, hostile_json

from segood.errors import CheckpointError
from segood.models import load_model, read_header, save_model
from segood.models.checkpoints import read_checkpoint

WEIGHTS = {"a.weight": torch.ones(2, 3), "a.bias": torch.zeros(2, dtype=torch.float16)}
GLOBALS = (
    *(
        b"posix\nsystem",
        b"os\nmkdir",
        b"builtins\nexec",
        b"builtins\neval",
        b"builtins\ngetattr",
        b"nt\nsystem",
    ),
    *(b"subprocess\nPopen", b"torch\nload", b"torch.hub\nload", b"torch._utils\n_rebuild_tensor_v2"),
    *(b"collections\nOrderedDict", b"torch\nFloatStorage", b"torch._utils\n_rebuild_parameter"),
    *(
        b"torch._utils\n_rebuild_sparse_tensor",
        b"torch._utils\n_rebuild_qtensor",
        b"torch\nSize",
        b"torch\ndevice",
    ),
    *(
        b"numpy\ndtype",
        b"numpy._core.multiarray\nscalar",
        b"codecs\nencode",
        b"torch.storage\n_load_from_bytes",
    ),
    *(b"torch._tensor\n_rebuild_from_type_v2", b"torch\nTensor", b"segood.files\nwrite_text", b"\n", b"a"),
)


def legacy(content: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


def zipped(content: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def archive(parts: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in parts.items():
            file.writestr(name, content)
    return buffer.getvalue()


def evil_pickle(draw: random.Random, trace: Path) -> bytes:
    """Return a pickle of few operations that calls something, or tries to."""
    command = f"open({str(trace)!r}, 'w')".encode()
    argument = draw.choice((command, str(trace).encode(), b"touch " + str(trace).encode()))
    text = b"X" + struct.pack("<I", len(argument)) + argument
    named = b"c" + draw.choice(GLOBALS) + b"\n"
    call = draw.choice(
        (
            named + b"(" + text + b"tR",
            named + b"(" + draw.choice(NUMBERS_AS_PICKLE) + draw.choice(NUMBERS_AS_PICKLE) + b"tR",
            b"(" + text + b"i" + draw.choice(GLOBALS) + b"\n",
            b"(" + named + text + b"o",
            named + b"(" + text + b"t\x81",
            b"\x8c\x05posix\x8c\x06system\x93(" + text + b"tR",
            named + b"(" + text + b"tR" + b"}X\x01\x00\x00\x00a" + text + b"sb",
            text + b"Q",
        )
    )
    made = b"\x80" + draw.choice((b"\x02", b"\x02", b"\x04")) + b"}X\x01\x00\x00\x00w" + call + b"s."
    return damaged(draw, made) if draw.random() < 0.3 else made


NUMBERS_AS_PICKLE = (
    b"K\x00",
    b"J\xff\xff\xff\x7f",
    b"\x8a\x09" + b"\xff" * 8 + b"\x00",
    b"]",
    b"}",
    b"N",
    b")",
    b"\x88",
)


def pickles(folder: Path) -> Case:
    """Attack what reads `.pth`: damaged files, and good containers around bad pickles."""
    good = [f(w) for f in (legacy, zipped) for w in (WEIGHTS, {"state_dict": WEIGHTS, "epoch": 3})]
    with zipfile.ZipFile(io.BytesIO(good[2])) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    inner = next(name for name in parts if name.endswith("data.pkl"))
    path, trace = folder / "a.pth", folder / "it_ran"

    def case(draw: random.Random) -> None:
        kind = draw.random()
        if kind < 0.35:
            content = damaged(draw, draw.choice(good), good)
        elif kind < 0.5:
            content = evil_pickle(draw, trace)
        elif kind < 0.7:
            content = archive({**parts, inner: evil_pickle(draw, trace)})
        elif kind < 0.9:
            content = archive({**parts, inner: damaged(draw, parts[inner])})
        else:
            name = draw.choice(list(parts))
            renamed = draw.choice((name, "../" + name, "/x", "x" * 60_000, name + "/", "archive/code/a.py"))
            content = archive({**parts, renamed: damaged(draw, parts[name])})
        path.write_bytes(content)
        try:
            read_checkpoint(path)
        finally:
            assert not trace.exists()

    return case


def tensors(folder: Path) -> Case:
    """Attack what reads `.safetensors`: the table of tensors, its length, and all of the bytes."""
    good = safetensors.torch.save(WEIGHTS, metadata={"segood": json.dumps({"name": None})})
    size = struct.unpack("<Q", good[:8])[0]
    table, data = json.loads(good[8 : 8 + size]), good[8 + size :]
    path = folder / "a.safetensors"

    def case(draw: random.Random) -> None:
        if draw.random() < 0.3:
            path.write_bytes(damaged(draw, good))
        else:
            text = hostile_json(draw, table)
            length = (
                len(text) if draw.random() < 0.9 else draw.choice((0, 1, len(text) + 1, 2**60, 2**64 - 1))
            )
            path.write_bytes(struct.pack("<Q", length) + text + data)
        read_header(path)
        read_checkpoint(path)

    return case


class Header:
    """A file that segood wrote, whose header can be exchanged."""

    def __init__(self, path: Path) -> None:
        self.path = path
        save_model(load_model("unet", num_classes=3, width=8), path, metadata={"epoch": 1})
        content = path.read_bytes()
        size = struct.unpack("<Q", content[:8])[0]
        self._table, self._data = json.loads(content[8 : 8 + size]), content[8 + size :]
        self.values = json.loads(self._table["__metadata__"]["segood"])

    def write(self, values: Any) -> None:
        text = json.dumps({**self._table, "__metadata__": {"segood": json.dumps(values)}}).encode()
        self.path.write_bytes(struct.pack("<Q", len(text)) + text + self._data)


def headers(folder: Path) -> Case:
    """Attack `load_model` through what segood itself writes into a checkpoint."""
    header = Header(folder / "a.safetensors")

    def case(draw: random.Random) -> None:
        header.write(altered(draw, header.values))
        load_model(header.path)

    return case


ATTACKS: dict[str, Attack] = {
    "checkpoints: pickles": pickles,
    "checkpoints: safetensors": tensors,
    "checkpoints: headers (slow)": headers,
}


@pytest.mark.parametrize("cases", FORMS)
def test_whatever_a_checkpoint_holds(cases: int, tmp_path: Path) -> None:
    survive("test_checkpoints", cases, tmp_path, slower=3)


ONCE_FAILED: dict[str, tuple[dict[str, Any], str]] = {
    # TypeError and AttributeError in whatever used the value first
    "format": ({"format": "1"}, "`format` must be a whole number"),
    "name": ({"name": 7}, "`name` must be text or null"),
    "options": ({"options": 7}, "`options` must be an object"),
    "classes": ({"num_classes": "3"}, "`num_classes` must be a whole number"),
    "names": ({"class_names": 0.5}, "`class_names` must be a list of texts"),
    "preprocessing": ({"preprocessing": 7}, "`preprocessing` must be an object"),
    "inference": ({"inference": [1]}, "`inference` must be an object"),
    "mean": ({"preprocessing": {"mean": 7}}, "`mean` must hold numbers; got 7"),
    "mean of text": ({"preprocessing": {"mean": ["["]}}, "`mean` must hold numbers"),
    "huge std": ({"preprocessing": {"std": [10**400] * 3}}, "`std` must hold numbers"),
    "size": ({"preprocessing": {"working_size": [None, "value"]}}, "`working_size` must hold whole numbers"),
    "multiple": ({"preprocessing": {"size_multiple": 1.5}}, "`size_multiple` must be a whole number"),
    # 105 terabytes, or "Storage size calculation overflowed"
    "terabytes": ({"options": {"width": 2**40}}, "`options` must be an object with numbers up to 65536"),
    "gigabytes": ({"options": {"width": 2**14}}, r"holds \d+ numbers, but describes a network of"),
    "half a channel": ({"options": {"width": 8.5}}, "`width` of unet must be a whole number; got 8.5"),
    "no channel": ({"options": {"width": {}}}, "`width` of unet must be a whole number"),
}


@pytest.mark.parametrize("name", list(ONCE_FAILED))
def test_cases_that_once_failed(name: str, tmp_path: Path) -> None:
    change, message = ONCE_FAILED[name]
    header = Header(tmp_path / "a.safetensors")
    header.write({**header.values, **change})
    with pytest.raises(CheckpointError, match=rf"a\.safetensors .*{message}"):
        load_model(header.path)


def test_a_key_that_warns_when_it_is_printed(tmp_path: Path) -> None:
    """The storage of a tensor, of all things, as a key."""
    path = tmp_path / "a.pth"
    torch.save({torch.zeros(1).untyped_storage(): torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match=r"holds no state dict of tensors; it holds \w*Storage"):
        read_checkpoint(path)


def test_a_shape_that_asks_for_gigabytes(tmp_path: Path) -> None:
    """The width of the network is read off one tensor, which need not hold as many numbers as the others."""
    path = tmp_path / "a.safetensors"
    safetensors.torch.save_file({"head.weight": torch.zeros(2, 200_000, 1, 1, dtype=torch.uint8)}, path)
    with pytest.raises(CheckpointError, match=r"holds 400000 numbers, but describes a network of \d+"):
        load_model("unet", path)
