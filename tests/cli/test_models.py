"""`segood models`, as a user runs it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.bad_server import serve

from segood.files import file_hash

Segood = Callable[..., subprocess.CompletedProcess[str]]
Fails = Callable[..., str]
NAME = "espnetv2_s_0.5_city"
FILE = f"{NAME}_1024x512.pth"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEGOOD_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_list_and_info(segood: Segood) -> None:
    done = segood("models", "list")
    assert done.returncode == 0, done.stderr
    assert "espnetv2_s_2.0_city" in done.stdout
    assert "CC BY-NC-SA 4.0" in done.stdout
    listed = json.loads(segood("models", "list", "--json").stdout)
    assert {w["network"] for w in listed["weights"]} <= {n["name"] for n in listed["networks"]}
    assert not any(w["fetched"] for w in listed["weights"])
    done = segood("models", "info", "espnetv2", "--json")
    assert json.loads(done.stdout) in listed["networks"]
    done = segood("models", "info", NAME)
    assert "MIT" in done.stdout
    assert "9412a86a30f137540ef945d08da3cb7191448956c56c41a64210dab443a9f65f" in done.stdout


def test_fetch_continues_and_loads_by_name(segood: Segood, shared: Path, home: Path, tmp_path: Path) -> None:
    content = (shared / "weights" / FILE).read_bytes()
    with serve(lambda handler, n: handler.send(limit=200_000 if n == 0 else None)) as server:
        server.content = content
        done = segood("models", "fetch", NAME, "--url", server.url, "--retries", "0")
        assert done.returncode == 1
        assert "200000 bytes are kept, fetch again to continue" in done.stderr
        assert done.stderr.strip().splitlines()[-1].startswith("segood: error: ")
        done = segood("models", "fetch", NAME, "--url", server.url)
        assert done.returncode == 0, done.stderr
        assert [asked for _, asked in server.requests] == [None, "bytes=200000-"]
        done = segood("models", "fetch", NAME, "--url", server.url, "--json")
        assert json.loads(done.stdout) == {
            "name": NAME,
            "path": str(home / "weights" / FILE),
            "sha256": file_hash(shared / "weights" / FILE),
            "verified": True,
            "was_there": True,
        }
        assert len(server.requests) == 2
    done = segood("models", "fetch", NAME, "--from", home / "weights" / FILE, "--to", tmp_path / "here")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "here" / FILE).read_bytes() == content
    assert f'checkpoint="{tmp_path / "here" / FILE}"' in done.stdout


def test_what_goes_wrong_is_one_line(fails: Fails, tmp_path: Path) -> None:
    assert "did you mean 'espnetv2'" in fails("models", "info", "espnetv", code=2)
    assert f"did you mean '{NAME}'" in fails("models", "fetch", "espnetv2_s_0.5", code=2)
    line = fails("models", "fetch", "deeplabv3plus_wrn38_city", code=1)
    assert "has no direct link; open https://drive.google.com/" in line
    assert "--from FILE" in line
    wrong = tmp_path / "wrong.pth"
    wrong.write_bytes(b"x" * 469_319)
    assert "its SHA-256 is" in fails("models", "fetch", NAME, "--from", wrong, code=1)
    assert "cannot be read" in fails("models", "fetch", "deeplabv3plus_wrn38_city", "--from", wrong, code=1)
    assert "begin with https://" in fails("models", "fetch", NAME, "--url", "file:///x", code=2)
    assert "`retries` must be at least 0" in fails("models", "fetch", NAME, "--retries", "-1", code=2)
    with serve(lambda handler, n: handler.fail(404)) as server:
        assert "HTTP 404" in fails("models", "fetch", NAME, "--url", server.url, code=1)
    with serve(lambda handler, n: handler.send()) as server:
        line = fails("models", "fetch", NAME, "--url", server.url, code=1)
        assert "is a file of 307200 bytes, not the one of 469319" in line


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="needs a user without all rights")
def test_a_folder_that_cannot_be_written(fails: Fails, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert "cannot work in" in fails("models", "fetch", NAME, "--to", tmp_path / "x", code=1)
    tmp_path.chmod(0o700)
