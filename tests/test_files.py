"""Atomic writing: whole files or none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from segood.errors import DataError, OutputError
from segood.files import atomic_path, file_hash, write_json, write_text


def test_a_crash_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(RuntimeError, match="crash"), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError("crash")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_disk_full_is_one_clear_error_and_nothing_is_left(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full on this system")
    with (
        pytest.raises(OutputError, match=r"cannot write .*big.bin: No space left on device"),
        atomic_path(tmp_path / "big.bin") as temporary,
    ):
        temporary.write_bytes(b"half")
        with full.open("wb") as device:
            device.write(b"x" * 10_000)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("file")
    with pytest.raises(OutputError, match=r"cannot write .*a/b\.txt"):
        write_text(tmp_path / "a" / "b.txt", "x")


def test_json_refuses_nan(tmp_path: Path) -> None:
    write_json(tmp_path / "ok.json", {"a": [1, None]})
    assert json.loads((tmp_path / "ok.json").read_text()) == {"a": [1, None]}
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "bad.json", {"a": float("nan")})
    assert not (tmp_path / "bad.json").exists()


def test_file_hash_is_sha256_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")  # the standard's own test vector
    assert file_hash(tmp_path / "a").startswith("ba7816bf8f01cfea414140de5dae2223")
    with pytest.raises(DataError, match="nothing: cannot be read"):
        file_hash(tmp_path / "nothing")
