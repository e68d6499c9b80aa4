"""Limits and keys: what is taken, what is refused, and in which words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from segood.deployment.service.keys import KeyCheck, load_keys
from segood.deployment.service.options import ServiceOptions
from segood.deployment.service.problems import PROBLEMS, ServiceError, code_of_status
from segood.errors import UsageError


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"max_queue": 0}, "`max_queue` must be a whole number, at least 1; got 0"),
        ({"max_batch": 1.5}, "`max_batch` must be a whole number"),
        ({"max_bytes": -1}, "`max_bytes` must be"),
        ({"max_pixels": True}, "`max_pixels` must be"),
        ({"timeout_s": 0}, "`timeout_s` must be above 0"),
        ({"timeout_s": float("nan")}, "`timeout_s` must be above 0"),
        ({"batch_wait_ms": -1}, "`batch_wait_ms` must be at least 0"),
        ({"batch_wait_ms": 20_000}, "no request would be answered in time"),
        ({"max_queue": 4}, "a full batch would never be accepted"),
        ({"api_keys": ("a", "")}, "an API key must not be empty"),
    ],
)
def test_options_out_of_range(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        ServiceOptions(**options)


def test_keys_do_not_show() -> None:
    assert "secret" not in repr(ServiceOptions(api_keys=("secret",)))


def test_keys_of_a_file_come_before_the_variable(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("# ours\n first \n\nsecond\n")
    assert load_keys(path, {"SEGOOD_API_KEY": "third"}) == ("first", "second")
    assert load_keys(None, {"SEGOOD_API_KEY": "third"}) == ("third",)
    assert load_keys(None, {}) == ()


def test_keys_that_cannot_be(tmp_path: Path) -> None:
    empty, binary, spaces = tmp_path / "empty", tmp_path / "binary", tmp_path / "spaces"
    empty.write_text("# nothing\n\n")
    binary.write_bytes(b"\xff\xfe")
    spaces.write_text("two words\n")
    with pytest.raises(UsageError, match="empty: there is no API key in the file"):
        load_keys(empty)
    with pytest.raises(UsageError, match=r"cannot be read \(not UTF-8 text\)"):
        load_keys(binary)
    with pytest.raises(UsageError, match="printable ASCII"):
        load_keys(spaces)
    with pytest.raises(UsageError, match=r"missing: the API keys cannot be read \(No such file"):
        load_keys(tmp_path / "missing")
    with pytest.raises(UsageError, match="set but empty"):
        load_keys(None, {"SEGOOD_API_KEY": " "})


def test_key_check() -> None:
    check = KeyCheck(("one", "two"))
    assert check.needed
    check("two", None)
    check(None, "one")
    with pytest.raises(ServiceError, match="send an API key"):
        check(None, None)
    with pytest.raises(ServiceError, match="not one of"):
        check("three", "one")  # a wrong key is not saved by another one
    assert not KeyCheck(()).needed


def test_every_problem_has_a_code_of_its_own_status() -> None:
    assert {status for status, _ in PROBLEMS.values()} == {
        400, 401, 403, 404, 405, 408, 413, 415, 422, 429, 500, 501, 503,
    }  # fmt: skip
    for status in (400, 404, 405, 413, 415, 422, 500):
        assert PROBLEMS[code_of_status(status)][0] == status
