"""What goes wrong before the service answers: one line each, and the exit code."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

Fails = Callable[..., str]


@pytest.fixture(autouse=True)
def no_key_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEGOOD_API_KEY", raising=False)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Something that is no monitor."""
    path = tmp_path / "monitor.segood"
    path.write_bytes(b"no zip")
    return path


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--max_queue", 0), "`max_queue` must be a whole number, at least 1; got 0"),
        (("--max_queue", 2), "`max_files` (8) must not exceed `max_queue` (2)"),
        (("--timeout_s", -1), "`timeout_s` must be above 0"),
        (("--batch_wait_ms", -2), "`batch_wait_ms` must be at least 0"),
        (("--max_pixels", "many"), "max_pixels"),
        (("--port", 70000), "`port` must lie in 1..65535"),
        (("--host", "no.such.host.invalid"), "'no.such.host.invalid' is no address of this machine"),
        (("--host", "203.0.113.7"), "'203.0.113.7' is no address of this machine"),
        (("--max_quene", 3), "did you mean 'max_queue'?"),
    ],
)
def test_wrong_options(fails: Fails, bundle: Path, options: tuple[object, ...], words: str) -> None:
    assert words in fails("serve", bundle, *options, code=2)


def test_a_port_in_use_is_told_before_the_monitor_is_loaded(fails: Fails, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        line = fails("serve", tmp_path / "missing.segood", "--port", port, code=1)
    assert f"port {port} of 127.0.0.1 is in use; choose another one with --port" in line


def test_monitors_that_cannot_be_loaded(fails: Fails, bundle: Path, tmp_path: Path) -> None:
    assert "missing.segood: cannot be read" in fails(
        "serve", tmp_path / "missing.segood", "--port", 0, code=1
    )
    assert str(bundle) in fails("serve", bundle, "--port", 0, code=1)
    assert "SHA-256" in fails("serve", bundle, "--port", 0, "--sha256", "0" * 64, code=1)


def test_keys_that_cannot_be(
    fails: Fails, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = tmp_path / "keys"
    keys.write_text("# none yet\n")
    line = fails("serve", bundle, "--api_key_file", keys, code=2)
    assert f"{keys}: there is no API key in the file" in line
    assert "the API keys cannot be read" in fails("serve", bundle, "--api_key_file", tmp_path / "no", code=2)
    monkeypatch.setenv("SEGOOD_API_KEY", "")
    assert "SEGOOD_API_KEY is set but empty" in fails("serve", bundle, code=2)


def test_help_says_how(segood: Callable[..., object]) -> None:
    done = segood("serve", "--help")
    assert done.returncode == 0  # type: ignore[attr-defined]
    for word in ("segood serve monitor.segood", "--max_queue", "429", "SIGTERM"):
        assert word in done.stdout  # type: ignore[attr-defined]
