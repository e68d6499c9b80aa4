"""Import paths: what is found, when a file is read anew, what is left behind."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from segood.errors import UsageError
from segood.user_code import call_user_code, check_arguments, imported


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_changed_file_is_read_anew_and_the_search_path_stays(folder: Path) -> None:
    before = list(sys.path)
    for value in (1, 2):
        (folder / "code.py").write_text(f"value = {value}\n")
        with imported("code.py:value", "number") as found:
            assert found == value
        assert sys.path == before


def test_errors_name_the_place(folder: Path) -> None:
    (folder / "code.py").write_text("def f(a, b=1):\n    return a / b\n")
    with imported("code.py:f", "number") as found:
        assert call_user_code("code.py:f", found, {"a": 4, "b": 2}) == 2
        with pytest.raises(UsageError, match=r"code.py:f failed .* ZeroDivisionError: .* \(code.py, line 2"):
            call_user_code("code.py:f", found, {"a": 4, "b": 0})


def test_arguments_are_those_that_the_function_takes() -> None:
    def f(a: int, b: int = 1) -> int:
        return a + b

    assert check_arguments(f, "f", {"b": 2}, {"a": 1, "c": 3}, "here") == {"a": 1, "b": 2}
    with pytest.raises(UsageError, match="f needs `a`; give it in here"):
        check_arguments(f, "f", {}, {}, "here")
    with pytest.raises(UsageError, match=r"option of f` must be one of a, b; got 'd'"):
        check_arguments(f, "f", {"d": 1}, {"a": 1}, "here")


@pytest.mark.parametrize("path", ["name", "code.py:", ":f", "a b:c", "code.py:1x"])
def test_an_import_path_has_two_parts(path: str) -> None:
    with pytest.raises(UsageError, match="must be an import path"), imported(path, "number"):
        pass
