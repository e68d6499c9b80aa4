"""What is to be scored: order and names by hand, in every form it can be given, and what users get wrong."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from segood.deployment.fleet import urls
from segood.deployment.fleet.listing import Listed, list_frames
from segood.deployment.fleet.urls import check_scheme, fetch
from segood.deployment.sources import find_images
from segood.errors import DataError, UsageError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b/10.png", "b/2.png", "a.JPG", "notes.md"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(name.encode())
    return tmp_path / "in"


def test_a_folder_is_listed_as_the_ordinary_engine_does(folder: Path) -> None:
    found = list(list_frames([folder, folder / "b" / "2.png"]))
    assert [frame.name for frame in found] == [str(p) for p in find_images([folder, folder / "b" / "2.png"])]
    assert [Path(frame.source).name for frame in found] == ["a.JPG", "2.png", "10.png", "2.png"]


def test_relative_paths_have_absolute_sources(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    assert next(list_frames(["in/b"])) == Listed("in/b/2.png", str(folder / "b" / "2.png"))


def test_a_list_keeps_its_order_and_starts_at_its_folder(folder: Path) -> None:
    lines = "\ufeffb/10.png\r\n\r\n  spaced.png\nhttps://host/x.png\n/abs.png\nb/10.png"
    (folder / "day.txt").write_text(lines, encoding="utf-8", newline="")
    assert list(list_frames([folder / "day.txt"])) == [
        Listed("b/10.png", str(folder / "b/10.png")),
        Listed("  spaced.png", str(folder / "  spaced.png")),
        Listed("https://host/x.png", "https://host/x.png"),
        Listed("/abs.png", "/abs.png"),
        Listed("b/10.png", str(folder / "b/10.png")),  # twice in the list is twice in the output
    ]
    at_url = list(list_frames([f"file://{folder}/day.txt"]))
    assert at_url[0] == Listed("b/10.png", f"file://{folder}/b/10.png")


def test_parquet_lists(folder: Path) -> None:
    table = pa.table({"file": ["b/2.png", "s/../a.JPG"], "n": [1, 2], "gap": ["x.png", None]})
    parquet.write_table(table, folder / "day.parquet")
    found = list(list_frames([folder / "day.parquet"], column="file"))
    assert [frame.name for frame in found] == ["b/2.png", "s/../a.JPG"]
    with pytest.raises(DataError, match=r"no column 'path'; give --column, one of file, n, gap"):
        list(list_frames([folder / "day.parquet"]))
    with pytest.raises(DataError, match=r"column 'n' must hold text, paths or URLs; it holds int64"):
        list(list_frames([folder / "day.parquet"], column="n"))
    with pytest.raises(DataError, match=r"row 1 of column 'gap' is empty"):
        list(list_frames([folder / "day.parquet"], column="gap"))
    (folder / "no.parquet").write_bytes(b"PAR1, not really")
    with pytest.raises(DataError, match=r"no\.parquet cannot be read \(ArrowInvalid"):
        list(list_frames([folder / "no.parquet"]))


def test_folders_at_urls(folder: Path) -> None:
    assert [frame.name for frame in list_frames([f"file://{folder}"])] == [
        f"file://{folder}/{name}" for name in ("a.JPG", "b/2.png", "b/10.png")
    ]
    with zipfile.ZipFile(folder.parent / "all.zip", "w") as archive:
        for name in ("b/10.png", "b/2.png", "read.me"):
            archive.writestr(name, name)
    rest = f"::file://{folder.parent}/all.zip"
    found = list(list_frames([f"zip://b{rest}"]))
    assert [frame.name for frame in found] == [f"zip://b/2.png{rest}", f"zip://b/10.png{rest}"]
    assert fetch(found[1].source) == b"b/10.png"


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ("nowhere", DataError, r"nowhere does not exist"),
        ("nowhere.txt", DataError, r"nowhere\.txt does not exist"),
        ("empty.txt", DataError, r"empty\.txt names no image"),
        ("binary.txt", DataError, r"is no list: a path or URL per line, as UTF-8"),
        ("empty", DataError, r"no image \(\.png, .*\) under "),
        ("foo://a/b.png", UsageError, r"unknown scheme foo://; fsspec knows file, http"),
        ("s3://bucket/a.png", UsageError, r"s3:// needs a package \(Install s3fs"),
        ("far.txt", UsageError, r"foo://x\.png: unknown scheme foo://"),
        ("file:///nowhere/at/all", DataError, r"no image \(.*\) under file:///nowhere|does not exist"),
        ("drive.mp4", UsageError, r"drive\.mp4 is a stream; --engine ray scores images"),
        ("camera:0", UsageError, r"camera:0 is a stream"),
    ],
)
def test_what_users_get_wrong(
    given: str, error: type[Exception], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty.txt").write_text("\n\n")
    Path("binary.txt").write_bytes(b"\xff\xd8\xff")
    Path("far.txt").write_text("a.png\nfoo://x.png\n")
    Path("empty").mkdir()
    with pytest.raises(error, match=said):
        list(list_frames([given]))


def test_a_fetch_is_tried_again_and_told_the_same_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(urls, "_FIRST_WAIT", 0.0)
    with pytest.raises(DataError, match=r"^file:///no/where\.png: no such file, or no access \(FileNotFound"):
        fetch("file:///no/where.png")
    with pytest.raises(DataError, match=r"cannot be fetched, tried 4 times \(ClientConnectorError\)$"):
        fetch("http://127.0.0.1:9/a.png")  # nobody listens at the discard port


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(
        UsageError, match=r"URLs need fsspec, which is not installed; pip install 'segood\[ray\]'"
    ):
        check_scheme("file", "file:///a.png")
